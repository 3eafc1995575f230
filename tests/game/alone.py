"""Evennia's settings and the ledger's tables in this process, without a game, for tests that need none.

with tables(tmp_path):
    Storage().apply([...])
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WAL = "PRAGMA journal_mode=WAL;"


def _configure() -> None:
    from django.conf import settings

    if settings.configured:
        return
    import django
    from django.conf import global_settings
    from evennia import settings_default

    known = {**vars(global_settings), **vars(settings_default)}
    settings.configure(
        SimpleNamespace(**{name: value for name, value in known.items() if name.isupper()}),
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["uniwizard.world.ledger"],
        USE_TZ=True,
        TIME_ZONE="Europe/Vienna",
        GAME_DIR="/nowhere",
        UNIWIZARD_LEDGER_KEEP_DAYS=400,
        UNIWIZARD_LEDGER_TEXTS=False,
        UNIWIZARD_BUDGETS=None,
        UNIWIZARD_PICTURE_HOSTS=[],
        UNIWIZARD_SOUL="",
        UNIWIZARD_BASE_TELNET_PROTOCOL_CLASS="evennia.server.portal.telnet.TelnetProtocol",
        UNIWIZARD_BASE_WEBSOCKET_PROTOCOL_CLASS="evennia.server.portal.webclient.WebSocketClient",
    )
    django.setup()


@contextmanager
def _database(file: Path, **options: Any) -> Iterator[None]:
    """Django's connection leads to ``file``."""
    from django.db import connections

    saved = dict(connections["default"].settings_dict)
    connections["default"].close()
    connections.settings["default"].update(NAME=str(file), OPTIONS=options)
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"].update(saved)
        del connections["default"]


@cache
def _migrated() -> bytes:
    """The file of an empty ledger. To migrate takes half a second, so it is done once."""
    from django.core.management import call_command

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "ledger.db3"
        with _database(file, init_command=WAL):
            call_command("migrate", verbosity=0)
        return file.read_bytes()


@contextmanager
def tables(directory: Path, pages: int = 0) -> Iterator[Path]:
    """A fresh ledger in ``directory``, of at most so many pages of 4 kB; its file."""
    file = directory / "ledger.db3"
    file.write_bytes(_migrated())
    init = WAL + (f"PRAGMA max_page_count={pages};" if pages else "")
    with _database(file, timeout=0.2, transaction_mode="IMMEDIATE", init_command=init):
        yield file


_configure()
