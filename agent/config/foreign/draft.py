"""A backends file in the making: what was carried over, and for each line that was not, why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Json = dict[str, Any]

#: ``os.environ/NAME`` (LiteLLM), ``${NAME}`` or ``$NAME``.
_VARIABLE = re.compile(r"(?:os\.environ/|\$\{?)([A-Za-z_][A-Za-z0-9_]*)\}?")

#: The sections of a backends file, in their order.
_SECTIONS = ("rules", "route", "strategies", "refusals", "content_filter", "memory", "aliases", "gateway")


@dataclass
class Draft:
    """What becomes of another gateway's configuration.

    source      what it was, in a few words
    backends    by key
    sections    the other sections of a backends file
    lost        (where, why): what could not be carried over, in the order of the source
    by_backend  the same, for what belongs to one backend
    """

    source: str
    backends: dict[str, Json] = field(default_factory=dict)
    sections: Json = field(default_factory=dict)
    lost: list[tuple[str, str]] = field(default_factory=list)
    by_backend: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def document(self) -> Json:
        """The backends file as data."""
        kept = {name: self.sections[name] for name in _SECTIONS if self.sections.get(name)}
        return {"version": 1, "backends": self.backends, **kept}

    def add(self, name: str, backend: Json) -> str:
        """Put a backend in; its key, which is ``name`` as far as a key may be like it."""
        key = key_of(name, self.backends)
        self.backends[key] = backend
        return key

    def lose(self, where: str, why: str, backend: str | None = None) -> None:
        """Note what could not be carried over."""
        (self.lost if backend is None else self.by_backend.setdefault(backend, [])).append((where, why))

    def strategy(self, name: str, tree: Any) -> str:
        """Put a named strategy in; its name."""
        held = self.sections.setdefault("strategies", {})
        key = key_of(name, {*held, *self.backends})
        held[key] = tree
        return key

    def alias(self, name: str, target: str) -> None:
        if name != target:
            self.sections.setdefault("aliases", {})[name] = target

    def written(self) -> str:
        """The backends file."""
        lines = [f"# From {self.source}, by `python -m agent import`.", "version: 1", "", "backends:"]
        for key, backend in self.backends.items():
            lines += _indented(_yaml({key: backend}))
            lines += (f"    # not carried over: {_line(where)}: {why}" for where, why in self.by_backend.get(key, ()))
        for name in _SECTIONS:
            if self.sections.get(name):
                lines += ["", *_section(name, self.sections[name])]
        if self.lost:
            lines += ["", "# Not carried over:"]
            lines += (f"#   {_line(where)}: {why}" for where, why in self.lost)
        return "\n".join(lines) + "\n"


def _yaml(value: Any) -> list[str]:
    written = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return str(written).splitlines()


def _section(name: str, value: Any) -> list[str]:
    # On its own, PyYAML would write a section of one plain value in braces.
    return _yaml({name: value}) if isinstance(value, dict | list) else [f"{name}: {_yaml([value])[0][1:-1]}"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _line(text: str) -> str:
    """One line of a comment, and nothing that could end it."""
    shown = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return shown if len(shown) <= 160 else f"{shown[:157]}..."


def key_of(name: str, taken: Iterable[str]) -> str:
    """``name`` as a backend's key that is not taken: small letters, digits, ``_`` and ``-``."""
    bare = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    bare = (bare if bare[:1].isalpha() else f"b-{bare}")[:28].rstrip("-") or "backend"
    known, key, number = set(taken), bare, 2
    while key in known:
        key, number = f"{bare}-{number}", number + 1
    return key


def secret(value: object, otherwise: str) -> tuple[str | None, bool]:
    """A secret as the variable that holds it, and whether it stood in the file itself, where it stays."""
    if not isinstance(value, str) or not value or value.lower() in ("none", "any", "dummy", "not-needed"):
        return None, False
    match = _VARIABLE.fullmatch(value.strip())
    if match is not None:
        return f"${{{match[1]}}}", False
    name = re.sub(r"[^A-Z0-9]+", "_", otherwise.upper()).strip("_")
    return f"${{{name if name[:1].isalpha() else 'B_' + name}_API_KEY}}", True


def variables(value: object) -> object:
    """A plain text with another gateway's way to name a variable turned into ours."""
    if isinstance(value, str) and value.startswith("os.environ/"):
        return f"${{{value.removeprefix('os.environ/')}}}"
    return value


def seconds(value: object) -> float | None:
    """A time in seconds, as a number or as text such as ``30s``, ``1m``, ``24h``, ``30d``, ``1mo``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w|mo)?", str(value).strip()) if isinstance(value, str) else None
    if match is None:
        return None
    unit = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "mo": 30 * 86400}[match[2]]
    return float(match[1]) * unit


def period(value: object) -> str | None:
    """A budget's window as a quota's ``per``; None where there is none like it."""
    named = {"1d": "day", "24h": "day", "7d": "week", "1w": "week", "30d": "month", "1mo": "month", "1h": "hour"}
    if isinstance(value, str) and value in named:
        return named[value]
    length = seconds(value)
    if length is None or length < 60:
        return None
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if length % size == 0 and length / size < 10_000:
            return f"{int(length / size)}{unit}"
    return None


def mapping(value: object) -> Json:
    """``value`` where it is a mapping; the empty one otherwise."""
    return value if isinstance(value, dict) else {}


def plain(value: Mapping[str, Any]) -> Json:
    """``value`` without what is None."""
    return {key: each for key, each in value.items() if each is not None}
