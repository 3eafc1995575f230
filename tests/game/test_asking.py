"""Asking and reading as a player does it: pastes, pages, pictures, conversations, and what others see of it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from fake_llm import FakeLLMThread, Request
from fake_llm.replies import Reply
from test_pictures import SECRET, chunk, png
from wired import CLOSING, PASSWORD, address, config, connected, newcomer, says, think, until, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet
from uniwizard.world.mark import MARK

CONFIG = config({"capabilities": ["images"]}, two={"cost_per_1k": 0})


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game with two backends of ours, of which one can see."""
    directory = tmp_path_factory.mktemp("asking") / "game"
    with wired(directory, CONFIG, UPSTREAM=address(provider)) as running:
        yield running


def told(reply: Callable[[str], str]) -> Callable[[Request], Reply]:
    """A provider that says what ``reply`` makes of the request's body."""
    return lambda request: says(reply(request.body.decode()))


def asked(upstream: FakeLLMThread) -> list[dict[str, object]]:
    """The messages of the last request."""
    messages: list[dict[str, object]] = json.loads(upstream.requests["one"][-1].body)["messages"]
    return messages


def test_a_paste_of_200_lines_is_one_question(player: Telnet, upstream: FakeLLMThread) -> None:
    code = "\n".join(f"    value_{number} = {number}" for number in range(199))
    # One packet, as a terminal sends a paste.
    player._socket.sendall(f"think review this:\n{code}\n".replace("\n", "\r\n").encode())
    player.expect("You pasted 200 lines")
    player.send(".")
    player.expect(CLOSING)
    assert f"review this:\n{code}" in str(asked(upstream)[-1]["content"])


def test_a_bare_think_opens_a_page(player: Telnet, upstream: FakeLLMThread) -> None:
    player.send("think")
    player.expect("up to")
    for line in ("look", "  indented", "a mistake", ".u"):
        player.send(line)
        player.quiet(0.3)
    player.send(".")
    player.expect(CLOSING)
    assert asked(upstream)[-1]["content"] == "look\n  indented"
    player.send("think")
    player.send("never mind")
    player.send(".q")
    player.expect("thrown away")
    player.send("look")
    player.expect("Workshop")


def test_a_command_ends_the_pages_of_a_long_help_text(player: Telnet) -> None:
    player.send("help think")
    player.expect("(Page [1/2]")
    player.send("think hello")
    player.expect(CLOSING)


def test_a_command_is_found_where_somebody_is_made_to_give_it(game: Game, wizard: Telnet) -> None:
    with newcomer(game, "Trudi") as forced:
        wizard.send("force Trudi = think hello")
        forced.expect(CLOSING)


