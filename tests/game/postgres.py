"""A PostgreSQL server of the test's own, on a free port, gone with the test::

    with postgres() as port:
        f"host=127.0.0.1 port={port} user=uniwizard dbname=postgres"

It runs Debian's server (package ``postgresql``) as somebody who is not root, as it demands.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path:
    """Where the newest server's programs lie. Skips the test where there is none; in CI that is a failure."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found and (on_path := shutil.which("pg_ctl")):
        found = [Path(on_path).parent]
    if not found:
        told = "no PostgreSQL server is installed; on Debian: apt install postgresql"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return found[-1]


class PostgresServer:
    """A server that trusts everybody on this machine; it can be stopped and started again."""

    def __init__(self, directory: str, who: dict[str, str]):
        self._bin, self._directory, self._who = programs(), directory, who
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        initdb = [f"{self._bin}/initdb", "-D", f"{directory}/data", "-U", "uniwizard", "-A", "trust", "--no-sync"]
        _run(initdb, directory, who)
        self.start()

    def start(self) -> None:
        """Come up; returns when it answers."""
        command = [f"{self._bin}/postgres", "-D", f"{self._directory}/data", "-p", str(self.port)]
        command += ["-k", self._directory, "-h", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._server = subprocess.Popen(command, cwd=self._directory, **quiet, **self._who)
        deadline = time.monotonic() + 30
        while subprocess.run([f"{self._bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            assert self._server.poll() is None, "PostgreSQL ended at once"
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """Go. SIGINT: at once, in good order."""
        self._server.send_signal(2)
        self._server.wait(30)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server."""
    who = {"user": "postgres"} if os.geteuid() == 0 else {}
    # Not in pytest's directory, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="pg") as directory:
        if who:
            shutil.chown(directory, "postgres")
        server = PostgresServer(directory, who)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgres() -> Iterator[int]:
    """A running server's port."""
    with postgres_server() as server:
        yield server.port


def _run(command: list[str], directory: str, who: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, **who)
    assert done.returncode == 0, done.stderr
