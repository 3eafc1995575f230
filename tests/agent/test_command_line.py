"""``python -m agent`` as a program sees it: exit status, what goes where, and the shapes of its JSON.

All of it is asked in this process, but for what only a process of its own shows.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import twisted.internet
from faults import CLASSIFIER
from twisted.internet import reactor

from uniwizard.agent.__main__ import main
from uniwizard.agent.classify.classifier import Classifier
from uniwizard.agent.config.yaml_files import CONFIGS

ROOT = CONFIGS.parent


@dataclass(frozen=True)
class Run:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


Agent = Callable[..., Run]


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Agent]:
    """Runs the command line in this process, without any key, its local backend on a port where nobody listens.

    A reactor runs once in its life, so every command gets one of its own. The kinds of tasks, which take half a second
    to read, are read once for all.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}

    def run(*arguments: str, stdin: str = "", **environment: str) -> Run:
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.endswith("_API_KEY")] + ["UNIWIZARD_CONFIG"]:
                patch.delenv(name, raising=False)
            for name, value in {"OLLAMA_URL": "http://127.0.0.1:1", **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setattr(twisted.internet, "reactor", type(reactor)())
            patch.setattr(Classifier, "load", lambda: CLASSIFIER)
            capfd.readouterr()
            try:
                status = main(list(arguments))
            except SystemExit as ended:
                status = ended.code
        out, err = capfd.readouterr()
        return Run(status, out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def rows(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_check_lists_every_backend_and_why_it_sleeps(agent: Agent) -> None:
    run = agent("check")
    assert (run.returncode, run.stderr) == (0, "")
    for key in ("local", "claude", "kimi", "gpt", "gemini", "grok"):
        assert f"\n{key} " in run.stdout
    assert "asleep: ANTHROPIC_API_KEY is not set" in run.stdout
    (table,) = rows(agent("check", "--json", ANTHROPIC_API_KEY="sk-ant-secret"))
    assert {row["backend"]: row["state"] for row in table["backends"]}["claude"] == "awake"
    assert "sk-ant-secret" not in json.dumps(table)


def test_check_tells_each_fault_on_a_line_of_standard_error(agent: Agent, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 3\nbackends:\n  a: {api: morse, url: http://x, model: m}\n")
    run = agent("check", "--config", str(broken))
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.splitlines() == [
        f"{broken}:1: version: 3 is not supported; allowed: 1",
        f'{broken}:3: backends.a.api: "morse" is unknown; allowed: openai, anthropic, gemini, ollama',
    ]


def test_a_config_that_is_not_there_is_one_line_and_status_2(agent: Agent, tmp_path: Path) -> None:
    for command in (["check"], ["route", "x"], ["think", "x"]):
        run = agent(*command, "--config", str(tmp_path / "none.yaml"))
        assert (run.returncode, run.stdout) == (2, "")
        assert len(run.stderr.splitlines()) == 1
    assert agent("check", UNIWIZARD_CONFIG=str(tmp_path / "none.yaml")).returncode == 2


def test_route_decides_and_says_why(agent: Agent) -> None:
    run = agent("route", "review this diff")
    assert run.returncode == 0
    assert run.stdout.startswith("Would ask: claude (code_review, ")
    (decision,) = rows(agent("route", "--json", "review this diff"))
    assert {"backend", "kind", "confidence", "ranking", "skipped"} <= set(decision)
    assert (decision["backend"], decision["kind"]) == ("claude", "code_review")
    assert 0 < decision["confidence"] <= 1
    assert decision["ranking"][0]["backend"] == "claude"
    assert decision["ranking"][0]["reasons"]
    assert decision["practice"] is True


def test_route_says_who_is_skipped_and_why(agent: Agent, tmp_path: Path) -> None:
    config = tmp_path / "backends.yaml"
    config.write_text((CONFIGS / "backends.yaml").read_text("utf-8").replace("practice: auto", "practice: never"))
    (decision,) = rows(agent("route", "--json", "--config", str(config), "review this diff"))
    assert decision["backend"] == "local"
    assert {"backend": "gpt", "reason": "asleep: OPENAI_API_KEY is not set"} in decision["skipped"]


def test_route_reads_a_task_a_line_and_tells_the_lines_it_cannot_use(agent: Agent, tmp_path: Path) -> None:
    lines = ['{"task": "hello"}', "not json", "", '["a list"]', '{"task": 7}', '{"task": "x", "kind": "magic"}']
    source = tmp_path / "tasks.jsonl"
    source.write_bytes("\n".join([*lines, '{"task": "last \\u0142"}']).encode() + b'\n{"task": "\xff"}\n')
    run = agent("route", "--json", "--input", str(source))
    assert run.returncode == 1
    assert ["error" in row for row in rows(run)] == [False, True, True, True, True, False, False]
    assert [line.split(": ", 1)[0] for line in run.stderr.splitlines()[1:]] == [f"{source}:{n}" for n in (2, 4, 5, 6)]
    assert rows(agent("route", "--json", "--input", "-", stdin=lines[0]))[0]["backend"] == "local"


def test_think_answers_on_standard_output_and_tells_the_rest_on_standard_error(agent: Agent) -> None:
    run = agent("think", "How do tides work?")
    assert run.returncode == 0
    *text, closing = run.stdout.splitlines()
    assert "[practice]" in "".join(text)
    assert closing.startswith("[") and closing.endswith("s, $0.0000]")
    assert run.stderr == "Practice: no real backend can be asked: 5 asleep, 1 unreachable; every answer is simulated.\n"


def test_think_gives_the_whole_result_as_json(agent: Agent, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}')
    (result,) = rows(agent("think", "--json", "--schema", str(schema), "--with", "gpt", "name a river"))
    assert {"text", "content", "backend", "attempts", "usage", "cost_usd", "latency_ms"} <= set(result)
    assert (result["backend"], result["practice"]) == ("gpt", True)
    assert isinstance(result["content"]["river"], str)
    assert result["attempts"][0]["failure"] is None


def test_a_thought_that_nobody_answers_is_status_1(agent: Agent, tmp_path: Path) -> None:
    config = tmp_path / "backends.yaml"
    config.write_text(
        "version: 1\npractice: never\nbackends:\n"
        "  a: {api: openai, url: 'http://127.0.0.1:1/v1', model: m, retries: 0}\n"
    )
    run = agent("think", "hello", "--config", str(config))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "nobody gave a usable answer: a: network (the connection was refused)\n"
    run = agent("think", "--json", "hello", "--config", str(config))
    assert run.returncode == 1
    (failed,) = rows(run)
    assert failed["attempts"][0]["failure"] == "network"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["think", " "], "the task is empty"),
        (["think"], "think takes a TASK"),
        (["route"], "route takes either TASK or --input F.jsonl"),
        (["judge"], "judge takes either --input F.jsonl or --fit F.jsonl"),
        (["judge", "--input", "/nowhere/rows.jsonl"], "/nowhere/rows.jsonl: there is no such file"),
        (["route", "--input", "/nowhere/rows.jsonl"], "/nowhere/rows.jsonl: there is no such file"),
        (["think", "--schema", "/nowhere/schema.json", "x"], "/nowhere/schema.json: there is no such file"),
        (["think", "--image", "/nowhere/cat.png", "x"], "/nowhere/cat.png: there is no such file"),
        (["think", "--with", "nobody", "x"], "--with: no backend 'nobody'; allowed: local, claude, kimi,"),
        (["think", "--deadline", "-1", "x"], "argument --deadline: '-1' is not a number of seconds above 0"),
        (["route", "--kind", "magic", "x"], "--kind: unknown kind 'magic'; allowed: read, write, status,"),
        (["sing"], "invalid choice: 'sing'"),
    ],
)
def test_what_the_command_cannot_use_is_status_2_and_says_why(agent: Agent, arguments: list[str], said: str) -> None:
    run = agent(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr


def test_judge_gives_one_verdict_a_row_and_tells_the_rows_it_cannot_use(agent: Agent, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(
        '{"id": 1, "prompt": "How do tides work?", "response": "The moon pulls on the sea."}\n'
        '{"id": 2, "prompt": "Write a poem.", "response": "I\'m sorry, but I can\'t help with that."}\n'
        "nonsense\n"
    )
    run = agent("judge", "--input", str(source))
    assert run.returncode == 1
    first, second, third = rows(run)
    assert set(first) >= {"id", "refused", "score", "failure", "evidence"}
    assert (first["refused"], second["refused"], second["failure"]) == (False, True, "refused")
    assert "error" in third
    assert f"{source}:3" in run.stderr


@pytest.mark.parametrize("command", ["route --input", "judge --input", "judge --fit", "simulate --traffic"])
def test_an_input_with_nothing_in_it_is_told(agent: Agent, command: str, tmp_path: Path) -> None:
    source = tmp_path / "empty.jsonl"
    source.write_text("\n  \n")
    run = agent(*command.split(), str(source))
    assert run.returncode == 0
    assert f"{source}: is empty" in run.stderr.splitlines()


@pytest.mark.slow
def test_the_program_ends_with_the_commands_status_and_keeps_its_two_outputs_apart(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "route", "--json", "--input", "-"]
    typed = '{"task": "hello"}\nnonsense\n'
    run = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert ["error" in json.loads(line) for line in run.stdout.splitlines()] == [False, True]
    assert any(line.startswith("-:2: ") for line in run.stderr.splitlines())


@pytest.mark.slow
def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    command = [sys.executable, "-X", "utf8", "-m", "agent", "route", "-"]
    run = subprocess.run(command, cwd=ROOT, input=b"review this diff \xff", capture_output=True, timeout=60)
    assert run.stdout.startswith(b"Would ask: claude")


@pytest.mark.slow
def test_a_reader_that_has_heard_enough_gets_no_traceback(tmp_path: Path) -> None:
    source = tmp_path / "many.jsonl"
    source.write_text('{"task": "hello"}\n' * 3000)
    command = f"{sys.executable} -m agent route --json --input {source} | head -1"
    run = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert len(run.stdout.splitlines()) == 1
    assert "Traceback" not in run.stderr
    assert "BrokenPipe" not in run.stderr
