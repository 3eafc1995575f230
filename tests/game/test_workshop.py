"""What a player sees in the Workshop, over real telnet; every brain is in practice."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest
from prepared import copied
from wired import all_said

from uniwizard.server.game.demo import scenes
from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import NotSeen, Telnet

CLOSING = re.compile(r"\[(?P<key>[a-z]+), [\d.]+ s, \$[\d.]+\]\n")


#: Forgets what other tests have made the brains decline and fail in, which would count when the next one is chosen.
FORGIVE = (
    "py brain = evennia.search_script('backend_router')[0].ndb.brain; "
    "[(health.by_kind.clear(), health.restore({'success_rate': 1.0})) for health in brain.registry]; "
    "print('for' + 'given')"
)


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A running game as it comes, without any key."""
    stage = copied(tmp_path_factory.mktemp("workshop") / "game")
    try:
        stage.start()
        yield stage
    finally:
        stage.kill9()


@pytest.fixture
def builder(wizard: Telnet) -> Iterator[Telnet]:
    """The superuser, among brains without a past; every scene is over and every breaker closed when the test ends."""
    wizard.send(FORGIVE)
    wizard.expect("forgiven")
    yield wizard
    for key in ("local", "claude", "kimi", "gpt", "gemini", "grok"):
        for command in (f"practice {key} = real", f"backends/reset {key}", f"backends/enable {key}"):
            wizard.send(command)
    wizard.expect("grok is back on the shelf")


def think(session: Telnet, command: str, timeout: float = 30.0) -> str:
    """Have a first thought; all that is shown, the closing line with it."""
    session.send(command)
    return session.expect(CLOSING, timeout)


def stage(session: Telnet, key: str, scene: str) -> None:
    session.send(f"practice {key} = {scene}")
    session.expect(f"'{scene}' in the place of {key}")


def test_a_new_player_starts_in_the_workshop_and_sees_the_shelf_and_that_it_is_practice(player: Telnet) -> None:
    player.send("look")
    shown = player.expect("every answer is simulated")
    assert "Timmy's Workshop" in shown
    assert "On the shelf: local, claude, kimi, gpt, gemini, grok" in shown


@pytest.mark.parametrize(
    ("task", "key"),
    [
        ("write down: buy lamp oil", "local"),
        ("review this diff for bugs", "claude"),
        ("go through this 300 page contract and list every deadline", "kimi"),
        ("explain the history of the Hanseatic League", "gpt"),
        ("what is on this picture?", "gemini"),
        ("quick: how many legs has a spider?", "grok"),
    ],
)
def test_route_names_whom_the_rules_prefer_and_why(player: Telnet, task: str, key: str) -> None:
    player.send(f"route {task}")
    shown = player.expect("Estimated cost: $")
    assert f"Would ask: {key} (" in shown
    assert f"1. {key}" in shown
    assert "first choice for" in shown


def test_think_answers_and_closes_with_who_how_long_and_what_it_cost(player: Telnet) -> None:
    shown = think(player, "think What is 17*23?")
    assert "Timmy" in shown.split("[practice]")[0]
    assert "[practice] 17*23 = 391." in shown
    assert shown.endswith("s, $0.0000]\n")


def test_a_refusal_in_a_200_ok_is_seen_in_the_room_and_rerouted(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "refuse")
    shown = think(player, "think review this diff")
    assert "claude refuses" in shown
    assert "turns to gpt" in shown
    assert shown.endswith("$0.0000]\n")
    assert "[gpt, " in shown
    assert "claude refuses" in all_said(builder), "everyone in the room sees it"
    player.send("think/why")
    road = player.expect("In all:")
    assert re.search(r"1\. claude will not do it", road)
    assert re.search(r"2\. gpt answered", road)


def test_the_road_tells_what_happened_several_times_in_a_row_once(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "503")
    think(player, "think review this diff")
    player.send("think/why")
    road = player.expect("In all:")
    assert re.search(r"1\. claude is swamped, 3 times\n +practice/\S+, [\d.]+ s, ", road)
    assert re.search(r"2\. gpt answered\n +practice/(?!practice)\S+, [\d.]+ s, ", road)


