"""Which backend a conversation stays with: a provider's cache is warm there, and a model goes on as it began.

    affinity.remember(task.conversation, "claude", kind="bulk_code", tokens=12_000)
    affinity.of(task.conversation)                # Place("claude", "bulk_code", 12000), or None
    prefer(ranking, "claude")                     # the same, its backend first

In memory, with a limit on number and age. It is a preference and no more: a backend that is not in the ranking (down,
full, too small) is not asked, and whoever answers in its place is remembered instead.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..core.decision import Ranked
from ..core.task import Task

#: Conversations remembered, and seconds after whose last answer one is forgotten. Providers keep a prefix for five
#: minutes to an hour (Anthropic) or up to a day (OpenAI); a person comes back to a conversation within hours.
MOST, KEPT = 10_000, 6 * 3600.0

#: Seconds for which a provider most likely still has the conversation in its cache.
WARM = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation is: its backend, its kind of work, and the input tokens that were sent last."""

    backend: str
    kind: str
    tokens: int
    at: float = 0.0


class Affinity:
    """The conversations of one router. ``now`` tells the time in seconds."""

    def __init__(self, now: Callable[[], float], most: int = MOST, kept: float = KEPT):
        self._now = now
        self._most = most
        self._kept = kept
        self._places: OrderedDict[str, Place] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def of_task(self, task: Task) -> Place | None:
        """Where the conversation is that ``task`` goes on with; None where it begins one, or nothing is known."""
        goes_on = task.conversation and any(turn.role == "assistant" for turn in task.messages)
        return self.of(task.conversation) if goes_on else None

    def of(self, conversation: str) -> Place | None:
        """Where the conversation is; None where nothing is known, or not any more."""
        place = self._places.get(conversation)
        if place is not None and self._now() - place.at > self._kept:
            del self._places[conversation]
            return None
        return place

    def warm(self, place: Place) -> bool:
        """Whether the provider most likely still has the conversation in its cache."""
        return self._now() - place.at <= WARM

    def remember(self, conversation: str, backend: str, kind: str, tokens: int) -> None:
        """The conversation has just been answered by ``backend``."""
        if not conversation:
            return
        self._places[conversation] = Place(backend, kind, tokens, self._now())
        self._places.move_to_end(conversation)
        while len(self._places) > self._most:
            self._places.popitem(last=False)


def prefer(ranking: tuple[Ranked, ...], backend: str) -> tuple[Ranked, ...]:
    """``ranking`` with ``backend`` first, if it is in it."""
    if not ranking or ranking[0].backend == backend:
        return ranking
    found = next((entry for entry in ranking if entry.backend == backend), None)
    if found is None:
        return ranking
    stays = replace(found, reasons=("keeps its conversation", *found.reasons))
    return (stays, *(entry for entry in ranking if entry is not found))
