"""A data file in ``configs/``: YAML with a JSON Schema beside it, and errors that name the line to mend.

    document, lines = read_yaml(path)                         # raises ConfigError
    faults = schema_faults(document, lines, path, "kinds")    # against configs/kinds.schema.json

Faults are for people who mend files: each is one line that says where (file, line, key), what is wrong, and what is
allowed. A value that could be a secret is never quoted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from agent.failures import UniwizardError

#: Where the project's own data files live.
CONFIGS = Path(__file__).resolve().parent.parent / "configs"

#: Values that a data file may have. A few lines of aliases of aliases can stand for billions.
MOST_VALUES = 100_000

#: What a backend may be called.
BACKEND_NAME = "lower-case letters, digits, - and _, a letter first, 32 at most"
#: What is allowed of a key that stands twice.
ONCE = "each key once"

#: The way to a value in a document: keys and list indexes.
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a file. ``line`` counts from 1; 0 where there is none."""

    file: str
    line: int
    where: str
    what: str
    allowed: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [place, self.where, self.what]
        text = ": ".join(part for part in parts if part)
        return f"{text}; allowed: {self.allowed}" if self.allowed else text


class ConfigError(UniwizardError):
    """The file cannot be used; ``faults`` holds every reason."""

    def __init__(self, faults: list[Fault]):
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def why_unreadable(error: OSError | ValueError) -> str:
    """What a person is told of a file that could not be opened, read or decoded."""
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "is a folder"
        case OSError():
            return f"cannot be read ({error.strerror})"
        case UnicodeDecodeError():
            return "is not text in UTF-8"
        case _:
            return "is no name of a file"


