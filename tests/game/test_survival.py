"""Reload, kill -9, edits by an admin, a broken config: nothing is lost, nothing leaves, nothing comes alive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_llm import FakeLLMThread, models, status
from wired import (
    CLOSING,
    PASSWORD,
    address,
    all_said,
    config,
    configure,
    connected,
    held,
    newcomer,
    says,
    think,
    until,
    wired,
)

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

SECRET = "sk-very-secret-0451"
ONE = {"capabilities": ["tools", "json"], "timeout": 30, "allowed_fails": 0, "cooldown_time": 600}
CONFIG = config(ONE)
#: What Evennia's pager writes below a page; the last one may have nothing below it.
PAGE = re.compile(r"\[\d+/\d+\]|line 199 of many")


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game whose only backend is ours."""
    directory = tmp_path_factory.mktemp("survival") / "game"
    with wired(directory, CONFIG, UPSTREAM=address(provider), ONE_API_KEY=SECRET) as running:
        yield running


@pytest.fixture
def wizard(wizard: Telnet) -> Telnet:
    """The superuser, with the breaker closed."""
    wizard.send("backends/reset one")
    wizard.expect("breaker is closed")
    return wizard


# What leaves


def test_no_backend_learns_who_asked_where_or_from_which_address(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Zephyrine") as player:
        upstream.default = says("A fine morning to Person1Q, says I; and person_1Q it is.")
        shown = think(player, "Timmy, write a rhyme for zephyrine of Timmy's Workshop, that is Zephyrine.")
        assert "A fine morning to Timmy, says I; and Timmy it is." in shown
    sent = upstream.log[-1].everything.casefold()
    for term in ("zephyrine", "timmy", "workshop", "127.0.0.1:4", "wizard", "uniwizard"):
        # The provider's own address is its own business, whatever port it was given.
        own = upstream.url.split("/")[2]
        assert term not in sent.replace("uniwizard/", "").replace(own, ""), term
    assert set(upstream.log[-1].headers) <= {
        "host", "content-type", "content-length", "accept", "accept-encoding", "authorization", "user-agent",
        "connection",
    }  # fmt: skip


def test_the_secret_goes_to_its_own_backend_and_nowhere_else(
    game: Game, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    think(wizard, "hello")
    assert upstream.log[-1].headers["authorization"] == f"Bearer {SECRET}"
    wizard.send("backends one")
    all_said(wizard)
    assert "sk-very-secret" not in wizard.transcript
    assert "sk-very-secret" not in game.log_tail(10_000)
    for path in game.directory.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert b"sk-very-secret" not in path.read_bytes(), path


# What comes back


def test_hostile_text_is_shown_as_letters(wizard: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("\x1b[2J|rred|n |lclook|ltclick|le $eval(1+1) \x07\x08 \u202eevil {brace} ||bars")
    think(wizard, "hello")
    raw = wizard.transcript
    assert "|rred|n | lclook| ltclick| le $eval(1+1)" in raw
    assert "{brace} ||bars" in raw
    assert not re.search("[\x07\x08\u202e]", raw)


def test_a_long_answer_comes_a_page_at_a_time(wizard: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("\n".join(f"line {n} of many" for n in range(200)))
    wizard.send("think hello")
    first = wizard.expect("line 10 of many")
    assert "line 199" not in first
    for _ in range(20):
        shown = wizard.expect(PAGE)
        if "line 199 of many" in shown:
            break
        wizard.send("n")
    assert "line 199 of many" in shown
    wizard.send("q")
    all_said(wizard)


def test_cost_is_what_the_provider_reported_at_the_configured_price(wizard: Telnet) -> None:
    # 100 tokens in at 0.01 and 50 out at 0.02 USD per 1,000.
    assert "$0.0020]" in think(wizard, "hello")


# What survives


def test_a_thought_is_taken_up_again_after_a_reload(game: Game, wizard: Telnet, upstream: FakeLLMThread) -> None:
    think(wizard, "hello")
    upstream.go.clear()
    upstream.default = says("Late, but here.")
    wizard.send("think something slow")
    assert upstream.arrived.acquire(timeout=10)
    game.reload()
    upstream.go.set()
    wizard.expect("takes up your question again")
    wizard.expect("Late, but here.")
    wizard.expect(CLOSING)


def test_a_thought_is_taken_up_again_after_a_kill_when_its_player_is_back(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Lazarus") as player:
        upstream.go.clear()
        player.send("think something slow before the end")
        until(lambda: "something slow before the end" in held(game))
    game.kill9()
    upstream.go.set()
    upstream.default = says("Back from the dead.")
    game.start()
    with game.telnet() as player:
        player.login("Lazarus", PASSWORD)
        player.expect("takes up your question again")
        player.expect("Back from the dead.")


def test_a_question_asked_while_health_is_still_checked_is_asked_once(
    game: Game, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    upstream.probes = replace(models(), after=3.0)
    upstream.go.clear()
    while upstream.arrived.acquire(blocking=False):
        pass
    game.reload()
    for _ in range(20):
        wizard.send("think which tide comes first")
        if upstream.arrived.acquire(timeout=0.5):
            break
    wizard.quiet(4.0)
    upstream.go.set()
    wizard.expect(CLOSING)
    # The router looks for thoughts to take up every five seconds.
    wizard.send("py evennia.search_script('backend_router')[0].force_repeat(); print('loo' + 'ked')")
    wizard.expect("looked")
    assert "takes up your question again" not in all_said(wizard)
    assert sum("which tide comes first" in request.text for request in upstream.log) == 1


def test_an_answer_waits_for_a_player_who_has_left_meanwhile(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Absent") as player:
        upstream.go.clear()
        while upstream.arrived.acquire(blocking=False):
            pass
        player.send("think something slow")
        assert upstream.arrived.acquire(timeout=10)
    until(lambda: not connected(game, "Absent"))
    upstream.default = says("It was the wind.")
    upstream.go.set()
    with game.telnet() as player:
        player.login("Absent", PASSWORD)
        player.expect("found the answer to your question")
        player.expect("It was the wind.")
        player.expect(CLOSING)
        player.send("think/why")
        player.expect("something slow")
        player.expect("one answered")


@pytest.mark.parametrize("how", ["reload", "kill"])
def test_an_open_breaker_stays_open_for_the_rest_of_its_cooldown(
    game: Game, wizard: Telnet, upstream: FakeLLMThread, how: str
) -> None:
    upstream.default = status(500)
    wizard.send("think hello")
    wizard.expect("The lamp over one goes out")
    wizard.expect(CLOSING)
    # The thought is over when that is written, too; otherwise it would be told again in the midst of another test.
    until(lambda: not held(game))
    if how == "reload":
        game.reload()
    else:
        game.kill9()
        game.start()
    asked = len(upstream.log)
    with game.telnet() as session:
        session.login(game.superuser.name, game.superuser.password)
        session.send("backends")
        left = re.search(r"one +open, (\d+) s", session.expect(re.compile(r"\none .*\n")))
        assert left is not None
        assert 400 < int(left[1]) < 600
        session.send("think hello again")
        session.expect("[nobody, $")
        assert len(upstream.log) == asked, "an open breaker is not asked"


# What an admin does


def test_an_edit_of_a_health_attribute_takes_effect(wizard: Telnet) -> None:
    edit = (
        "py script = evennia.search_script('backend_router')[0]; "
        "kept = dict(script.attributes.get('one', category='health')); kept.update({}); "
        "script.attributes.add('one', kept, category='health')"
    )
    wizard.send(edit.replace("{}", "{'state': 'open', 'reason': 'because I say so'}"))
    all_said(wizard)
    wizard.send("route hello")
    assert "breaker open for" in (shown := wizard.expect("because I say so"))
    assert "Would ask: nobody" in shown
    wizard.send(edit.replace("{}", "{'state': 'closed'}"))
    all_said(wizard)
    wizard.send("route hello")
    wizard.expect("Would ask: one")


def test_an_edit_that_makes_no_sense_changes_nothing(wizard: Telnet) -> None:
    wizard.send("py evennia.search_script('backend_router')[0].attributes.add("
                "'one', {'state': 'sideways', 'fails': -3, 'latency_ms': 'quick'}, category='health')")  # fmt: skip
    all_said(wizard)
    wizard.send("route hello")
    wizard.expect("Would ask: one")
    wizard.send("backends one")
    wizard.expect("ready")


def test_a_broken_config_leaves_the_old_one_in_force_over_reload_and_restart(game: Game, wizard: Telnet) -> None:
    try:
        configure(game, config({**ONE, "api": "opnai"}))
        wizard.send("backends/reload")
        told = " ".join((wizard.expect("the old one stays in force") + all_said(wizard)).split())
        assert re.search(
            r'backends\.yaml:\d+: backends\.one\.api: "opnai" is unknown; allowed: openai, anthropic', told
        )
        game.reload()
        assert "All is well." in think(wizard, "hello")
    finally:
        configure(game, CONFIG)
        wizard.send("backends/reload")
        wizard.expect("The backends file is read")
