"""A provider of our own for the game's tests: speaks OpenAI's chat completions on loopback, says what it is told to,
and remembers everything it was sent::

    with Upstream() as upstream:
        upstream.answer = "Hello."
        ...
        upstream.requests[-1].body
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Received:
    """One request, headers with lower-case names; when it came, and whether its answer has been sent."""

    path: str
    headers: dict[str, str]
    body: str
    at: float = field(default_factory=time.time)
    answered: bool = False

    @property
    def everything(self) -> str:
        """All that a provider could read in it."""
        return "\n".join((self.path, *(f"{k}: {v}" for k, v in self.headers.items()), self.body))


class Upstream:
    """``answer`` is the text of every answer, or ``tell(body)`` is; ``delay`` is the seconds it takes; ``go`` holds
    answers back while it is cleared."""

    def __init__(self, delay: float = 0.0) -> None:
        self.answer = "All is well."
        self.tell: Callable[[str], str] | None = None
        self.status = 200
        self.requests: list[Received] = []
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        #: Seconds that a health check takes.
        self.probe_delay = 0.0
        self.never = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                upstream.never.wait(upstream.probe_delay)
                self._send(200, {"object": "list", "data": []})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.path, headers, body)
                upstream.requests.append(received)
                upstream.arrived.release()
                upstream.go.wait(60)
                if delay:
                    upstream.never.wait(delay)
                if upstream.status != 200:
                    self._send(upstream.status, {"error": {"message": "out of order", "type": "server_error"}})
                    return
                text = upstream.tell(body) if upstream.tell is not None else upstream.answer
                message = {"role": "assistant", "content": text}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
                received.answered = True
                if self.path.endswith("/generate"):
                    # A wire format of a game's own.
                    self._send(200, {"text": text})
                    return
                self._send(200, {"model": "told", "choices": [choice], "usage": usage})

            def _send(self, status: int, content: object) -> None:
                data = json.dumps(content).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    # Whoever asked has hung up, which some tests are about.
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # The backlog; a hundred thinkers knock at once.
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """Whoever asked has hung up or was killed, which some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
