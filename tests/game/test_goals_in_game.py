"""Goals as players have them: planned, priced, worked at, told to whoever was away, and not lost in a kill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from browser import Browser
from fake_llm import FakeLLMThread, Request
from fake_llm.replies import REFUSAL, Reply
from wired import COST, address, config, newcomer, says, until, wired

from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet
from uniwizard.world.mark import MARK

CONFIG = config(two={"cost_per_1k": 0}, prefer=("one", "two"))
POEM = "A lamp on the bench, a borrowed voice, and sawdust in the air."
ENDED = re.compile(r"\[goal, [a-z]+, \d+ s, \$[\d.]+\]\n")
HASTE = (
    "UNIWIZARD_THINK_COOLDOWN = 0\nUNIWIZARD_GOAL_LIMITS = {'usd': 1.0, 'at_once': 50}\nUNIWIZARD_LEDGER_TEXTS = True\n"
    "UNIWIZARD_STANDING_GOALS = 'configs/mine.yaml'\n"
)
#: A goal by code, whose facts only deeds make true.
BY_CODE = (
    "py from twisted.internet.defer import Deferred; from uniwizard.world import goals; "
    "from evennia import search_object; from uniwizard.agent.goals import Goal; "
    "Deferred.fromCoroutine(goals.the().add(Goal.from_dict({goal}), str(search_object('{who}')[0].id)))"
)


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
        "print(Attempt.objects.filter(label='goal').aggregate(Sum('cost_usd'))['cost_usd__sum'] or 0)"
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
    shown = player.expect(re.compile(r", \d+ plans?\n"))
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
    player.send("goal/budget 0")
    player.expect("$0 at most")
    player.send("goal a castle for nothing")
    shown = player.expect(ENDED)
    assert "cannot be reached" in shown and "of its $0" in shown
    assert len(upstream.requests["one"]) == before


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
    assert re.search(r'passed: Is there a lamp in it\? \((one|two): "the lamp is there"\)', " ".join(shown.split()))
    assert "check 1" not in shown and "check_1" not in shown


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


def deed(wizard: Telnet, who: str, **goal: object) -> None:
    """Have code give ``who`` a goal."""
    wizard.send(BY_CODE.format(goal=goal, who=who))


def test_goals_look_go_say_and_build_with_their_owners_rights(
    game: Game, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    nothing = json.dumps({"steps": [{"name": "hope", "needs": [], "makes": ["hoped"], "instruction": "Hope."}]})
    upstream.default = brain(lambda text: nothing if "Propose at most" in text else POEM)
    wizard.send("dig The Yard = yard, back")
    wizard.expect("The Yard")
    deed(
        wizard, game.superuser.name, goal="describe the yard anew", wants=["built", "there"], options={"where": "yard"}
    )
    wizard.expect(ENDED)
    wizard.send("yard")
    assert POEM in wizard.expect("Exits")
    asked = next(request for request in upstream.log if request.method == "POST" and "This can be seen" in request.text)
    assert "You see nothing special" in asked.text or "yard" in asked.text.lower(), "it has looked"
    wizard.send("back")
    with newcomer(game, "Dora") as dora:
        deed(wizard, "Dora", goal="a greeting", wants=["said", "answered"])
        wizard.expect("for Dora")
        assert POEM in " ".join(wizard.quiet(1.0).split())
        dora.expect(ENDED)
        for wants, options, why in (
            (["built"], {}, "may not change"),
            (["said", "answered"], {"where": "yard"}, "takes a Builder"),
            (["seen"], {"where": "nowhere"}, "there is no way nowhere"),
        ):
            deed(wizard, "Dora", goal="mischief", wants=wants, options=options)
            assert why in " ".join(dora.expect(ENDED, 60).split())
        wizard.send("lock yard = traverse:perm(Admin)")
        wizard.expect("lock")
        deed(wizard, "Dora", goal="a peep", wants=["there"], options={"where": "yard"})
        assert "is closed to" in " ".join(dora.expect(ENDED, 60).split())


def test_the_overview_shows_the_queue_the_plan_and_the_cost(game: Game, upstream: FakeLLMThread) -> None:
    work, held = brain(lambda text: POEM), []

    def hold_checks(request: Request) -> Reply:
        if "Answer yes or no" in request.text:
            held.append(request)
            return Reply(end="hang")
        return work(request)

    upstream.default = hold_checks
    with newcomer(game, "Olga") as olga:
        olga.send("goal/budget 0.5")
        olga.expect("$0.5 at most")
        olga.send("goal a poem of <b>bold</b> men")
        until(lambda: held)
        with Browser(game.web_url) as browser:
            browser.login(game.superuser.name, game.superuser.password)
            page = browser.get("/uniwizard/now").text
            drawn = page[page.index("figure class=") :]
            assert 'class="step done"' in drawn and 'class="step begun"' in drawn
            assert re.search(r"\$0\.0020 of at most \$0\.5", drawn)
            assert "<b>bold" not in page and "&lt;b&gt;bold" in page
            (row,) = (row for row in json.loads(browser.get("/uniwizard/goals.json").text) if row["state"] == "working")
            assert (row["whose"], row["done"], row["under_way"], row["budget_usd"]) == ("Olga", "1 of 2", 1, 0.5)
        olga.send("goal/stop")


def test_standing_goals_post_describe_and_answer(game: Game, wizard: Telnet, upstream: FakeLLMThread) -> None:
    def work(text: str) -> str:
        if "posted on the board" in text:
            return "It was decided that the pier is mended on Monday."
        if "Describe this place" in text:
            return "A low room full of jars, with sawdust on the floor and a lamp."
        return "Q: How do tides work? A: The moon pulls on the water."

    upstream.default = brain(work)
    wizard.send("think how do tides work?")
    wizard.expect("[one,")
    wizard.send("channel/sub Public")
    wizard.send("public Ada says the pier will be mended on Monday.")
    wizard.expect("mended on Monday")
    wizard.send("tag here = fresh:uniwizard")
    wizard.quiet(0.5)
    (game.directory / "configs" / "mine.yaml").write_text((CONFIGS / "goals.yaml").read_text())
    wizard.send("py from uniwizard.world import goals, standing; standing._looked = 0.0; standing.look(goals.the())")
    wizard.expect("It was decided that the pier is mended on Monday", 30)
    asked = "\n".join(r.text for r in list(upstream.log) if r.method == "POST")
    assert "the pier will be mended" in asked and "how do tides work" in asked

    def described() -> bool:
        wizard.send("look")
        return "A low room full of jars" in wizard.quiet(0.5)

    until(described, 30)
    until(lambda: "The moon pulls" in (wizard.send("help faq") or wizard.quiet(0.5)), 30)
    wizard.send("py here.db.desc_before[:20]")
    assert "A low room" not in wizard.quiet(0.5), "the former description is kept"


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
