"""Goals in the ledger's database: written down with the attempts that are made for them, in one batch.

Desk(router, GoalTable(recorder.the().writer))
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from uniwizard.agent.goals import NotKept
from uniwizard.world.ledger.models import WorkedGoal
from uniwizard.world.ledger.writer import Writer


class GoalTable:
    """The table :class:`~world.ledger.models.WorkedGoal`; what :class:`agent.goals.GoalStore` asks for."""

    def __init__(self, writer: Writer):
        self._writer = writer

    def put(self, identifier: str, text: str) -> Deferred[None]:
        self._writer.put("goal", identifier, text)
        return self._writer.written()

    def load(self) -> Deferred[list[str]]:
        return self._writer.read(read).addErrback(_not_read)

    def forget(self, identifier: str) -> None:
        self._writer.put("ungoal", identifier)


def _not_read(why: Failure) -> list[str]:
    raise NotKept(f"the ledger cannot be read: {why.getErrorMessage()}") from None


def read() -> list[str]:
    """Every goal's text, oldest first."""
    return list(WorkedGoal.objects.order_by("began", "id").values_list("text", flat=True))
