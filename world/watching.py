"""What the game adds to the brain's telemetry: its ledger, its budgets, and who may read ``/metrics``.

telemetry = watching.begin(brain)      # by the BackendRouter that keeps the game's one Router
watching.metrics()                     # the text of /metrics; None while nobody is awake
watching.recent()                      # the latest alerts, for the overview
"""

from __future__ import annotations

from collections.abc import Iterator

from evennia.accounts.models import AccountDB

from uniwizard.agent import Router
from uniwizard.agent.telemetry import Alert, Gauge, Telemetry
from uniwizard.world.ledger import recorder
from uniwizard.world.reactor import reactor
from uniwizard.world.tokens import tokens

#: Shares of a budget at which its operator is told, the highest first.
SHARES = (1.0, 0.8)

_running: list[Telemetry] = []


def begin(brain: Router) -> Telemetry:
    """Tell whoever the config of ``brain`` names, in the place of what told before."""
    telemetry = Telemetry(brain, reactor)
    ledger = recorder.the()
    rows = Gauge("uniwizard_ledger_spill_rows", "Operations that wait in the spill file.", ledger.writer.spilled)
    telemetry.metrics.gauges.append(rows)
    telemetry.watch(_budgets)
    telemetry.watch(_spilling)
    telemetry.start()
    _running[:] = [telemetry]
    return telemetry


def metrics() -> bytes | None:
    """The text of ``/metrics``; None while nobody is awake."""
    return _running[0].metrics.text() if _running else None


def recent() -> list[tuple[float, Alert]]:
    """The latest alerts with their time in seconds since the epoch, newest first."""
    return list(_running[0].alerts.recent)[::-1] if _running else []


def may_read(presented: str) -> bool:
    """Whether the token ``presented`` is a Builder's."""
    caller = tokens.check(presented)
    holder = None if isinstance(caller, str) else tokens.owner(caller)
    owner = AccountDB.objects.filter(id=holder.id).first() if holder is not None else None
    return owner is not None and bool(owner.check_permstring("Builder"))


def _budgets() -> Iterator[Alert]:
    """Budgets that are nearly or wholly used. Whose they are is not told outside of the game."""
    for scope, used in recorder.the().budgets.most_used().items():
        for share in SHARES:
            if used >= share:
                whose = "The game's budget" if scope == "game" else f"The budget of one {scope} or more"
                yield Alert(f"budget:{scope}:{share:.0%}", f"{whose} is used by {share:.0%}.")
                break


def _spilling() -> Iterator[Alert]:
    writer = recorder.the().writer
    if writer.trouble:
        yield Alert("ledger", "The ledger cannot be written; its rows wait in the spill file.")
