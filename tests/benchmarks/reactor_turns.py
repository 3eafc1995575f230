"""The longest turn of the reactor while the door is sent the worst bodies that a stranger can think of.

    python tests/benchmarks/reactor_turns.py [--names 1000]

A server of its own (``agent serve``, with so many names to keep secret) answers out of a provider of this benchmark; a
timer in its reactor notes by how much it is late. Each body is sent three times. Beside them stands what an ordinary
request takes, in the same run: on a busy machine a turn of nothing is late as well.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: Runs the command line with a timer beside it, whose lateness is written to the file named first.
WATCHED = """
import sys, time
from twisted.internet import reactor
from uniwizard.agent.__main__ import main
late, last, file = 0.0, time.perf_counter(), sys.argv.pop(1)
def beat():
    global late, last
    now = time.perf_counter()
    if now - last - 0.002 > late:
        late = now - last - 0.002
        open(file, "w").write(f"{late:.6f}")
    last = now
    reactor.callLater(0.002, beat)
def reset():
    global late
    import os
    if os.path.exists(file + ".reset"):
        os.unlink(file + ".reset")
        late = 0.0
        open(file, "w").write("0")
    reactor.callLater(0.02, reset)
reactor.callWhenRunning(beat)
reactor.callWhenRunning(reset)
sys.exit(main(sys.argv[1:]))
"""

CONFIG = """
version: 1
practice: never
probe_interval: 3600
backends:
  one: {{api: openai, url: "{url}", model: told, max_context: 2000000, max_parallel: 64, capabilities: [tools, json]}}
rules: [{{kinds: ["*"], prefer: [one]}}]
identity: {names}
"""
SIZE = 3_900_000


class Provider(BaseHTTPRequestHandler):
    """Answers with whatever the request's model line asks for."""

    protocol_version = "HTTP/1.1"
    reply = "The moon pulls."

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": type(self).reply}}
        body = json.dumps({"id": "x", "object": "chat.completion", "model": "told", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


def asked(text: Any = "How do tides work?", **more: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}], **more}).encode()


def schema(**properties: Any) -> dict[str, Any]:
    whole = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": whole}}


def bodies() -> Iterator[tuple[str, bytes, dict[str, str], str]]:
    """What is sent: a name, the body, further headers, and what the provider answers."""
    plain = Provider.reply
    yield "an ordinary request", asked(), {}, plain
    yield "3.9 MB of prose", asked("The tide comes in. " * (SIZE // 19)), {}, plain
    yield "3.9 MB of a name's beginning", asked("Anna " * (SIZE // 5)), {}, plain
    yield "3.9 MB of an address, and a user like it", asked("1.1.1.1 " * (SIZE // 8), user="1.1.1.1x"), {}, plain
    yield "500,000 content parts", asked([{"type": "text", "text": "a"}] * 500_000), {}, plain
    yield (
        "200,000 messages",
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": "a"}] * 200_000}).encode(),
        {},
        plain,
    )
    yield "2,000 headers", asked(), {f"x-{number}": "a" for number in range(2_000)}, plain
    evil = asked(response_format=schema(a={"type": "string", "pattern": "^(a|a)*$"}))
    yield "a pattern that backtracks, and its answer", evil, {}, json.dumps({"a": "a" * 40 + "!"})
    yield (
        "a schema of 20,000 properties",
        asked(response_format=schema(**{f"p{number}": {"type": "string"} for number in range(20_000)})),
        {},
        "{}",
    )
    yield "3.9 MB of brackets", b'{"model": "auto", "messages": ' + b"[" * SIZE, {}, plain
    yield "an answer of 4 MB", asked(), {}, "I cannot say, but " * 220_000
    yield "an answer of 4 MB without a blank", asked(), {}, "a" * 4_000_000


def send(port: int, body: bytes, headers: dict[str, str]) -> str:
    """The status of the answer, or what went wrong."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", **headers})
        status = str(connection.getresponse().status)
        connection.close()
        return status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1_000)
    count = parser.parse_args().names
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        late, config = Path(directory) / "late", Path(directory) / "backends.yaml"
        names = json.dumps(["Anna", *(f"Anna N{number}" for number in range(count))])
        config.write_text(CONFIG.format(url=f"http://127.0.0.1:{upstream.server_port}/v1", names=names))
        command = [sys.executable, "-c", WATCHED, str(late), "serve", "--port", "0", "--config", str(config)]
        clean = {name: value for name, value in os.environ.items() if name != "UNIWIZARD_SERVE_KEY"}
        served = subprocess.Popen(command, cwd=ROOT, env=clean, stdout=subprocess.PIPE, text=True)
        try:
            assert served.stdout is not None
            port = int(served.stdout.readline().split("//")[1].split("/")[0].rpartition(":")[2])
            print(f"{'body':<46}{'status':>12}{'seconds':>9}{'longest turn, ms':>18}")
            for name, body, headers, reply in bodies():
                Provider.reply = reply
                Path(f"{late}.reset").touch()
                time.sleep(0.1)
                began = time.perf_counter()
                statuses = {send(port, body, headers) for _ in range(3)}
                took = (time.perf_counter() - began) / 3
                time.sleep(0.1)
                print(f"{name:<46}{'/'.join(sorted(statuses)):>12}{took:>9.2f}{float(late.read_text()) * 1000:>18.1f}")
        finally:
            served.terminate()
            served.wait()


if __name__ == "__main__":
    main()