def test_why_a_task_is_taken_for_its_kind_is_told_in_words(player: Telnet) -> None:
    player.send("route hello")
    shown = player.expect("Estimated cost")
    assert 'Taken for chat: "hello" +2.0, three words at the most +0.8, how it is put' in shown


def test_a_player_says_whether_an_answer_was_good_once(player: Telnet) -> None:
    player.send("think/good")
    player.expect("no answer of yours to judge")
    think(player, "think What is 2+2?")
    player.send("think/good")
    player.expect("makes a mark on grok's jar")
    player.send("think/good")
    player.expect("you have said so already")
    player.send("think/bad")
    player.expect("makes a mark on grok's jar")


def test_a_brain_that_dies_in_mid_sentence_is_seen_in_the_room_and_the_next_one_takes_over(
    player: Telnet, builder: Telnet
) -> None:
    stage(builder, "claude", "cut")
    shown = think(player, "think review this diff")
    assert re.search(r"claude (breaks off in mid-sentence|stops in the middle of a word)", shown)
    assert "turns to gpt" in shown
    assert "[gpt, " in shown
    assert "turns to gpt" in all_said(builder), "everyone in the room sees it"


def test_words_that_take_their_time_are_announced_once_and_shown_when_judged(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "slow")
    shown = think(player, "think review this diff")
    assert shown.count("Words begin to come from claude") == 1
    before, _, after = shown.partition("Words begin to come from claude")
    assert "[practice]" not in before
    assert "[practice]" in after
    assert "letters so far" not in shown, "telnet cannot replace a prompt"
    assert "Words begin" not in all_said(builder)


def test_the_time_to_the_first_words_of_a_stream_stands_in_the_ledger(game: Game, player: Telnet) -> None:
    player.send("think hello")
    player.expect(CLOSING)
    with sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=10) as database:
        latest = "SELECT first_token_ms, latency_ms FROM ledger_attempt WHERE outcome = 'answered' ORDER BY id DESC"
        first, whole = database.execute(latest).fetchone()
    assert 0 < first <= whole


def test_two_brains_that_agree_to_decline_are_believed(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "refuse")
    stage(builder, "gpt", "decline")
    shown = think(player, "think review this diff")
    assert "claude refuses" in shown
    assert "gpt refuses" in shown
    assert "2 said no: claude and gpt." in shown


def test_an_outage_falls_back_and_opens_the_breaker_which_a_builder_closes(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "503")
    first = think(player, "think prove that 7 is prime")
    assert "turns to gpt" in first
    player.quiet(2.2)  # the breath that the game asks for between two thoughts
    assert "The lamp over claude goes out" in think(player, "think prove that 11 is prime")
    player.send("backends")
    assert re.search(r"claude +open, \d+ s", player.expect(re.compile(r"grok.*\n")))
    builder.send("backends/reset claude")
    assert "burns again" in player.expect("burns again")


def test_when_everyone_fails_the_player_hears_what_became_of_each(player: Telnet, builder: Telnet) -> None:
    for key in ("local", "claude", "kimi", "gpt", "gemini", "grok"):
        stage(builder, key, "cut" if key == "kimi" else "503")
    player.send("think review this diff")
    shown = player.expect(re.compile(r"\[nobody, \$[\d.]+\]"), 60)
    assert "Nobody had a usable answer" in shown
    for key in ("local", "claude", "kimi", "gpt", "gemini", "grok"):
        assert f"\n - {key} " in shown, shown


def test_a_thought_can_be_let_go_of_and_there_is_only_one_at_a_time(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "silent")
    player.send("think review this diff")
    player.expect(re.compile("thinks it over|along the shelf|and thinks"))
    player.send("think and this one too")
    player.expect("still on your last thought")
    player.send("think/stop")
    player.expect("lets the thought go")
    player.send("think too soon")
    player.expect("you may think again in")
    player.send("think/stop")
    player.expect("no thought under way")


