"""The ``memory`` of a backends file: what its schema cannot say of it, and its :class:`MemorySettings`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from .faults import Fault, Place, dotted, line_of, quoted
from .settings import MemoryRule, MemorySettings

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
#: Kinds that no setting makes the memory answer, and why.
NEVER = {"status": "a status is about now", "multimodal": "pictures are not remembered"}


def memory_settings(raw: Mapping[str, Any] | None) -> MemorySettings | None:
    """The settings that ``raw`` stands for; None where there are none, and so no memory."""
    if raw is None:
        return None
    usual = MemorySettings()
    most = raw.get("max_entries", usual.max_entries)
    default = MemoryRule(keep=_seconds(raw["keep"]) if "keep" in raw else usual.default.keep, max_entries=most)
    return MemorySettings(
        max_entries=most,
        default=default,
        rule_of={kind: _rule(rule, default) for kind, rule in raw.get("kinds", {}).items()},
        store=raw.get("store", usual.store),
        redis=str(raw.get("redis", "")),
    )


def _rule(raw: Mapping[str, Any], default: MemoryRule) -> MemoryRule:
    return MemoryRule(
        match=raw.get("match", default.match),
        keep=_seconds(raw["keep"]) if "keep" in raw else default.keep,
        max_entries=raw.get("max_entries", default.max_entries),
        above=float(raw.get("above", default.above)),
    )


def _seconds(written: str) -> float:
    """What ``12h`` stands for."""
    return int(written[:-1]) * _SECONDS[written[-1]]


def memory_faults(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Settings that contradict each other."""
    raw = document.get("memory", {})

    def fault(place: Place, what: str, allowed: str) -> Fault:
        place = ("memory", *place)
        return Fault(name, line_of(lines, place), dotted(place), what, allowed)

    store = raw.get("store", "process")
    if store == "redis" and "redis" not in raw:
        yield fault(("redis",), "is missing", "its address, such as redis://127.0.0.1:6379/0")
    if store == "redis" and find_spec("txredisapi") is None:
        yield fault(("store",), "txredisapi is not installed", "pip install 'uniwizard[redis]', or another store")
    if "redis" in raw and store != "redis":
        yield fault(("redis",), f"is not used by store: {store}", "store: redis")
    most = raw.get("max_entries", MemorySettings().max_entries)
    for kind, rule in raw.get("kinds", {}).items():
        match = rule.get("match", "exact")
        if kind in NEVER and match != "never":
            yield fault(("kinds", kind, "match"), f"{quoted(match)} is not for {kind}: {NEVER[kind]}", "never")
        if "above" in rule and match != "similar":
            yield fault(("kinds", kind, "above"), f"nothing similar is matched with match: {match}", "match: similar")
        if rule.get("max_entries", 0) > most:
            yield fault(
                ("kinds", kind, "max_entries"), f"{rule['max_entries']} is more than all kinds have", f"{most} or less"
            )
