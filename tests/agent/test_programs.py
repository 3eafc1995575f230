"""The programs that serve until they are ended, in this process: what they print, that they answer, how they end."""

from __future__ import annotations

import gc
import re
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import twisted.internet
from fake_llm.replies import TIDES
from faults import CLASSIFIER
from gateway_server import ASKED, Provider
from twisted.internet import reactor

from uniwizard.agent.__main__ import main
from uniwizard.agent.classify.classifier import Classifier

#: Runs what serves, has it visited once it listens on a port, and ends it; what both of them returned.
Host = Callable[[Callable[[], Any], int, Callable[[], Any]], tuple[Any, Any]]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A program takes its reactor from Twisted and blocks until it ends; here each gets one of its own."""
    own: Any = type(reactor)()
    monkeypatch.setattr(twisted.internet, "reactor", own)
    monkeypatch.setattr(Classifier, "load", lambda: CLASSIFIER)
    monkeypatch.delenv("UNIWIZARD_SERVE_KEY", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    collecting = gc.get_threshold()

    def run(program: Callable[[], Any], port: int, visit: Callable[[], Any]) -> tuple[Any, Any]:
        found: list[Any] = []

        def come() -> None:
            try:
                deadline = time.monotonic() + 30
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), timeout=5).close()
                        break
                    except OSError:
                        assert time.monotonic() < deadline
                        time.sleep(0.01)
                found.append(visit())
            finally:
                own.callFromThread(own.stop)

        visitor = threading.Thread(target=come)
        own.callWhenRunning(visitor.start)
        returned = program()
        visitor.join(30)
        return returned, found

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # The gateway's program tells the collector to leave alone what is there by then.
    gc.set_threshold(*collecting)
    gc.unfreeze()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "backends.yaml"
    with Provider() as provider:
        path.write_text(provider.config("a"))
        yield str(path)


@pytest.mark.parametrize("key", ["", "secret"])
def test_serve_says_where_it_is_answers_and_ends_with_0(
    host: Host, port: int, config: str, key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if key:
        monkeypatch.setenv("UNIWIZARD_SERVE_KEY", key)

    def visit() -> str | None:
        sdk = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key or "any", max_retries=5, timeout=30)
        return sdk.chat.completions.create(model="a", messages=ASKED).choices[0].message.content

    command = ["serve", "--port", str(port), "--config", config]
    assert host(lambda: main(command), port, visit) == (0, [TIDES])
    said = capsys.readouterr().out
    assert f"http://127.0.0.1:{port}/v1 with {'the key in UNIWIZARD_SERVE_KEY' if key else 'any key'}" in said
    assert "secret" not in said


def test_serve_tells_what_keeps_it_from_serving(host: Host, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--config", config]) == 2
    assert "UNIWIZARD_SERVE_KEY" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        assert main(["serve", "--port", str(taken), "--config", config]) == 2
    assert f"cannot listen on 127.0.0.1:{taken}" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["serve", "--port", "70000"])
    assert "'70000' is not a port" in capsys.readouterr().err


def test_practice_says_where_each_api_is_and_plays_the_scenes_it_is_given(
    host: Host, port: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["practice", "--port", str(port), "--scene", "claude=refuse"])

    def visit() -> str:
        sdk = anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{port}/claude", timeout=30)
        return sdk.messages.create(model="m", max_tokens=99, messages=ASKED).content[0].text

    _, (said,) = host(lambda: runpy.run_module("uniwizard.agent.practice", run_name="__main__"), port, visit)
    assert said.startswith("[practice] ")
    assert not said.startswith("[practice] Tides")
    told = capsys.readouterr().out
    for api in ("practice", "openai", "anthropic", "gemini", "ollama"):
        assert re.search(rf"^{api} +http://127.0.0.1:{port}", told, re.MULTILINE), api


@pytest.mark.parametrize("scene", ["claude=sulk", "claude"])
def test_practice_tells_what_is_no_scene(
    host: Host, scene: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["practice", "--scene", scene])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("uniwizard.agent.practice", run_name="__main__")
    assert "allowed: answer" in capsys.readouterr().err


def test_practice_tells_that_its_port_is_taken(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        monkeypatch.setattr(sys, "argv", ["practice", "--port", str(squatter.getsockname()[1])])
        with pytest.raises(SystemExit, match="1"):
            runpy.run_module("uniwizard.agent.practice", run_name="__main__")
    assert "listen" in capsys.readouterr().err
