"""Evennia's settings and the ledger's tables in this process, without a game, for tests that need none.

with tables(tmp_path):
    Storage().apply([...])
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace


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
def tables(directory: Path, pages: int = 0) -> Iterator[Path]:
    """A fresh ledger in ``directory``, of at most so many pages of 4 kB; its file."""
    _configure()
    from django.core.management import call_command
    from django.db import connections

    file = directory / "ledger.db3"
    saved = dict(connections["default"].settings_dict)
    connections["default"].close()
    init = "PRAGMA journal_mode=WAL;"
    options = {"timeout": 0.2, "transaction_mode": "IMMEDIATE", "init_command": init}
    connections.settings["default"].update(NAME=str(file), OPTIONS=options)
    del connections["default"]
    try:
        call_command("migrate", verbosity=0)
        if pages:
            connections["default"].close()
            options["init_command"] = init + f"PRAGMA max_page_count={pages};"
        yield file
    finally:
        connections["default"].close()
        connections.settings["default"].update(saved)
        del connections["default"]


_configure()
