"""Where the ledger's tables lie.

With PostgreSQL the tables stand beside the game's. Otherwise the ledger has an SQLite file of its own, so that neither
it nor the game ever waits for the other: SQLite lets one writer in at a time. ``compose`` is called from the
settings; ``LedgerRouter`` tells Django; ``ensure`` makes the tables where a start finds none.
"""

from __future__ import annotations

import os
from typing import Any

SQLITE = "django.db.backends.sqlite3"
ALIAS = "ledger"
APP = "ledger"
ROUTER = "uniwizard.world.ledger.database.LedgerRouter"

#: Seconds that a write waits for SQLite's lock before it counts as failed.
BUSY = 2
#: Readers never wait for the writer (WAL), and what is committed survives a power cut (FULL), which Evennia's own
#: ``synchronous=OFF`` does not promise for the game's file.
_INIT = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"


def compose(settings: dict[str, Any]) -> None:
    """Add the ledger's database to a settings namespace, in place; safe to repeat."""
    databases = settings["DATABASES"]
    default = databases["default"]
    if "postgresql" not in default["ENGINE"] and ALIAS not in databases:
        beside = os.path.dirname(default["NAME"]) if default["ENGINE"] == SQLITE else "server"
        name = settings.get("UNIWIZARD_LEDGER_FILE") or os.path.join(beside, "ledger.db3")
        options = {"timeout": BUSY, "transaction_mode": "IMMEDIATE", "init_command": _INIT}
        own = {"ENGINE": SQLITE, "NAME": os.path.join(settings["GAME_DIR"], name), "OPTIONS": options}
        settings["DATABASES"] = {**databases, ALIAS: own}
    routers = list(settings.get("DATABASE_ROUTERS", ()))
    if ROUTER not in routers:
        settings["DATABASE_ROUTERS"] = [ROUTER, *routers]


def alias() -> str:
    """The name of the database that holds the ledger."""
    from django.conf import settings

    return ALIAS if ALIAS in settings.DATABASES else "default"


def ensure() -> None:
    """Bring the ledger's tables up to date where a plain ``evennia migrate`` has not reached them."""
    from django.core.management import call_command
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connections[alias()])
    wanted = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
    if executor.migration_plan(wanted):
        call_command("migrate", APP, database=alias(), interactive=False, verbosity=0)


class LedgerRouter:
    """Sends the ledger's models to its database, and nothing else there."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return alias() if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        return None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        if app_label == APP:
            return db == alias()
        return False if db == ALIAS else None