def test_think_with_asks_the_one_that_was_named(player: Telnet) -> None:
    assert "[kimi, " in think(player, "think/with kimi What is 2+2?")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("think/with", "Usage: think/with <backend> <task>"),
        ("think/more and then?", "There is no answer yet to go on from"),
        ("think/with nobody hello", "No brain called 'nobody' stands on the shelf; there are: local, claude"),
        ("think/wiht claude hello", "think knows no switch /wiht; there are: /with, /fresh, /why, /good, /bad,"),
        ("think " + "x" * 200_001, "200,001 characters, 200,000 are allowed"),
        ("route", "Usage: route <task>"),
        ("route/foo x", "route knows no switch /foo; it has none."),
        ("backends nobody", "No brain called 'nobody'"),
        ("backends/disable claude", "Only Builders and above"),
        ("backends/reload", "Only Builders and above"),
        ("think/why", "You have not thought of anything lately"),
    ],
)
def test_a_mistyped_command_says_what_is_wrong_and_costs_nothing(player: Telnet, command: str, told: str) -> None:
    player.send(command)
    player.expect(told)


def test_players_cannot_stage_scenes(player: Telnet) -> None:
    player.send("practice claude = refuse")
    player.expect("is not available")


def test_a_builder_puts_a_brain_away_and_back(builder: Telnet) -> None:
    builder.send("backends/disable claude")
    builder.expect("put away")
    builder.send("route review this diff")
    assert "claude   skipped: disabled by an admin" in builder.expect("Estimated cost")
    builder.send("backends/enable claude")
    builder.expect("back on the shelf")
    builder.send("route review this diff")
    builder.expect("Would ask: claude")


def test_a_probe_tells_of_every_real_backend_and_costs_nothing(builder: Telnet) -> None:
    builder.send("backends/probe")
    shown = builder.expect(re.compile(r"grok .*\n"))
    assert re.search(r"local +network: the connection was refused", shown)
    assert re.search(r"claude +asleep: ANTHROPIC_API_KEY is not set", shown)


@pytest.mark.parametrize("command", ["look", "backends", "backends claude", "route review this diff", "help think"])
def test_everything_reads_well_in_80_columns(player: Telnet, command: str) -> None:
    player.send(command)
    shown = all_said(player)
    assert shown.strip()
    assert max(map(len, shown.splitlines())) <= 80


def test_help_is_there_for_every_command(builder: Telnet) -> None:
    for command in ("think", "route", "backends", "practice"):
        builder.send(f"help {command}")
        shown = builder.expect("Usage:") + builder.quiet(0.5)
        if "(Page" in shown:
            builder.send("end")
            shown += builder.quiet(0.5)
            builder.send("quit")
            builder.quiet(0.5)
        assert "Examples:" in shown


def test_a_player_can_read_what_practice_is(player: Telnet) -> None:
    player.send("help practice")
    shown = player.expect("as soon as a real brain can be asked")
    assert "straw dummies answer in the place of real brains" in shown
    assert "Usage:" not in shown


def test_the_playbill_tells_what_is_staged_from_what_stands_in(builder: Telnet) -> None:
    stage(builder, "claude", "refuse")
    builder.send("practice")
    assert scenes(builder.expect("Stage one")) == {"claude": "refuse"}


def test_the_demo_plays_in_a_running_game_and_puts_its_scenes_back(game: Game) -> None:
    def as_builder(command: str, until: str) -> str:
        # The demo comes in as the superuser, who can be there but once.
        with game.telnet() as session:
            session.login(game.superuser.name, game.superuser.password)
            session.send(command)
            return session.expect(until)

    as_builder("practice kimi = hedge", "in the place of kimi")
    command = [sys.executable, "-m", "uniwizard.server.game.demo"]
    played = subprocess.run(command, cwd=game.directory, capture_output=True, text=True, timeout=300)
    assert played.returncode == 0, played.stderr
    for shown in ("[practice] 17*23 = 391.", "claude refuses", "The lamp over claude goes out"):
        assert shown in played.stdout
    assert scenes(as_builder("practice", "Stage one")) == {"kimi": "hedge"}
    as_builder("practice kimi = real", "The scene is over")


def test_a_long_time_without_words_is_not_silence(player: Telnet, builder: Telnet) -> None:
    stage(builder, "claude", "silent")
    player.send("think review this diff")
    player.expect("still thinking", 20)
    player.send("look")
    player.expect("On the shelf", 2)
    player.send("think/stop")
    with pytest.raises(NotSeen):
        player.expect(CLOSING, 1)
