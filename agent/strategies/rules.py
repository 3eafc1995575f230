"""``rules``: whom the rules prefer for the kind, in their order, whatever it costs; then whoever ranks next."""

from __future__ import annotations

from .base import Look, Ordering
from .ranked import preferred


class Rules(Ordering):
    """The rules alone."""

    name = "rules"

    def figure(self, key: str, look: Look) -> float:
        preference = preferred(look.work.kind, look.world.config.rules)
        return preference.index(key) if key in preference else len(preference)

    def why(self, key: str, look: Look) -> str:
        preference = preferred(look.work.kind, look.world.config.rules)
        return f"the rules prefer {key} for {look.work.kind}" if key in preference else f"{key} ranks best of the rest"


STRATEGY = Rules
