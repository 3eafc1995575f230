"""A running game whose backends are providers of ours, and what its players do in it::

    with FakeLLMThread(default=says()) as upstream, wired(directory, config(), UPSTREAM=address(upstream)) as game:
        with newcomer(game, "Anna") as anna:
            think(anna, "hello")

Whatever ``ONE_API_KEY`` says is the key of every backend.
"""

from __future__ import annotations

import itertools
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from fake_llm import FakeLLM, Reply, answer
from prepared import copied

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

PASSWORD = "tjo-hopp-99"
#: What ends a thought.
CLOSING = re.compile(r"\[(?:memory of )?[a-z]+, ([\d.]+ s, )?\$[\d.]+\]\n")
#: One thought may follow another at once.
HASTE = "UNIWIZARD_THINK_COOLDOWN = 0\n"
#: What every answer of a provider reports, and what that costs of the backend ``one``, in USD.
USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
COST = 0.002

_NUMBERS = itertools.count()

_BACKEND = {
    "api": "openai",
    "url": "${UPSTREAM}",
    "model": "asked",
    "api_key": "${ONE_API_KEY}",
    "strengths": ["speed"],
    "max_context": 8000,
    "retries": 0,
}
_PRICE = {"cost_per_1k": {"input": 0.01, "output": 0.02}}


def config(
    one: Mapping[str, Any] | None = None, *, prefer: Sequence[str] = ("one",), **others: Mapping[str, Any]
) -> str:
    """A backends file of ``one`` and ``others``, each of which says what is not as usual."""
    backends = {"one": {**_BACKEND, **_PRICE, **(one or {})}}
    backends |= {key: {**_BACKEND, **other} for key, other in others.items()}
    rules = [{"kinds": ["*"], "prefer": list(prefer)}]
    return yaml.safe_dump({"version": 1, "practice": "never", "backends": backends, "rules": rules}, sort_keys=False)


def says(text: str = "All is well.") -> Reply:
    """A provider's answer."""
    return answer(text, usage=USAGE)


def address(upstream: FakeLLM) -> str:
    """Where a provider's one backend is."""
    return f"{upstream.url}/one/v1"


def configure(game: Game, text: str) -> None:
    """Make ``text`` the game's backends file."""
    (game.directory / "configs").mkdir(exist_ok=True)
    (game.directory / "configs" / "backends.yaml").write_text(text)


@contextmanager
def wired(
    directory: Path, text: str, settings: str = HASTE, *, new_database: bool = False, **environ: str
) -> Iterator[Game]:
    """A game of one's own with ``text`` for its backends file, running until the block ends.

    ``new_database``: ``settings`` name one in which nothing is.
    """
    game = copied(directory, environ={"ONE_API_KEY": "sk-one", **environ}, settings=settings)
    configure(game, text)
    try:
        if new_database:
            for file in (directory / "server").glob("*.db3*"):
                file.unlink()
            game.prepare()
        game.start()
        yield game
    finally:
        # Nobody asks it any more; an orderly end takes four seconds.
        game.kill9()


def all_said(session: Telnet) -> str:
    """All that the game had to say until now: what it says before it answers a command that it does not know."""
    word = f"nonsense{next(_NUMBERS)}"
    session.send(word)
    return session.expect(re.compile(rf"{word}.*\n"))


def held(game: Game) -> list[str]:
    """The questions that the game has written down as under way."""
    with closing(sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=10)) as database:
        return [text for (text,) in database.execute("SELECT text FROM ledger_pending")]


def connected(game: Game, account: str) -> bool:
    """Whether the game still takes somebody to be there."""
    asked = "SELECT db_is_connected FROM accounts_accountdb WHERE username = ?"
    with closing(sqlite3.connect(game.directory / "server" / "evennia.db3", timeout=10)) as database:
        return bool(database.execute(asked, (account,)).fetchone()[0])


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something is true. Raises AssertionError where it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def newcomer(game: Game, name: str) -> Telnet:
    """Somebody new, who has just arrived."""
    session = game.telnet()
    session.create_account(name, PASSWORD)
    all_said(session)
    return session


def think(session: Telnet, task: str) -> str:
    """Have a thought; all that is shown, the closing line with it."""
    session.send(f"think {task}")
    return session.expect(CLOSING)
