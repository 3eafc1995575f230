"""Single fields of a request's JSON, read and checked: the parts that every door shares.

limit = whole(node, "max_tokens")          # raises Rejected (400), naming the field
picture(part["image_url"], "messages[0]")  # an Image, from a data URL or an address
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, TypeGuard

from ..core.task import Image
from ..judge.checked_schema import MAX_DEPTH, MAX_VALUES, InvalidSchema, check_schema, depth, more_than
from ..wire.body import Json
from .errors import Rejected

#: The most of each that one request may hold.
MAX_MESSAGES, MAX_PARTS, MAX_TOOLS, MAX_STOPS = 5000, 20_000, 512, 16

_DATA_URL = re.compile(r"data:(?P<type>[a-z]+/[a-z0-9.+-]{1,60})(?:;[a-z0-9=._-]{1,60}){0,4};base64,", re.IGNORECASE)
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_.:-]{1,128}")
_WEB = re.compile(r"https?://[^\s\x00-\x1f]{1,8000}", re.IGNORECASE)

#: Words that somebody is called by: each begins with a capital.
_NAME = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:['’.-][^\W\d_]+)*")


def text(node: Json, field: str, *, needed: bool = False) -> str:
    value = node.get(field)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value):
        raise Rejected(400, f"`{field}` must be {'given, as ' if needed else ''}text.", param=field)
    return value


def flag(node: Json, field: str) -> bool:
    value = node.get(field)
    if value is not None and not isinstance(value, bool):
        raise Rejected(400, f"`{field}` must be true or false.", param=field)
    return bool(value)


def whole(node: Json, field: str, least: int = 1) -> int | None:
    """A whole number; some clients write 100.0, and -1 for "no limit"."""
    value = node.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (value == -1 and least >= 0 and not isinstance(value, bool)):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10**9:
        raise Rejected(400, f"`{field}` must be a whole number of at least {least}.", param=field)
    return value


def seed(node: Json, field: str = "seed") -> int | None:
    value = node.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise Rejected(400, f"`{field}` must be a whole number of 64 bits.", param=field)
    return value


def number(node: Json, field: str, least: float, most: float) -> float | None:
    value = node.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Rejected(400, f"`{field}` must be a number from {least:g} to {most:g}.", param=field)
    return float(value)


def one_of(node: Json, field: str, allowed: tuple[str, ...]) -> str | None:
    value = node.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or value not in allowed:
        raise Rejected(400, f"`{field}` must be one of: {', '.join(allowed)}.", param=field, code="unsupported_value")
    return value


def stops(node: Json, field: str) -> tuple[str, ...]:
    value = node.get(field)
    found = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(found, list) or len(found) > MAX_STOPS or not all(isinstance(stop, str) for stop in found):
        raise Rejected(400, f"`{field}` must be a text or a list of at most {MAX_STOPS} texts.", param=field)
    return tuple(stop for stop in found if stop)


def held(node: Json, field: str) -> Json:
    """The object in a field; the empty one where there is none."""
    value = node.get(field)
    if value is not None and not isinstance(value, dict):
        raise Rejected(400, f"`{field}` must be an object.", param=field)
    return value or {}


def items(value: object, where: str, most: int) -> list[Any]:
    """A list of at most ``most``; none for null."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise Rejected(400, f"`{where}` must be a list of at most {most}.", param=where)
    return value


def objects(value: object, where: str, most: int) -> list[Json]:
    """The same, of objects."""
    found = items(value, where, most)
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            raise Rejected(400, f"`{where}[{index}]` must be an object.", param=where)
    return found


def is_tool_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and _TOOL_NAME.fullmatch(name) is not None


def parameters(schema: object, where: str) -> Json:
    """A tool's parameters: any JSON Schema of type object; the empty one where there is none."""
    if schema is None or schema == {}:
        return {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        raise Rejected(400, f"`{where}` must be a JSON Schema.", param=where)
    if depth(schema) > MAX_DEPTH:
        raise Rejected(400, f"The schema in `{where}` is nested deeper than {MAX_DEPTH}.", param=where)
    if more_than(MAX_VALUES, schema):
        raise Rejected(400, f"The schema in `{where}` holds more than {MAX_VALUES} values.", param=where)
    return schema


def answer_schema(schema: object, where: str) -> Json:
    """The JSON Schema that answers will be held against. Raises Rejected unless they can be."""
    if not isinstance(schema, dict):
        raise Rejected(400, f"`{where}` must be a JSON Schema.", param=where)
    try:
        check_schema(schema)
    except InvalidSchema as bad:
        raise Rejected(400, f"The schema in `{where}` {bad}.", code="invalid_json_schema", param=where) from None
    return schema


def picture(url: object, where: str) -> Image:
    """A picture, or a file, as a data URL; or its address, which the backend fetches if it can, and nobody here."""
    if not isinstance(url, str):
        raise Rejected(400, f"`{where}` has no URL.", param=where)
    match = _DATA_URL.match(url[:400])
    if match is not None:
        return media(match["type"].lower(), url[match.end() :], where)
    if _WEB.fullmatch(url):
        return Image("image/*", url=url)
    message = f"`{where}`: a picture is an http address, or a data:image/...;base64, URL."
    raise Rejected(400, message, code="invalid_image_url", param=where)


def media(media_type: str, data: object, where: str, name: str = "") -> Image:
    """A picture, a sound or a PDF file out of its base64."""
    if not media_type.startswith(("image/", "audio/")) and media_type != "application/pdf":
        message = f"`{where}`: {media_type[:60]} is neither a picture, a sound nor a PDF file."
        raise Rejected(400, message, code="unsupported_value", param=where)
    try:
        if not isinstance(data, str) or not data:
            raise ValueError
        return Image(media_type, base64.b64decode(data, validate=True), name=name[:200])
    except (ValueError, binascii.Error):
        raise Rejected(400, f"`{where}` does not hold valid base64.", param=where) from None


def names(*words: object) -> frozenset[str]:
    """Those of ``words`` that read as people's names; ``class`` and ``user-123`` are labels, and say nothing."""
    return frozenset(
        word
        for word in words
        if isinstance(word, str) and 3 <= len(word) <= 200 and 1 <= len(word.split()) <= 4 and _reads_as_name(word)
    )


def _reads_as_name(word: str) -> bool:
    return all(_NAME.fullmatch(part) and part[0].isupper() and not part.isupper() for part in word.split())
