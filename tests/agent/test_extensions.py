"""Files that add to the brain: each is one file and one line, and a fault in any is one line at ``check``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from forked import uniwizard

from uniwizard.agent.config import CONFIGS

#: Most of them run the command line in a process of its own.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

BACKENDS = """\
version: 1
practice: always
backends:
  one: {api: openai, url: "http://127.0.0.1:9/v1", model: m, cost_per_1k: 0}
  two: {api: openai, url: "http://127.0.0.1:9/v1", model: m, cost_per_1k: 0}
rules:
  - {kinds: ["*"], prefer: [one]}
"""
KINDS = """\
kinds:
  haggle:
    prefer: [two]
    prompt: You haggle over a price.
    phrases:
      6: ["how much for"]
"""
API = """\
from uniwizard.agent.core.answer import Answer
from uniwizard.agent.wire.openai import PROBE, assembly, body, complaint, credentials
API = "plain"
def path(backend, stream=False):
    return "/generate"
def answer(node):
    return Answer(text=node["text"])
"""


def agent(directory: Path, files: dict[str, str], *arguments: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """``uniwizard ARGUMENTS`` over a backends file that takes up ``files``."""
    for name, text in files.items():
        (directory / name).write_text(text)
    config = directory / "backends.yaml"
    config.write_text(f"{BACKENDS}{more}extensions: [{', '.join(files)}]\n")
    return uniwizard(*arguments, "--config", str(config))


def test_a_kind_of_a_games_own_is_classified_preferred_and_prompted(tmp_path: Path) -> None:
    done = agent(tmp_path, {"kinds.yaml": KINDS}, "route", "--json", "How much for the lantern?")
    decision = json.loads(done.stdout)
    assert (decision["kind"], decision["backend"]) == ("haggle", "two"), done.stderr


def test_a_kind_of_a_games_own_can_be_named(tmp_path: Path) -> None:
    done = agent(tmp_path, {"kinds.yaml": KINDS}, "route", "--json", "--kind", "haggle", "hello")
    assert json.loads(done.stdout)["backend"] == "two", done.stderr


def test_a_wire_format_of_a_games_own_may_stand_in_the_backends_file(tmp_path: Path) -> None:
    more = "identity: []\n"
    (tmp_path / "plain.py").write_text(API)
    text = BACKENDS.replace("two: {api: openai", "two: {api: plain")
    (tmp_path / "backends.yaml").write_text(f"{text}{more}extensions: [plain.py]\n")
    done = uniwizard("check", "--config", str(tmp_path / "backends.yaml"))
    assert done.returncode == 0, done.stderr
    assert "(plain)" in done.stdout


STRATEGY = """\
from uniwizard.agent.strategies.base import Ordering
class Last(Ordering):
    name = "last_letter"
    def __init__(self, over=None, letters=1):
        super().__init__(over)
        self.letters = letters
    def figure(self, key, look):
        return -sum(map(ord, key[-self.letters:]))
    def why(self, key, look):
        return f"{key} ends last by {self.letters}"
