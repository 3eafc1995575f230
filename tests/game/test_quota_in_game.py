"""Quotas in a real game: shown as bars to players and admins, kept and edited as an Attribute, and never forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from upstream import Upstream

from server.uniwizard.game import Game
from server.uniwizard.own_game import own_game
from server.uniwizard.telnet import Telnet

CONFIG = """
version: 1
practice: never
backends:
  one:
    api: openai
    url: ${UPSTREAM}
    model: asked
    api_key: ${ONE_API_KEY}
    strengths: [speed]
    max_context: 8000
    max_tokens: 1000
    retries: 0
    quota: [{limit: 10, unit: requests, per: month}]
rules: [{kinds: ["*"], prefer: [one]}]
"""
CLOSING = re.compile(r"\[[a-z]+, ([\d.]+ s, )?\$[\d.]+\]\n")
EDIT = (
    "py script = evennia.search_script('backend_router')[0]; "
    "kept = dict(script.attributes.get('one', category='quota')); "
    "kept['windows'] = {'requests per month': {'used': %s}}; script.attributes.add('one', kept, category='quota')"
)


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A running game whose only backend may be asked ten times a month."""
    directory: Path = tmp_path_factory.mktemp("metered") / "game"
    with Upstream() as upstream:
        environ = {"UPSTREAM": upstream.url, "ONE_API_KEY": "sk-one"}
        game = own_game(directory, environ=environ, settings="UNIWIZARD_THINK_COOLDOWN = 0\n")
        (game.directory / "configs" / "backends.yaml").write_text(CONFIG)
        try:
            game.prepare()
            game.start()
            yield game
        finally:
            game.stop()


@pytest.fixture
def wizard(metered: Game) -> Iterator[Telnet]:
    with metered.telnet() as session:
        session.login(metered.superuser.name, metered.superuser.password)
        session.quiet(0.3)
        yield session


def used(session: Telnet) -> str:
    session.send("backends one")
    return re.search(r"(\d+%) of 10 requests", session.expect("of 10 requests per month"))[1]  # type: ignore[index]


def set_used(session: Telnet, requests: int) -> None:
    session.send(EDIT % requests)
    session.quiet(0.5)


def test_a_thought_is_seen_in_the_bars_of_the_game_and_of_the_admin(metered: Game, wizard: Telnet) -> None:
    assert used(wizard) == "0%"
    wizard.send("think hello")
    wizard.expect(CLOSING)
    assert used(wizard) == "10%"
    with Browser(metered.web_url) as browser:
        browser.login(metered.superuser.name, metered.superuser.password)
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


def test_neither_a_reload_nor_a_kill_forgets_what_was_used(metered: Game, wizard: Telnet) -> None:
    set_used(wizard, 5)
    assert used(wizard) == "50%"
    wizard.send("think hello")
    wizard.expect(CLOSING)
    assert used(wizard) == "60%"
    metered.reload()
    with metered.telnet() as session:
        session.login(metered.superuser.name, metered.superuser.password)
        assert used(session) == "60%"
        session.send("think hello again")
        session.expect(CLOSING)
    metered.kill9()
    metered.start()
    with metered.telnet() as session:
        session.login(metered.superuser.name, metered.superuser.password)
        assert used(session) == "70%", "the ledger tells what the Attribute did not hold by then"
