"""What is wrong with a data file, in words for the person who mends it: :class:`Fault`, :class:`ConfigError`.

    faults = schema_faults(document, lines, path, "kinds")    # against configs/kinds.schema.json

Each fault is one line that says where (file, line, key), what is wrong, and what is allowed. A value that could be a
secret is never quoted.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from ..core.failures import UniwizardError

#: Where the project's own data files live.
CONFIGS = Path(__file__).resolve().parents[2] / "configs"

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


def keys_of(name: str) -> frozenset[str]:
    """What may stand at the top of a file that ``configs/<name>.schema.json`` describes."""
    schema: Any = schema_of(name).schema
    return frozenset(schema["properties"])


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
    # A value deeper down that is of the wrong type is what is to be mended, and no sign of another alternative.
    fitting = [inner for inner in error.context if inner.validator != "type" or inner.relative_path]
    if not fitting:
        yield error
    for inner in fitting:
        yield from _leaves(inner)


def _explain(error: Any, place: Place, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """One fault per thing to mend, in the reader's words."""
    value, wanted = error.instance, error.validator_value
    line = line_of(lines, place)
    said = "a value" if "api_key" in place else quoted(value)
    match error.validator:
        case "additionalProperties" if wanted is False:
            known = sorted(error.schema.get("properties", {}))
            for key in sorted(set(value) - set(known), key=str):
                inner = (*place, key)
                yield Fault(
                    name, line_of(lines, inner), dotted(inner), f"unknown key{meant(key, known)}", ", ".join(known)
                )
        case "required":
            for key in wanted:
                if key not in value:
                    expected = _expected(error.schema.get("properties", {}).get(key, {}))
                    yield Fault(name, line, dotted((*place, key)), "is missing", expected)
        case "type":
            allowed = _expected(error.schema) if wanted == "string" else _article(wanted)
            yield Fault(name, line, dotted(place), f"{said} is not {_article(wanted)}", allowed)
        case "enum":
            what = f"{said} is unknown{meant(value, wanted)}"
            yield Fault(name, line, dotted(place), what, ", ".join(map(str, wanted)))
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
            what = f"{said} does not fit" if isinstance(value, FilledIn) else masked(error.message)[:100]
            yield Fault(name, line, dotted(place), what, _RULES.get(str(error.validator), ""))


def meant(written: object, known: Iterable[object]) -> str:
    """``; did you mean strengths?`` where one of ``known`` is much like what was written; else empty."""
    close = difflib.get_close_matches(str(written).lower(), map(str, known), n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


_PATTERNS = {
    r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$": "${NAME} of an environment variable (a key never stands in the file)",
    r"^https?://[^\s/?#@]+[^\s?#]*$": "an http:// or https:// address without a query",
    r"^[a-z][a-z0-9_-]{0,31}$": BACKEND_NAME,
    r"^[A-Za-z][A-Za-z0-9-]{0,63}$": "the name of an HTTP header",
    r"^[\x20-\x7e]+$": "what a header can carry: plain ASCII on one line",
    r"^[1-9][0-9]{0,3}[mhd]$": "minutes, hours or days, such as 30m, 12h or 7d",
    r"^rediss?://[^\s]+$": "redis:// or rediss:// with a host, such as redis://127.0.0.1:6379/0",
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


def quoted(value: object) -> str:
    """``value`` as a fault may quote it: short, and without anything that could be a key in the wrong place."""
    value = value.written if isinstance(value, FilledIn) else value
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, str) else str(value)
    text = masked(text)
    return text if len(text) <= 60 else text[:57] + "..."


#: Twenty letters and digits in a row, a digit among them: the shape of every provider's keys.
_KEY_SHAPED = re.compile(r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}")


def masked(text: str) -> str:
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
    return masked(text)
