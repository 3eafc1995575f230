"""The ledger in a real game: what stands in it, who sees it, and what it does when the disk or the clock misbehave."""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from fake_llm import FakeLLMThread, status
from wired import COST, PASSWORD, address, all_said, config, held, newcomer, says, think, until, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

CONFIG = config({"max_tokens": 1000, "allowed_fails": 100})
#: What is set aside for a thought at most, in USD.
SET_ASIDE = 0.02


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game whose only backend is ours."""
    with wired(tmp_path_factory.mktemp("ledger") / "game", CONFIG, UPSTREAM=address(provider)) as running:
        yield running


def query(game: Game, sql: str, *values: Any) -> list[dict[str, Any]]:
    with sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=10) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql, values)]


def rows_of(game: Game, account: str) -> list[dict[str, Any]]:
    return query(game, "SELECT * FROM ledger_attempt WHERE account = ? ORDER BY id", account)


# What stands in it


def test_an_attempt_is_in_the_ledger_to_the_cent_before_its_answer_is_shown(
    game: Game, upstream: FakeLLMThread
) -> None:
    with newcomer(game, "Zelda") as player:
        began = time.time()
        think(player, "hello there")
        (row,) = rows_of(game, "Zelda")
    assert row["backend"] == "one"
    assert row["model"] == "told"
    assert (row["outcome"], row["failure"], row["status"]) == ("answered", "", 200)
    assert (row["input_tokens"], row["output_tokens"], row["estimated"], row["practice"]) == (100, 50, 0, 0)
    assert row["cost_usd"] == pytest.approx(COST, abs=1e-12)
    assert 0 < row["latency_ms"] < (time.time() - began) * 1000
    assert (row["character"], row["number"], row["kind"]) == ("Zelda", 1, "chat")
    assert (row["prompt"], row["answer"]) == ("", ""), "words are kept only where the operator wants them"
    assert "zelda" not in upstream.log[-1].everything.casefold(), "who asked is kept here and never sent"
    assert row["task"] not in upstream.log[-1].everything


def test_failures_and_thoughts_that_were_let_go_of_are_in_it_too(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Fenja") as player:
        upstream.default = status(500)
        think(player, "hello")
        upstream.default = says()
        upstream.default = says("I'm sorry, but I can't help with that.")
        think(player, "hello")
        upstream.go.clear()
        while upstream.arrived.acquire(blocking=False):
            pass
        player.send("think hello")
        assert upstream.arrived.acquire(timeout=10)
        player.send("think/stop")
        player.expect("lets the thought go")
    failed, refused, stopped = rows_of(game, "Fenja")
    assert (failed["outcome"], failed["failure"], failed["cost_usd"]) == ("failed", "server_error", 0)
    assert (refused["outcome"], refused["refusal"] != "", refused["score"] > 0.5) == ("refused", True, True)
    assert "help" in refused["evidence"]
    assert refused["cost_usd"] == pytest.approx(COST)
    assert stopped["outcome"] == "stopped"


def test_once_its_player_has_been_told_a_thought_is_no_longer_written_down(game: Game) -> None:
    with newcomer(game, "Runa") as player:
        think(player, "hello")
        until(lambda: not held(game))


# Who sees it


def test_a_player_sees_their_own_spending_and_a_builder_everyones(game: Game, wizard: Telnet) -> None:
    with newcomer(game, "Saga") as player:
        think(player, "hello")
        think(player, "hello again")
        player.send("ledger")
        shown = player.expect(re.compile(r"in all .*\n"))
        assert re.search(r"today +2 +100% .*\$0\.0040", shown)
        player.send("ledger/by backend")
        assert re.search(r"one +2 +100% .*\$0\.0040 #+", player.expect(re.compile(r"In all .*\n")))
        player.send("ledger/by player")
        player.expect("Only Builders")
        player.send("ledger/by moon")
        player.expect("Usage: ledger/by")
    for by in ("day", "backend", "kind", "player = 7"):
        wizard.send(f"ledger/by {by}")
        shown = wizard.expect(re.compile(r"In all .*\n"))
        assert max(map(len, shown.splitlines())) <= 78
    assert re.search(r"Saga +2 +100%", shown)
    wizard.send("help ledger")
    assert "Usage:" in wizard.expect("Examples:")


def test_the_export_holds_every_row_and_no_formula(game: Game, tmp_path: Path, upstream: FakeLLMThread) -> None:
    def export(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "uniwizard.world.ledger", "export", *arguments]
        environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        return subprocess.run(command, cwd=game.directory, capture_output=True, text=True, timeout=60, env=environ)

    with newcomer(game, "Exa") as player:
        upstream.default = says("=HYPERLINK(1) I can't help with that. I'm sorry, but I can't.")
        think(player, "hello")
    wanted = query(game, "SELECT * FROM ledger_attempt ORDER BY started, id")
    told = export("--format", "jsonl")
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(line["task"], line["number"]) for line in lines] == [(row["task"], row["number"]) for row in wanted]
    assert [line["cost_usd"] for line in lines] == [row["cost_usd"] for row in wanted]
    file = tmp_path / "out.csv"
    assert "attempts written" in export("--format", "csv", "-o", str(file)).stderr
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open(newline="") as table:
        found = list(csv.DictReader(table))
    assert len(found) == len(wanted)
    assert not [cell for row in found for cell in row.values() if cell.startswith("=")]
    assert export("--format", "jsonl", "--until", "2020-01-01").stdout == ""
    assert export("--since", "yesterday").returncode == 2


def test_the_admin_lists_filters_and_adds_up(game: Game, wizard: Telnet) -> None:
    think(wizard, "hello")
    # What an attempt cost is written a moment after its answer was shown.
    until(lambda: not query(game, "SELECT count(*) AS n FROM ledger_attempt WHERE outcome = 'under way'")[0]["n"])
    attempts, cost = query(game, "SELECT count(*) AS n, sum(cost_usd) AS usd FROM ledger_attempt")[0].values()
    refused = query(game, "SELECT count(*) AS n FROM ledger_attempt WHERE outcome = 'refused'")[0]["n"]
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        page = browser.get("/admin/ledger/attempt/").text
        assert f"<b>{attempts}</b><span>attempts" in page
        # Added in another order, half a tenth of a mill may be rounded up or down.
        assert float(re.findall(r"<b>\$([\d.]+)</b><span>cost", page)[0]) == pytest.approx(cost, abs=0.000051)
        for path, count in (("outcome=refused", refused), ("backend=one&day=7", attempts), ("kind=bulk_code", 0)):
            page = browser.get(f"/admin/ledger/attempt/?{path}").text
            assert f"<b>{count}</b><span>attempts" in page, path
            assert page.count('class="field-brain') == min(count, 50), path
        first = query(game, "SELECT id, task FROM ledger_attempt")[0]
        assert browser.get(f"/admin/ledger/attempt/?q={first['task']}").text.count('class="field-brain') == 1
        detail = browser.get(f"/admin/ledger/attempt/{first['id']}/change/")
        assert detail.status_code == 200
        assert 'name="_save"' not in detail.text, "an attempt can be read and not changed"
        # Whatever stands in the address.
        for path in ("day=never", "backend=%3Cscript%3E", "practice=7", "p=9999", "kind=''"):
            page = browser.get(f"/admin/ledger/attempt/?{path}")
            assert page.status_code == 200
            assert "<script>'" not in page.text


def test_a_backends_page_shows_it_and_its_switches_work_at_once(
    game: Game, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        assert ">one</a>" in browser.get("/admin/ledger/brain/").text
        page = browser.get("/admin/ledger/brain/one/").text
        assert page.count("<svg viewBox") == 4
        assert "ready" in page

        def act(**fields: str) -> str:
            return browser.submit("/admin/ledger/brain/one/act/", "/admin/ledger/brain/one/", **fields).text

        assert "One is put away" in act(action="disable")
        wizard.send("route hello")
        wizard.expect("disabled by an admin")
        assert "back on the shelf" in act(action="enable")
        assert "One is there." in act(action="probe")
        assert "plays refuse for one" in act(action="practice", scene="refuse")
        assert "one refuses" in think(wizard, "hello")
        assert "The scene is over" in act(action="practice", scene="real")
        assert "breaker is closed" in act(action="reset")
        assert "opera" in act(action="practice", scene="opera")
        assert browser.get("/admin/ledger/brain/nobody/").status_code == 404
        assert browser.get("/admin/ledger/brain/one/act/").status_code == 405


def test_a_player_has_no_business_in_the_admin(game: Game) -> None:
    newcomer(game, "Loki").close()
    with Browser(game.web_url) as browser:
        browser.submit("/auth/login", username="Loki", password=PASSWORD)
        for path in ("/admin/ledger/attempt/", "/admin/ledger/brain/", "/admin/ledger/brain/one/"):
            assert "answered well" not in browser.get(path).text
        token = browser.cookies["csrftoken"]
        told = browser.post("/admin/ledger/brain/one/act/", data={"action": "disable", "csrfmiddlewaretoken": token})
        assert "put away" not in told.text
    assert query(game, "SELECT 1 FROM ledger_attempt WHERE account = 'Loki'") == []


# When things go wrong


def test_a_locked_database_holds_up_neither_the_game_nor_the_answers_and_loses_nothing(
    game: Game, wizard: Telnet
) -> None:
    spilled = (game.directory / ".uniwizard").glob
    with newcomer(game, "Lodur") as player:
        lock = sqlite3.connect(game.directory / "server" / "ledger.db3", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        thoughts = 0
        try:
            while thoughts < 2 or not list(spilled("ledger-spill-*.jsonl")):
                assert time.monotonic() < began + 60, "nothing is spilled"
                think(player, f"hello {thoughts}")
                thoughts += 1
                player.send("look")
                player.expect("On the shelf", 5)
            [spill] = spilled("ledger-spill-*.jsonl")
            assert spill.stat().st_mode & 0o777 == 0o600
            assert rows_of(game, "Lodur") == []
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert "The ledger cannot be written" in (seen := wizard.expect("The ledger can be written again"))
        assert seen.count("cannot be written") == 1
        assert "ledger" not in player.transcript, "that is the Builders' business"
    assert thoughts >= 2
    found = rows_of(game, "Lodur")
    assert [row["outcome"] for row in found] == ["answered"] * thoughts
    assert not list(spilled("ledger-spill-*.jsonl"))


# With budgets, and with texts; this ends the game's time without


def test_budgets_and_texts_are_the_operators_to_turn_on(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Midas") as player:
        think(player, "hello")
    limit = COST + SET_ASIDE * 1.5
    with (game.directory / "server" / "conf" / "secret_settings.py").open("a") as file:
        file.write(
            f"\nUNIWIZARD_LEDGER_TEXTS = True\nUNIWIZARD_BUDGETS = {{'account': {{'usd': {limit}, 'per': 'day'}}}}\n"
        )
    game.reload()
    with game.telnet() as player:
        player.login("Midas", PASSWORD)
        all_said(player)
        player.send("ledger")
        assert f"${COST:.4f} of ${limit:g} a day" in player.expect("resets"), "counted again from the ledger"
        upstream.default = says("Gold, mostly.")
        while "Gold" in think_or_hear(player):
            assert len(rows_of(game, "Midas")) < 30
        heard = player.expect(re.compile(r"It resets on .*\."))
        assert "Your account's budget" in player.transcript
        assert re.search(r"at\s+00:00\s+UTC", heard)
        rows = rows_of(game, "Midas")
        assert sum(row["cost_usd"] for row in rows) <= limit
        assert (rows[0]["prompt"], rows[0]["answer"]) == ("", "")
        assert (rows[-1]["prompt"], rows[-1]["answer"]) == ("what is it?", "Gold, mostly.")
        asked = len(upstream.log)
        player.send("think/with one what is it?")
        player.expect("It resets on")
        assert len(upstream.log) == asked, "nothing is asked that may not be paid for"
    with newcomer(game, "Thrifty") as player:
        assert "Gold" in think_or_hear(player), "each account has its own"


def think_or_hear(player: Telnet) -> str:
    player.send("think what is it?")
    return player.expect(re.compile(r"\[one, .*\]\n|Timmy shakes his head"))
