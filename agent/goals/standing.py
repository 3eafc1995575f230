"""Standing goals: what an operator wants again and again, done with quota that would expire and with nothing else.

    standing = read_standing(path)                      # raises ConfigError
    due = standing_due(standing, desk, now)             # those whose time has come and which are not under way

``configs/goals.yaml`` names them; a host adds them to its desk with :func:`tend`, and does with the result what ``to``
says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config.yaml_files import ConfigError, Fault, read_checked
from ..core.windows import length
from .desk import Desk
from .goal import Goal, InvalidGoal
from .record import Record

#: What the owner of a standing goal's record begins with; its name follows.
STANDING = "standing:"


@dataclass(frozen=True, slots=True)
class Material:
    """What a standing goal works on: texts by fact, and what whoever takes the result must know again."""

    given: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)


#: Brings the material of a standing goal; None where there is nothing to do it with.
Source = Callable[[], Material | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """One standing goal: ``every`` so many seconds, from what ``source`` brings; ``to`` is where its result goes."""

    name: str
    goal: Goal
    every: float
    source: str = ""
    to: str = ""

    @property
    def owner(self) -> str:
        return STANDING + self.name


def read_standing(path: str | Path, sources: Sequence[str] = ()) -> list[Standing]:
    """The standing goals of a file; ``sources`` are those that the host has. Raises ConfigError with every fault."""
    said: Mapping[str, Any] = read_checked(path, "goals")["goals"]
    found: list[Standing] = []
    faults: list[Fault] = []
    for name, one in said.items():
        plain = {key: value for key, value in one.items() if key not in ("every", "source", "to")}
        source = one.get("source", "")
        if source and source not in sources:
            allowed = ", ".join(sources) or "none are known here"
            faults.append(Fault(str(path), 0, f"goals.{name}.source", f"{source} is unknown", allowed))
        try:
            goal = replace(Goal.from_dict(plain), spend="expiring")
            found.append(Standing(name, goal, length(one["every"]), source, one.get("to", "")))
        except (InvalidGoal, ValueError) as error:
            faults.append(Fault(str(path), 0, f"goals.{name}", str(error), "see agent/goals/README.md"))
    if faults:
        raise ConfigError(faults)
    return found


def latest(desk: Desk, standing: Standing) -> Record | None:
    """The last record of a standing goal."""
    own = [record for record in desk if record.owner == standing.owner]
    return max(own, key=lambda record: record.began, default=None)


def standing_due(standing: Sequence[Standing], desk: Desk, now: float) -> list[Standing]:
    """Those whose time has come: their last one is over, and began long enough ago."""
    due = []
    for one in standing:
        last = latest(desk, one)
        if last is None or (last.over and now - last.began >= one.every):
            due.append(one)
    return due


async def tend(standing: Sequence[Standing], desk: Desk, sources: Mapping[str, Source]) -> list[Record]:
    """Begin what is due, and forget all but the last of each; what was begun."""
    begun = []
    for one in standing_due(standing, desk, desk.clock.seconds()):
        material = sources[one.source]() if one.source else Material({})
        if material is None:
            continue
        for record in [r for r in desk if r.owner == one.owner and r.over]:
            desk.forget(record.id)
        goal = replace(one.goal, given={**one.goal.given, **material.given},
                       options={**one.goal.options, **material.options})  # fmt: skip
        begun.append(await desk.add(goal, one.owner))
    return begun
