"""What Uniwizard keeps in a game's database, counted or taken out. In a process of its own, in the game directory::

    python -m uniwizard.server.game.clear_data count      # prints JSON: a list of lines for people
    python -m uniwizard.server.game.clear_data rest       # it stays, and loads without Uniwizard
    python -m uniwizard.server.game.clear_data clear      # all of it, for good

It works whether or not the block still stands in the settings. The game must not be running.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Ours begin so; what a game derives from them is the game's.
OURS = "uniwizard."


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    sys.path.insert(0, os.getcwd())
    os.environ["DJANGO_SETTINGS_MODULE"] = "uniwizard.server.game.composed"
    import django

    django.setup()
    from django.db import connection

    if "objects_objectdb" not in connection.introspection.table_names():
        # Never migrated, so never started: there is nothing.
        print(json.dumps([]))
        return 0
    from uniwizard.server.plugin.upgrade import bring_over, lay_to_rest

    bring_over()
    import evennia

    evennia._init()
    from uniwizard.world.build import note_former

    note_former()
    found = list(_counted())
    if arguments == ["clear"]:
        _clear()
    if arguments == ["rest"]:
        lay_to_rest()
    print(json.dumps(found))
    return 0


def _counted() -> Iterator[str]:
    """What there is, a line each."""
    from django.db import connections
    from evennia.accounts.models import AccountDB
    from evennia.objects.models import ObjectDB
    from evennia.scripts.models import ScriptDB

    from uniwizard.world.ledger import database
    from uniwizard.world.ledger.models import Attempt
    from uniwizard.world.ledger.token_rows import CATEGORY, holders

    objects = _objects()
    if objects:
        yield f"{len(objects)} objects: {', '.join(f'{thing.db_key} (#{thing.id})' for thing in objects)}"
    if restored := ObjectDB.objects.filter(db_attributes__db_key="before", db_attributes__db_category="uniwizard"):
        yield f"the Workshop in {', '.join(f'#{room.id}' for room in restored)}, which becomes what it was"
    if scripts := ScriptDB.objects.filter(db_typeclass_path__startswith=OURS).count():
        yield f"{scripts} BackendRouter{'s' if scripts > 1 else ''} with the health and quotas of every backend"
    with connections[database.alias()].cursor() as cursor:
        tables = connections[database.alias()].introspection.table_names(cursor)
    former = AccountDB.objects.filter(db_attributes__db_category=CATEGORY).values_list("id", flat=True)
    if count := len({*former, *(holders() if "ledger_token" in tables else ())}):
        yield f"the tokens of {count} account{'s' if count > 1 else ''}"
    if "ledger_attempt" in tables:
        yield f"the ledger, attempts: {Attempt.objects.count()}"


def _objects() -> list[Any]:
    """The objects that Uniwizard built, or whose typeclass is its own, but for a room that was the game's before."""
    from evennia.objects.models import ObjectDB

    built = ObjectDB.objects.filter(db_tags__db_category="uniwizard")
    typed = ObjectDB.objects.filter(db_typeclass_path__startswith=OURS)
    changed = ObjectDB.objects.filter(db_attributes__db_key="before", db_attributes__db_category="uniwizard")
    return list((built | typed).exclude(id__in=[room.id for room in changed]).distinct().order_by("id"))


def _clear() -> None:
    from evennia.accounts.models import AccountDB
    from evennia.comms.models import ChannelDB
    from evennia.objects.models import ObjectDB
    from evennia.scripts.models import ScriptDB
    from evennia.server.models import ServerConfig
    from evennia.typeclasses.attributes import Attribute
    from evennia.typeclasses.models import Tag

    from uniwizard.world.build import give_back
    from uniwizard.world.ledger.token_rows import CATEGORY

    for script in ScriptDB.objects.filter(db_typeclass_path__startswith=OURS):
        script.delete()
    for thing in _objects():
        # With a room go its exits.
        if ObjectDB.objects.filter(id=thing.id).exists():
            thing.delete()
    for room in ObjectDB.objects.filter(db_attributes__db_key="before", db_attributes__db_category="uniwizard"):
        give_back(room)
    for channel in ChannelDB.objects.filter(db_tags__db_category="uniwizard"):
        channel.delete()
    for account in AccountDB.objects.filter(db_attributes__db_category=CATEGORY).distinct():
        account.attributes.clear(category=CATEGORY)
    ServerConfig.objects.filter(db_key__startswith="uniwizard_").delete()
    Tag.objects.filter(db_category="uniwizard").delete()
    Attribute.objects.filter(db_category__startswith="uniwizard").delete()
    _drop_the_ledger()


def _drop_the_ledger() -> None:
    """Its tables, or its whole file; and what Django noted of them in the game's own database."""
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from django.db import connections
    from django.db.migrations.recorder import MigrationRecorder

    from uniwizard.world.ledger import database

    connection = connections[database.alias()]
    if database.alias() == "default":
        call_command("migrate", database.APP, "zero", interactive=False, verbosity=0)
    else:
        file = connection.settings_dict["NAME"]
        connection.close()
        for end in ("", "-wal", "-shm"):
            Path(f"{file}{end}").unlink(missing_ok=True)
    MigrationRecorder(connections["default"]).migration_qs.filter(app=database.APP).delete()
    ContentType.objects.filter(app_label=database.APP).delete()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
