"""``python -m agent goal`` in a process of its own: a plan and its price, and a kill that costs no answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_llm import Reply, Request
from gateway_server import ROOT, Provider, says

pytestmark = pytest.mark.slow
LONG = "The moon pulls on the water of every sea, twice a day, and the harbour has learnt to wait for it."


def command(directory: Path, provider: Provider, *arguments: str) -> subprocess.Popen[str]:
    config = directory / "backends.yaml"
    config.write_text(provider.config("a", "b"))
    environ = {**os.environ, "XDG_STATE_HOME": str(directory)}
    return subprocess.Popen(
        [sys.executable, "-m", "agent", "goal", "--config", str(config), *arguments],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def posts(provider: Provider) -> list[Request]:
    return [request for request in list(provider.log) if request.method == "POST"]


def test_a_plan_is_shown_with_its_price_and_nobody_is_asked(tmp_path: Path) -> None:
    with Provider() as provider:
        shown, told = command(tmp_path, provider, "--plan", "a line on the tides").communicate(timeout=60)
        assert "1. ask: answer in one go; makes answered [$" in shown and "In all about $" in shown, told
        assert posts(provider) == []


def test_a_killed_goal_is_resumed_and_no_answer_is_paid_twice(tmp_path: Path) -> None:
    holding = True

    def brain(request: Request) -> Reply:
        if "Answer yes or no" not in request.text:
            return says(LONG)
        return Reply(end="hang") if holding else says(json.dumps({"yes": True, "evidence": "so it is"}))

    with Provider(default=brain) as provider:
        began = command(tmp_path, provider, "a line on the tides")
        deadline = time.monotonic() + 60
        while not any("Answer yes or no" in request.text for request in posts(provider)):
            assert time.monotonic() < deadline and began.poll() is None
            time.sleep(0.02)
        began.send_signal(signal.SIGKILL)
        began.communicate()
        holding = False
        shown, told = command(tmp_path, provider, "--resume", "--json").communicate(timeout=60)
        record: dict[str, Any] = json.loads(shown.splitlines()[-1])
        assert (record["status"], record["result"]) == ("reached", LONG), told
        assert len([r for r in posts(provider) if "Answer yes or no" not in r.text]) == 1
