"""A running game whose backends are providers of ours, and what its players do in it::

    with Upstream() as upstream, wired(directory, config(), UPSTREAM=upstream.url) as game:
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

from uniwizard.server.game.process import Game
from uniwizard.server.game.scratch import own_game
from uniwizard.server.game.telnet import Telnet

PASSWORD = "tjo-hopp-99"
#: What ends a thought.
CLOSING = re.compile(r"\[[a-z]+, ([\d.]+ s, )?\$[\d.]+\]\n")
#: One thought may follow another at once.
HASTE = "UNIWIZARD_THINK_COOLDOWN = 0\n"
#: USD that 100 tokens in and 50 out, which an Upstream reports, cost of the backend ``one``.
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


def configure(game: Game, text: str) -> None:
    """Make ``text`` the game's backends file."""
    (game.directory / "configs").mkdir(exist_ok=True)
    (game.directory / "configs" / "backends.yaml").write_text(text)


@contextmanager
def wired(directory: Path, text: str, settings: str = HASTE, **environ: str) -> Iterator[Game]:
    """A game of one's own with ``text`` for its backends file, running until the block ends."""
    game = own_game(directory, environ={"ONE_API_KEY": "sk-one", **environ}, settings=settings)
    configure(game, text)
    try:
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