def read_yaml(path: str | Path, twice: list[Fault] | None = None) -> tuple[Any, dict[Place, int]]:
    """The file's content and the line of every key in it. Raises ConfigError.

    ``twice`` gathers the keys that stand twice, for a caller who has more to say of the file; else they are raised.
    """
    name = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        place = name if name.isprintable() else repr(name)
        allowed = "a YAML file in UTF-8, such as configs/backends.yaml"
        raise ConfigError([Fault(place, 0, "", why_unreadable(error), allowed)]) from None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        document = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = _masked(str(getattr(error, "problem", None) or "cannot be parsed"))
        raise ConfigError([Fault(name, mark.line + 1 if mark else 0, "", f"not YAML: {problem}", "YAML")]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([Fault(name, 0, "", f"not YAML: {type(error).__name__}", "YAML")]) from None
    if node is None or document is None:
        raise ConfigError([Fault(name, 0, "", "is empty", "version, backends and rules")])
    if _values(node, {}) > MOST_VALUES:
        raise ConfigError([Fault(name, 0, "", "is too large once its aliases are followed", f"{MOST_VALUES} values")])
    lines: dict[Place, int] = {}
    faults = list(_mark(node, (), lines, name, set()))
    if twice is not None:
        twice += [fault for fault in faults if fault.allowed == ONCE]
        faults = [fault for fault in faults if fault.allowed != ONCE]
    if faults:
        raise ConfigError(faults)
    return document, lines


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a document has with every alias followed; infinity where one leads back to itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _mark(node: yaml.Node, place: Place, lines: dict[Place, int], name: str, seen: set[int]) -> Iterator[Fault]:
    """Note the line of every key, and find keys that stand twice, which YAML itself would let pass."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            inner = (*place, key)
            if key_node.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                yield Fault(name, line, dotted(inner), "this key is not a word", "a word; quote it if it must be")
            elif key in first:
                yield Fault(name, line, dotted(inner), f"stands twice, first on line {first[key]}", ONCE)
            first.setdefault(key, line)
            lines[inner] = line
            yield from _mark(value_node, inner, lines, name, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            yield from _mark(item, (*place, index), lines, name, seen)


@cache
def schema_of(name: str) -> Draft202012Validator:
    """The validator for ``configs/<name>.schema.json``."""
    return Draft202012Validator(json.loads((CONFIGS / f"{name}.schema.json").read_text("utf-8")))


def schema_faults(document: Any, lines: Mapping[Place, int], name: str, schema: str) -> Iterator[tuple[Place, Fault]]:
    """Everything in ``document`` that ``configs/<schema>.schema.json`` does not allow, with its place."""
    infinite = dict(_not_finite(document, (), lines, name))
    yield from infinite.items()
    for error in schema_of(schema).iter_errors(document):
        for leaf in _leaves(error):
            place = tuple(leaf.absolute_path)
            if "propertyNames" in leaf.absolute_schema_path:
                place = (*place, leaf.instance)
            if place not in infinite:
                yield from ((place, fault) for fault in _explain(leaf, place, lines, name))


def _leaves(error: Any) -> Iterator[Any]:
    """Of an either-or, only the complaints about the alternative whose type the value has."""
    if error.validator != "oneOf" or not error.context:
        yield error
        return
    fitting = [inner for inner in error.context if inner.validator != "type"]
    yield from fitting or [error]


def _explain(error: Any, place: Place, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """One fault per thing to mend, in the reader's words."""
    value, wanted = error.instance, error.validator_value
    line = line_of(lines, place)
    said = "a value" if "api_key" in place else shown(value)
    match error.validator:
        case "additionalProperties" if wanted is False:
            known = sorted(error.schema.get("properties", {}))
            for key in sorted(set(value) - set(known), key=str):
                inner = (*place, key)
                yield Fault(name, line_of(lines, inner), dotted(inner), "unknown key", ", ".join(known))
        case "required":
            for key in wanted:
                if key not in value:
                    expected = _expected(error.schema.get("properties", {}).get(key, {}))
                    yield Fault(name, line, dotted((*place, key)), "is missing", expected)
        case "type":
            allowed = _expected(error.schema) if wanted == "string" else _article(wanted)
            yield Fault(name, line, dotted(place), f"{said} is not {_article(wanted)}", allowed)
        case "enum":
            yield Fault(name, line, dotted(place), f"{said} is unknown", ", ".join(map(str, wanted)))
        case "const":
            yield Fault(name, line, dotted(place), f"{said} is not supported", str(wanted))
        case "minimum":
            yield Fault(name, line, dotted(place), f"{said} is too small", f"{wanted} or more")
        case "exclusiveMinimum":
            yield Fault(name, line, dotted(place), f"{said} is too small", f"more than {wanted}")
        case "maximum":
            yield Fault(name, line, dotted(place), f"{said} is too large", f"{wanted} or less")
        case "pattern":
            yield Fault(name, line, dotted(place), f"{said} does not fit", _PATTERNS.get(wanted, wanted))
        case "oneOf":
            kinds = [_article(branch.get("type", "number")) for branch in wanted]
            yield Fault(name, line, dotted(place), f"{said} does not fit", " or ".join(kinds))
        case _:
            what = f"{said} does not fit" if isinstance(value, FilledIn) else _masked(error.message)[:100]
            yield Fault(name, line, dotted(place), what, _RULES.get(str(error.validator), ""))


_PATTERNS = {
    r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$": "${NAME} of an environment variable (a key never stands in the file)",
    r"^https?://[^\s/?#@]+[^\s?#]*$": "an http:// or https:// address without a query",
    r"^[a-z][a-z0-9_-]{0,31}$": BACKEND_NAME,
    r"^[A-Za-z][A-Za-z0-9-]{0,63}$": "the name of an HTTP header",
    r"^[\x20-\x7e]+$": "what a header can carry: plain ASCII on one line",
    r"^([1-9][0-9]{0,3}(h|m|d)|minute|hour|day|week|month)$": "minute, hour, day, week, month, or such as 5h",
}
_RULES = {
    "minItems": "at least one",
    "minProperties": "at least one",
    "uniqueItems": "each once",
    "minLength": "some text",
}
_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number"}


def _article(kind: object) -> str:
    return _TYPES.get(str(kind), "true or false" if kind == "boolean" else str(kind))


def _expected(schema: Mapping[str, Any]) -> str:
    """What ``schema`` allows, in as few words as say it."""
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "description" in schema:
        return str(schema["description"])
    if schema.get("type") == "string":
        return _PATTERNS.get(schema.get("pattern", ""), "text in quotes")
    return _article(schema.get("type", "a value"))


class FilledIn(str):
    """Text with variables filled in. What they hold may be a secret, so a fault quotes what was ``written``."""

    written: str

    def __new__(cls, text: str, written: str) -> FilledIn:
        filled = super().__new__(cls, text)
        filled.written = written
        return filled


def shown(value: object) -> str:
    """``value`` as a fault may quote it: short, and without anything that could be a key in the wrong place."""
    value = value.written if isinstance(value, FilledIn) else value
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, str) else str(value)
    text = _masked(text)
    return text if len(text) <= 60 else text[:57] + "..."


#: Twenty letters and digits in a row, a digit among them: the shape of every provider's keys.
_KEY_SHAPED = re.compile(r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}")


def _masked(text: str) -> str:
    return _KEY_SHAPED.sub("(not shown)", text)


def _not_finite(value: Any, place: Place, lines: Mapping[Place, int], name: str) -> Iterator[tuple[Place, Fault]]:
    """Infinity and not-a-number slip through every minimum and maximum."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, (*place, key), lines, name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, (*place, index), lines, name)
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, Fault(name, line_of(lines, place), dotted(place), f"{value} is not finite", "a finite number")


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of the nearest key at or above ``place``."""
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return 1


def dotted(place: Place) -> str:
    """A place as people write it; a key that has the shape of a secret is not shown here either."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return _masked(text)
