"""Brings a game's stored paths over from version 0.1, whose modules lay among the game's own.

    bring_over()      # how many rows were changed; does nothing twice

Evennia stores the Python path of every typeclass and persistent cmdset in the database. Called before any object is
loaded: in the process that migrates the database, and again when the server starts.
"""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import Replace
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.scripts.models import ScriptDB
from evennia.server.models import ServerConfig

TYPECLASSES = {
    "typeclasses.workshop.Workshop": "uniwizard.typeclasses.workshop.Workshop",
    "typeclasses.backend_router.BackendRouter": "uniwizard.typeclasses.backend_router.BackendRouter",
}
CMDSETS = {"commands.uniwizard_cmdsets.": "uniwizard.commands.cmdsets."}
#: Where the last start noted that nothing is left to do.
_DONE = "uniwizard_paths"


def bring_over() -> int:
    """Rewrite the stored paths of version 0.1; how many rows were changed."""
    if ServerConfig.objects.conf(_DONE):
        return 0
    changed = 0
    for former, current in TYPECLASSES.items():
        for table in (ObjectDB, ScriptDB):
            changed += table.objects.filter(db_typeclass_path=former).update(db_typeclass_path=current)
    for former, current in CMDSETS.items():
        for table in (ObjectDB, AccountDB):
            stored = table.objects.filter(db_cmdset_storage__contains=former).exclude(
                db_cmdset_storage__contains=current
            )
            changed += stored.update(db_cmdset_storage=Replace(F("db_cmdset_storage"), Value(former), Value(current)))
    ServerConfig.objects.conf(_DONE, "uniwizard")
    return changed
