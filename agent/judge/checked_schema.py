"""JSON Schemas that come from outside: checked before anything is paid, and validated against with bounded work.

    check_schema(schema)                        # raises InvalidSchema: what is wrong with it, in one line
    first_fault(value, schema)                  # "$.rivers: 3 is not of type 'array'", or None

A schema may come from anybody, and so may what is validated by it. So its patterns are matched in linear time
(:mod:`~.patterns`), what refers to itself without end is turned down, nothing is fetched for a remote ``$ref``, and one
validation takes no more than :data:`MAX_STEPS` keywords, whatever both of them hold.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import jsonschema.validators
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from .patterns import UnsafePattern, linear

#: The deepest nesting of an answer or a schema.
MAX_DEPTH = 100

#: Keywords looked at in one validation (some microseconds each), and references followed without going deeper into the
#: answer: a schema of thirty lines can ask for a billion.
MAX_STEPS, MAX_REFERENCES = 100_000, 10_000

#: Values in a schema (fields of objects, and items of lists); OpenAI allows 5,000 properties.
MAX_VALUES = 20_000

#: Characters of a schema, and faults of an answer among which the one that tells most is sought.
MAX_SCHEMA, _FAULTS = 1_000_000, 20

#: Schemas remembered that were found well.
_REMEMBERED = 256

#: Keywords whose schemas see the same value as their own.
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")

#: A place in a list, as a reference names it. No list is longer, and Python reads no number of thousands of digits.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

#: What a validator may raise for a value it was not made for: of numbers too large for a float, OverflowError.
_UNREADABLE = (
    RecursionError,
    Unresolvable,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    ArithmeticError,
)

_NO_SCHEMA = "is not a JSON Schema"


class InvalidSchema(ValueError):
    """No answer can be held against the schema. The message says why, in one line."""


class TooMuchWork(Exception):
    """The validation would take too long; the message says what of it."""


_well: OrderedDict[str, None] = OrderedDict()


def check_schema(schema: object) -> None:
    """Raise InvalidSchema unless answers can be held against ``schema``."""
    if not isinstance(schema, Mapping):
        raise InvalidSchema(_NO_SCHEMA)
    if depth(schema) > MAX_DEPTH:
        raise InvalidSchema(f"is nested deeper than {MAX_DEPTH}")
    if more_than(MAX_VALUES, schema):
        raise InvalidSchema(f"holds more than {MAX_VALUES} values")
    try:
        written = json.dumps(schema, sort_keys=True, default=dict)
    except (TypeError, ValueError, RecursionError):
        raise InvalidSchema(_NO_SCHEMA) from None
    if written in _well:
        # Somebody else may be checking in another thread.
        with suppress(KeyError):
            _well.move_to_end(written)
        return
    if len(written) > MAX_SCHEMA:
        raise InvalidSchema(f"is longer than {MAX_SCHEMA} characters")
    _check(json.loads(written))
    _well[written] = None
    while len(_well) > _REMEMBERED:
        with suppress(KeyError):
            _well.popitem(last=False)


def _check(schema: dict[str, Any]) -> None:
    dialect = _dialect(schema)
    try:
        dialect.check_schema(schema, format_checker=None)
    except SchemaError as bad:
        raise InvalidSchema(f"is invalid at {_place(bad)}: {bad.message[:200]}") from None
    except _UNREADABLE as bad:
        raise InvalidSchema(f"cannot be read: {type(bad).__name__}") from None
    patterned = unevaluated = False
    for keyword, value in _keywords(schema):
        if keyword == "pattern" or keyword == "patternProperties":
            for pattern in [value] if isinstance(value, str) else value:
                try:
                    linear(pattern)
                except UnsafePattern as unsafe:
                    raise InvalidSchema(f"has a pattern that {unsafe}: {str(pattern)[:80]}") from None
            patterned = patterned or keyword == "patternProperties"
        elif keyword in ("$dynamicRef", "$recursiveRef"):
            raise InvalidSchema(f"uses {keyword}, which is not supported")
        elif keyword == "unevaluatedProperties":
            unevaluated = True
        elif keyword == "$ref":
            _referred(schema, value)
    if patterned and unevaluated:
        raise InvalidSchema("uses unevaluatedProperties beside patternProperties, which is not supported")
    _Expansion(schema).check()


def _place(error: SchemaError) -> str:
    return str(error.json_path)


def _dialect(schema: Mapping[str, Any]) -> Any:
    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)


#: Keywords whose value is a mapping of names to schemas, a list of schemas, or one schema.
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "additionalItems", "contains", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)


def _keywords(schema: object) -> Iterator[tuple[str, Any]]:
    """Every keyword of a schema and of those within it, with its value; not what stands in enums and examples."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if not isinstance(node, Mapping):
            continue
        for keyword, value in node.items():
            yield keyword, value
            if keyword in _NAMED and isinstance(value, Mapping):
                todo.extend(value.values())
            elif keyword in _LISTS and isinstance(value, list):
                todo.extend(value)
            elif keyword in _SINGLE:
                todo.extend(value if isinstance(value, list) else [value])


