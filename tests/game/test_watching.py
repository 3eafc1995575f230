"""What those who run a game see of it, in a real one: /metrics, drift, and a config with faults."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from browser import Browser
from fake_llm import FakeLLMThread, refusal
from wired import HASTE, PASSWORD, address, all_said, config, configure, newcomer, says, think, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    directory = tmp_path_factory.mktemp("watching") / "game"
    settings = HASTE + "UNIWIZARD_PUBLIC_STATUS = True\n"
    with wired(directory, config(), settings, UPSTREAM=address(provider)) as running:
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


def test_the_overview_is_for_staff_all_of_it_for_players_their_own_and_for_others_a_strip(
    game: Game, upstream: FakeLLMThread
) -> None:
    with newcomer(game, "Ottilie") as ottilie, newcomer(game, "Bartholomew") as bartholomew:
        think(ottilie, "How do the tides work?")
        upstream.default = refusal()
        think(bartholomew, "How does the wind blow?")
        upstream.default = says()
        think(bartholomew, "And the rain?")
    with Browser(game.web_url) as staff:
        staff.login(game.superuser.name, game.superuser.password)
        shown = staff.get("/uniwizard/")
        assert shown.status_code == 200
        for word in ("Ottilie", "Bartholomew", "Backends now", "one refused", "<svg", "p95"):
            assert word in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert "http://" not in shown.text.replace(game.web_url, "")
        players = {row["player"]: row["attempts"] for row in staff.get("/uniwizard/by_player.json").json()}
        assert (players["Ottilie"], players["Bartholomew"]) == (1, 2)
        rows = staff.get("/uniwizard/by_backend.csv?player=Bartholomew").text.splitlines()
        assert rows[0].startswith("backend,attempts,success")
        assert rows[1].startswith("one,2,0.5,0.5")
        assert staff.get("/uniwizard/troubles.json?kind=nothing").json() == []
        assert staff.get("/uniwizard/by_backend.json?from=2020-01-01&to=2020-02-01").json() == []
        assert staff.get("/uniwizard/by_nothing.json").status_code == 404
        assert "Backends now" in staff.get("/uniwizard/now").text
        found = staff.get("/admin/ledger/attempt/?q=Bartholomew").text
        assert found.count('class="field-brain') == 2
        assert "Ottilie" not in found.partition('id="result_list"')[2]
        for page in ("/", "/admin/", "/admin/django/", "/admin/ledger/overview/"):
            assert "/uniwizard/" in staff.get(page).text, page
    with Browser(game.web_url) as player:
        player.submit("/auth/login/", username="Ottilie", password=PASSWORD, next="/uniwizard/")
        shown = player.get("/uniwizard/?player=Bartholomew")
        assert "Under way now" in shown.text
        assert "Bartholomew" not in shown.text
        assert [row["attempts"] for row in player.get("/uniwizard/by_backend.json").json()] == [1]
        assert player.get("/uniwizard/troubles.json").json() == []
        assert player.get("/uniwizard/by_player.json").status_code == 404
    with Browser(game.web_url) as stranger:
        strip = stranger.get("/uniwizard/").text
        assert "one: ready" in strip
        assert "Ottilie" not in strip
        assert stranger.get("/uniwizard/now").status_code == 404
        assert "login" in str(stranger.get("/uniwizard/by_player.json").url)
