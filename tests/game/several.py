"""A game on PostgreSQL with Redis, and doors beside it, as an operator of several processes has them::

with together(directory, config(), UPSTREAM=address(upstream)) as several:
    secret = several.token("Anna")
    with several.doors(2) as doors:
        doors.ask(secret, "How do tides work?")
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
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from postgres import PostgresServer, postgres_server
from wired import HASTE, configure, newcomer

from prepared import copied  # isort: skip
from uniwizard.server.game.process import Game

sys.path.append(str(Path(__file__).parents[1] / "agent"))
from redis_server import RedisServer

DATABASES = """
DATABASES = {{"default": {{
    "ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "uniwizard", "HOST": "127.0.0.1",
    "PORT": {port}, "OPTIONS": {{"connect_timeout": 2}},
}}}}
"""
_SECRET = re.compile(r"(uwz-([0-9a-f]{8})-[0-9a-f]{64})")
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
        self.url = self._until(lambda: _AT.search(self.log.read_text()))[1]
        self._until(self.ready)

    def _until(self, found: Any) -> Any:
        until = time.monotonic() + 90
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
    """The game, its database and its Redis."""

    def __init__(self, game: Game, environ: Mapping[str, str], database: PostgresServer, redis: RedisServer):
        self.game = game
        self.environ = dict(environ)
        self.database = database
        self.redis = redis

    def sql(self, query: str) -> list[Any]:
        """What the database answers."""
        address = f"host=127.0.0.1 port={self.database.port} user=uniwizard dbname=postgres connect_timeout=5"
        with closing(psycopg.connect(address)) as database:
            return database.execute(query).fetchall()

    def token(self, player: str, words: str = "a program") -> tuple[str, str]:
        """A token of a new player's: its secret and its id."""
        with newcomer(self.game, player) as session:
            session.send(f"token/create {words}")
            found = _SECRET.search(session.expect("Model: auto"))
        assert found is not None
        return found[1], found[2]

    @contextmanager
    def doors(self, processes: int) -> Iterator[Doors]:
        """So many doors beside the game."""
        doors = Doors(self.game, self.environ, processes)
        try:
            yield doors
        finally:
            doors.stop()


@contextmanager
def together(directory: Path, text: str, settings: str = "", **environ: str) -> Iterator[Several]:
    """All of it, running; gone when the block ends."""
    redis = RedisServer()
    try:
        with postgres_server() as database:
            environ = {"ONE_API_KEY": "sk-one", "UNIWIZARD_REDIS_URL": redis.url, **environ}
            game = copied(directory, environ=environ, settings=HASTE + settings + DATABASES.format(port=database.port))
            configure(game, text)
            for file in (directory / "server").glob("*.db3*"):
                file.unlink()
            try:
                game.prepare()
                game.start()
                yield Several(game, environ, database, redis)
            finally:
                game.kill9()
    finally:
        redis.close()


def kill(pid: int) -> None:
    """Kill -9."""
    os.kill(pid, signal.SIGKILL)
