"""``python -m agent serve`` in a process of its own, and a provider below it that says what it is told to::

with Provider() as provider, Served(provider.config("a", "b")) as served:
    provider.say("a", error(503))
    served.sdk().chat.completions.create(...)
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai

ROOT = Path(__file__).resolve().parents[2]
TIDES = "The moon pulls on the water, and the earth turns below it."
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
REFUSAL = "I'm sorry, but I can't help with that request."

Reply = tuple[int, dict[str, str], Any]


def create(sdk: openai.OpenAI, **more: Any) -> Any:
    """Ask ``a`` about the tides, or what else is said."""
    return sdk.chat.completions.create(**{"model": "a", "messages": ASKED, **more})


def says(text: str | None = TIDES, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    return 200, {}, {"object": "chat.completion", "model": "told-1", "choices": [choice], "usage": usage}


def error(status: int, code: str = "", message: str = "no", **headers: str) -> Reply:
    return status, headers, {"error": {"message": message, "code": code, "type": code}}


def streams(*pieces: str, cut: bool = False) -> Reply:
    """The same in a stream of pieces; ``cut`` resets the connection where the end would be."""
    chunks: list[Any] = [{"index": 0, "delta": {"content": piece}, "finish_reason": None} for piece in pieces]
    if not cut:
        chunks.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    events = [f"data: {json.dumps({'model': 'told-1', 'choices': [chunk]})}\n\n".encode() for chunk in chunks]
    return 200, {"content-type": "text/event-stream"}, events if cut else [*events, b"data: [DONE]\n\n", b""]


class Provider:
    """OpenAI's chat completions below ``/<key>/v1``; ``say`` gives replies in order, the last one is repeated."""

    def __init__(self) -> None:
        self.seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.headers: list[dict[str, str]] = []
        #: Cleared, it holds every answer back.
        self.go = threading.Event()
        self.go.set()
        self.asked = threading.Semaphore(0)
        #: Released once for every client that hangs up while it is held back.
        self.left = threading.Semaphore(0)
        self._replies: dict[str, list[Reply]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, {}, {"object": "list", "data": []})

            def do_POST(self) -> None:
                key = self.path.split("/")[1]
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                provider.seen[key].append(json.loads(body))
                provider.headers.append({name.lower(): value for name, value in self.headers.items()})
                provider.asked.release()
                if not provider.go.is_set() and self._hung_up():
                    return
                replies = provider._replies.get(key) or [says()]
                self._send(*(replies.pop(0) if len(replies) > 1 else replies[0]))

            def _hung_up(self) -> bool:
                self.connection.settimeout(0.05)
                while not provider.go.is_set():
                    try:
                        if not self.connection.recv(1):
                            break
                    except TimeoutError:
                        continue
                    except OSError:
                        break
                else:
                    self.connection.settimeout(None)
                    return False
                provider.left.release()
                self.close_connection = True
                return True

            def _send(self, status: int, headers: dict[str, str], content: object) -> None:
                if isinstance(content, list):
                    self._stream(status, headers, content)
                    return
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            def _stream(self, status: int, headers: dict[str, str], events: list[bytes]) -> None:
                """Chunked; without an empty chunk last it breaks off."""
                self.send_response(status)
                for name, value in {"transfer-encoding": "chunked", "connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for event in events:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                    self.wfile.flush()
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def say(self, key: str, *replies: Reply) -> None:
        self._replies[key] = list(replies)

    def quiet(self) -> None:
        """Forget what was said and seen."""
        self._replies.clear()
        self.seen.clear()
        self.headers.clear()
        self.go.set()
        for counted in (self.asked, self.left):
            while counted.acquire(blocking=False):
                pass

    def config(self, *keys: str, more: str = "") -> str:
        """A backends file with these keys, each falling back to the next; their breakers never open."""
        lines = ["version: 1", "practice: never", "backends:"]
        for key, following in zip(keys, [*keys[1:], ""], strict=True):
            lines += [
                f"  {key}:",
                "    api: openai",
                f"    url: http://127.0.0.1:{self._server.server_address[1]}/{key}/v1",
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

    def __enter__(self) -> Provider:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


class Served:
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
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def address(self) -> tuple[str, int]:
        split = urlsplit(self.root)
        assert split.hostname is not None and split.port is not None
        return split.hostname, split.port

    @property
    def pid(self) -> int:
        return self._process.pid

    def sdk(self, key: str = "", retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key=key or self.key or "any", max_retries=retries, timeout=60)

    def signal(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self, timeout: float = 30.0) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait(timeout)

    def __enter__(self) -> Served:
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
