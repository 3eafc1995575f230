"""Load a game with Uniwizard in it, in a process that ends there: what cannot be imported is told before it is wanted.

python -m uniwizard.server.game.rehearse        # in the game directory; status 0, or 1 and one line that says why
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback

#: What a start of the game imports of ours, and through it of the game's own.
MODULES = (
    "uniwizard.agent.gateway",
    "uniwizard.commands.cmdsets",
    "uniwizard.server.plugin.startstop",
    "uniwizard.server.plugin.web_plugins",
    "uniwizard.typeclasses.backend_router",
    "uniwizard.typeclasses.workshop",
    "uniwizard.typeclasses.thinking_npc",
    "uniwizard.world.web_door",
)


def main() -> int:
    """The command line; returns the exit status."""
    sys.path.insert(0, os.getcwd())
    os.environ["DJANGO_SETTINGS_MODULE"] = "uniwizard.server.game.composed"
    try:
        import django
        from django.conf import settings

        for database in settings.DATABASES.values():
            # SQLite makes the file that it opens; a game that was never started has none, and keeps none.
            if database["ENGINE"].endswith("sqlite3") and not os.path.exists(database["NAME"]):
                database["NAME"] = ":memory:"
        django.setup()
        import evennia

        evennia._init()
        for module in MODULES:
            importlib.import_module(module)
        # By name, as Evennia finds it: the commands are a floor above.
        for fault in importlib.import_module(MODULES[1]).faults(settings.UNIWIZARD_COMMANDS):
            raise ValueError(fault)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        print(f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
