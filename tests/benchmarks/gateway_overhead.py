"""What the endpoint costs beside the model's own time, and beside other gateways, in one run on one machine.

    python tests/benchmarks/gateway_overhead.py
    PORTKEY_DIR=/path LITELLM_PYTHON=/path/to/python BASELINE=/path python tests/benchmarks/gateway_overhead.py

One upstream on loopback, in a process of its own, answers at once. In front of it stand, one after the other: nothing,
``python -m agent serve``, the Portkey gateway (npm ``@portkey-ai/gateway``: PORTKEY_DIR is where it was installed, else
npm installs it into a temporary directory) and the LiteLLM proxy (``litellm[proxy]`` in the interpreter that
LITELLM_PYTHON names), and another checkout of this repository at BASELINE. The client is a bare protocol on kept
connections, 1, 50 and 200 of them, each with one request under way; every prompt is a different one. Each server is one
process, and warmed up before it is measured.

``added`` is what a request takes longer than without any gateway, by the median at one at once. CPU is that of the
server's process alone, from /proc. Every answer is checked. ROUNDS (3) of the environment says how often everything is
measured in turn; the best of them counts, because what a busy machine takes away is no server's doing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import react

ROOT = Path(__file__).resolve().parents[2]
TESTS = Path(__file__).resolve().parents[1]
AT_ONCE = (1, 50, 200)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
REQUESTS = {1: 500, 50: 2000, 200: 2000}
#: Seconds for a server to come up; the LiteLLM proxy takes about 15 on two cores.
PATIENCE = 120.0

CONFIG = """
version: 1
practice: never
backends:
  bench:
    api: openai
    url: http://127.0.0.1:{port}/v1
    model: bench
    capabilities: [tools, json]
    max_context: 100000
    max_parallel: 1000
rules: [{{kinds: ["*"], prefer: [bench]}}]
"""
LITELLM_CONFIG = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
litellm_settings: {{telemetry: false, num_retries: 2}}
"""


@dataclass(slots=True)
class Target:
    """One server under test. ``pid`` 0 has no CPU time to read."""

    name: str
    port: int
    pid: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Figures:
    """Of one target at one number at once; times in milliseconds."""

    per_second: float
    median: float
    p99: float
    cpu: float


class Asking(Protocol):
    """One kept connection: sends a request, reads its answer, sends the next one."""

    def __init__(self, target: Target, numbers: Iterator[int], took: list[float]):
        self._target = target
        self._numbers = numbers
        self._took = took
        self._read = b""
        self._sent = 0.0
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        self._next()

    def _next(self) -> None:
        number = next(self._numbers, None)
        if number is None:
            self.done.callback(None)
            return
        asked = {"model": "bench", "messages": [{"role": "user", "content": f"How do tides work at harbour {number}?"}]}
        body = json.dumps(asked).encode()
        head = {"Host": f"127.0.0.1:{self._target.port}", "Content-Type": "application/json"}
        head |= {"Authorization": "Bearer none", "Content-Length": str(len(body)), **self._target.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._sent = time.perf_counter()
        self.transport.write(f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + body)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._read[:end].lower()
        if b"transfer-encoding: chunked" in head:
            if not self._read.endswith(b"0\r\n\r\n"):
                return
        else:
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._read) < end + 4 + length:
                return
        self._took.append(time.perf_counter() - self._sent)
        if b" 200 " not in head[:20] or b"The moon pulls" not in self._read:
            self.done.errback(AssertionError(f"{self._target.name}: {self._read[:500]!r}"))
            return
        self._read = b""
        self._next()

    def connectionLost(self, reason: Any = None) -> None:
        if not self.done.called:
            self.done.errback(AssertionError(f"{self._target.name} closed the connection: {self._read[:300]!r}"))


