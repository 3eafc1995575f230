"""Quotas in a real game: shown as bars to players and admins, kept and edited as an Attribute, and never forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from browser import Browser
from fake_llm import FakeLLMThread
from wired import address, config, think, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

CONFIG = config({"max_tokens": 1000, "quota": [{"limit": 10, "unit": "requests", "per": "month"}]})
EDIT = (
    "py script = evennia.search_script('backend_router')[0]; "
    "kept = dict(script.attributes.get('one', category='quota') or {}); "
    "kept['windows'] = {'requests per month': {'used': %s}}; script.attributes.add('one', kept, category='quota'); "
    "print('edi' + 'ted')"
)


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game whose only backend may be asked ten times a month."""
    with wired(tmp_path_factory.mktemp("metered") / "game", CONFIG, UPSTREAM=address(provider)) as running:
        yield running


def used(session: Telnet) -> str:
    session.send("backends one")
    return re.search(r"(\d+%) of 10 requests", session.expect("of 10 requests per month"))[1]  # type: ignore[index]


def set_used(session: Telnet, requests: int) -> None:
    session.send(EDIT % requests)
    session.expect("edited")


def test_a_thought_is_seen_in_the_bars_of_the_game_and_of_the_admin(game: Game, wizard: Telnet) -> None:
    assert used(wizard) == "0%"
    think(wizard, "hello")
    assert used(wizard) == "10%"
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        page = browser.get("/admin/ledger/brain/one/").text
    assert "1 of 10 requests per month, resets" in page
    assert '<div class="ledger-meter fine"><div><b style="width: 10.0%"></b><i style="left: ' in page


def test_an_edit_of_the_quota_attribute_takes_effect_and_nonsense_does_not(wizard: Telnet) -> None:
    set_used(wizard, 10)
    wizard.send("route hello")
    assert "Would ask: nobody" in wizard.expect("10 requests per month used up; resets")
    set_used(wizard, -3)
    assert used(wizard) == "100%"
    set_used(wizard, 4)
    assert used(wizard) == "40%"
    wizard.send("route hello")
    wizard.expect("Would ask: one")


def test_neither_a_reload_nor_a_kill_forgets_what_was_used(game: Game, wizard: Telnet) -> None:
    set_used(wizard, 5)
    assert used(wizard) == "50%"
    think(wizard, "hello")
    assert used(wizard) == "60%"
    game.reload()
    with game.telnet() as session:
        session.login(game.superuser.name, game.superuser.password)
        assert used(session) == "60%"
        think(session, "hello again")
    game.kill9()
    game.start()
    with game.telnet() as session:
        session.login(game.superuser.name, game.superuser.password)
        assert used(session) == "70%", "the ledger tells what the Attribute did not hold by then"