def test_a_page_survives_a_reload(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    player.send("think")
    player.expect("up to")
    player.send("first line")
    player.quiet(0.5)
    game.reload()
    player.quiet(1.0)
    player.send("second line")
    player.quiet(0.5)
    player.send(".")
    player.expect(CLOSING)
    assert asked(upstream)[-1]["content"] == "first line\nsecond line"


def test_a_page_is_laid_aside_for_who_comes_back(game: Game, upstream: FakeLLMThread) -> None:
    with newcomer(game, "Penna") as gone:
        gone.send("think")
        gone.expect("up to")
        gone.send("first line")
        gone.quiet(0.5)
    until(lambda: not connected(game, "Penna"))
    with game.telnet() as back:
        assert "A page of yours lies on the bench, with 1 line:" in back.login("Penna", PASSWORD) + back.quiet(0.5)
        back.send("look")
        back.expect("Workshop")
        back.send("think")
        back.expect("as you left it, with 1 line.")
        back.send("second line")
        back.quiet(0.5)
        back.send(".")
        back.expect(CLOSING)
    assert asked(upstream)[-1]["content"] == "first line\nsecond line"


def test_commands_about_thoughts_that_come_at_once_are_no_page(player: Telnet, upstream: FakeLLMThread) -> None:
    player._socket.sendall(b"think one of two\r\nthink/history\r\n")
    assert "pasted" not in player.expect("There is no answer yet") + player.expect(CLOSING)
    player.send("look")
    player.expect("Workshop")


def test_a_conversation_goes_on(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = told(lambda body: f"answer {sum(m['role'] == 'user' for m in json.loads(body)['messages'])}")
    think(player, "tell me of Rome")
    player.send("think/more and then?")
    assert "answer 2" in player.expect(CLOSING)
    player.send("think/with two start anew")
    assert "answer 1" in player.expect(CLOSING)
    player.send("think/history")
    listed = player.expect("Forget them all")
    assert re.search(r"1 +\d.*two +start anew", listed)
    assert re.search(r"2 +\d.*one +\+ and then\?", listed)
    player.send("think/again")
    assert "answer 1" in player.expect(CLOSING)


def test_a_long_conversation_is_summarised(player: Telnet, upstream: FakeLLMThread) -> None:
    story = " ".join(f"The keeper of lighthouse {number} trims the lamp and writes it down." for number in range(90))
    upstream.default = told(lambda body: "They spoke of Ada." if "Summarize this" in body else story)
    player.send("option SCREENHEIGHT = 500")
    player.quiet(0.5)
    think(player, "begin")
    for _ in range(6):
        player.send("think/more go on")
        player.expect(CLOSING, 40)
    assert "They spoke of Ada." in str(asked(upstream))
    assert len(str(asked(upstream))) < 40_000


def test_a_slow_thought_is_handed_to_the_next_brain(player: Telnet, upstream: FakeLLMThread) -> None:
    before = len(upstream.requests["one"])
    upstream.go.clear()
    player.send("think something slow")
    until(lambda: len(upstream.requests["one"]) > before)
    player.quiet(0.5)
    player.send("think/next")
    player.expect("turns to two")
    upstream.go.set()
    shown = player.expect(CLOSING)
    assert "[two, " in shown
    player.send("think/why")
    assert "Taken from: one" in player.expect("In all:")


def test_a_picture_is_laid_on_the_bench_once_and_goes_along_stripped(player: Telnet, upstream: FakeLLMThread) -> None:
    player.send("think what is on this picture?")
    player.expect("no picture lies there")
    player.send("think/see")
    found = re.search(r"http://\S+/picture/\S+", player.expect(re.compile(r"/picture/\S+\n")))
    assert found is not None
    data = png(chunk(b"tEXt", SECRET))
    with urllib.request.urlopen(urllib.request.Request(found[0], data=data), timeout=20) as answer:
        assert answer.status == 200
    player.expect("lays your picture on the bench")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(found[0], data=data), timeout=20)
    think(player, "what is on this picture?")
    assert "image/png" in upstream.requests["one"][-1].body.decode()
    assert "R1BT" not in upstream.requests["one"][-1].body.decode(), "what the camera knew, in base64"


def test_an_answer_that_does_not_heed_the_question_is_sent_back_once(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = told(
        lambda body: "One thing. Two things. Three." if "This answer" not in body else "One thing and two."
    )
    shown = think(player, "What is it? Say it in one sentence.")
    assert "takes 2 sentences where you asked for 1" in " ".join(shown.split())
    assert "One thing and two." in shown and "Three." not in shown


def test_bystanders_see_who_refused_and_never_what_was_said(
    player: Telnet, wizard: Telnet, upstream: FakeLLMThread
) -> None:
    # Bystanders are told the same thing once in two seconds, and somebody may have been refused just now.
    wizard.quiet(2.0)
    upstream.default = told(lambda _: "I'm sorry, but I can't help with poisoning your aunt.")
    shown = think(player, "a private matter")
    assert "poisoning" in shown
    seen = wizard.quiet(1.0)
    assert "one refuses" in seen
    assert "poison" not in seen and "private" not in seen


def test_no_answer_carries_the_games_mark(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says(f"{MARK} two refuses.\n\n{MARK} [one, 0.0 s, $9.0000]\n&#x25C6; and so on")
    player.send("think hello")
    # The answer's own closing line looks the same but for the mark.
    shown = player.expect(re.compile(rf"{MARK} \[one, .*\n"))
    lines = [line for line in shown.splitlines() if "two refuses" in line or "$9" in line or "so on" in line]
    assert len(lines) == 3
    assert all(line.startswith("  ") and MARK not in line for line in lines)
    assert shown.splitlines()[-1].startswith(f"{MARK} [one, ")


def test_an_answer_is_shared_with_the_room_on_request(player: Telnet, wizard: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("It was the butler.")
    think(player, "who was it?")
    assert "butler" not in wizard.quiet(0.5)
    player.send("think/share")
    wizard.expect("It was the butler.")


def test_timmy_answers_what_is_for_him(player: Telnet, upstream: FakeLLMThread) -> None:
    player.send("say hello Timmy")
    player.expect(re.compile(r"Timmy (looks up|wipes)"))
    player.quiet(2.5)
    before = len(upstream.requests["one"])
    player.send("say Timmy's hat is nice")
    assert "Timmy" not in player.quiet(3.0).replace("Timmy's hat", "")
    player.send("Timmy, what is the capital of Peru?")
    player.expect(CLOSING)
    assert len(upstream.requests["one"]) == before + 1
    assert "imm" not in str(asked(upstream)[-1]["content"])


def test_he_hears_also_after_evennia_has_flushed_its_cache(player: Telnet, wizard: Telnet) -> None:
    wizard.send("py from evennia.utils.idmapper.models import flush_cache; flush_cache(); print('flu' + 'shed')")
    wizard.expect("flushed")
    player.send("say hello Timmy")
    player.expect(re.compile(r"Timmy (looks up|wipes)"))


def test_without_a_brain_he_counts_on_his_fingers(player: Telnet, wizard: Telnet) -> None:
    for key in ("one", "two"):
        wizard.send(f"backends/disable {key}")
    wizard.expect("two is put away")
    try:
        player.send("Timmy, what is 2+2?")
        player.expect("2+2 = 4.")
        player.quiet(2.5)
        player.send("Timmy, what is the meaning of life?")
        player.expect("No brain is awake")
    finally:
        for key in ("one", "two"):
            wizard.send(f"backends/enable {key}")
        wizard.expect("two is back")


def test_what_he_remembers_is_shown_and_forgotten(player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("The **moon** pulls 17*23 a_seas. And so on.")
    think(player, "why are there tides?")
    player.send("recall")
    player.expect("You asked about tides; I told you: The moon pulls 17*23 a_seas.")
    player.send("recall/forget 1")
    player.expect("Forgotten")
    player.send("recall")
    player.expect("remembers nothing of you yet")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("look shelf", "one: Its lamp burns."),
        ("look one", "A glass jar"),
        ("look bench", "There is room for a picture"),
        ("take one", "They are on loan"),
        ("take lamp", "It stays where it is"),
        ("feel one", "The glass of one's jar"),
        ("look timmy", "sawdust in his hair"),
        ("help privacy", "Not your name"),
        ("help timmy", "say hello Timmy"),
        ("help brains", "burning"),
    ],
)
def test_the_brains_are_things(player: Telnet, command: str, told: str) -> None:
    player.send(command)
    player.expect(told)


def test_another_soul_moves_in_when_its_file_changes(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    own = game.directory / "world" / "SOUL.md"
    own.write_text("---\nname: Brunhilde\npronouns: {subject: she, object: her, possessive: her}\n---\nOld.\n")
    try:
        for _ in range(10):
            player.send("look")
            if "Brunhilde's Workshop" in player.quiet(1.5):
                break
        else:
            raise AssertionError("she never came")
        shown = think(player, "Brunhilde asks what Brunhilde is")
        assert "Brunhilde" in shown
        assert "runhilde" not in upstream.requests["one"][-1].body.decode()
    finally:
        own.unlink()
        for _ in range(10):
            player.send("look")
            if "Timmy's Workshop" in player.quiet(1.5):
                break
