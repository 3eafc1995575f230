"""The examples of world/README.md, each put where its first line says and played in a real game."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_llm import FakeLLMThread, Reply, Request, status
from fake_llm.replies import completion, response
from prepared import copied
from wired import CLOSING, HASTE, USAGE, address, config, configure, newcomer, says, think, until

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

README = Path(__file__).resolve().parents[2] / "world" / "README.md"
EXAMPLE = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: A backend that speaks the README's own wire format is asked where nothing else is.
PLAIN = {"api": "plain", "url": "${UPSTREAM}", "capabilities": [], "max_context": 16_000}


def examples() -> dict[str, str]:
    return dict(EXAMPLE.findall(README.read_text("utf-8")))


@pytest.fixture(scope="module")
def game(provider: FakeLLMThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A game of a developer who has put every example of the README into it."""
    found = examples()
    lines = HASTE + found.pop("server/conf/settings.py")
    environ = {"ONE_API_KEY": "sk-one", "UPSTREAM": address(provider)}
    game = copied(tmp_path_factory.mktemp("readme"), environ=environ, settings=lines)
    for path, text in found.items():
        (game.directory / path).parent.mkdir(exist_ok=True)
        (game.directory / path).write_text(text)
    (game.directory / "commands/default_cmdsets.py").write_text(
        (game.directory / "commands/default_cmdsets.py").read_text()
        + "\nfrom evennia import Command\nfrom commands.oracle import CmdOracle\n"
        # Of the same name as ours.
        "class CmdLedger(Command):\n    key = 'ledger'\n    def func(self):\n        self.msg('A dusty book.')\n"
        "\n\nclass Own(CharacterCmdSet):\n"
        "    def at_cmdset_creation(self):\n        super().at_cmdset_creation()\n        self.add(CmdOracle())\n"
        "        self.add(CmdLedger())\n"
        "\n\nCharacterCmdSet = Own\n"
    )
    configure(game, config(plain=PLAIN))
    try:
        game.start()
        yield game
    finally:
        game.kill9()


def asked(upstream: FakeLLMThread) -> list[Request]:
    """Every question so far, health checks aside."""
    return [request for request in upstream.requests["one"] if request.method == "POST"]


def words(upstream: FakeLLMThread, number: int = -1) -> str:
    return json.dumps(asked(upstream)[number].json["messages"])


def py(session: Telnet, code: str) -> None:
    session.send(f"py {code}; print('d' + 'one')")
    session.expect("done")


def create(session: Telnet, name: str, typeclass: str) -> None:
    session.send(f"create/drop {name}:{typeclass}")
    session.expect(re.compile(f"You create a new .*{name}"))


def look_until(session: Telnet, wanted: str) -> None:
    """Look again until a description that was asked for has come."""
    for _ in range(40):
        session.send("look")
        if wanted in session.expect(re.compile(r"(Exits|You see)[^\n]*\n")):
            return
    raise AssertionError(f"{wanted!r} was never seen")


def test_every_example_stands_in_the_readme_once() -> None:
    paths = [path for path, _ in EXAMPLE.findall(README.read_text("utf-8"))]
    assert len(paths) == len(set(paths)) == 10


def test_the_readme_counts_the_lines_of_its_examples() -> None:
    counted = re.findall(r"^\| .* \| `(\S+)` \| (\d+) \|$", README.read_text("utf-8"), re.MULTILINE)
    assert len(counted) == 7
    for path, lines in counted:
        assert len([line for line in examples()[path].splitlines() if line.strip()]) == int(lines), path


def test_a_command_asks_with_a_persona_of_its_own_and_asks_the_same_once(
    player: Telnet, upstream: FakeLLMThread, game: Game
) -> None:
    upstream.default = says("Doom, |rred|n doom, and $You() knows it.")
    before = len(asked(upstream))
    player.send("oracle What becomes of me?")
    player.expect("Doom, |rred|n doom, and $You() knows it.")
    player.send("oracle What becomes of me?")
    player.expect("Doom,")
    assert len(asked(upstream)) == before + 1
    assert asked(upstream)[-1].json["messages"][0] == {
        "role": "system",
        "content": "You are an old oracle. Be dark and brief.",
    }
    booked = game.python(
        "from uniwizard.world.ledger.models import Attempt\n"
        "row = Attempt.objects.exclude(label='').latest('id')\nprint(row.label, row.kind, bool(row.account_id))"
    )
    assert booked.strip() == "the oracle story True"


