"""``race``: several at once; the first accepted answer counts and the others are cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Look, Sequenced, Strategy
from .choice import NOBODY, Choice, Race, Step


class Together(Sequenced):
    """Asks ``width`` of its branches at once, in their order, and the rest one by one where none of those will do."""

    #: How many where the backends file does not say.
    usual = 2

    def __init__(self, over: Sequence[Strategy] | None = None, width: int | None = None):
        super().__init__(over)
        self.width = width or (len(self.children) if self.children else self.usual)

    def how(self) -> Race:
        return Race()

    def choose(self, look: Look) -> Choice:
        firsts = [child.choose(look).first for child in self.children] if self.children else list(look.able)
        keys = tuple(dict.fromkeys(key for key in firsts if key))
        if not keys:
            return NOBODY
        together, rest = keys[: self.width], keys[self.width :]
        step = Step(together, self.how()) if len(together) > 1 else Step(together)
        return Choice((step, *(Step((key,)) for key in rest)), (f"{self.name}: {self.why(together[0], look)}",))

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        return keys

    def why(self, key: str, look: Look) -> str:
        return f"{self.width} at once, the first accepted answer counts"


class RaceStrategy(Together):
    """All at once."""

    name = "race"


STRATEGY = RaceStrategy
