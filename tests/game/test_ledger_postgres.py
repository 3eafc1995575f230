"""A game on PostgreSQL: the ledger's tables stand beside the game's, and everything holds there, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from browser import Browser
from fake_llm import FakeLLMThread
from postgres import postgres
from wired import CLOSING, COST, HASTE, PASSWORD, address, config, newcomer, says, think, until, wired

pytestmark = pytest.mark.game

DATABASES = """
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "uniwizard", "HOST": "127.0.0.1",
    "PORT": {port},
}}}}
"""
ROLL_UP = """
from uniwizard.world.ledger.report import tally
from uniwizard.world.ledger.storage import Storage
from uniwizard.world.ledger.upkeep import piece
import time
before = tally(("backend", "kind")), tally(("asker",))
storage = Storage()
while piece(storage, time.time() + 2 * 86400):
    pass
assert (tally(("backend", "kind")), tally(("asker",))) == before, "adding up a day has changed it"
print(tally(())[()].attempts)
"""


def _held(port: int) -> list[Any]:
    with psycopg.connect(f"host=127.0.0.1 port={port} user=uniwizard dbname=postgres") as database:
        return database.execute("SELECT text FROM ledger_pending").fetchall()


def test_a_game_on_postgresql_keeps_its_ledger_there_over_a_kill(tmp_path: Path) -> None:
    with (
        postgres() as port,
        FakeLLMThread(default=says()) as upstream,
        wired(
            tmp_path / "game",
            config(),
            HASTE + DATABASES.format(port=port),
            new_database=True,
            UPSTREAM=address(upstream),
        ) as game,
    ):
        with newcomer(game, "Dagny") as player:
            assert "All is well." in think(player, "hello")
            upstream.go.clear()
            while upstream.arrived.acquire(blocking=False):
                pass
            player.send("think of the second thing")
            player.expect("Timmy")
            assert upstream.arrived.acquire(timeout=10)
            until(lambda: _held(port))
        game.kill9()
        upstream.go.set()
        game.start()
        with game.telnet() as player:
            player.login("Dagny", PASSWORD)
            player.expect("takes up your question again")
            player.expect(CLOSING)
            player.send("ledger/by backend")
            assert re.search(r"one +3 +100%", player.expect(re.compile(r"In all .*\n")))
        with psycopg.connect(f"host=127.0.0.1 port={port} user=uniwizard dbname=postgres") as database:
            rows = database.execute("SELECT outcome, account, cost_usd FROM ledger_attempt ORDER BY id").fetchall()
        (_, _, estimate) = rows[1]
        assert rows == [("answered", "Dagny", COST), ("interrupted", "Dagny", estimate), ("answered", "Dagny", COST)]
        assert estimate > 0, "it had left, and was paid for"
        assert not (game.directory / "server" / "ledger.db3").exists()
        with Browser(game.web_url) as browser:
            browser.login(game.superuser.name, game.superuser.password)
            assert "<b>3</b><span>attempts" in browser.get("/admin/ledger/attempt/?backend=one&day=7").text
            assert browser.get("/admin/ledger/brain/one/").text.count("<svg viewBox") == 4
        assert game.python(ROLL_UP).strip() == "3"
