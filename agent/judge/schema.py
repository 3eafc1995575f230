"""JSON answers: find the JSON, mend it if it nearly is some, check it against the task's schema.

    content = parse('```json\\n{"a": 1,}\\n```', {"type": "object"})      # {"a": 1}
    parse("no json here", {...})                                        # raises InvalidOutput

What is asked of a schema's author is bounded here too: a schema or an answer nested deeper than :data:`MAX_DEPTH`, or
an answer longer than :data:`MAX_CHARS`, is invalid rather than slow, and a schema's patterns are tried only on short
texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import json_repair
import jsonschema.validators
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

#: The longest JSON looked at, in characters, and the longest that is repaired rather than only parsed.
MAX_CHARS, MAX_REPAIR = 2_000_000, 50_000

#: The deepest nesting of an answer or a schema.
MAX_DEPTH = 100

#: The longest ``pattern`` of a schema, and the longest text it is tried on: Python's regular expressions can
#: take exponential time, and a schema may come from anybody.
MAX_PATTERN, MAX_PATTERN_TEXT = 200, 1_000

#: References followed in one validation; a schema of thirty lines can ask for a billion.
MAX_REFERENCES = 10_000

_FENCE = re.compile(r"```[ \t]{0,20}[\w+-]{0,20}[ \t]{0,20}\n?")
_OPENING = re.compile(r"[{\[]")
_NESTED_QUANTIFIER = re.compile(r"[+*}]\)?[^()]{0,40}\)[+*{]")


class InvalidOutput(ValueError):
    """The answer does not satisfy the schema. The message is ``path: what is wrong``."""


def parse(text: str, schema: Mapping[str, Any]) -> Any:
    """The JSON in ``text``, valid by ``schema``. Raises :class:`InvalidOutput`."""
    if len(text) > MAX_CHARS:
        raise InvalidOutput(f"$: {len(text)} characters are more than the {MAX_CHARS} that are read")
    if depth(schema) > MAX_DEPTH:
        raise InvalidOutput(f"schema: nested deeper than {MAX_DEPTH}")
    complaint = "$: no JSON in the answer"
    for candidate in _candidates(text):
        if depth(candidate) > MAX_DEPTH:
            complaint = f"$: nested deeper than {MAX_DEPTH}"
            continue
        fault = _fault(candidate, schema)
        if fault is None:
            return candidate
        complaint = fault
        break
    raise InvalidOutput(complaint)


def has_json(text: str) -> bool:
    """Whether there is any JSON object or array in ``text``, whole or nearly."""
    return next(_candidates(text), None) is not None


def depth(value: Any) -> int:
    """How deeply ``value`` nests, counted no further than one past :data:`MAX_DEPTH`."""
    level, layer = 0, [value]
    while layer and level <= MAX_DEPTH:
        below: list[Any] = []
        for item in layer:
            if isinstance(item, Mapping):
                below.extend(item.values())
            elif isinstance(item, list | tuple):
                below.extend(item)
        layer = below
        level += 1
    return level


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


def _fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    try:
        error = best_match(_validator(schema).iter_errors(value))
    except SchemaError as bad:
        return f"schema: {bad.message[:200]}"
    except (
        RecursionError,
        Unresolvable,
        InvalidOutput,
        re.error,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
    ) as bad:
        return f"schema: {type(bad).__name__}: {str(bad)[:200]}"
    return None if error is None else f"{error.json_path}: {error.message[:300]}"


def _validator(schema: Mapping[str, Any]) -> Any:
    base: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    base.check_schema(schema)
    followed = 0

    def reference(validator: Any, ref: Any, value: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
        nonlocal followed
        followed += 1
        if followed > MAX_REFERENCES:
            raise InvalidOutput(f"more than {MAX_REFERENCES} references followed")
        yield from base.VALIDATORS["$ref"](validator, ref, value, schema)

    extend: Any = jsonschema.validators.extend
    bounded = extend(base, {"pattern": _pattern, "$ref": reference})
    # With a registry of our own nothing is fetched from the network for a remote $ref.
    return bounded(schema, registry=Registry())


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[jsonschema.ValidationError]:
    """``pattern``, except where it could take for ever: then it is left unchecked, which costs less than the game."""
    if not validator.is_type(value, "string") or not isinstance(pattern, str):
        return
    if len(pattern) > MAX_PATTERN or len(value) > MAX_PATTERN_TEXT or _NESTED_QUANTIFIER.search(pattern):
        return
    if not re.search(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")
