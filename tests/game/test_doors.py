"""Doors beside a game, as processes of their own on PostgreSQL and Redis: one truth, whoever answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from fake_llm import FakeLLMThread
from prepared import copied
from several import Doors, Several, kill, together
from wired import COST, address, config, newcomer, until

pytestmark = pytest.mark.game

ASKED = [{"role": "user", "content": "How do tides work?"}]
_OLD = """
from evennia.accounts.models import AccountDB
from uniwizard.agent.gateway import hashed, month_of
import time
account = AccountDB.objects.get(username={name!r})
kept = dict(id="0a0b0c0d", label="old", hash=hashed({secret!r}), created=1.0, expires=0.0, last_used=5.0,
            requests_per_minute=30, usd_per_month=2.0, spent_usd=0.5, month=month_of(time.time()))
account.attributes.add("0a0b0c0d", kept, category="uniwizard_tokens")
account.attributes.add("spent", dict(usd=0.75, month=kept["month"]), category="uniwizard_token_owner")
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Several]:
    directory = tmp_path_factory.mktemp("doors") / "game"
    with together(directory, config({"max_parallel": 50}), UPSTREAM=address(provider)) as running:
        yield running


@pytest.fixture(scope="module")
def doors(several: Several) -> Iterator[Doors]:
    with several.doors(2) as opened:
        yield opened


def client(url: str, secret: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0, timeout=30)


def ask(url: str, secret: str) -> str:
    """One question over a connection of its own, which any of the doors may take."""
    with client(url, secret) as sdk:
        return str(sdk.chat.completions.create(model="one", messages=ASKED).choices[0].message.content)


def test_every_door_knows_the_games_tokens_and_writes_into_its_ledger(
    several: Several, doors: Doors, upstream: FakeLLMThread
) -> None:
    secret, identifier = several.token("Ottar", "a program = 60, 1")
    until(lambda: _everywhere(doors, secret))
    for _ in range(6):
        assert ask(doors.url, secret) == "All is well."
    assert ask(several.game.web_url, secret) == "All is well."
    rows = several.sql("SELECT outcome, account, payer, owner FROM ledger_attempt WHERE account = 'Ottar'")
    assert [row[:3] for row in rows] == [("answered", "Ottar", "a program")] * 7
    assert len({row[3] for row in rows}) > 1
    spent = several.sql(f"SELECT sum(usd) FROM ledger_tokenuse WHERE token = '{identifier}'")[0][0]
    assert spent == pytest.approx(7 * COST)


def _comes_in(url: str, secret: str) -> bool:
    try:
        return bool(client(url, secret).models.list().data)
    except openai.AuthenticationError:
        return False


def _everywhere(doors: Doors, secret: str) -> bool:
    """Whether every door lets it in, as far as some tries can tell."""
    return all(_comes_in(doors.url, secret) for _ in range(8))


def test_a_revoked_token_lets_nobody_in_anywhere_within_moments(several: Several, doors: Doors) -> None:
    secret, identifier = several.token("Asa")
    until(lambda: _everywhere(doors, secret))
    with several.game.telnet() as player:
        player.login("Asa", "tjo-hopp-99")
        player.send(f"token/revoke {identifier}")
        player.expect("is revoked")
        # The doors are told; the table, which they look at every second, is not waited for.
        time.sleep(0.1)
        assert not any(_comes_in(doors.url, secret) for _ in range(8))


def test_a_rate_holds_for_all_doors_together(several: Several, doors: Doors) -> None:
    secret, _ = several.token("Frey", "slow = 5")
    until(lambda: _everywhere(doors, secret))
    answered = 0
    for _ in range(12):
        try:
            answered += bool(ask(doors.url, secret))
        except openai.RateLimitError:
            continue
    assert answered == 5


def test_a_dead_door_is_replaced_and_what_it_was_asked_is_marked_as_interrupted(
    several: Several, doors: Doors, upstream: FakeLLMThread
) -> None:
    secret, _ = several.token("Brage")
    until(lambda: _everywhere(doors, secret))
    upstream.go.clear()
    while upstream.arrived.acquire(blocking=False):
        pass
    asking = "import openai,sys; openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)"
    asking += ".chat.completions.create(model='one', messages=[{'role': 'user', 'content': 'a riddle'}])"
    command = [sys.executable, "-c", asking, f"{doors.url}/v1", secret]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as client_process:
        assert upstream.arrived.acquire(timeout=20)
        before = doors.children()
        for pid in before:
            kill(pid)
        client_process.wait(20)
    upstream.go.set()
    until(lambda: doors.ready() and not set(doors.children()) & set(before), 60)
    assert ask(doors.url, secret) == "All is well."
    query = "SELECT outcome FROM ledger_attempt WHERE account = 'Brage' ORDER BY id"
    until(lambda: several.sql(query)[0] == ("interrupted",), 30)


def test_without_redis_and_without_the_database_the_doors_answer_and_catch_up(
    several: Several, doors: Doors, upstream: FakeLLMThread
) -> None:
    secret, _ = several.token("Hild")
    until(lambda: _everywhere(doors, secret))
    several.redis.freeze()
    try:
        for _ in range(4):
            assert ask(doors.url, secret) == "All is well."
    finally:
        several.redis.thaw()
    several.redis.stop()
    try:
        assert ask(doors.url, secret) == "All is well."
    finally:
        several.redis.start()
    several.database.stop()
    try:
        for _ in range(3):
            assert ask(doors.url, secret) == "All is well."
    finally:
        several.database.start()
    query = "SELECT count(*) FROM ledger_attempt WHERE account = 'Hild' AND outcome = 'answered'"
    until(lambda: several.sql(query) == [(8,)], 30)


def test_tokens_that_were_attributes_go_on_as_rows(several: Several) -> None:
    secret = f"uwz-0a0b0c0d-{'7' * 64}"
    with newcomer(several.game, "Gamli"):
        pass
    several.game.python(_OLD.format(name="Gamli", secret=secret))
    several.game.reload()
    with several.game.telnet() as player:
        player.login("Gamli", "tjo-hopp-99")
        player.send("token")
        shown = player.expect("old")
        assert "$0.50 of $2.00" in shown or "$0.50 of $2.00" in player.expect("$0.50 of $2.00")
    assert _comes_in(several.game.web_url, secret)
    assert several.sql("SELECT sum(usd) FROM ledger_tokenuse u JOIN ledger_token t ON t.account_id = u.account_id "
                       "WHERE t.id = '0a0b0c0d'") == [(0.75,)]  # fmt: skip


def test_on_sqlite_several_doors_are_refused_in_one_sentence(tmp_path: Path) -> None:
    game = copied(tmp_path / "game")
    command = [sys.executable, "-m", "uniwizard.world.doors", "--processes", "2"]
    done = subprocess.run(command, cwd=game.directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "SQLite lets one process write" in done.stderr
