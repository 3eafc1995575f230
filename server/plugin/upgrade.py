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
#: Where it is noted what was ours while Uniwizard is taken out.
_RESTING = "uniwizard_resting"


def lay_to_rest() -> None:
    """Uniwizard is taken out of the settings, and what it built stays: let it load as what the game has of its kind.

    Our typeclasses need our settings. What they were is noted, for :func:`bring_over` to restore.
    """
    resting: dict[str, dict[int, str]] = ServerConfig.objects.conf(_RESTING) or {"objects": {}, "scripts": {}}
    for row in ObjectDB.objects.filter(db_typeclass_path__startswith="uniwizard."):
        room = row.db_location_id is None
        resting["objects"][row.id] = row.db_typeclass_path
        own = settings.BASE_ROOM_TYPECLASS if room else settings.BASE_OBJECT_TYPECLASS
        ObjectDB.objects.filter(id=row.id).update(db_typeclass_path=own)
    for row in ScriptDB.objects.filter(db_typeclass_path__startswith="uniwizard."):
        resting["scripts"][row.id] = row.db_typeclass_path
        own = settings.BASE_SCRIPT_TYPECLASS
        ScriptDB.objects.filter(id=row.id).update(db_typeclass_path=own, db_is_active=False)
    if resting["objects"] or resting["scripts"]:
        ServerConfig.objects.conf(_RESTING, resting)


def _wake() -> None:
    """Uniwizard is back: what was laid to rest is what it was."""
    resting = ServerConfig.objects.conf(_RESTING)
    if not resting:
        return
    for thing, path in resting["objects"].items():
        ObjectDB.objects.filter(id=thing).update(db_typeclass_path=path)
    for script, path in resting["scripts"].items():
        ScriptDB.objects.filter(id=script).update(db_typeclass_path=path, db_is_active=True)
    ServerConfig.objects.conf(_RESTING, delete=True)


def bring_over() -> int:
    """Rewrite the paths that earlier versions stored; how many rows were changed."""
    _wake()
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
