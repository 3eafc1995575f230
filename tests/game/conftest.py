"""Real games for the tests: real processes, real telnet, each game on ports of its own.

``game`` is one running game for the whole session::

    def test_a_new_player_can_look_around(game):
        with game.telnet() as player:
            player.create_account("anna", "tjo-hopp-99")
            player.send("look")
            player.expect("Workshop")

Names of accounts are shared by all tests of a session, so every test makes up its own; ``player`` has one, ``wizard``
is the superuser. A module that wants a game of its own has a fixture ``game`` of its own, which those two then enter;
its backends can be at ``provider``, which is ``upstream`` for the tests themselves.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import prepared
import pytest
from fake_llm import FakeLLMThread, models
from wired import all_said, newcomer, says

from uniwizard.server.game.process import Game
from uniwizard.server.game.scratch import own_game
from uniwizard.server.game.telnet import Telnet

#: Runs ``python -m uniwizard.server.game.play`` in a game's directory, as ``make play`` does, with further arguments.
Play = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def _one_prepared_game_for_all_workers(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    os.environ.setdefault(
        prepared.FOLDER, str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared")
    )


@pytest.fixture(scope="session")
def play() -> Play:
    def run(game: Game, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "uniwizard.server.game.play", *arguments]
        return subprocess.run(
            command, cwd=game.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180
        )

    return run


@pytest.fixture(scope="session")
def first_play(tmp_path_factory: pytest.TempPathFactory, play: Play) -> Iterator[tuple[Game, str]]:
    """A game that ``play`` brought up from nothing, and what it said."""
    # The space belongs to the test: people have such directories.
    directory: Path = tmp_path_factory.mktemp("games") / "a game"
    fresh = own_game(directory, settings=prepared.CHEAP_PASSWORDS)
    try:
        said = play(fresh)
        assert said.returncode == 0, said.stdout + said.stderr
        yield fresh, said.stdout
    finally:
        fresh.kill9()


@pytest.fixture
def game(first_play: tuple[Game, str]) -> Game:
    """The session's one game with Uniwizard in it, running; if a test before stopped it, it is started again."""
    shared = first_play[0]
    if shared.running() is None:
        shared.start()
    return shared


@pytest.fixture
def player(game: Game, request: pytest.FixtureRequest) -> Iterator[Telnet]:
    """A player of the test's own, just arrived."""
    name = "p" + re.sub(r"\W|_", "", request.node.name.removeprefix("test_"))[-22:]
    with newcomer(game, name) as session:
        yield session


@pytest.fixture
def wizard(game: Game) -> Iterator[Telnet]:
    """The superuser."""
    with game.telnet() as session:
        session.login(game.superuser.name, game.superuser.password)
        all_said(session)
        yield session


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeLLMThread]:
    """A provider for the backends of a module's own game."""
    with FakeLLMThread(default=says()) as told:
        yield told


@pytest.fixture
def upstream(provider: FakeLLMThread) -> Iterator[FakeLLMThread]:
    """The provider; the test finds it in good order and leaves it so."""
    yield provider
    provider.default, provider.probes = says(), models()
    provider.go.set()
    provider.rest.set()
