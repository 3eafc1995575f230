"""What is known of one goal while it is worked at: :class:`Record`. Plain data, and all of it is written down.

record = Record("g1", goal, owner="")
record.make(step, "the text")                # what the step makes is true now
record.turn_down("answered", "too long")     # ... and is not any more, nor what was made of it
Record.from_dict(record.as_dict())
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .goal import Goal

#: How a step stands.
PLANNED, BEGUN, DONE, FAILED, TURNED_DOWN, DROPPED = "planned", "begun", "done", "failed", "turned down", "dropped"
#: How a goal stands; the last four are ends.
OFFERED, WORKING, REACHED, UNREACHABLE, STOPPED, BROKEN = (
    *("offered", "working", "reached", "unreachable", "stopped", "broken"),
)
ENDS = (REACHED, UNREACHABLE, STOPPED, BROKEN)
#: Events and lessons that are kept of a goal.
MOST_EVENTS, MOST_LESSONS = 400, 8


@dataclass(slots=True)
class Part:
    """One answer to a step's task; a step that is asked of two has several. ``task`` is the task's id."""

    task: str
    backend: str = ""
    text: str = ""
    content: Any = None


@dataclass(slots=True)
class Step:
    """One step of a plan.

    parts  by name, the answers that came, and the tasks of those that did not come yet (``backend`` is empty)
    price  what it was expected to cost: ``usd``, ``seconds``, ``quota`` (the share of the tightest window)
    """

    number: int
    action: str
    needs: list[str]
    makes: list[str]
    plan: int
    state: str = PLANNED
    why: str = ""
    kind: str = ""
    backend: str = ""
    price: dict[str, float] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0

    @property
    def open(self) -> bool:
        """Whether it is still to be done, or under way."""
        return self.state in (PLANNED, BEGUN)


@dataclass(slots=True)
class Record:
    """One goal and all that became of it so far.

    owner     whose it is, as the host knows them; opaque here
    fact, why what could not be reached, and why, where it ended so
    facts     what is true, each with its text; ``makers`` has the step that made it
    ever      every fact that was true once, which tells progress
    tried     how often each action's work failed or was turned down
    avoid     by fact, the backends whose work was turned down
    lessons   what it was turned down for
    proposed  the actions that a brain has proposed
    spent     by ``task/number`` of an attempt: [USD, tokens, backend]
    leaving   the same of attempts that have not ended, as expected
    estimated those of ``spent`` that a kill has cut off: what they were expected to cost, not what they did
    events    what happened: {"id", "at", "what", ...}
    """

    id: str
    goal: Goal
    owner: str = ""
    state: str = WORKING
    began: float = 0.0
    ended: float = 0.0
    fact: str = ""
    why: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    makers: dict[str, int] = field(default_factory=dict)
    ever: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    plans: int = 0
    idle_plans: int = 0
    known_at_plan: int = 0
    tried: dict[str, int] = field(default_factory=dict)
    avoid: dict[str, list[str]] = field(default_factory=dict)
    lessons: list[str] = field(default_factory=list)
    proposed: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked_for_steps: bool = False
    spent: dict[str, list[Any]] = field(default_factory=dict)
    leaving: dict[str, list[Any]] = field(default_factory=dict)
    estimated: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.state in ENDS

    @property
    def cost_usd(self) -> float:
        """USD of all attempts that are over, those included that a kill has cut off."""
        return sum(float(usd) for usd, *_ in self.spent.values())

    @property
    def estimated_usd(self) -> float:
        """The part of :attr:`cost_usd` that is only estimated."""
        return sum(float(self.spent[key][0]) for key in self.estimated if key in self.spent)

    def cut_off(self) -> None:
        """Whatever was under way will never be heard of: its requests had left, and are counted as expected."""
        self.spent |= self.leaving
        self.estimated += self.leaving
        self.leaving = {}

    @property
    def tokens(self) -> int:
        return sum(int(tokens) for _, tokens, _ in self.spent.values())

    @property
    def result(self) -> str:
        """The whole: the answer, else the texts of what was wanted, one below the other."""
        wanted = [fact for fact in sorted(self.goal.wants) if self.facts.get(fact)]
        if len({self.facts[fact] for fact in wanted}) == 1:
            return self.facts[wanted[0]]
        return "\n\n".join(f"{fact.replace('_', ' ').capitalize()}\n\n{self.facts[fact]}" for fact in wanted)

    def step(self, number: int) -> Step:
        """The step of that number, from 1."""
        return self.steps[number - 1]

    def turned_down_of(self, step: Step) -> set[str]:
        """The backends whose work for what ``step`` makes was turned down, or that would not do it."""
        return {key for fact in step.makes for key in self.avoid.get(fact, ())}

    def make(self, step: Step, text: str) -> None:
        """What ``step`` makes is true, with ``text``."""
        step.state = DONE
        for fact in step.makes:
            self.facts[fact], self.makers[fact] = text, step.number
            if fact not in self.ever:
                self.ever.append(fact)

    def turn_down(self, fact: str, why: str) -> Step | None:
        """``fact`` is not true after all, nor is what was made of it; the step whose work it was."""
        maker = self.step(self.makers[fact]) if fact in self.makers else None
        gone, todo = set[int](), [maker.number] if maker is not None else []
        while todo:
            number = todo.pop()
            gone.add(number)
            lost = {made for made, by in self.makers.items() if by == number}
            for name in lost:
                del self.facts[name], self.makers[name]
            todo += [s.number for s in self.steps if s.state == DONE and s.number not in gone and lost & set(s.needs)]
        for number in gone:
            self.step(number).state = TURNED_DOWN
        self.lessons = [*self.lessons, why][-MOST_LESSONS:]
        return maker

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["goal"] = self.goal.as_dict()
        plain["steps"] = [asdict(step) for step in self.steps]
        return plain

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Record:
        """What :meth:`as_dict` gave. Raises what broken data raises: KeyError, TypeError, ValueError."""
        plain = {name: kept[name] for name in cls.__slots__ if name in kept}
        plain["goal"] = Goal.from_dict(plain["goal"])
        plain["steps"] = [_step(step) for step in plain["steps"]]
        return cls(**plain)


def _step(kept: Mapping[str, Any]) -> Step:
    parts = {name: Part(**part) for name, part in kept["parts"].items()}
    return Step(**{**kept, "parts": parts})
