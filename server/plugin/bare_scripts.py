"""Rows of scripts that have no typeclass, which would end the server's start half way.

To open the page "add script" of Evennia's admin saves such a row (``evennia.utils.dbserialize`` saves what it is to
describe, in 5.0.1 and 6.1.0), and so may anything that makes a ``ScriptDB`` directly. Once the sessions are there,
Evennia calls ``at_server_start`` of every script; the bare model has none, so the tasks, the on-demand handler and the
channels behind it are not taken up.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q
from evennia.scripts.models import ScriptDB
from evennia.utils import logger

BARE = "evennia.scripts.models.ScriptDB"


def dress() -> int:
    """Let each of them be the game's usual script while this server runs; how many there are.

    The rows stay as they are: they are the game's, and its owner is told how to be rid of them.
    """
    found = ScriptDB.objects.filter(Q(db_typeclass_path__in=("", BARE)) | Q(db_typeclass_path__isnull=True))
    for script in found:
        script.set_class_from_typeclass(settings.BASE_SCRIPT_TYPECLASS)
        logger.log_warn(
            f"Uniwizard: script #{script.id} has no typeclass, and Evennia would end its start there; it is taken for "
            f"a {settings.BASE_SCRIPT_TYPECLASS}. `scripts/delete #{script.id}` ends that."
        )
    return len(found)
