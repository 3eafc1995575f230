"""What the command line shows while it works: a bar on a terminal and nothing in a pipe; and what it makes of slips."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from uniwizard.agent.__main__ import main
from uniwizard.agent.cli.progress import Progress, Waiting
from uniwizard.agent.cli.running import Watched
from uniwizard.agent.core.events import AttemptStarted, FellBack, TaskEnded, WordsCame
from uniwizard.agent.core.failures import FailureCode


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end() -> None:
    out = Terminal()
    with Progress("work", 4, out) as progress:
        assert list(progress.over("abcd")) == list("abcd")
    assert "work [########" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")


def test_a_pipe_shows_nothing() -> None:
    out = io.StringIO()
    with Progress("work", 4, out) as progress:
        list(progress.over("abcd"))
    assert out.getvalue() == ""


def test_thinking_says_who_is_asked_and_how_much_has_come_and_falls_back_as_it_happens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Terminal()
    watched = Watched(Waiting(out))
    watched(AttemptStarted(1.0, "t", "claude", 1))
    assert out.getvalue().endswith("claude is asked ...")
    watched(FellBack(1.0, "t", "claude", "gpt", FailureCode.TIMEOUT, "late"))
    assert capsys.readouterr().err == "claude: timeout; turns to gpt\n"
    watched(WordsCame(1.0, "t", "gpt", 1200))
    assert "gpt answers: 1,200 characters" in out.getvalue()
    watched(TaskEnded(1.0, "t", "chat", "", "answered", "gpt", 1.0, 0.0))
    assert out.getvalue().endswith("\r\x1b[K")


def test_the_version_is_that_of_the_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "uniwizard 0.2.0\n"


CONFIG = """
version: 1
backends:
  a: {api: openai, url: "http://127.0.0.1:1/v1", model: m, %s}
"""


@pytest.mark.parametrize(
    ("written", "status", "said"),
    [
        ("strenghts: [speed]", 2, "backends.a.strenghts: unknown key; did you mean strengths?"),
        ("capabilities: [tool]", 2, '"tool" is unknown; did you mean tools?'),
        ("strengths: [reasonning]", 0, 'no kind of work calls for "reasonning"; did you mean reasoning?'),
        ("strengths: [zither]", 0, ""),
    ],
)
def test_a_slip_is_told_with_what_was_meant(
    written: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backends.yaml"
    file.write_text(CONFIG % written)
    assert main(["check", "--config", str(file)]) == status
    told = capsys.readouterr()
    assert said in told.err
    assert ("did you mean" in told.err) == bool(said)


def test_traffic_of_which_nothing_can_be_used_is_an_error_and_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("\n".join(["{", json.dumps({"kind": "chat"})]))
    assert main(["simulate", "--traffic", str(traffic)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "not one of its rows can be used" in told.err