async def measure(target: Target, at_once: int) -> Figures:
    took: list[float] = []

    async def run(count: int) -> None:
        took.clear()
        numbers = iter(range(count))
        asking = []
        for _ in range(at_once):
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", target.port)
            asking.append(await connectProtocol(endpoint, Asking(target, numbers, took)))
        await gatherResults([each.done for each in asking], consumeErrors=True)
        for each in asking:
            each.transport.loseConnection()

    await run(max(200, 2 * at_once))
    count = REQUESTS[at_once]
    cpu, wall = cpu_seconds(target.pid), time.perf_counter()
    await run(count)
    wall, cpu = time.perf_counter() - wall, cpu_seconds(target.pid) - cpu
    took.sort()
    median, p99 = took[len(took) // 2], took[int(len(took) * 0.99) - 1]
    return Figures(count / wall, median * 1000, p99 * 1000, cpu / count * 1000)


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, its threads included."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- the servers -------------------------------------------------------------------------------------------------


@contextmanager
def process(name: str, command: list[str], port: int, **options: Any) -> Iterator[Target]:
    """A server, once it listens on ``port``."""
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if started.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        raise RuntimeError(f"{name} did not start: {log.read()[-800:].decode()}") from None
                    time.sleep(0.1)
            yield Target(name, port, started.pid)
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(15)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


@contextmanager
def nothing(upstream: int, _: Path) -> Iterator[Target]:
    yield Target("no gateway", upstream)


@contextmanager
def ours(upstream: int, directory: Path) -> Iterator[Target]:
    with checkout("uniwizard", ROOT, upstream, directory) as target:
        yield target


@contextmanager
def before(upstream: int, directory: Path) -> Iterator[Target]:
    if not (root := os.environ.get("BASELINE")):
        raise RuntimeError("BASELINE names no other checkout of this repository")
    with checkout("baseline", Path(root), upstream, directory) as target:
        yield target


@contextmanager
def checkout(name: str, root: Path, upstream: int, directory: Path) -> Iterator[Target]:
    """The server of a checkout of this repository."""
    (directory / "backends.yaml").write_text(CONFIG.format(port=upstream))
    port = free_port()
    command = [sys.executable, "-m", "agent", "serve", "--port", str(port)]
    with process(name, [*command, "--config", str(directory / "backends.yaml")], port, cwd=root) as target:
        yield target


@contextmanager
def portkey(upstream: int, directory: Path) -> Iterator[Target]:
    home = Path(os.environ.get("PORTKEY_DIR") or directory)
    if not shutil.which("node"):
        raise RuntimeError("node is not installed")
    script = home / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if not script.exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(home), "@portkey-ai/gateway"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm could not install it: {done.stderr[-200:]}")
    port = free_port()
    environ = {**os.environ, "NODE_ENV": "production"}
    with process("Portkey", ["node", str(script), f"--port={port}", "--headless"], port, env=environ) as target:
        target.headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        }
        yield target


@contextmanager
def litellm(upstream: int, directory: Path) -> Iterator[Target]:
    interpreter = os.environ.get("LITELLM_PYTHON")
    if not interpreter:
        raise RuntimeError("LITELLM_PYTHON names no interpreter that has litellm[proxy]")
    (directory / "litellm.yaml").write_text(LITELLM_CONFIG.format(port=upstream))
    port = free_port()
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    # Everybody may come in, as at the others.
    environ["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    command = [str(Path(interpreter).with_name("litellm")), "--config", str(directory / "litellm.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with process("LiteLLM proxy", command, port, env=environ) as target:
        yield target


# -- the table ---------------------------------------------------------------------------------------------------

SERVERS: list[Callable[[int, Path], Any]] = [nothing, ours, before, portkey, litellm]


async def compare(_: Any) -> None:
    best: dict[tuple[str, int], Figures] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as directory:
        upstream_process = subprocess.Popen(
            [sys.executable, "-m", "fake_llm", "0"], cwd=TESTS, stdout=subprocess.PIPE, text=True
        )
        assert upstream_process.stdout is not None
        try:
            port = int(upstream_process.stdout.readline())
            for _round in range(ROUNDS):
                for server in SERVERS:
                    if server.__name__ not in absent:
                        try:
                            await take(server, port, Path(directory), best)
                        except RuntimeError as why:
                            absent[server.__name__] = str(why)
        finally:
            upstream_process.terminate()
            upstream_process.wait()
    show(best)
    for name, why in absent.items():
        print(f"{name}: not measured: {why}")


async def take(
    server: Callable[[int, Path], Any], port: int, directory: Path, best: dict[tuple[str, int], Figures]
) -> None:
    """Measure one server at every number at once, and keep what is better than before."""
    with server(port, directory) as target:
        for at_once in AT_ONCE:
            figures = await measure(target, at_once)
            known = best.get((target.name, at_once), figures)
            best[target.name, at_once] = Figures(
                max(known.per_second, figures.per_second),
                min(known.median, figures.median),
                min(known.p99, figures.p99),
                min(known.cpu, figures.cpu),
            )


def show(best: dict[tuple[str, int], Figures]) -> None:
    print(f"{'gateway':<16}{'at once':>8}{'requests/s':>12}{'median ms':>11}{'p99 ms':>9}{'added ms':>10}{'CPU ms':>9}")
    for (name, at_once), figures in best.items():
        bare = best["no gateway", at_once]
        added = f"{figures.median - bare.median:>10.2f}" if at_once == 1 and name != "no gateway" else f"{'':>10}"
        cpu = f"{figures.cpu:>9.2f}" if figures.cpu else f"{'':>9}"
        print(
            f"{name:<16}{at_once:>8}{figures.per_second:>12.0f}{figures.median:>11.2f}{figures.p99:>9.1f}{added}{cpu}"
        )


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(compare(reactor)))
