"""Brings a game's stored paths over from earlier versions.

    bring_over()      # how many rows were changed; does nothing twice

Evennia stores the Python path of every typeclass and persistent cmdset in the database. In version 0.1 our modules lay
among the game's own, and until 0.2 our cmdsets were stored in every character and account; now the game's own are,
and ours are in none. Called before any object is loaded: in the process that migrates the database, and again when the
server starts.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import F, Value
from django.db.models.functions import Replace
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.scripts.models import ScriptDB
from evennia.server.models import ServerConfig

from uniwizard.server.plugin.settings import STORED_CMDSETS

TYPECLASSES = {
    "typeclasses.workshop.Workshop": "uniwizard.typeclasses.workshop.Workshop",
    "typeclasses.backend_router.BackendRouter": "uniwizard.typeclasses.backend_router.BackendRouter",
}
#: Where the last start noted that nothing is left to do, and the note.
_DONE, _NOTE = "uniwizard_paths", "0.3"


def bring_over() -> int:
    """Rewrite the paths that earlier versions stored; how many rows were changed."""
    if ServerConfig.objects.conf(_DONE) == _NOTE:
        return 0
    changed = 0
    for former, current in TYPECLASSES.items():
        for table in (ObjectDB, ScriptDB):
            changed += table.objects.filter(db_typeclass_path=former).update(db_typeclass_path=current)
    for former, name in STORED_CMDSETS.items():
        for table in (ObjectDB, AccountDB):
            own = Replace(F("db_cmdset_storage"), Value(former), Value(getattr(settings, name)))
            changed += table.objects.filter(db_cmdset_storage__contains=former).update(db_cmdset_storage=own)
    ServerConfig.objects.conf(_DONE, _NOTE)
    return changed
