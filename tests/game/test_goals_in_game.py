"""Goals as players have them: planned, priced, worked at, told to whoever was away, and not lost in a kill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from fake_llm import FakeLLMThread, Request
from fake_llm.replies import REFUSAL, Reply
from wired import COST, address, config, newcomer, says, until, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet
from uniwizard.world.mark import MARK

CONFIG = config(two={"cost_per_1k": 0}, prefer=("one", "two"))
POEM = "A lamp on the bench, a borrowed voice, and sawdust in the air."
ENDED = re.compile(r"\[goal, [a-z]+, \d+ s, \$[\d.]+\]\n")
HASTE = "UNIWIZARD_THINK_COOLDOWN = 0\nUNIWIZARD_GOAL_LIMITS = {'usd': 1.0, 'at_once': 50}\n"


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    with wired(tmp_path_factory.mktemp("goals") / "game", CONFIG, HASTE, UPSTREAM=address(provider)) as running:
        yield running


def brain(work: Callable[[str], str], passes: Callable[[str], bool] = lambda text: True) -> Callable[[Request], Reply]:
    """A provider that says ``work`` of the prompt, and answers the questions of checks."""

    def reply(request: Request) -> Reply:
        if "Answer yes or no" in request.text:
            evidence = "the lamp is there" if passes(request.text) else "there is no lamp in it"
            return says(json.dumps({"yes": passes(request.text), "evidence": evidence}))
        return says(work(request.text))

    return reply


def spent(game: Game) -> float:
    """What the ledger says that goals cost."""
    told = game.python(
        "from django.db.models import Sum\nfrom uniwizard.world.ledger.models import Attempt\n"
        "print(Attempt.objects.filter(label='goal').aggregate(Sum('cost_usd'))['cost_usd__sum'])"
    )
    return float(told.strip())


def test_from_the_wish_to_the_result(game: Game, player: Telnet, wizard: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = brain(lambda text: POEM)
    player.send("goal/check Is there a lamp in it?")
    player.expect("must pass")
    player.send("goal/plan a poem of the workshop")
    shown = player.expect("Yes or no?")
    assert "1. ask: answer in one go; makes answered" in shown and "In all about $" in shown
    player.send("yes")
    player.expect("pins it to the wall")
    shown = player.expect(ENDED)
    assert POEM in shown and "has reached your goal" in shown
    for text in (POEM, "poem of"):
        assert text not in wizard.quiet(0.3), "the room does not hear what it is about"
    player.send("goals")
    assert re.search(r"1 +reached +2/2 +\$0\.00\d+ +a poem", player.expect("a poem of the workshop"))
    player.send("goal/why")
    shown = player.expect("plans")
    assert "passed: Is there a lamp in it?" in shown
    player.send("goal/share")
    wizard.expect(POEM)
    assert "Is there a lamp" not in next(r.text for r in upstream.requests["one"] if "poem" in r.text)


def test_no_is_no_and_a_budget_is_a_budget(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = brain(lambda text: POEM)
    before = len(upstream.requests["one"])
    player.send("goal/plan a castle")
    player.expect("Yes or no?")
    player.send("no")
    player.expect("lets it be")
    player.send("goal/budget 0.0001")
    player.expect("$0.0001 at most")
    player.send("goal a castle in the air")
    assert "cannot be reached" in player.expect(ENDED)
    assert len(upstream.requests["one"]) == before
    player.send("goal/budget 7")
    player.expect("from 0 to 1")


def test_what_fails_its_check_is_done_in_another_way_and_the_price_is_the_ledgers(
    game: Game, player: Telnet, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    upstream.default = brain(
        lambda text: POEM if "A critic says" in text else "Roses are red and violets are blue, says everyone.",
        lambda text: "lamp on the bench" in text,
    )
    player.send("goal/check Is there a lamp in it?")
    player.expect("must pass")
    before = spent(game)
    player.send("goal a better poem")
    shown = player.expect(ENDED)
    assert "shakes his head over what one made" in shown and POEM in shown
    found = re.search(r"\[goal, reached, \d+ s, \$([\d.]+)\]", shown)
    assert found is not None
    assert float(found[1]) == pytest.approx(spent(game) - before, rel=0.01)
    assert float(found[1]) >= 4 * COST
    player.send("goal/result")
    shown = player.expect(ENDED)
    assert "research" in shown and "critique" in shown, "the parts"


def test_a_refusal_is_seen_and_a_result_waits_for_whoever_is_away(
    game: Game, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    upstream.go.clear()
    with newcomer(game, "Gone") as gone:
        gone.send("goal a poem for later")
        gone.expect("pins it to the wall")
    upstream.default = brain(lambda text: REFUSAL if "for later" in text else POEM)
    upstream.go.set()
    wizard.expect(re.compile(r"(one|two) refuses"))
    with game.telnet() as back:
        back.login("Gone", "tjo-hopp-99")
        shown = back.expect(ENDED, 30)
        assert f"{MARK} While you were away" in shown or "cannot be reached" in shown


@pytest.mark.parametrize("end", ["reload", "kill"])
def test_a_goal_goes_on_after_the_server_has_ended(game: Game, upstream: FakeLLMThread, end: str) -> None:
    work, held = brain(lambda text: POEM), []

    def hold_the_first_check(request: Request) -> Reply:
        if "Answer yes or no" in request.text and not held:
            held.append(request)
            return Reply(end="hang")
        return work(request)

    upstream.default = hold_the_first_check
    with newcomer(game, f"{end.capitalize()}ed") as player:
        player.send(f"goal a poem of {end}s")
        until(lambda: held)
        if end == "reload":
            game.reload()
            assert POEM in player.expect(ENDED, 40)
        else:
            game.kill9()
    if end == "kill":
        game.start()
        with game.telnet() as back:
            back.login("Killed", "tjo-hopp-99")
            assert POEM in back.expect(ENDED, 40)
    asked = [r for r in list(upstream.log) if r.method == "POST" and f"a poem of {end}s" in r.text]
    assert len([r for r in asked if "Answer yes or no" not in r.text]) == 1, "paid twice"
