"""Make a game ready to start: free ports, a database up to date, a superuser. In a process of its own, in the game::

    python -m uniwizard.server.game.prepare

The last line it prints is JSON: ``superuser`` (its name) and ``created`` (bool: it is new), or, where a port that the
game needs is taken, ``taken`` (``[setting, interface, port]``) and nothing is touched.
"""

from __future__ import annotations

import json
import os
from dataclasses import astuple
from pathlib import Path

from uniwizard.server.game.addresses import listeners, taken
from uniwizard.server.game.private import databases, keep_private, superuser


def main() -> None:
    """Look at the ports, migrate, create the superuser where there is none, and print what is found."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "server.conf.settings"
    import django
    from django.conf import settings
    from django.core.management import call_command

    if unfree := next(filter(taken, listeners(settings)), None):
        print(json.dumps({"taken": astuple(unfree)}))
        return
    django.setup()
    call_command("migrate", interactive=False, verbosity=1)

    from uniwizard.server.plugin.upgrade import bring_over

    bring_over()

    from uniwizard.world.ledger import database

    database.ensure()
    keep_private(databases(settings))

    from evennia.accounts.models import AccountDB

    # Evennia's owner is account 1, whatever its name.
    name = AccountDB.objects.filter(id=1).values_list("username", flat=True).first()
    created = name is None
    if created:
        name = _create_superuser(Path(settings.GAME_DIR))
    print(json.dumps({"created": created, "superuser": name}))


def _create_superuser(game_dir: Path) -> str:
    # Setting up all of Evennia takes a second or two, so it is done only where an account is to be made.
    import evennia

    evennia._init()
    from evennia.accounts.models import AccountDB

    chosen = superuser(game_dir, os.environ)
    email = os.environ.get("EVENNIA_SUPERUSER_EMAIL", "")
    return str(AccountDB.objects.create_superuser(chosen.name, email, chosen.password).username)


if __name__ == "__main__":
    main()
