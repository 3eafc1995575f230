"""A real redis-server for a test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Any


class RedisServer:
    """A redis-server of the test's own, on a free port, that keeps nothing."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = tempfile.mkdtemp()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: Any = None
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.folder)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not come up")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def say(self, *words: str) -> bytes:
        """The reply to one command, as it comes over the wire."""
        told = b"*%d\r\n" % len(words)
        for word in words:
            told += b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode())
        with socket.create_connection(("127.0.0.1", self.port), 5) as said:
            said.sendall(told)
            return said.recv(10_000)

    def flush(self) -> None:
        """Have it forget everything."""
        self.say("FLUSHALL")

    def close(self) -> None:
        self.thaw()
        self.stop()
        shutil.rmtree(self.folder)
