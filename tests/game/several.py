"""A game's directory on PostgreSQL with Redis, and doors beside it; the game itself is not running::

with together(directory, config(), ["Anna"], UPSTREAM=address(upstream)) as several:
    secret, identifier = several.tokens["Anna"]
    with several.doors(2) as doors:
        ...
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from postgres import PostgresServer, postgres_server
from wired import configure

from uniwizard.server.game.process import Game
from uniwizard.server.game.scratch import own_game

sys.path.append(str(Path(__file__).parents[1] / "agent"))
from redis_server import RedisServer

DATABASES = """
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "uniwizard", "HOST": "127.0.0.1",
    "PORT": {port}, "OPTIONS": {{"connect_timeout": 2}},
}}}}
"""
_TOKENS = """
from evennia.utils.create import create_account
from uniwizard.agent.gateway import Allowance
from uniwizard.world.tokens import tokens
for name, words, rate, usd in {players!r}:
    account = create_account(name, name + "@example.org", "tjo-hopp-99")
    print("token", name, tokens.create(account, words, Allowance(rate, usd))[1])
"""
_AT = re.compile(r"doors? at (http://\S+)/v1")


class Doors:
    """The parent of some doors."""

    def __init__(self, game: Game, environ: Mapping[str, str], processes: int):
        command = [sys.executable, "-m", "uniwizard.world.doors", "--processes", str(processes), "--port", "0"]
        self.log = game.directory / "doors.log"
        with self.log.open("ab") as log:
            self.parent = subprocess.Popen(
                command, cwd=game.directory, env={**os.environ, **environ}, stdout=log, stderr=log
            )
        self.processes = processes
        try:
            self.url = self._until(lambda: _AT.search(self.log.read_text()))[1]
            self._until(self.ready)
        except BaseException:
            self.stop()
            raise

    def _until(self, found: Any) -> Any:
        until = time.monotonic() + 240
        while time.monotonic() < until:
            if told := found():
                return told
            assert self.parent.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"the doors do not open\n{self.log.read_text()}")

    def ready(self) -> bool:
        """Whether somebody answers, and all have been started."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as told:
                return told.status == 200 and len(self.children()) == self.processes
        except OSError:
            return False

    def children(self) -> list[int]:
        """The process ids of the doors."""
        found = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def stop(self) -> None:
        self.parent.terminate()
        self.parent.wait(40)


class Several:
    """The game's directory, its database, its Redis, and the tokens of its players: secret and id."""

    def __init__(self, game: Game, environ: Mapping[str, str], database: PostgresServer, redis: RedisServer):
        self.game = game
        self.environ = dict(environ)
        self.database = database
        self.redis = redis
        self.tokens: dict[str, tuple[str, str]] = {}

    def sql(self, query: str) -> list[Any]:
        """What the database answers."""
        address = f"host=127.0.0.1 port={self.database.port} user=uniwizard dbname=postgres connect_timeout=5"
        with closing(psycopg.connect(address, autocommit=True)) as database:
            told = database.execute(query)
            return told.fetchall() if told.description else []

    @contextmanager
    def doors(self, processes: int) -> Iterator[Doors]:
        """So many doors."""
        doors = Doors(self.game, self.environ, processes)
        try:
            yield doors
        finally:
            doors.stop()


#: A player: name, label of the token, requests a minute, USD a month.
Player = tuple[str, str, int, float]


@contextmanager
def together(
    directory: Path, text: str, players: Sequence[Player], settings: str = "", **environ: str
) -> Iterator[Several]:
    """All of it; gone when the block ends."""
    redis = RedisServer()
    try:
        with postgres_server() as database:
            environ = {"ONE_API_KEY": "sk-one", "UNIWIZARD_REDIS_URL": redis.url, **environ}
            game = own_game(directory, environ=environ, settings=settings + DATABASES.format(port=database.port))
            configure(game, text)
            game.prepare()
            several = Several(game, environ, database, redis)
            for line in game.python(_TOKENS.format(players=list(players))).splitlines():
                if line.startswith("token "):
                    _, name, secret = line.split()
                    several.tokens[name] = secret, secret.split("-")[1]
            yield several
    finally:
        redis.close()


def kill(pid: int) -> None:
    """Kill -9."""
    os.kill(pid, signal.SIGKILL)
