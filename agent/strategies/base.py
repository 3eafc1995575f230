"""What every strategy is made of: what it sees (:class:`Look`), what it answers (:class:`~.choice.Choice`).

To add one, write a module of its name here, and its options into ``configs/backends.schema.json``::

    class Cheapest(Ordering):
        def figure(self, key, look):
            return look.able[key].cost_usd

    STRATEGY = Cheapest

A strategy changes nothing when it chooses: the same look gives the same choice, so ``route`` may ask it as often as it
likes. Chance comes from the task's own id. What has happened is told to :class:`Observed`, by the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, ClassVar

from ..config.settings import Config
from ..core.decision import Ranked, Work
from ..core.task import Task
from ..health.breaker import Health
from ..quota import QuotaTracker
from .choice import NOBODY, Choice, Step, singly
from .learning.guard import Guard
from .learning.table import Table
from .observed import Observed
from .ranked import expected_quality, fit_of, preferred


def unlimited(task_id: str) -> float:
    """What is left where there is no budget: all of it."""
    return 1.0


@dataclass(slots=True)
class World:
    """What strategies may know of the backends.

    health       how a backend is, by its key
    quota        what is counted of it
    suits        the strengths and weaknesses that matter for a kind, by kind
    budget_left  the share of the tightest budget of whoever asks that is left, 0 to 1, by the task's id
    """

    config: Config
    health: Callable[[str], Health]
    quota: Callable[[str], QuotaTracker]
    suits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    observed: Observed = field(default_factory=Observed)
    budget_left: Callable[[str], float] = unlimited
    table: Table = field(default_factory=Table)
    guard: Guard = field(default_factory=Guard)
    _fits: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def fit(self, kind: str, key: str) -> tuple[float, float]:
        """How well a backend fits a kind by the rules and its strengths; and what to expect of that, 0 to 1."""
        found = self._fits.get((kind, key))
        if found is None:
            preference = preferred(kind, self.config.rules)
            suited = self.suits.get(kind, frozenset())
            fit = fit_of(self.config.backends[key], Work(kind, 0), preference, suited)[0]
            found = self._fits[kind, key] = fit, expected_quality(fit)
        return found

    def prior(self, kind: str, key: str) -> float:
        """What the rules expect of an answer, 0 to 1."""
        return self.fit(kind, key)[1]

    def use(self, config: Config) -> None:
        """Another config is in force."""
        self.config = config
        self._fits.clear()


@dataclass(slots=True)
class Look:
    """One task, and who could be asked for it now.

    able   by key, best by the ranking first; nobody else may be chosen
    kinds  every kind with the classifier's points, best first
    now    seconds since the epoch
    """

    task: Task
    work: Work
    able: Mapping[str, Ranked]
    world: World
    now: float
    kinds: Sequence[tuple[str, float]] = ()

    def draw(self, salt: str) -> float:
        """A number from 0 to 1 that is the task's own and looks like chance; each ``salt`` has another."""
        return share_of(f"{self.task.id}:{salt}")


def share_of(text: str) -> float:
    """A number from 0 (exclusive) to 1 that stays the same for a text and looks like chance."""
    return (int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") + 1) / (1 << 48)


class Strategy(ABC):
    """Whom to ask. ``name`` is what ``use:`` calls it; ``children`` the branches below, for whoever walks the tree."""

    name: ClassVar[str]
    children: tuple[Strategy, ...] = ()

    @classmethod
    @abstractmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        """One with the options of the backends file, which are valid; ``branch`` builds what stands in them."""

    @abstractmethod
    def choose(self, look: Look) -> Choice:
        """Whom to ask, of ``look.able``; no steps when that is nobody."""


class One(Strategy):
    """A backend by its key: the leaf of every tree."""

    name = ""

    def __init__(self, key: str):
        self.key = key
        self._choice = Choice((Step((key,)),))

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        return cls(options["backend"])

    def choose(self, look: Look) -> Choice:
        return self._choice if self.key in look.able else NOBODY


class Sequenced(Strategy):
    """A strategy over branches, or over everyone who is able (``over`` absent). A subclass says in which order."""

    def __init__(self, over: Sequence[Strategy] | None = None):
        self.children = tuple(over or ())
        self.plain = tuple(child.key for child in self.children if isinstance(child, One))
        if len(self.plain) < len(self.children):
            self.plain = ()

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        over = options.get("over")
        more = {name: value for name, value in options.items() if name not in ("use", "over")}
        return cls(None if over is None else [branch(each) for each in over], **more)

    def choose(self, look: Look) -> Choice:
        if self.plain or not self.children:
            keys = [key for key in self.plain if key in look.able] if self.plain else list(look.able)
            if not keys:
                return NOBODY
            keys = self.ordered(keys, look)
            return singly(keys, f"{self.name}: {self.why(keys[0], look)}")
        choices = {choice.first: choice for child in reversed(self.children) if (choice := child.choose(look)).steps}
        if not choices:
            return NOBODY
        keys = self.ordered(list(reversed(choices)), look)
        return joined([choices[key] for key in keys]).under(f"{self.name}: {self.why(keys[0], look)}")

    @abstractmethod
    def ordered(self, keys: list[str], look: Look) -> list[str]:
        """``keys``, none of them twice, first choice first; each stands for the branch that it is the first of."""

    @abstractmethod
    def why(self, key: str, look: Look) -> str:
        """Why ``key`` is the first."""


class Ordering(Sequenced):
    """Goes by one figure: the smaller, the sooner it is asked. Among equals the ranking decides."""

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        figures = {key: self.figure(key, look) for key in keys}
        places = {key: place for place, key in enumerate(look.able)}
        return sorted(keys, key=lambda key: (figures[key], places[key]))

    @abstractmethod
    def figure(self, key: str, look: Look) -> float:
        """The smaller, the sooner it is asked."""


def joined(choices: Sequence[Choice]) -> Choice:
    """One after another; what can still be asked of a later one is asked after the earlier ones."""
    first = choices[0]
    seen: set[str] = set()
    steps: list[Step] = []
    for choice in choices:
        for step in choice.steps:
            fresh = tuple(key for key in step.keys if key not in seen)
            if fresh:
                seen.update(fresh)
                steps.append(step if fresh == step.keys else step._replace(keys=fresh))
    return first._replace(steps=tuple(steps))
