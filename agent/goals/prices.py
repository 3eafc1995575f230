"""What an action is expected to cost: USD, seconds and scarce quota, from what has been measured of the backends.

price = price_of(router, action, "analysis", tokens)
price.weight          # the one figure that plans are compared by
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.answer import Usage
from ..core.decision import Work
from ..core.pricing import cost_usd
from ..router import Router
from .actions import Action

#: USD that a second of waiting is worth, and a whole window of the tightest quota.
SECOND, WINDOW = 0.0001, 5.0
#: Seconds to the first token, and tokens a second, where a backend's latency has not been measured.
FIRST_TOKEN, PACE = 1.0, 60.0


class Price(NamedTuple):
    """What is expected. ``quota`` is the share of the tightest window; ``backend`` who would most likely do it."""

    usd: float = 0.0
    seconds: float = 0.0
    quota: float = 0.0
    backend: str = ""

    @property
    def weight(self) -> float:
        return self.usd + self.seconds * SECOND + self.quota * WINDOW

    def as_dict(self) -> dict[str, float]:
        return {"usd": round(self.usd, 6), "seconds": round(self.seconds, 2), "quota": round(self.quota, 6)}


def price_of(router: Router, action: Action, kind: str, tokens: int, *, json: bool = False) -> Price:
    """The price of ``action`` whose texts have so many ``tokens``, as work of this kind.

    Of the backend that would be asked now; where nobody can be asked, of the first one in the config that could.
    """
    if action.run is not None:
        return Price(action.usd, action.seconds)
    work = Work(kind, tokens + action.tokens[0], None, frozenset({"json"}) if json else frozenset())
    ranking, _ = router.rank(work)
    keys = [ranking[0].backend] if ranking else router.backend_keys()[:1]
    if not keys:
        return Price()
    health = router.state(keys[0])
    tracker = router.registry.quota(keys[0])
    answer = tracker.estimate.answers.get(kind, float(action.tokens[1]))
    usd = cost_usd(health.backend, Usage(work.tokens, round(answer)))
    seconds = health.latency_ms / 1000.0 or FIRST_TOKEN + answer / PACE
    spend = tracker.estimate.expected(work)
    quota = max((spend.of(t.window.quota.unit) / t.window.quota.limit for t in tracker.windows), default=0.0)
    times = action.brains
    return Price(usd * times, seconds, quota * times, keys[0])
