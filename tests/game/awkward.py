"""Characters with awkward names who think of one another, in a real game before a provider that remembers every byte::

    with FakeLLMThread() as provider, wired(directory, config(), UPSTREAM=address(provider)) as game:
        report = run(game, provider, thoughts=60, players=4)
    assert not report.faults

Every answer repeats the question, so that a name which is not put back, or put back wrongly, shows. What is on the wire
is read as a person would read it (:mod:`disguises`), without help from what is tested.
"""

from __future__ import annotations

import html
import random
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "agent"))

from disguises import NAMES, disguised, plainly, reveals
from fake_llm import FakeLLMThread, Reply, Request
from wired import CLOSING, all_said, newcomer, says

from uniwizard.agent.wire import WireRequest
from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

#: What some characters are called who must not get in anybody's way.
EVERYDAY = ("The", "of", "Rose", "city", "search", "NAME_1", "nothing", "Person1Q", "tides", "user", "JSON", "a")
#: What is asked; the braces are for somebody's name.
QUESTIONS = (
    "What does {} want from the city of Rome?",
    "Write a line on {} and the tides of the harbour.",
    "Why have prices rose since {} came here?",
    "SELECT name_1, person_1 FROM t WHERE who = '{}'",
    "Is {} the one who said that the search is over?",
    "ask {}, please",
)
#: What a line of telnet cannot hold, the game takes for its own, or the judge for a sum (54%69).
_UNTYPABLE = re.compile(r"\n|\||\\n|%\d\d%\d")
#: Seconds that one thought may take.
PATIENCE = 60.0


@dataclass
class Report:
    """What came of a run: how much was asked, answered and sent, and whatever went wrong, one line each."""

    asked: int = 0
    answered: int = 0
    sent: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Thinker:
    """One player at work."""

    session: Telnet
    question: str = ""
    since: float = 0.0
    seen: str = ""


def echo(request: Request) -> Reply:
    """What the provider says: something that passes for an answer, and the question once more."""
    return says(f"The moon pulls on the water, so the sea rises twice a day. You wrote: {request.text}")


def run(game: Game, provider: FakeLLMThread, *, thoughts: int, players: int, seed: int = 1) -> Report:
    """Have ``players`` think ``thoughts`` thoughts, all about each other."""
    chance = random.Random(seed)
    provider.default = echo
    report = Report()
    with game.telnet() as wizard:
        wizard.login(game.superuser.name, game.superuser.password)
        all_said(wizard)
        people = _populate(game, wizard, players)
        first = len(provider.log)
        thinkers = [Thinker(session) for session in people]
        while report.answered < thoughts and len(report.faults) < 20:
            for thinker in thinkers:
                if not thinker.question and report.asked < thoughts:
                    _ask(thinker, chance)
                    report.asked += 1
                _listen(thinker, report)
        for thinker in thinkers:
            thinker.session.close()
    _inspect(provider.log[first:], report)
    return report


def _populate(game: Game, wizard: Telnet, players: int) -> list[Telnet]:
    """Players whose characters have awkward names, and others who are only there."""
    sessions = []
    names = [*NAMES, *EVERYDAY]
    for number, name in enumerate(names):
        if number < players:
            sessions.append(newcomer(game, f"Walker{number}"))
            code = f"c = evennia.search_object('Walker{number}')[0]; c.key = {name!a}"
        else:
            # Evennia makes a new character's name Latin; a builder may name it otherwise.
            code = (
                f"a = evennia.create_account('Sleeper{number}', '', 'tjo-hopp-99'); "
                f"c, _ = a.create_character(key='Sleeper{number}'); c.key = {name!a}"
            )
        wizard.send(f"py {code}; print('do' + 'ne {number}')")
        wizard.expect(f"done {number}\n")
    return sessions


def _ask(thinker: Thinker, chance: random.Random) -> None:
    name = chance.choice(NAMES)
    dresses = [said for said in disguised(name) if not _UNTYPABLE.search(said)]
    thinker.question = chance.choice(QUESTIONS).format(chance.choice(dresses))
    thinker.since = time.monotonic()
    thinker.seen = ""
    thinker.session.send(f"think {thinker.question}")


def _listen(thinker: Thinker, report: Report) -> None:
    if not thinker.question:
        return
    thinker.seen += thinker.session.quiet(0.01)
    if CLOSING.search(thinker.seen):
        report.answered += 1
        if _squeezed(thinker.question) not in _squeezed(thinker.seen):
            report.faults.append(f"damaged: {thinker.question!r} came back as {thinker.seen[-400:]!r}")
        if "[nobody," in thinker.seen:
            report.faults.append(f"stopped: {thinker.question!r}: {thinker.seen[-300:]!r}")
        thinker.question = ""
    elif time.monotonic() - thinker.since > PATIENCE:
        report.faults.append(f"no answer: {thinker.question!r}: {thinker.seen[-300:]!r}")
        thinker.question = ""
        report.answered += 1


def _squeezed(text: str) -> str:
    """``text`` as a terminal shows it, but for its lines: no blanks, nothing that cannot be seen, no HTML."""
    return re.sub(r"[\s\u00ad\u200b]+", "", html.unescape(text))


def _inspect(requests: list[Request], report: Report) -> None:
    """Read what was sent."""
    places = ("Timmy's Workshop",)
    for received in requests:
        report.sent += 1
        request = WireRequest("POST", received.path, received.headers, received.body)
        for name in (*NAMES, "Walker", "Sleeper", *places):
            if shown := reveals(name, request):
                report.faults.append(f"leaked: {plainly(name)} in {shown!r}")
