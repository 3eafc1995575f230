"""``conditional``: the first case whose conditions hold decides; see :mod:`.conditions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .base import Look, Strategy
from .choice import Choice
from .conditions import Condition, compiled


class Conditional(Strategy):
    """Cases in order, and ``otherwise``; the plain ranking where that is not given.

    A case that holds decides alone: where nobody of it can be asked, nobody is: else a condition on a budget or a tier
    would be none.
    """

    name = "conditional"

    def __init__(self, cases: Sequence[tuple[Condition, Strategy]], otherwise: Strategy):
        self.cases, self.otherwise = list(cases), otherwise
        self.children = (*(then for _, then in cases), otherwise)

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        cases = [(compiled(case["when"]), branch(case["then"])) for case in options["cases"]]
        return cls(cases, branch(options.get("otherwise", "ranked")))

    def choose(self, look: Look) -> Choice:
        for number, (holds, then) in enumerate(self.cases, 1):
            why = holds(look)
            if why is not None:
                return then.choose(look).under(f"conditional: case {number}, as {why}")
        return self.otherwise.choose(look).under("conditional: otherwise")


STRATEGY = Conditional
