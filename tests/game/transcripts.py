"""Plays what a player finds in the Workshop, in a game of its own, and prints it::

    PYTHONPATH=tests:tests/game python tests/game/transcripts.py
    PYTHONPATH=tests:tests/game python tests/game/transcripts.py --goal

A first visit, a paste of 200 lines, a picture, a conversation of ten turns over three brains, and a talk with Timmy
without any brain; or, with ``--goal``, one goal from the wish to the result, with practice brains of which one lies and
one refuses. Otherwise the brains are a provider on this machine that says what it was asked and how many turns it read;
all else is the game's.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from fake_llm import FakeLLMThread
from test_asking import told
from test_pictures import png
from wired import CLOSING, address, newcomer, wired
from wired import config as backends

from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

#: What a player of the conversation says, after the first question.
TURNS = (
    "and who keeps them?", "compare keepers then and now", "write down: ask Ada", "prove that light travels straight",
    "what about cats?", "summarize what we said", "hello again", "is that logical?", "how many were there?",
)  # fmt: skip
_PREFER = ({"kinds": ["reasoning", "analysis"], "prefer": ["two"]}, {"kinds": ["write", "chat"], "prefer": ["three"]})


#: What ends a goal.
GOAL_ENDS = re.compile(r"\[goal, [a-z]+, \d+ s, \$[\d.]+\]\n")
_BRIEF, _NAMED = (
    "A lighthouse stands on the cape, and its lamp turns all night.",
    "Its keeper, Ines, trims the lamp at dusk.",
)


def reply(body: str) -> str:
    """What the provider says: the picture it sees, or how much of the conversation it has read; a goal's work."""
    messages = json.loads(body)["messages"]
    last = messages[-1]["content"]
    if isinstance(last, str) and "Answer yes or no" in last:
        named = "Ines" in last
        return json.dumps({"yes": named, "evidence": "Ines" if named else "no keeper is named in it"})
    if isinstance(last, str) and "a sentence on a lighthouse" in last:
        return _NAMED if "turned down" in last else _BRIEF
    if isinstance(last, list):
        return "The picture shows one small grey dot on a plain ground."
    turns = sum(message["role"] == "user" for message in messages)
    return f"Turn {turns}, with {turns - 1} before it. You said: *{last.strip().splitlines()[0][:60]}*"


def play(player: Telnet, *commands: str) -> Iterator[str]:
    """What a player types and sees."""
    for command in commands:
        player.send(command)
        thinks = re.match(r"think(/more|/with \w+)? |\.$", command) is not None
        shown = player.expect(CLOSING) + player.quiet(0.5) if thinks else player.quiet(3.0)
        yield f"> {command}\n{shown.strip(chr(10))}\n"


def goal(player: Telnet) -> Iterator[str]:
    """A goal with a check and a price, of which the first brain's work is turned down."""
    yield from play(player, "goal/check Does it name the keeper?", "goal/plan a sentence on a lighthouse")
    player.send("yes")
    yield f"> yes\n{player.expect(GOAL_ENDS, 60).strip()}\n"
    yield from play(player, "goals", "goal/why", "goal/result", "goal/share")


def practised_goal(game: Game) -> Iterator[str]:
    """A goal in a game in which nobody has a key."""
    with game.telnet() as wizard:
        wizard.login(game.superuser.name, game.superuser.password)
        for key, scene in (("local", "lie"), ("claude", "refuse"), ("gpt", "refuse")):
            wizard.send(f"practice {key} = {scene}")
            wizard.expect("in the place of")
        with newcomer(game, "Ada") as ada:
            ada.quiet(3.0)
            yield from play(ada, "goal/check Does it mention the moon?", "goal/budget 0.50")
            yield from play(ada, "goal/plan a page on tides for children")
            ada.send("yes")
            yield f"> yes\n{ada.expect(GOAL_ENDS, 90).strip()}\n"
            yield from play(ada, "goals", "goal/why", "goal/result")


def visits(game: Game) -> Iterator[str]:
    """The five of them, a piece at a time."""
    yield "# A first visit\n"
    with newcomer(game, "Ada") as ada:
        yield ada.transcript.partition("You become Ada.")[2].strip() + "\n"
        yield from play(
            ada, "look shelf", "look one", "look timmy", "say hello Timmy", "think What is 17*23?", "recall"
        )
        yield "# A paste of 200 lines\n"
        lines = ["think review this:", *(f"    value_{number} = {number}" for number in range(199))]
        ada._socket.sendall(("\r\n".join(lines) + "\r\n").encode())
        yield f"> (200 lines)\n{ada.expect('as commands.').strip()}\n"
        yield from play(ada, ".l", ".")
        yield "# A picture\n"
        yield from play(ada, "look bench")
        ada.send("think/see")
        shown = ada.quiet(1.0)
        yield f"> think/see\n{shown.strip()}\n"
        link = re.search(r"http://\S+", shown)
        assert link is not None
        with urllib.request.urlopen(urllib.request.Request(link[0], data=png()), timeout=20) as page:
            yield f"# (in the browser) {page.read().decode()}\n"
        yield ada.quiet(1.0).strip() + "\n"
        yield from play(ada, "think what is on this picture?")
        yield "# A conversation of ten turns over three brains\n"
        yield from play(ada, "think tell me of lighthouses", *(f"think/more {turn}" for turn in TURNS), "think/history")
        yield "# A goal, from the wish to the result\n"
        yield from goal(ada)
    yield "# A talk with Timmy without any brain\n"
    with game.telnet() as wizard:
        wizard.login(game.superuser.name, game.superuser.password)
        for key in ("one", "two", "three"):
            wizard.send(f"backends/disable {key}")
        wizard.expect("three is put away")
        with newcomer(game, "Bob") as bob:
            yield from play(
                bob, "say hello Timmy", "Timmy, what is 2+2?", "Timmy, what is the meaning of life?",
                "ask timmy how are you?", "ask timmy about the brains", ":waves at Timmy", "take one",
                "whisper timmy = what do you remember of me?", "say good night, Timmy",
            )  # fmt: skip


def main() -> int:
    """The command line; returns the exit status."""
    if "--goal" in sys.argv:
        text = (CONFIGS / "backends.yaml").read_text()
        with tempfile.TemporaryDirectory() as directory, wired(Path(directory) / "game", text) as game:
            print("\n".join(practised_goal(game)))
        return 0
    text = backends({"capabilities": ["images"]}, two={}, three={})
    text = text.replace("rules:\n", "rules:\n" + "".join(f"- {json.dumps(rule)}\n" for rule in _PREFER), 1)
    with (
        tempfile.TemporaryDirectory() as directory,
        FakeLLMThread(default=told(reply)) as upstream,
        wired(Path(directory) / "game", text, UPSTREAM=address(upstream)) as game,
    ):
        for piece in visits(game):
            print(piece, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
