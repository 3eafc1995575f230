"""``fallback``: in the order given, and nobody else."""

from __future__ import annotations

from .base import Look, Sequenced, joined
from .choice import NOBODY, Choice


class Fallback(Sequenced):
    """The first that can be asked; the next one when it fails."""

    name = "fallback"

    def choose(self, look: Look) -> Choice:
        choices = [choice for child in self.children if (choice := child.choose(look)).steps]
        if not choices:
            return NOBODY
        return joined(choices)._replace(strict=True).under(f"fallback: {self.why(choices[0].first, look)}")

    def ordered(self, keys: list[str], look: Look) -> list[str]:
        return keys

    def why(self, key: str, look: Look) -> str:
        return f"{key} is the first that can be asked"


STRATEGY = Fallback
