"""The memory in a real game: think twice, and it is known; think/bad, and it is forgotten; a reload forgets nothing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import yaml
from fake_llm import FakeLLMThread
from wired import CLOSING, COST, address, config, newcomer, says, think, wired

from uniwizard.server.game.process import Game

MEMORY = {"match": "exact", "keep": "1d", "store": "database"}
CONFIG = yaml.safe_dump(yaml.safe_load(config()) | {"memory": MEMORY}, sort_keys=False)
SECRET = re.compile(r"uwz-[0-9a-f]{8}-[0-9a-f]{64}")


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game with a memory, whose only backend is ours."""
    with wired(tmp_path_factory.mktemp("memory") / "game", CONFIG, UPSTREAM=address(provider)) as running:
        yield running


def query(game: Game, sql: str, *values: Any) -> list[dict[str, Any]]:
    with sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=10) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql, values)]


def test_thinking_twice_answers_from_memory_and_bad_forgets(game: Game, upstream: FakeLLMThread) -> None:
    upstream.default = says("High at noon.")
    with newcomer(game, "Tidea") as player:
        player.send("route How do the tides work?")
        assert "Would ask: one" in player.expect("Estimated cost")
        assert "[one, " in think(player, "How do the tides work?")
        asked = upstream.asked("one")

        player.send("route hi, how do the tides work")
        told = player.expect("Estimated cost: $0.0000")
        assert "Would ask: memory of one" in told and "think/fresh asks one" in told
        told = think(player, "Please: how do the tides work")
        assert "High at noon." in told
        assert re.search(r"\[memory of one, 0\.\d s, \$0\.0000\]", told)
        assert upstream.asked("one") == asked
        player.send("think/why")
        assert "Remembered: one has answered this, just now" in player.expect("In all")
        player.send("ledger")
        player.expect("Remembered 1 times instead of asking: $0.0020 saved")

        upstream.default = says("At night, too.")
        player.send("think/fresh how do the tides work")
        assert "At night, too." in player.expect(CLOSING)
        assert "At night, too." in think(player, "how do the tides work")
        assert upstream.asked("one") == asked + 1

        player.send("think/bad")
        player.expect("makes a mark on one's jar")
        upstream.default = says("The moon pulls on the water, twice a day.")
        told = think(player, "how do the tides work")
        assert "The moon pulls on the water, twice a day." in told and "[one, " in told
        assert upstream.asked("one") == asked + 2

    rows = query(game, "SELECT * FROM ledger_attempt WHERE account = 'Tidea' ORDER BY id")
    assert [row["outcome"] for row in rows] == ["answered", "remembered", "answered", "remembered", "answered"]
    assert [row["number"] for row in rows] == [1, 0, 1, 0, 1]
    assert [row["cost_usd"] for row in rows] == pytest.approx([COST, 0, COST, 0, COST])
    assert [row["saved_usd"] for row in rows] == pytest.approx([0, COST, 0, COST, 0])
    assert {row["backend"] for row in rows} == {"one"}


def test_one_players_answer_serves_another_by_the_others_name(game: Game, upstream: FakeLLMThread) -> None:
    upstream.default = says("Person1Q is as brave as a lion.")
    with newcomer(game, "Rosamunde") as one, newcomer(game, "Wendeline") as other:
        assert "Rosamunde is as brave as a lion." in think(one, "Write one line that praises Rosamunde")
        asked = upstream.asked("one")
        told = think(other, "Write one line that praises Wendeline")
        assert "Wendeline is as brave as a lion." in told and "memory of one" in told
    assert upstream.asked("one") == asked
    for row in query(game, "SELECT * FROM ledger_knownanswer"):
        assert not any(name in str(row).lower() for name in ("rosamunde", "wendeline", "praises"))


def test_what_is_about_me_or_now_is_always_asked(game: Game, upstream: FakeLLMThread) -> None:
    upstream.default = says("It is half past nine in the evening.")
    with newcomer(game, "Nowell") as player:
        for question in ("what time is it?", "what is my name?"):
            asked = upstream.asked("one")
            for _ in range(2):
                assert "[one, " in think(player, question)
            assert upstream.asked("one") == asked + 2


def test_the_door_says_hit_or_miss_and_heeds_no_cache(game: Game, upstream: FakeLLMThread) -> None:
    upstream.default = says("The Vistula.")
    with newcomer(game, "Riverine") as player:
        player.send("token/create door")
        secret = SECRET.search(player.expect("Model: auto"))
        assert secret is not None
    client = openai.OpenAI(base_url=f"{game.web_url}/v1", api_key=secret[0], max_retries=0)

    def ask(**headers: str) -> tuple[str, Any]:
        raw = client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "Name a river in Poland."}], extra_headers=headers
        )
        return raw.headers["x-uniwizard-cache"], raw.parse()

    assert ask()[0] == "miss"
    asked = upstream.asked("one")
    cache, known = ask()
    assert cache == "hit"
    assert known.choices[0].message.content == "The Vistula."
    assert known.usage.total_tokens == 0
    assert known.model_extra["uniwizard"]["memory"]["saved_usd"] == pytest.approx(COST)
    assert upstream.asked("one") == asked
    assert ask(**{"Cache-Control": "no-cache"})[0] == "miss"
    assert upstream.asked("one") == asked + 1
    (row,) = query(game, "SELECT * FROM ledger_attempt WHERE payer = 'door' AND outcome = 'remembered'")
    assert row["saved_usd"] == pytest.approx(COST)


def test_a_restart_forgets_nothing(game: Game, upstream: FakeLLMThread) -> None:
    upstream.default = says("Blue.")
    with newcomer(game, "Skylar") as player:
        think(player, "Which colour has the sky?")
    game.stop()
    game.start()
    asked = upstream.asked("one")
    with newcomer(game, "Skylar2") as player:
        told = think(player, "which colour has the sky")
    assert "Blue." in told and "memory of one" in told
    assert upstream.asked("one") == asked
