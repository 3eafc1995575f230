"""Data files: YAML (of which JSON is a part) with a JSON Schema beside it, and errors that name the line to mend.

document, lines = read_yaml(path)                         # raises ConfigError
voice = read_checked(CONFIGS / "voice.yaml", "voice")     # ... and checks it by configs/voice.schema.json
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import yaml

from .faults import CONFIGS, ONCE, ConfigError, Fault, Place, dotted, masked, schema_faults

__all__ = ["CONFIGS", "ConfigError", "Fault", "read_checked", "read_yaml", "why_unreadable"]

#: Values that a data file may have. A few lines of aliases of aliases can stand for billions.
MOST_VALUES = 100_000
#: Bytes of a data file; a device such as /dev/zero has no end.
MOST_BYTES = 4 * 1024**2

_QUOTATION = re.compile(r"'[^']*'|\"[^\"]*\"")

#: YAML's tags of what may be a key: a word, or a merge; where a file says so, a number.
WORDS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"})
NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


def read_checked(path: str | Path, schema: str, *, number_keys: bool = False) -> Any:
    """The content of the file at ``path``, valid by ``configs/<schema>.schema.json``.

    Raises ConfigError with every fault found, in the order of their lines.
    """
    if Path(path).suffix == ".json":
        document = _read_json(path)
        lines: dict[Place, int] = {}
    else:
        document, lines = read_yaml(path, number_keys=number_keys)
    faults = [fault for _, fault in schema_faults(document, lines, str(path), schema)]
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: fault.line))
    return document


def _read_json(path: str | Path) -> Any:
    """A file that a program wrote; it has no lines to speak of."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = why_unreadable(error) if isinstance(error, OSError | UnicodeDecodeError) else "is not JSON"
        raise ConfigError([Fault(str(path), 0, "", what, "JSON")]) from None


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


def read_yaml(
    path: str | Path,
    twice: list[Fault] | None = None,
    *,
    number_keys: bool = False,
    known: Container[object] | None = None,
) -> tuple[Any, dict[Place, int]]:
    """The file's content and the line of every key in it. Raises ConfigError.

    ``twice`` gathers the keys that stand twice, for a caller who has more to say of the file; else they are raised.
    ``number_keys`` lets a key be a number, which is then text. A file without any of the ``known`` keys at its top is
    somebody else's, of which nothing is quoted.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigError([Fault(name, 0, "", "is too large", f"{MOST_BYTES // 1024**2} MB")])
        text = content.decode("utf-8")
    except (OSError, ValueError) as error:
        place = name if name.isprintable() else repr(name)
        allowed = "a YAML file in UTF-8, such as configs/backends.yaml"
        raise ConfigError([Fault(place, 0, "", why_unreadable(error), allowed)]) from None
    try:
        node, document = _parsed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        # What the parser quotes is the file's own text.
        problem = _QUOTATION.sub("...", masked(str(getattr(error, "problem", None) or "cannot be parsed")))
        raise ConfigError([Fault(name, mark.line + 1 if mark else 0, "", f"not YAML: {problem}", "YAML")]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([Fault(name, 0, "", f"not YAML: {type(error).__name__}", "YAML")]) from None
    if node is None or document is None:
        raise ConfigError([Fault(name, 0, "", "is empty", "version, backends and rules")])
    if known is not None and not (isinstance(document, dict) and any(key in known for key in document)):
        raise ConfigError([Fault(name, 1, "", "is no file of this kind", "version, backends and rules")])
    if _values(node, {}) > MOST_VALUES:
        raise ConfigError([Fault(name, 0, "", "is too large once its aliases are followed", f"{MOST_VALUES} values")])
    lines: dict[Place, int] = {}
    faults = list(_mark(node, (), lines, name, set(), WORDS | NUMBERS if number_keys else WORDS))
    if twice is not None:
        twice += [fault for fault in faults if fault.allowed == ONCE]
        faults = [fault for fault in faults if fault.allowed != ONCE]
    if faults:
        raise ConfigError(faults)
    return _with_text_keys(document) if number_keys else document, lines


def _parsed(text: str) -> tuple[yaml.Node | None, Any]:
    """The text's one node and what it means. Raises yaml.YAMLError, ValueError, RecursionError."""
    try:
        return _parsed_by(getattr(yaml, "CSafeLoader", yaml.SafeLoader), text)
    except yaml.YAMLError:
        # Ten times slower, and the same words for a fault on every machine.
        return _parsed_by(yaml.SafeLoader, text)


def _parsed_by(kind: Any, text: str) -> tuple[yaml.Node | None, Any]:
    loader = kind(text)
    try:
        node = loader.get_single_node()
        return node, loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_text_keys(entry) for entry in value]
    return {str(key): _with_text_keys(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a document has with every alias followed; infinity where one leads back to itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _mark(
    node: yaml.Node, place: Place, lines: dict[Place, int], name: str, seen: set[int], keys: frozenset[str]
) -> Iterator[Fault]:
    """Note the line of every key, and find keys that stand twice, which YAML itself would let pass."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            inner = (*place, key)
            if key_node.tag not in keys:
                yield Fault(name, line, dotted(inner), "this key is not a word", "a word; quote it if it must be")
            elif key in first:
                yield Fault(name, line, dotted(inner), f"stands twice, first on line {first[key]}", ONCE)
            first.setdefault(key, line)
            lines[inner] = line
            yield from _mark(value_node, inner, lines, name, seen, keys)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            yield from _mark(item, (*place, index), lines, name, seen, keys)