def _referred(root: Mapping[str, Any], reference: object) -> Any:
    """The part of ``root`` that a reference means. Raises InvalidSchema where it means none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise InvalidSchema(f"refers to {str(reference)[:80]}, and nothing is fetched from elsewhere")
    node: Any = root
    for step in reference[1:].split("/")[1:] if reference not in ("#", "#/") else ():
        step = step.replace("~1", "/").replace("~0", "~").replace("%25", "%").replace("%24", "$")
        if isinstance(node, Mapping) and step in node:
            node = node[step]
        elif isinstance(node, list) and _INDEX.fullmatch(step) and int(step) < len(node):
            node = node[int(step)]
        else:
            raise InvalidSchema(f"refers to {reference[:80]}, which is not in it")
    if len(reference) > 1 and not reference.startswith("#/"):
        anchored = next((n for n in _nodes(root) if reference[1:] in (n.get("$anchor"), n.get("$id"))), None)
        if anchored is None:
            raise InvalidSchema(f"refers to {reference[:80]}, which is not in it")
        node = anchored
    return node


def _nodes(root: object) -> Iterator[Mapping[str, Any]]:
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            yield node
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)


class _Expansion:
    """How many schemas one value is held against when every reference is followed."""

    def __init__(self, root: Mapping[str, Any]):
        self._root = root
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self) -> None:
        """Raise InvalidSchema where references lead back to themselves, or to more than can be looked at."""
        for node in list(_nodes(self._root)):
            if self._size(node) > MAX_REFERENCES:
                raise InvalidSchema(f"asks to hold one value against more than {MAX_REFERENCES} schemas")

    def _size(self, node: object) -> int:
        if not isinstance(node, Mapping):
            return 1
        key = id(node)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            raise InvalidSchema("refers to itself without end")
        self._open.add(key)
        try:
            size = 1 + sum(map(self._size, self._below(node)))
        except RecursionError:
            raise InvalidSchema("refers on for too long") from None
        self._open.discard(key)
        self._known[key] = size
        return size

    def _below(self, node: Mapping[str, Any]) -> Iterator[Any]:
        if "$ref" in node and isinstance(node["$ref"], str):
            yield _referred(self._root, node["$ref"])
        for name in _IN_PLACE_LISTS:
            if isinstance(node.get(name), list):
                yield from node[name]
        for name in _IN_PLACE:
            if name in node:
                yield node[name]
        if isinstance(node.get("dependentSchemas"), Mapping):
            yield from node["dependentSchemas"].values()


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


def more_than(most: int, value: Any) -> bool:
    """Whether ``value`` holds more than so many values, counted no further than that."""
    count, todo = 0, [value]
    while todo and count <= most:
        item = todo.pop()
        if isinstance(item, dict | Mapping):
            count += len(item)
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            count += len(item)
            todo.extend(item)
    return count > most


# -- holding a value against a schema ----------------------------------------------------------------------------


def first_fault(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with ``value`` by ``schema``, in one line; None when nothing is. Raises InvalidSchema."""
    check_schema(schema)
    try:
        error = best_match(islice(_validator(schema).iter_errors(value), _FAULTS))
    except TooMuchWork as much:
        return f"schema: {much}"
    except _UNREADABLE as bad:
        return f"schema: {type(bad).__name__}: {str(bad)[:200]}"
    return None if error is None else f"{error.json_path}: {error.message[:300]}"


Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _validator(schema: Mapping[str, Any]) -> Any:
    base = _dialect(schema)
    steps = 0

    def counted(keyword: Keyword) -> Keyword:
        def look(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
            nonlocal steps
            steps += 1
            if steps > MAX_STEPS:
                raise TooMuchWork(f"more than {MAX_STEPS} keywords to look at")
            yield from keyword(validator, value, instance, schema) or ()

        return look

    keywords = {**base.VALIDATORS, **_OWN_KEYWORDS}
    extend: Any = jsonschema.validators.extend
    bounded = extend(base, {name: counted(keyword) for name, keyword in keywords.items()})
    # With a registry of our own nothing is fetched from the network for a remote $ref.
    return bounded(schema, registry=Registry())


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not linear(pattern)(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    for pattern, below in patterns.items():
        matches = linear(pattern)
        for name, item in value.items():
            if matches(name):
                yield from validator.descend(item, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, additional: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    known = schema.get("properties", {})
    patterns = [linear(pattern) for pattern in schema.get("patternProperties", {})]
    extras = [name for name in value if name not in known and not any(matches(name) for matches in patterns)]
    if validator.is_type(additional, "object"):
        for extra in extras:
            yield from validator.descend(value[extra], additional, path=extra)
    elif not additional and extras:
        listed = ", ".join(repr(extra) for extra in extras[:5])
        yield ValidationError(f"Additional properties are not allowed ({listed})")


def _unique_items(validator: Any, unique: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not unique or not validator.is_type(value, "array"):
        return
    # 1 and 1.0 are the same number in JSON Schema, true is not 1.
    written = {json.dumps(item, sort_keys=True, default=str) for item in map(_whole_numbers, value)}
    if len(written) < len(value):
        yield ValidationError("has items that are not unique")


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return value


_OWN_KEYWORDS: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
