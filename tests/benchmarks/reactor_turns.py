"""The longest turn of the reactor while the worst bodies come that a stranger can think of.

    python tests/benchmarks/reactor_turns.py                # python -m agent serve
    python tests/benchmarks/reactor_turns.py --game         # a real game, through its portal, with a player's token
    python tests/benchmarks/reactor_turns.py --only "4 MB"  # those whose names have that in them

The server hides 1,000 names and answers out of a provider of this benchmark; its turns are watched from within
(``tests/attacks/turns.py``). Each body is sent three times. The bar: no turn longer than 50 ms. Beside them stands what
an ordinary request takes, in the same run: on a busy machine a turn of nothing is late as well, so the most that the
reactor's thread worked in a turn stands beside the longest that a turn lasted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("", "game", "attacks"))]

from fake_llm import FakeLLMThread, answer  # noqa: E402
from turns import FILE, Turn, Turns  # noqa: E402

BAR = 50.0
TIMES = 3
NAMES = 1_000
SIZE = 3_900_000
PLAIN = "The moon pulls on the water, so the sea rises twice a day."

CONFIG = """
version: 1
practice: never
probe_interval: 3600
backends:
  one:
    api: openai
    url: ${UPSTREAM}
    model: told
    api_key: ${ONE_API_KEY}
    max_context: 2000000
    max_parallel: 64
    retries: 0
    allowed_fails: 1000000
    capabilities: [tools, json, images]
