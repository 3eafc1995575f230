"""JSON answers: find the JSON, mend it if it nearly is some, check it against the task's schema.

    content = parse('```json\\n{"a": 1,}\\n```', {"type": "object"})      # {"a": 1}
    parse("no json here", {...})                                        # raises InvalidOutput

An answer nested deeper than :data:`MAX_DEPTH`, or longer than :data:`MAX_CHARS`, is invalid rather than slow; what a
schema may ask for is bounded in :mod:`~.checked_schema`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import json_repair

from .checked_schema import MAX_DEPTH, InvalidSchema, check_schema, depth, first_fault

#: The longest JSON looked at, in characters, and the longest that is repaired rather than only parsed.
MAX_CHARS, MAX_REPAIR = 2_000_000, 50_000

_FENCE = re.compile(r"```[ \t]{0,20}[\w+-]{0,20}[ \t]{0,20}\n?")
_OPENING = re.compile(r"[{\[]")


class InvalidOutput(ValueError):
    """The answer does not satisfy the schema. The message is ``path: what is wrong``."""


def parse(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON in ``text``, valid by ``schema``. Raises :class:`InvalidOutput`."""
    if len(text) > MAX_CHARS:
        raise InvalidOutput(f"$: {len(text)} characters are more than the {MAX_CHARS} that are read")
    try:
        check_schema(schema)
    except InvalidSchema as bad:
        raise InvalidOutput(f"schema: {bad}") from None
    complaint = "$: no JSON in the answer"
    for candidate in _candidates(text):
        if depth(candidate) > MAX_DEPTH:
            complaint = f"$: nested deeper than {MAX_DEPTH}"
            continue
        fault = first_fault(candidate, schema)
        if fault is None:
            return candidate
        complaint = fault
        break
    raise InvalidOutput(complaint)


def has_json(text: str) -> bool:
    """Whether there is any JSON object or array in ``text``, whole or nearly."""
    return next(_candidates(text), None) is not None


def strings_in(value: Any, limit: int = 200) -> list[str]:
    """The texts inside a JSON value, at most ``limit`` of them."""
    found: list[str] = []
    todo: list[Any] = [value]
    while todo and len(found) < limit:
        item = todo.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, Mapping):
            todo.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            todo.extend(reversed(item))
    return found


def _candidates(text: str) -> Iterator[Any]:
    """The JSON values the text may mean, likeliest first: all of it, a fenced block, what is between the braces."""
    stripped = text.strip().lstrip("\ufeff")
    pieces = [stripped]
    parts = _FENCE.split(stripped)
    pieces += sorted((p.strip() for p in parts[1::2]), key=len, reverse=True)[:3]
    opening = _OPENING.search(stripped)
    if opening:
        closing = max(stripped.rfind("}"), stripped.rfind("]"))
        pieces.append(
            stripped[opening.start() : closing + 1] if closing > opening.start() else stripped[opening.start() :]
        )
    for piece in pieces:
        try:
            yield json.loads(piece)
        except (ValueError, RecursionError):
            continue
    for piece in reversed(pieces):
        if not piece or piece[0] not in "{[" or len(piece) > MAX_REPAIR or _brackets(piece) > MAX_DEPTH:
            continue
        try:
            repaired = json_repair.loads(piece, skip_json_loads=True)
        except (ValueError, RecursionError):
            continue
        if isinstance(repaired, dict | list) and repaired:
            yield repaired


def _brackets(text: str) -> int:
    """The deepest run of open brackets, whatever closes them: the repairer recurses once for each."""
    level = deepest = 0
    for char in text:
        if char in "{[":
            level += 1
            deepest = max(deepest, level)
        elif char in "}]":
            level -= 1
    return deepest