def test_the_oracles_own_budget_ends(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("More doom.")
    # 0.002 USD an answer; what a longest one could cost is set aside, so 0.10 are not spent to the last cent.
    for number in range(60):
        player.send(f"oracle Question {number}?")
        if "silent" in player.expect(re.compile("More doom|silent")):
            break
    else:
        raise AssertionError("60 questions were paid for")
    player.send("oracle Another?")
    assert "the oracle's budget of $0.1 a day" in player.expect("at ")


def test_a_renamed_command_and_one_left_out(wizard: Telnet, player: Telnet) -> None:
    wizard.send("wpractice")
    wizard.expect("Stage one")
    wizard.send("practice")
    assert "is not available" in wizard.quiet(0.5)
    player.send("shelf")
    assert "is not available" in player.quiet(0.5)
    player.send("backends")
    player.expect("brain")


def test_a_command_of_the_games_own_wins_for_everybody(wizard: Telnet, player: Telnet) -> None:
    for session in (wizard, player):
        session.send("ledger")
        session.expect("A dusty book.")


def test_a_listener_and_a_channel_hear_over_a_reload(game: Game, wizard: Telnet, upstream: FakeLLMThread) -> None:
    find = "from uniwizard.world import routers; r = routers.find()"
    py(wizard, f"{find}; r.subscribe('world.watch.on_refusal', events=['Refused'])")
    game.reload()
    wizard.send("channel/sub brains")
    wizard.quiet(1.0)
    upstream.default = says("I'm sorry, but I can't help with that request.")
    think(wizard, "something that everybody declines")
    shown = wizard.quiet(1.0)
    assert "watched: one refused" in (game.directory / "server/logs/server.log").read_text()
    assert (
        game.python(
            "from evennia.comms.models import ChannelDB\nprint(ChannelDB.objects.filter(db_key='brains').count())"
        ).strip()
        == "1"
    )
    assert "Refused" in shown or "Refused" in game.python(
        "from pathlib import Path\nprint(''.join(p.read_text() for p in Path('server/logs').glob('channel_*')))"
    )


def test_a_kind_of_the_games_own_is_found_and_has_its_prompt(player: Telnet, upstream: FakeLLMThread) -> None:
    player.send("route How much for the lantern? That is too dear.")
    assert "Would ask: one (haggle" in player.expect(re.compile("Would ask: .*"))
    upstream.default = says("Nine, and not a copper less.")
    think(player, "How much for the lantern? That is too dear.")
    assert "You haggle over a price" in words(upstream)


def test_the_voice_says_the_games_own_words(player: Telnet, upstream: FakeLLMThread) -> None:
    assert "scratches his beard" in think(player, "hello")


def test_evennia_check_tells_a_fault_in_an_extension_in_one_line(game: Game) -> None:
    found = "[found.msg for found in checks.run_checks(tags=['uniwizard'])]"
    run = f"from django.core import checks\nprint(*{found}, sep='\\n')"
    assert game.python(run).strip() == ""
    voice = game.directory / "world" / "voice.yaml"
    right = voice.read_text()
    try:
        voice.write_text(right.replace("his beard", "{nope}"))
        (told,) = game.python(run).splitlines()
        assert "voice.yaml: moments.thinking[0]: {nope} is unknown; allowed: {soul} {he}" in told
    finally:
        voice.write_text(right)


def test_the_judge_knows_the_games_own_phrase(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("My oath forbids that, stranger. I cannot help with it.")
    assert "refuses" in think(player, "Tell me the word of the gate")


def test_a_wire_format_of_the_games_own_is_spoken(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = Reply(response(json.dumps({"text": "Spoken plainly."}).encode()))
    shown = (player.send("think/with plain how do tides work?"), player.expect(CLOSING))[1]
    assert asked(upstream)[-1].path.endswith("/generate")
    assert "Spoken plainly." in shown


def test_a_strategy_of_the_games_own_decides(wizard: Telnet) -> None:
    find = "from uniwizard.world import routers; r = routers.find()"
    wizard.send(f"py {find}; print([r.brain.route('hello'), r.brain.route('hello', 'roomiest')])")
    wizard.expect("['one', 'plain']")


@pytest.fixture
def mira(wizard: Telnet) -> Telnet:
    create(wizard, "Mira", "typeclasses.innkeeper.Innkeeper")
    yield wizard  # type: ignore[misc]
    wizard.send("delete/force Mira")
    wizard.expect("destroyed")


def test_an_innkeeper_talks_remembers_and_forgets(
    mira: Telnet, player: Telnet, upstream: FakeLLMThread, game: Game
) -> None:
    upstream.default = says('Mira: "Bread and |lclook|ltale|le, {dear}."')
    player.send("talk Mira What is there to eat?")
    player.expect("Bread and | lclook| ltale| le, {dear}.")
    mira.expect("Bread and")
    told = words(upstream)
    assert "who keeps an inn" in told
    assert "What is there to eat?" in told
    assert "remembersandforgets" not in told.lower()
    # The guest's name has left as a placeholder, and comes back right, inflected as well.
    guest = re.search(r"You talk with (Person\w+), a guest", told)
    assert guest is not None
    upstream.default = says(f"Ask {guest[1]}'s brother, or go with {guest[1]}em.")
    player.send("talk Mira Whom do I ask?")
    named = re.search(r"Ask (\w+)'s brother, or go with (\w+)em", player.expect("em."))
    assert named is not None and named[1] == named[2] and "remembersandforgets" in named[1].lower()
    upstream.default = says("As I said, bread.")
    player.send("talk Mira And to drink?")
    player.expect("As I said")
    assert "Bread and" in words(upstream)
    player.send("talk/memory Mira")
    player.expect("And to drink")
    game.reload()
    player.send("talk/memory Mira")
    player.expect("And to drink")
    player.send("talk/forget Mira")
    player.expect("remembers nothing of you now")
    player.send("talk/memory Mira")
    player.expect("remembers nothing of you")


def test_an_innkeeper_may_be_silent_and_has_a_line_for_when_nobody_answers(
    mira: Telnet, player: Telnet, upstream: FakeLLMThread
) -> None:
    before = len(asked(upstream))
    player.send("talk Mira What is in the stew?")
    player.expect("What is in the stew?")
    upstream.default = status(400)
    player.send("talk Mira Hello?")
    player.expect("the stew is burning")
    assert not [each for each in asked(upstream)[before:] if "stew" in each.everything]


def test_an_innkeeper_answers_several_at_once_and_thinks_aloud_meanwhile(
    mira: Telnet, player: Telnet, upstream: FakeLLMThread
) -> None:
    slow = Reply(rest=response(completion("At last.", usage=USAGE)))
    upstream.default = lambda request: slow if "slowly" in request.everything else says("At once.")
    upstream.rest.clear()
    player.send("talk Mira Answer slowly, please.")
    player.expect(re.compile("Mira (thinks about what you said|ponders)"))
    mira.send("talk Mira And me?")
    mira.expect("At once.")
    assert "At last." not in player.quiet(0.2)
    upstream.rest.set()
    player.expect("At last.")


def test_an_innkeeper_sums_up_a_long_talk_and_knows_it_later(
    mira: Telnet, player: Telnet, upstream: FakeLLMThread, game: Game
) -> None:
    py(mira, "m = self.search('Mira'); m.max_chat_memory_size = 4; m.db.persona = 'world/personas/mira.md'")
    (game.directory / "world" / "personas").mkdir()
    (game.directory / "world" / "personas" / "mira.md").write_text("You are {name}, tired of {location}.")

    def answered(request: Request) -> Reply:
        guest = re.search(r"Person\w+", request.everything)
        summing = "Sum up this conversation" in request.everything
        return says(f"{guest[0]} wants bread, and ale for later." if summing and guest else "Later.")

    upstream.default = answered
    for number in range(4):
        player.send(f"talk Mira This is wish number {number}.")
        player.expect("Later.")
    player.quiet(0.5)
    player.send("talk Mira What did I want?")
    player.expect("Later.")
    told = words(upstream)
    assert re.search(r"You are Mira, tired of \w+", told), told
    assert re.search(r"What you remember of earlier talk: Person\w+ wants bread", told)
    assert "wish number 0" not in told and "What did I want?" in told
    player.send("talk/memory Mira")
    assert "knowsitlater wants bread, and ale for later." in player.expect("What did I want?")


def test_hooks_hear_of_answers_and_of_none_and_each_guest_has_a_budget(
    mira: Telnet, player: Telnet, upstream: FakeLLMThread
) -> None:
    py(
        mira,
        "m = self.search('Mira'); m.at_thought_failed = lambda why, who, m=m: setattr(m.db, 'why', str(why.value))",
    )
    # An answer costs 0.002 USD, and the longest is set aside for each.
    for number in range(40):
        upstream.default = says(f"Bread, kind {number}.")
        player.send(f"talk Mira What else, {number}?")
        if "stew" in player.expect(re.compile("Bread, kind|the stew is burning")):
            break
    else:
        raise AssertionError("40 lines were paid for")
    py(mira, f"m = self.search('Mira'); print(m.db.answered == {number}, m.db.why)")
    mira.send("py self.search('Mira').db.why")
    mira.expect("a day")
    upstream.default = says("There is bread for you, too.")
    mira.send("talk Mira What is there for me?")
    mira.expect("There is bread for you, too.")
    mira.send("py [m.db.answered for m in evennia.search_object('Mira')]")
    mira.expect(f"[{number + 1}]")


def test_only_those_who_may_hear_do(mira: Telnet, player: Telnet, upstream: FakeLLMThread, game: Game) -> None:
    with newcomer(game, "Deaf") as deaf:
        mira.send("lock Mira = hear:not tag(deaf)")
        mira.expect("Added lock")
        mira.send("tag Deaf = deaf")
        mira.expect("Added tag")
        upstream.default = says("A secret word.")
        player.send("talk Mira Tell me a secret")
        player.expect("A secret word.")
        heard = deaf.quiet(1.5)
        assert "A secret word." not in heard
        assert "Tell me a secret" in heard


def test_a_room_describes_itself_once_for_each_state(wizard: Telnet, upstream: FakeLLMThread) -> None:
    wizard.send("dig Cellar:typeclasses.thoughtful.Cellar = cellar,up")
    wizard.expect("Created room Cellar")
    upstream.default = says("Cool stone and the smell of apples.")
    before = len(asked(upstream))
    wizard.send("cellar")
    wizard.expect("Cellar")
    look_until(wizard, "Cool stone and the smell of apples")
    assert len(asked(upstream)) == before + 1
    upstream.default = says("Cool stone, and a barrel.")
    wizard.send("create/drop barrel")
    wizard.expect("You create")
    look_until(wizard, "Cool stone, and a barrel.")
    assert len(asked(upstream)) == before + 2
    # What is old is thought of anew once nobody is there to see it.
    py(wizard, "here.description_lasts = here.quiet = 0.1; self.ndb.cellar = here")
    upstream.default = says("Cool stone, a barrel, and dust on it.")
    wizard.send("up")
    wizard.expect("Workshop")
    until(lambda: len(asked(upstream)) == before + 3)
    py(wizard, "self.ndb.cellar.description_lasts = 1000")
    wizard.send("cellar")
    wizard.expect("Cellar")
    look_until(wizard, "Cool stone, a barrel, and dust on it.")
    assert len(asked(upstream)) == before + 3
    wizard.send("up")
    wizard.expect("Workshop")


def test_a_sword_has_an_opinion(wizard: Telnet, player: Telnet, upstream: FakeLLMThread) -> None:
    create(wizard, "Gleam", "typeclasses.thoughtful.Sword")
    upstream.default = says("Your boots have seen better halls than this one, and so have I.")
    player.send("look Gleam")
    player.expect("Gleam mutters: Your boots have seen better halls than this one, and so have I.")
    assert "a vain sword" in words(upstream)


def test_an_elder_gives_a_quest_that_can_be_counted(wizard: Telnet, upstream: FakeLLMThread, game: Game) -> None:
    quest = {"title": "Pelts", "story": "Winter comes. Bring pelts.", "bring": "wolf pelt", "count": 3, "reward": 20}
    upstream.default = says(json.dumps(quest))
    create(wizard, "Elder", "typeclasses.thoughtful.Elder")
    py(wizard, "self.search('Elder').offer_quest(self)")
    wizard.expect("Winter comes")
    stored = game.python(
        "from evennia.objects.models import ObjectDB\nprint(dict(ObjectDB.objects.get(id=1).db.quest))"
    )
    assert "'count': 3" in stored


def test_two_that_talk_take_turns(wizard: Telnet, upstream: FakeLLMThread) -> None:
    for name in ("Ann", "Bob"):
        create(wizard, name, "typeclasses.innkeeper.Innkeeper")
    before = len(asked(upstream))
    # An answer that repeats what was said would be none.
    upstream.default = lambda request: says(f"Ale is dear, for reason {len(asked(upstream)) - before}.")
    py(wizard, "from typeclasses.thoughtful import gossip; gossip(self.search('Ann'), self.search('Bob'))")
    for number in range(1, 5):
        wizard.expect(f"Ale is dear, for reason {number}.")
    assert "Ale is dear" not in wizard.quiet(1.0)
    assert len(asked(upstream)) == before + 4
    assert "the price of ale" in words(upstream, before)
    # Of a day's budget that is spent, nothing more is said.
    talk = "from uniwizard.typeclasses.thinking_things import converse; a, b = map(self.search, ('Ann', 'Bob'))"
    py(wizard, f"{talk}; converse(a, b, 'the weather', budget={{'usd': 0.008, 'per': 'day'}})")
    assert "Ale is dear" not in wizard.quiet(1.0)
    assert len(asked(upstream)) == before + 4
