"""The gateway in the game: the default BackendRouter behind it, tokens of accounts as its keys, the ledger as its book,
and as the shelf of what ``/v1/responses`` keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uniwizard.agent import Router, Task
from uniwizard.agent.gateway import Bodies, Caller, Gateway
from uniwizard.world import goals, routers
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.budgets import BudgetReached, Who
from uniwizard.world.ledger.responses import ResponseTable
from uniwizard.world.reactor import reactor
from uniwizard.world.tokens import tokens


class Door(Gateway):
    """The resource for every address of the doors, with the keeper of its bodies.

    Made before the database is asked for anything: it looks up what it needs late. ``brain`` is another Router than
    that of the game's default BackendRouter.
    """

    def __init__(self, brain: Callable[[], Router | None] | None = None) -> None:
        shelf = ResponseTable()
        super().__init__(brain or _Brain(), reactor, tokens.check, book=_Ledger(), shelf=shelf, desk=goals.the)
        self.bodies = Bodies(self)


class _Brain:
    """The Router of the game's default BackendRouter; None while there is none."""

    def __init__(self) -> None:
        self._script: Any = None

    def __call__(self) -> Router | None:
        if self._script is None or self._script.pk is None:
            self._script = routers.find()
        if self._script is None:
            return None
        try:
            return self._script.brain
        except routers.Closed:
            return None


class _Ledger:
    """Keeps account of what programs ask, as the ledger does of players: whose token it was, and before it is shown."""

    def open(self, caller: Caller, task: Task) -> str:
        owner = tokens.owner(caller)
        who = Who(getattr(owner, "id", None), getattr(owner, "username", ""), payer=caller.label)
        try:
            recorder.the().ask(task.id, who, task.kind or "", text=task.prompt)
        except BudgetReached as reached:
            return str(reached)
        return ""

    def written(self, task: Task) -> Any:
        return recorder.the().flushed(task.id)

    def close(self, task: Task) -> None:
        recorder.the().done(task.id)
