"""JSON bodies, out and in: what the four wire formats share once the providers' names are taken away.

Out, :func:`dump` writes the bytes and :func:`merge` lays a backend's own options over them. In, :func:`parse` reads
bytes that anybody may have sent, and the small readers (:func:`text`, :func:`count`, :func:`child`, ...) take one field
of an object, whatever its type turns out to be::

    node = parse(b'{"message": {"content": "hello"}}')
    text(child(node, "message"), "content")     # "hello"
    text(child(node, "message"), "absent")      # ""
    text(node, "message")                       # raises Malformed: "message" is an object, not text

A field that is absent or null reads as nothing ("" or 0 or an empty list): providers leave out what they have not got.
A field of another type is :class:`Malformed`, and so is a number no provider means (NaN, negative counts, 10**300).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

Json = dict[str, Any]

#: No request or answer comes near a trillion tokens; beyond it a count is garbage.
_MOST_TOKENS = 10**12

_NAMES = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}


#: What a model is told where JSON is wanted of whatever shape, and its api has no mode for that.
JSON_ALONE = "Answer with one JSON object and nothing else."


def any_object(schema: Mapping[str, Any]) -> bool:
    """Whether a JSON Schema asks for an object and for nothing of it: JSON mode, as OpenAI calls it."""
    return schema.get("type") == "object" and not schema.keys() - {"type", "additionalProperties"} - {
        "$schema",
        "title",
    }


class Malformed(ValueError):
    """The body is not what the api promises. The message is one line and quotes nothing that the provider sent."""


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, frozenset, set)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)


def dumps(value: object) -> str:
    """``value`` as compact JSON text, its letters unescaped."""
    return _ENCODER.encode(value)


def dump(value: object) -> bytes:
    """``value`` as compact UTF-8 JSON, letters unescaped so that a scanner can read them.

    A lone surrogate, which UTF-8 cannot carry, becomes a question mark.
    """
    return _ENCODER.encode(value).encode("utf-8", "replace")


def merge(body: Json, options: Mapping[str, Any]) -> Json:
    """``options`` laid over ``body`` as a JSON Merge Patch (RFC 7396): objects merge, null removes."""
    merged = dict(body)
    for key, value in options.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def object_of(arguments: str) -> Json:
    """A tool call's arguments as the object that some apis want; text that is no JSON object is kept under one name."""
    try:
        value = parse(arguments.encode("utf-8", "replace"))
    except Malformed:
        return {"arguments": arguments} if arguments.strip() else {}
    return value if isinstance(value, dict) else {"arguments": value}


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"the body holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
#: The decoder's own first step: one value at a place, without looking for blanks around it.
_SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]


def parse(body: bytes) -> Any:
    """The JSON value in ``body``; raises :class:`Malformed` for anything else, however it is broken."""
    try:
        said = body.decode("utf-8")
        try:
            # Most bodies and events are one value and nothing else; to look for blanks costs as much as a short one.
            value, end = _SCAN(said, 0)
            if end == len(said):
                return value
        except StopIteration:
            pass
        return _DECODER.decode(said.removeprefix("\ufeff"))
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except Malformed:
        raise
    except RecursionError:
        raise Malformed("the body is nested too deep") from None
    except json.JSONDecodeError as error:
        what = "empty" if not body.strip() else "cut off" if error.pos >= len(error.doc.rstrip()) else "not JSON"
        raise Malformed(f"the body is {what}") from None
    except ValueError:  # an integer of more digits than Python reads
        raise Malformed("the body holds a number too large to read") from None


def _wrong(key: str, value: object, wanted: str) -> Malformed:
    return Malformed(f'"{key}" is {_NAMES.get(type(value), "null")}, not {wanted}')


def readable(key: str, value: str) -> str:
    """``value``, if it is text that can be written down again; a lone surrogate cannot."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed(f'"{key}" holds half a character') from None
    return value


def rewritten(key: str, value: Json) -> str:
    """An object of a parsed body as JSON text again, for the apis that send a tool's arguments as an object."""
    try:
        return readable(key, dumps(value))
    except Malformed:
        raise
    except (ValueError, RecursionError):  # 1e999, which JSON allows and no float holds; or endless nesting
        raise Malformed(f'"{key}" cannot be written down again') from None


def text(node: Json, key: str) -> str:
    value = node.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(key, value, "text")
    return readable(key, value)


def child(node: Json, key: str) -> Json:
    value = node.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    return value


def children(node: Json, key: str) -> list[Json]:
    value = node.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong(key, value, "a list")
    for item in value:
        if not isinstance(item, dict):
            raise _wrong(key, item, "an object, in its list")
    return value


def count(node: Json, key: str) -> int:
    value = node.get(key)
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(key, value, "a whole number")
    if not 0 <= value <= _MOST_TOKENS:
        raise Malformed(f'"{key}" is out of all bounds')
    return value


def number(node: Json, key: str) -> float | None:
    value = node.get(key)
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _wrong(key, value, "a number")
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise Malformed(f'"{key}" is out of all bounds')
    return real


def mean_logprob(tokens: Iterable[Json], key: str) -> float | None:
    """The mean of the tokens' log-probabilities, at most 0; None without any."""
    values = [value for token in tokens if (value := number(token, key)) is not None]
    return min(0.0, math.fsum(values) / len(values)) if values else None


def spoken(said: str) -> str:
    """``said`` without the reasoning that open models put before it between <think> tags; nothing if it never ends."""
    if not said.lstrip().startswith("<think>"):
        return said
    return said.partition("</think>")[2].lstrip()
