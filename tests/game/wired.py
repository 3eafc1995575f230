"""A running game whose backends are providers of ours, and what its players do in it::

    with FakeLLMThread(default=says()) as upstream, wired(directory, config(), UPSTREAM=address(upstream)) as game:
        with newcomer(game, "Anna") as anna:
            think(anna, "hello")

Whatever ``ONE_API_KEY`` says is the key of every backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from fake_llm import FakeLLM, Reply, answer
from prepared import copied

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

PASSWORD = "tjo-hopp-99"
#: What ends a thought.
CLOSING = re.compile(r"\[[a-z]+, ([\d.]+ s, )?\$[\d.]+\]\n")
#: One thought may follow another at once.
HASTE = "UNIWIZARD_THINK_COOLDOWN = 0\n"
#: What every answer of a provider reports, and what that costs of the backend ``one``, in USD.
USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
COST = 0.002

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
            game.prepare()
        game.start()
        yield game
    finally:
        game.stop()


def newcomer(game: Game, name: str) -> Telnet:
    """Somebody new, who has just arrived."""
    session = game.telnet()
    session.create_account(name, PASSWORD)
    session.quiet(0.3)
    return session


def think(session: Telnet, task: str) -> str:
    """Have a thought; all that is shown, the closing line with it."""
    session.send(f"think {task}")
    return session.expect(CLOSING)
