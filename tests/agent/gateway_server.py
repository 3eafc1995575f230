"""The gateway for tests with blocking clients, and a provider below it that says what it is told to::

with Provider() as provider, Aside(provider.config("a", "b")) as served:
    provider.say("a", error(503))
    served.sdk().chat.completions.create(...)

``Aside`` is the gateway in a thread of this process, ``Program`` is ``python -m agent serve`` in one of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
from fake_llm import FakeLLMThread, Reply, answer, status
from fake_llm.replies import REFUSAL, TIDES
from fake_llm.streams import HEAD, LAST_CHUNK, chunk, chunked, sse
from faults import CLASSIFIER
from reactor_thread import ReactorThread
from twisted.internet.defer import maybeDeferred
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from uniwizard.agent import Router
from uniwizard.agent.config.loader import load
from uniwizard.agent.gateway import Gateway, GatewaySite, open_door
from uniwizard.agent.gateway.auth import Caller, OneKey
from uniwizard.agent.goals import Desk

__all__ = [
    "ASKED", "REFUSAL", "TIDES", "WEATHER", "Aside", "Program", "Provider", "Served", "create", "error", "says",
    "streams",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
ASKED: list[Any] = [{"role": "user", "content": "How do tides work?"}]

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    },
}


def create(sdk: openai.OpenAI, **more: Any) -> Any:
    """Ask ``a`` about the tides, or what else is said."""
    return sdk.chat.completions.create(**{"model": "a", "messages": ASKED, **more})


def says(text: str | None = TIDES, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion."""
    return answer(text, finish_reason=finish, **message)


def error(code: int, name: str = "", message: str = "no", **headers: str) -> Reply:
    lines = (f"{header.replace('_', '-')}: {value}" for header, value in headers.items())
    return status(code, *lines, error={"message": message, "code": name, "type": name})


def streams(*pieces: str, cut: bool = False) -> Reply:
    """The same in a stream of pieces; ``cut`` ends the connection where the end of the answer would be."""
    events = [sse(chunk({"content": piece}, model="told")) for piece in pieces]
    events += [] if cut else [sse(chunk({}, "stop", model="told")), sse("[DONE]")]
    data = HEAD + b"".join(chunked(event, last=False) for event in events)
    return Reply(data, end="close") if cut else Reply(data + LAST_CHUNK)


class Provider(FakeLLMThread):
    """A provider whose backends are at ``/<key>/v1``."""

    def say(self, key: str, *replies: Reply) -> None:
        self.script(key, *replies)

    @property
    def seen(self) -> Mapping[str, list[dict[str, Any]]]:
        """The bodies of what each backend was asked."""
        return defaultdict(list, {key: [asked.json for asked in those] for key, those in self.requests.items()})

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of all that was asked."""
        return [asked.headers for asked in self.log]

    def config(self, *keys: str, more: str = "") -> str:
        """A backends file with these keys, each falling back to the next; their breakers never open."""
        lines = ["version: 1", "practice: never", "backends:"]
        for key, following in zip(keys, [*keys[1:], ""], strict=True):
            lines += [
                f"  {key}:",
                "    api: openai",
                f"    url: {self.url}/{key}/v1",
                f"    model: {key}-model",
                "    cost_per_1k: {input: 0.1, output: 1.0}",
                "    capabilities: [tools, json, images, audio, prefill, stream]",
                "    max_context: 100000",
                "    retries: 0",
                "    allowed_fails: 1000000",
                "    cooldown_time: 0.001",
            ]
            lines += [f"    fallbacks: [{following}]"] if following else []
        return "\n".join([*lines, f"rules: [{{kinds: ['*'], prefer: [{', '.join(keys)}]}}]", more])


class Served:
    """The gateway at ``root``, which asks for ``key``."""

    root: str
    key = ""

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def address(self) -> tuple[str, int]:
        split = urlsplit(self.root)
        assert split.hostname is not None and split.port is not None
        return split.hostname, split.port

    def sdk(self, key: str = "", retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=key or self.key or "any", max_retries=retries, timeout=60)


class Aside(Served):
    """The gateway over a backends file, in a thread of this process; ``trouble`` is what was logged of it."""

    def __init__(self, config: str, *, key: str = "", check: Callable[[str], Caller | str] | None = None) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(config)
            file.flush()
            self._config = load(Path(file.name), {})
        self.key = key
        self._check = check or (OneKey(key) if key else open_door)
        self._aside = ReactorThread()
        self.trouble: list[str] = []

    def __enter__(self) -> Aside:
        self._aside.__enter__()
        globalLogPublisher.addObserver(self._heard)
        self._aside.call(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.call(self._close)
        globalLogPublisher.removeObserver(self._heard)
        self._aside.__exit__()

    async def _open(self) -> None:
        reactor = self._aside.reactor
        self._router = Router(self._config, reactor, classifier=CLASSIFIER)
        self._desk = Desk(self._router)
        self._desk.started = True
        unguarded = self._check is open_door
        self._gateway = Gateway(
            lambda: self._router, reactor, self._check, unguarded=unguarded, desk=lambda: self._desk
        )
        self._site = GatewaySite(self._gateway, reactor, max_connections=self._config.gateway.max_connections)
        self._site.noisy = False
        self._listening = reactor.listenTCP(0, self._site, backlog=512, interface="127.0.0.1")
        self.root = f"http://127.0.0.1:{self._listening.getHost().port}"
        await self._router.start()

    async def _close(self) -> None:
        await maybeDeferred(self._listening.stopListening)
        self._gateway.abandon()
        await self._site.close()
        await self._desk.close()
        await self._router.stop()

    def _heard(self, event: LogEvent) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self.trouble.append(formatEvent(event))


class Program(Served):
    """``python -m agent serve`` over a backends file; without one over the repository's own, all in practice."""

    def __init__(self, config: str = "", *arguments: str, key: str = ""):
        self._directory = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "agent", "serve", "--port", "0", *arguments]
        if config:
            path = Path(self._directory.name) / "backends.yaml"
            path.write_text(config)
            command += ["--config", str(path)]
        environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        environ.pop("UNIWIZARD_SERVE_KEY", None)
        environ["XDG_STATE_HOME"] = self._directory.name
        if key:
            environ["UNIWIZARD_SERVE_KEY"] = key
        self.key = key
        self.log = Path(self._directory.name) / "log"
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=self.log.open("wb"), text=True
        )
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline()
        found = re.search(r"(http://\S+)/v1", self.said)
        assert found is not None, f"not served: {self.said}{self.log.read_text()}"
        self.root = found[1]

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self, timeout: float = 30.0) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait(timeout)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._directory.cleanup()
