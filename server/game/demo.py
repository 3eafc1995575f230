"""``make demo``: a real telnet session through everything a newcomer should see, printed as a transcript.

It plays in the game that runs here, where there is one that it can log in to; otherwise in a game of its own, on free
ports, which is gone afterwards. Every answer in it is simulated, so it costs nothing, whatever keys are set.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from uniwizard.server.game.private import stored_superuser
from uniwizard.server.game.process import Game, GameFailed
from uniwizard.server.game.scratch import own_game
from uniwizard.server.game.telnet import NotSeen, Telnet

BACKENDS = ("local", "claude", "kimi", "gpt", "gemini", "grok")

#: One task for each of the six rules.
ROUTES = (
    "write down: buy lamp oil",
    "review this diff for bugs",
    "go through this 300 page contract and list every deadline",
    "who was Ada Lovelace?",
    "what is on this picture?",
    "quick: how many legs has a spider?",
)

#: Seconds between two thoughts; the game's own setting asks for 2.
COOLDOWN = 2.2

#: What ends a thought: its closing line.
CLOSING = r"\[(?:[a-z0-9_-]+, [\d.]+ s|nobody), \$[\d.]+\]\n"


def demo(session: Telnet) -> Iterator[str]:
    """Play the demo as a player who is logged in and may build; yields the transcript, a part at a time."""

    def play(command: str, until: str) -> str:
        if command.startswith("think "):
            # One thought at a time, and a breath between two of them.
            session.quiet(COOLDOWN)
        session.quiet(0.3)
        session.send(command)
        shown = session.expect(re.compile(until), 60) + session.quiet(0.3)
        return "\n".join((f"> {command}", *(line.rstrip() for line in shown.strip().splitlines()), ""))

    def stage(key: str, scene: str) -> str:
        return play(f"practice {key} = {scene}", r"in the place of|The scene is over")

    playing = scenes(play("practice", r"Stage one: .*\n"))
    try:
        for key in BACKENDS:
            stage(key, "answer")
        yield play("look", r"On the shelf: .*\n")
        for task in ROUTES:
            # What stands before the ranking says it all; the ranking is for whoever asks for it.
            shown = play(f"route {task}", r"Estimated cost: \$[\d.]+").splitlines()
            yield "\n".join((*takewhile(lambda line: not line.startswith(" 1. "), shown), ""))
        yield play("think What is 17*23?", CLOSING)
        yield "# claude is told to refuse: a friendly 200 OK that is none.\n"
        yield stage("claude", "refuse")
        yield play("think Review this diff: - return x  + return x/0", CLOSING)
        yield play("think/why", r"In all: .*\n")
        yield "# claude is overloaded: an outage, and after a few of them its breaker opens.\n"
        yield stage("claude", "503")
        yield play("think Prove that the square root of two is irrational.", CLOSING)
        yield play("think Is this argument valid: all cats purr, Tom purrs, so Tom is a cat?", CLOSING)
        yield play("backends", r"grok .*\n")
    finally:
        stage("claude", "answer")
        play("backends/reset claude", "breaker is closed")
        for key in BACKENDS:
            stage(key, playing.get(key, "real"))


def scenes(playbill: str) -> dict[str, str]:
    """The scenes that somebody has staged, by backend, as ``practice`` tells them."""
    staged = re.findall(r"^ +([a-z][a-z0-9_-]*) +(\S+)$", playbill, re.MULTILINE)
    return {key: scene for key, scene in staged if scene != "real"}


@contextmanager
def _session() -> Iterator[Telnet]:
    """A player who may build, in the running game or in one of our own. Raises GameFailed."""
    here = Game(Path.cwd())
    known = stored_superuser(Path.cwd())
    if here.running() is not None and known is not None:
        _say(f"A game runs here; the demo plays in it, as {known.name}.")
        with here.telnet() as session:
            session.login(known.name, known.password)
            yield session
        return
    with tempfile.TemporaryDirectory(prefix="uniwizard-demo-") as directory:
        # An empty key is no key: nobody real is asked.
        asleep = {name: "" for name in os.environ if name.endswith("_API_KEY")}
        game = own_game(Path(directory) / "game", environ=asleep)
        try:
            _say("No game runs here; making one on free ports ...")
            game.prepare()
            _say("Starting it ...")
            game.start()
            with game.telnet() as session:
                session.login(game.superuser.name, game.superuser.password)
                yield session
        finally:
            game.stop()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The command line; returns the exit status."""
    try:
        with _session() as session:
            for part in demo(session):
                print(part, flush=True)
    except (GameFailed, NotSeen, OSError) as why:
        _say(f"The demo could not be played: {why}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
