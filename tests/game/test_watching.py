"""What those who run a game see of it, in a real one: /metrics, drift, and a config with faults."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from fake_llm import FakeLLMThread
from wired import HASTE, address, all_said, config, configure, newcomer, think, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    directory = tmp_path_factory.mktemp("watching") / "game"
    with wired(directory, config(), HASTE, UPSTREAM=address(provider)) as running:
        yield running


def token(session: Telnet) -> str:
    session.send("token/create watcher")
    found = re.search(r"uwz-[0-9a-f]{8}-[0-9a-f]{64}", session.expect("Model: auto"))
    assert found is not None
    return found[0]


def test_metrics_are_shown_to_this_machine_and_to_a_builders_token(
    game: Game, player: Telnet, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    think(player, "How do the tides work?")
    shown = httpx.get(f"{game.web_url}/metrics", trust_env=False)
    assert shown.status_code == 200
    assert re.search(r'uniwizard_attempts_total\{backend="one",kind="\w+",outcome="answered"\} 1\.0', shown.text)
    assert "uniwizard_ledger_spill_rows 0.0" in shown.text

    def elsewhere(key: str) -> int:
        headers = {"x-forwarded-for": "203.0.113.9", "authorization": f"Bearer {key}"}
        return httpx.get(f"{game.web_url}/metrics", headers=headers, trust_env=False).status_code

    assert [elsewhere(key) for key in ("none", token(player), token(wizard))] == [401, 401, 200]


def test_a_config_that_is_broken_at_start_is_told_to_superusers_and_builders(
    game: Game, player: Telnet, upstream: FakeLLMThread
) -> None:
    good = (game.directory / "configs" / "backends.yaml").read_text()
    configure(game, good.replace("strengths", "strenghts"))
    try:
        game.reload()
        with game.telnet() as wizard:
            wizard.login(game.superuser.name, game.superuser.password)
            assert "The backends file has faults" in wizard.expect("backends/reload")
            wizard.send("backends")
            assert "strenghts" in all_said(wizard)
            configure(game, good)
            wizard.send("backends/reload")
            wizard.expect("The backends file is read")
            wizard.send("backends")
            assert "faults" not in all_said(wizard)
        with newcomer(game, "unaware") as other:
            other.send("backends")
            assert "strenghts" not in all_said(other)
    finally:
        configure(game, good)
