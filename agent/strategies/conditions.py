"""The conditions of ``conditional``: what ``when:`` says, as a function that gives the reason or None.

    holds = compiled({"kind": ["code_review"], "tokens": {"above": 20000}})
    holds(look)                 # "the kind is code_review and about 31000 tokens are more than 20000"; None where not

Every key of a mapping must hold. ``any``, ``all`` and ``not`` put conditions together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import translate
from typing import Any

from ..core.windows import zone
from ..judge.text.language import language_of
from .base import Look

#: The reason why it holds, or None.
Condition = Callable[[Look], str | None]


def compiled(when: Mapping[str, Any]) -> Condition:
    """All of ``when`` as one condition; an empty mapping always holds."""
    parts = [_BUILD[name](value) for name, value in when.items()]
    if len(parts) == 1:
        return parts[0]

    def every(look: Look) -> str | None:
        reasons = []
        for part in parts:
            why = part(look)
            if why is None:
                return None
            reasons.append(why)
        return " and ".join(reasons) or "it always holds"

    return every


def _any(conditions: list[Any]) -> Condition:
    parts = [compiled(each) for each in conditions]
    return lambda look: next((why for part in parts if (why := part(look)) is not None), None)


def _all(conditions: list[Any]) -> Condition:
    parts = [compiled(each) for each in conditions]

    def every(look: Look) -> str | None:
        reasons = [part(look) for part in parts]
        told = [why for why in reasons if why is not None]
        return " and ".join(told) if len(told) == len(reasons) else None

    return every


def _not(condition: Mapping[str, Any]) -> Condition:
    inner = compiled(condition)
    names = ", ".join(condition)
    return lambda look: f"not by its {names}" if inner(look) is None else None


def _kind(kinds: Any) -> Condition:
    wanted = frozenset(listed(kinds))
    return lambda look: f"the kind is {look.work.kind}" if look.work.kind in wanted else None


def _tokens(bounds: Mapping[str, float]) -> Condition:
    return _between(bounds, lambda look: look.work.tokens, lambda value: f"it has about {value:.0f} tokens")


def _needs(needs: Any) -> Condition:
    wanted = frozenset(listed(needs))
    return lambda look: f"it needs {' and '.join(sorted(wanted))}" if wanted <= look.work.needs else None


def _language(codes: Any) -> Condition:
    wanted = frozenset(listed(codes))

    def holds(look: Look) -> str | None:
        code = language_of(" ".join(turn.text for turn in look.task.turns if turn.role == "user")[:2000])
        return f"its language is {code}" if code in wanted else None

    return holds


def _context(globs: Any) -> Condition:
    patterns = [re.compile(translate(glob)) for glob in listed(globs)]
    # The label is the caller's own word, and is not repeated: a reason may be shown to anybody.
    return lambda look: "its context fits" if any(p.match(look.task.context) for p in patterns) else None


def _tier(tiers: Any) -> Condition:
    wanted = frozenset(listed(tiers))
    return lambda look: f"the asker's tier is {look.task.tier}" if look.task.tier in wanted else None


def _hour(hours: Mapping[str, Any]) -> Condition:
    begins, ends, where = hours["from"], hours["to"], zone(hours.get("zone", "UTC"))

    def holds(look: Look) -> str | None:
        hour = datetime.fromtimestamp(look.now, where).hour
        inside = begins <= hour < ends if begins < ends else hour >= begins or hour < ends
        return f"it is {hour} o'clock" if inside else None

    return holds


def _budget(bounds: Mapping[str, float]) -> Condition:
    return _between(
        {name.removeprefix("left_"): value for name, value in bounds.items()},
        lambda look: look.world.budget_left(look.task.id),
        lambda value: f"{value:.0%} of the budget is left",
    )


def _headroom(wanted: Mapping[str, Any]) -> Condition:
    key = wanted["backend"]

    def left(look: Look) -> float:
        return 1.0 - max((status.share for status in look.world.quota(key).status(look.now)), default=0.0)

    return _between(wanted, left, lambda value: f"{value:.0%} of the quota of {key} is left")


def _backend(states: Mapping[str, str]) -> Condition:
    def holds(look: Look) -> str | None:
        for key, wanted in states.items():
            health = look.world.health(key)
            obstacle = health.available()
            found = {
                "available": not obstacle,
                "unavailable": bool(obstacle),
                "busy": health.in_flight >= health.backend.max_parallel,
            }
            if not found.get(wanted, wanted == str(health.state)):
                return None
        return " and ".join(f"{key} is {wanted}" for key, wanted in states.items())

    return holds


def _between(bounds: Mapping[str, Any], figure: Callable[[Look], float], told: Callable[[float], str]) -> Condition:
    above, below = bounds.get("above", float("-inf")), bounds.get("below", float("inf"))

    def holds(look: Look) -> str | None:
        value = figure(look)
        return told(value) if above < value < below else None

    return holds


def listed(value: Any) -> list[Any]:
    """One or several, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


_BUILD: dict[str, Callable[[Any], Condition]] = {
    "kind": _kind,
    "tokens": _tokens,
    "needs": _needs,
    "language": _language,
    "context": _context,
    "tier": _tier,
    "hour": _hour,
    "budget": _budget,
    "headroom": _headroom,
    "backend": _backend,
    "any": _any,
    "all": _all,
    "not": _not,
}