rules: [{kinds: ["*"], prefer: [one]}]
"""


@dataclass(frozen=True)
class Body:
    """What is sent, and what the provider answers."""

    name: str
    sent: bytes
    headers: dict[str, str] = field(default_factory=dict)
    reply: str = PLAIN


def asked(text: Any = "How do tides work?", **more: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}], **more}).encode()


def schema(**more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", **more}}}


def bodies() -> Iterator[Body]:
    """An ordinary request, the ten worst ones, and further ones of their kinds."""
    yield Body("an ordinary request", asked())
    yield Body("3.9 MB of prose", asked("The tide comes in. " * (SIZE // 19)))
    yield Body('3.9 MB of "1.1.1.1 ", user 1.1.1.1x', asked("1.1.1.1 " * (SIZE // 8), user="1.1.1.1x"))
    yield Body('3.9 MB of "Anna ", 1,000 names "Anna N"', asked("Anna " * (SIZE // 5)))
    yield Body("500,000 content parts", asked([{"type": "text", "text": "a"}] * 500_000))
    many = [{"role": "user", "content": "a"}] * 200_000
    yield Body("200,000 messages", json.dumps({"model": "auto", "messages": many}).encode())
    yield Body("100,000 headers", asked(), {f"x-{number}": "a" for number in range(100_000)})
    pattern = {"properties": {"a": {"type": "string", "pattern": "^(a|a)*$"}}, "required": ["a"]}
    yield Body(
        "a pattern that backtracks", asked(response_format=schema(**pattern)), {}, json.dumps({"a": "a" * 40 + "!"})
    )
    wide = {f"p{number}": {"type": "string"} for number in range(20_000)}
    yield Body("a schema of 20,000 properties", asked(response_format=schema(properties=wide)), {}, "{}")
    less = dict(list(wide.items())[:5_000])
    filled = json.dumps(dict.fromkeys(less, "a"))
    yield Body("a schema of 5,000, and all of them", asked(response_format=schema(properties=less)), {}, filled)
    yield Body("3.9 MB of brackets", b'{"model": "auto", "messages": ' + b"[" * SIZE)
    yield Body("20 MB of one word", asked("a" * 19_900_000))
    yield Body("20 MB out of 20 kB of gzip", gzip.compress(asked("a b " * 4_900_000)), {"content-encoding": "gzip"})
    yield Body("an answer of 4 MB", asked(), {}, "I cannot say, but " * 220_000)
    yield Body("an answer of 4 MB without a blank", asked(), {}, "a" * 4_000_000)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": wide}}}
    yield Body("a tool of 20,000 parameters", asked(tools=[tool]))
    yield Body("49 tools of 1,000 parameters", asked(tools=[few(number) for number in range(49)]))
    pixel = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'QUJD' * 40}"}}
    yield Body("15,000 small pictures", asked([{"type": "text", "text": "What is it?"}, *[pixel] * 15_000]))
    yield Body("an answer of 300 kB", asked(), {}, "I cannot say, but " * 16_000)
    yield Body("3.9 MB of escapes", asked("\\u0041\\x41%41&#65;" * (SIZE // 24)))
    yield Body("3.9 MB of combining characters", asked("e\u0301\u0327" * (SIZE // 15)))
    yield Body("3.9 MB of digits", b'{"model": "auto", "seed": ' + b"9" * SIZE + b"}")


def few(number: int) -> dict[str, Any]:
    """One of many tools."""
    properties = {f"p{number}": {"type": "string"} for number in range(1_000)}
    return {
        "type": "function",
        "function": {"name": f"f{number}", "parameters": schema(properties=properties)["json_schema"]["schema"]},
    }


def send(address: tuple[str, int], body: Body, key: str) -> str:
    """The status of the answer, or what went wrong."""
    headers = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": str(len(body.sent)),
        "Connection": "close",
    }
    headers |= ({"Authorization": f"Bearer {key}"} if key else {}) | body.headers
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        with socket.create_connection(address, timeout=120) as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body.sent)
            return connection.recv(100)[9:12].decode() or "closed"
    except OSError as error:
        return type(error).__name__


@contextmanager
def door(directory: Path, upstream: str) -> Iterator[tuple[tuple[str, int], str]]:
    """``python -m agent serve`` with :data:`NAMES` names; its address and the key."""
    names = json.dumps(["Anna", *(f"Anna N{number}" for number in range(NAMES))])
    (directory / "backends.yaml").write_text(CONFIG + f"identity: {names}\n")
    environ = {**os.environ, "UPSTREAM": upstream, "ONE_API_KEY": "sk-one", FILE: str(directory / "turns")}
    environ |= {"XDG_STATE_HOME": str(directory), "UNIWIZARD_SERVE_KEY": "secret"}
    command = [sys.executable, str(ROOT / "tests" / "attacks" / "turns.py"), "serve", "--port", "0"]
    command += ["--config", str(directory / "backends.yaml")]
    with (directory / "log").open("wb") as log:
        served = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert served.stdout is not None
        found = re.search(r"http://([\d.]+):(\d+)/v1", served.stdout.readline())
        assert found is not None, (directory / "log").read_text()
        yield (found[1], int(found[2])), "secret"
    finally:
        served.terminate()
        served.wait()


@contextmanager
def game(directory: Path, upstream: str) -> Iterator[tuple[tuple[str, int], str]]:
    """A real game with :data:`NAMES` further accounts; its web server's address and a player's token."""
    from wired import newcomer, wired

    settings = (
        f"import sys; sys.path.append({str(ROOT / 'tests' / 'attacks')!r})\n"
        'SERVER_SERVICES_PLUGIN_MODULES = ["turns"]\n'
        'UNIWIZARD_TOKEN_LIMITS = {"requests_per_minute": 100000, "usd_per_month": 100000.0}\n'
    )
    told = {"UPSTREAM": upstream, FILE: str(directory / "turns")}
    with wired(directory / "game", CONFIG, settings, **told) as running, newcomer(running, "Anna") as player:
        with running.telnet() as wizard:
            wizard.login(running.superuser.name, running.superuser.password)
            made = f"[evennia.create_account(f'AnnaN{{n}}', '', 'tjo-hopp-99') for n in range({NAMES})]"
            wizard.send(f"py {made}; print('do' + 'ne')")
            wizard.expect("done\n", 120)
        player.send("token/create it = 100000, 100000, 90")
        found = re.search(r"uwz-[0-9a-f]{8}-[0-9a-f]{64}", player.expect("Model: auto"))
        assert found is not None
        host, _, port = running.web_url.rpartition("/")[2].partition(":")
        yield (host, int(port)), found[0]


def measure(of: Any, only: str = "") -> Iterator[tuple[str, str, float, Turn]]:
    """For each body: its name, the statuses of its answers, seconds each, and the longest turn."""
    with tempfile.TemporaryDirectory() as name, FakeLLMThread() as provider:
        directory = Path(name)
        with of(directory, f"{provider.url}/one/v1") as (address, key):
            turns = Turns(directory / "turns")
            for body in bodies():
                if only not in body.name:
                    continue
                provider.default = answer(body.reply)
                time.sleep(0.3)
                turns.longest()
                began = time.perf_counter()
                statuses = {send(address, body, key) for _ in range(TIMES)}
                took = (time.perf_counter() - began) / TIMES
                time.sleep(0.3)
                yield body.name, "/".join(sorted(statuses)), took, turns.longest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    print(f"{'body':<40}{'status':>12}{'seconds':>9}{'longest turn, ms':>18}{'of it work':>12}")
    worst = 0.0
    for name, status, took, turn in measure(game if given.game else door, given.only):
        print(f"{name:<40}{status:>12}{took:>9.2f}{turn.wall:>18.1f}{turn.cpu:>12.1f}", flush=True)
        worst = max(worst, turn.cpu)
    return 1 if worst > BAR else 0


if __name__ == "__main__":
    sys.exit(main())