STRATEGY, OPTIONS = Last, {"letters": {"type": "integer", "minimum": 1}}
"""


def test_a_strategy_of_a_games_own_decides(tmp_path: Path) -> None:
    route = "route: {use: fallback, over: [{use: last_letter, over: [one, two], letters: 1}]}\n"
    done = agent(tmp_path, {"last.py": STRATEGY}, "route", "--json", "hello", more=route)
    decision = json.loads(done.stdout)
    assert decision["backend"] == "two", done.stderr
    assert any("two ends last by 1" in step for step in decision["path"])
    done = agent(tmp_path, {"last.py": STRATEGY}, "route", "--json", "hello", more="route: last_letter\n")
    assert json.loads(done.stdout)["backend"] == "two", done.stderr


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{use: last_letter, over: [one], letters: 0}", "route.letters: 0 does not fit"),
        ("{use: last_letter, letter: 1}", "route.letter: unknown key; allowed: over, letters"),
        ("{use: last_letter, over: one}", "route.over: does not fit; allowed: a list of names"),
        ("{use: last_letter, over: [three]}", '"three" is neither a backend nor a strategy'),
    ],
)
def test_a_fault_in_the_use_of_ones_own_strategy_is_one_line(tmp_path: Path, said: str, told: str) -> None:
    done = agent(tmp_path, {"last.py": STRATEGY}, "check", more=f"route: {said}\n")
    assert done.returncode == 2
    assert told in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("own.py", "STRATEGY = 3\n", "STRATEGY: has no name"),
        ("own.py", "class S:\n    name = 'cost'\nSTRATEGY = S\n", "cost is there already"),
        ("own.py", "class S:\n    name = 'mine'\nSTRATEGY = S\n", "is no whole strategy"),
        ("own.py", STRATEGY + "OPTIONS = {'letters': {'type': 'wizard'}}\n", "a JSON Schema for each option"),
        ("kinds.yaml", "kinds: {haggle: {suits: [speed]}}", "kinds.haggle.prompt: is missing"),
        ("kinds.yaml", "kinds: {chat: {prompt: hello}}", "kinds.chat: is a kind of its own already"),
        ("kinds.yaml", "kinds: {haggle: {prompt: x, phrases: {many: [a]}}}", "kinds.haggle.phrases"),
        ("voice.yaml", 'moments: {refused: ["{nope}"]}', "moments.refused[0]: {nope} is unknown; allowed: {key} {why}"),
        ("voice.yaml", 'moments: {refused: ["{key"]}', "moments.refused[0]: cannot be filled in"),
        ("voice.yaml", 'moments: {refused: ["{key.__class__}"]}', "{key.__class__} is unknown"),
        ("voice.yaml", 'moments: {unheard_of: ["x"]}', "moments.unheard_of: is no moment"),
        ("phrases.yaml", "language: en\nphrases: {decline: [\"i <nowhere> it\"]}", "<nowhere> is no list of this file"),
        ("phrases.yaml", "language: en\nphrases: {decline: [\"i ..9999999999 it\"]}", "is a gap of more than 20 words"),
        ("phrases.yaml", "language: en\nphrases: {no_such_signal: [a]}", "no_such_signal"),
        ("phrases.yaml", "language: en\nphrases: {decline: [\"a ..x b\"]}", "phrases.decline[0]"),
        ("api.py", "API = 'plain'\n", "API plain: lacks PROBE, path"),
        ("api.py", "API = 'openai'\n", "openai is built in"),
        ("api.py", "x = 1\n", "API: is missing"),
        ("api.py", "def (:\n", "is not Python"),
        ("api.py", "raise RuntimeError('broken')\n", "cannot be imported: RuntimeError: broken"),
        ("other.yaml", "nothing: here\n", "says nothing of what it adds"),
        ("gone/other.yaml", None, "there is no such file"),
    ],
)  # fmt: skip
def test_a_fault_in_an_extension_is_one_line_at_check(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is None:
        (tmp_path / "backends.yaml").write_text(f"{BACKENDS}extensions: [{name}]\n")
        done = uniwizard("check", "--config", str(tmp_path / "backends.yaml"))
    else:
        done = agent(tmp_path, {name: text}, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert name in done.stderr


def test_what_a_wire_format_of_a_games_own_raises_is_a_failure_of_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniwizard.agent import AttemptFailed, Fault
    from uniwizard.agent.config import extensions
    from uniwizard.agent.config.extensions import take_up
    from uniwizard.agent.core.backend import Backend
    from uniwizard.agent.core.task import Task
    from uniwizard.agent.wire import decode, encode

    broken = API.replace('"plain"', '"broken"') + "def body(task, backend, system, stream=False):\n    return {}['x']\n"
    (tmp_path / "broken.py").write_text(broken)
    faults: list[Fault] = []
    # What is taken up stays for as long as the process lives; here, for this test.
    for registry in ("_apis", "_files"):
        monkeypatch.setattr(extensions, registry, dict(getattr(extensions, registry)))
    take_up([tmp_path / "broken.py"], faults)
    assert not faults
    backend = Backend("one", "broken", "http://127.0.0.1:9", "m")
    with pytest.raises(AttemptFailed, match="cannot read it \\(KeyError: 'text'\\)") as unread:
        decode(backend, 200, {}, b'{"choices": []}')
    assert unread.value.failure == "malformed"
    with pytest.raises(AttemptFailed, match="cannot ask this") as unasked:
        encode(Task("hello"), backend)
    assert unasked.value.failure == "bad_request"


def test_an_api_that_nobody_speaks_is_a_fault_with_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "backends.yaml").write_text(BACKENDS.replace("two: {api: openai", "two: {api: plain"))
    done = uniwizard("check", "--config", str(tmp_path / "backends.yaml"))
    assert 'backends.two.api: "plain" is unknown; allowed: openai, anthropic, gemini, ollama' in done.stderr


def test_an_installed_package_adds_a_command_and_a_kind(tmp_path: Path) -> None:
    package = tmp_path / "theirs"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\nKINDS = Path(__file__).with_name('kinds.yaml')\n"
        "class COMMAND:\n    name, help, description = 'sing', 'sing a song', None\n"
        "    declare = staticmethod(lambda parser: parser.add_argument('song'))\n"
        "    run = staticmethod(lambda arguments: print('la', arguments.song) or 0)\n"
    )
    (package / "kinds.yaml").write_text(KINDS)
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[uniwizard.commands]\nsing = theirs:COMMAND\nbroken = theirs:NOTHING\n"
        "[uniwizard.extensions]\nkinds = theirs:KINDS\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "uniwizard.agent", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)

    done = run("sing", "tra")
    assert (done.returncode, done.stdout) == (0, "la tra\n")
    assert "broken (theirs:NOTHING) cannot be loaded" in done.stderr
    assert json.loads(run("route", "--json", "--kind", "haggle", "x").stdout)["kind"] == "haggle"


def test_every_moment_of_our_own_voice_says_which_words_it_takes() -> None:
    import yaml

    from uniwizard.agent.config.voice import OF_MOMENT

    assert set(yaml.safe_load((CONFIGS / "voice.yaml").read_text())["moments"]) >= set(OF_MOMENT)
