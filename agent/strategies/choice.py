"""What a strategy comes to: whom to ask, in which order, and how many at once. Pure data, run by the engine.

    Choice((Step(("local",), until=Until(confidence=0.7)), Step(("claude",))), ("cascade: local first, the cheapest",))

A step is one backend, or several that are asked together. The next step is taken when the last one has failed, or when
its answer is not sure enough (``until``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Race:
    """The first accepted answer counts. ``after``: seconds between one start and the next; 0 starts all at once."""

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer that most agree on counts, or the one that the judge finds best (``by``: majority, judge)."""

    by: str = "majority"


@dataclass(frozen=True, slots=True)
class Until:
    """When an accepted answer is enough, so that nobody further is asked.

    confidence  its backend is at least so sure, calibrated, 0 to 1; None asks for none
    agreement   where no confidence can be had: the share of samples that say the same, 0 to 1; None asks for none
    samples     how many answers of the same backend are compared, the first one included
    """

    confidence: float | None = None
    agreement: float | None = None
    samples: int = 3


class Step(NamedTuple):
    """Whom to ask next: one, or several ``how`` together."""

    keys: tuple[str, ...]
    how: Race | Vote | None = None
    until: Until | None = None


class Choice(NamedTuple):
    """The whole of it.

    steps   first to last; nobody else is asked
    path    the way through the tree, each step with its reason
    shadow  who is asked besides, for comparison, with spare quota only
    strict  whether the order holds whatever the failure was; else a doubted answer goes to a dearer model next
    arm     of an experiment, as ``name/arm``; for the comparison
    token   what a later task is recognised by as the same conversation or asker
    propensity  how likely the first one was to be chosen, where chance had a say
    rivals  whom the learned table would ask, and whom the rules, where ``learned`` decided
    """

    steps: tuple[Step, ...]
    path: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    strict: bool = False
    arm: str = ""
    token: str = ""
    propensity: float = 1.0
    rivals: tuple[str, str] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Everyone who may be asked, in order, each once."""
        return tuple(dict.fromkeys(key for step in self.steps for key in step.keys))

    @property
    def first(self) -> str:
        """Who is asked first; empty when nobody is."""
        return self.steps[0].keys[0] if self.steps else ""

    def under(self, reason: str) -> Choice:
        """The same, one branch further down: ``reason`` led here."""
        return self._replace(path=(reason, *self.path))


NOBODY = Choice(())


def singly(keys: Iterable[str], reason: str = "") -> Choice:
    """One after another."""
    return Choice(tuple(Step((key,)) for key in keys), (reason,) if reason else ())
