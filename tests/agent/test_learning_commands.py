"""``learn``, ``calibrate`` and ``evaluate``: what they print, what they write, and what they make of bad input."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from uniwizard.agent.__main__ import main
from uniwizard.agent.config import load
from uniwizard.agent.strategies.learning.files import load_model
from uniwizard.agent.strategies.learning.models import USES
from uniwizard.agent.strategies.tree import Tree

# Looked for and not imported: that takes a second, and every worker of pytest-xdist collects every file.
pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")

WORDS = {
    "sums": [
        "add",
        "subtract",
        "multiply",
        "divide",
        "number",
        "total",
        "fraction",
        "percent",
        "equation",
        "solve",
        "integer",
    ],
    "verse": ["moon", "river", "poem", "rhyme", "sorrow", "petal", "lantern", "autumn", "heart", "silver", "dream"],
    "law": [
        "contract",
        "court",
        "plaintiff",
        "statute",
        "appeal",
        "liability",
        "clause",
        "verdict",
        "tort",
        "evidence",
    ],
}
#: Who is right how often, by kind: each is best at something, and the small one is nearly as good at sums.
RIGHT = {
    "big": {"sums": 0.8, "verse": 0.45, "law": 0.8},
    "small": {"sums": 0.78, "verse": 0.3, "law": 0.2},
    "poet": {"sums": 0.2, "verse": 0.9, "law": 0.3},
}
COST = {"big": 0.01, "small": 0.001, "poet": 0.004}


@pytest.fixture(autouse=True)
def _a_reactor_that_can_run_again() -> Iterator[None]:
    """A command may run the reactor to its end, as its process would; the tests after it need one that runs."""
    from twisted.internet import reactor

    yield
    reactor._startedBefore = False  # type: ignore[attr-defined]
    reactor._stopped = False  # type: ignore[attr-defined]


def rows(count: int, seed: int, models: tuple[str, ...] = ("big", "small", "poet")) -> list[dict[str, Any]]:
    luck = random.Random(seed)
    made = []
    for number in range(count):
        kind = luck.choice(list(WORDS))
        text = " ".join(luck.choice(WORDS[kind]) for _ in range(12))
        outcomes = {
            model: {"score": int(luck.random() < RIGHT[model][kind]), "cost_usd": COST[model]} for model in models
        }
        made.append({"id": f"{seed}-{number}", "kind": kind, "task": text, "outcomes": outcomes})
    return made


def written(path: Path, lines: list[Any]) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("outcomes")
    return written(folder / "train.jsonl.gz", rows(500, 1)), written(folder / "test.jsonl", rows(400, 2))


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_evaluate_tells_every_figure(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train, test = files
    plot = tmp_path / "curves.svg"
    assert main(["evaluate", "--train", str(train), "--test", str(test), "--json", "--plot", str(plot)]) == 0
    report = told(capsys)
    assert set(report["strategies"]) == set(USES)
    assert report["random"] < report["best_single"] < report["oracle"]
    for name, said in report["strategies"].items():
        assert {"quality", "gap_closed", "cost_at_99", "aiq", "apgr", "us_per_decision", "curve"} <= set(said), name
        assert said["curve"] == sorted(said["curve"])
        assert said["us_per_decision"] > 0
        gap = (said["quality"] - report["best_single"]) / (report["oracle"] - report["best_single"])
        assert abs(gap - said["gap_closed"]) < 0.01
    for name in ("learned", "table", "elo", "ensemble"):
        assert report["strategies"][name]["gap_closed"] > 0.25, name
        assert report["strategies"][name]["cost_at_99"] < 0.6, name
    lines = ElementTree.parse(plot).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == len(USES)


def test_hidden_kinds_are_found_in_the_words(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    train, test = files
    command = ["evaluate", "--train", str(train), "--test", str(test), "--json", "--use", "learned"]
    main(command)
    known = told(capsys)["strategies"]["learned"]["gap_closed"]
    main([*command, "--hide-kinds"])
    assert told(capsys)["strategies"]["learned"]["gap_closed"] > 0.8 * known


def test_on_a_kind_that_was_never_seen_the_best_alone_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = written(tmp_path / "a.jsonl", [row for row in rows(700, 3) if row["kind"] != "verse"])
    test = written(tmp_path / "b.jsonl", [row for row in rows(700, 4) if row["kind"] == "verse"])
    for hide in ((), ("--hide-kinds",)):
        main(["evaluate", "--train", str(train), "--test", str(test), "--json", "--use", "learned", *hide])
        assert abs(told(capsys)["strategies"]["learned"]["gap_closed"]) < 0.02


def test_of_two_models_there_is_an_apgr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = written(tmp_path / "a.jsonl", rows(500, 5, ("big", "small")))
    test = written(tmp_path / "b.jsonl", rows(500, 6, ("big", "small")))
    main(["evaluate", "--train", str(train), "--test", str(test), "--json", "--use", "learned"])
    assert told(capsys)["strategies"]["learned"]["apgr"] > 0.65


@pytest.mark.slow
def test_online_tells_gaps_and_regret_and_depends_on_its_seed(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = files
    command = ["evaluate", "--train", str(train), "--test", str(test), "--json", "--use", "table", "--online"]
    reports = []
    for more in (
        ("--seed", "1"),
        ("--seed", "1"),
        ("--seed", "2"),
        ("--seed", "1", "--warm", "300", "--rules", "none"),
    ):
        main([*command, *more])
        reports.append(told(capsys)["online"])
    assert reports[0] == reports[1] != reports[2]
    assert set(reports[0]["gap"]) == {"500", "2000", "5000"}
    assert reports[0]["gap"]["5000"] > 0.2
    assert reports[3]["gap"]["500"] > 0.1, "what is known beforehand helps at once"


def test_a_png_is_one(files: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = files
    plot = tmp_path / "curves.png"
    main(["evaluate", "--train", str(train), "--test", str(test), "--use", "table", "--plot", str(plot)])
    data = plot.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (900, 520)


@pytest.mark.slow
@pytest.mark.parametrize("use", USES)
def test_a_model_that_learn_has_written_is_read_and_says_the_same(
    use: str, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from uniwizard.agent.strategies.learning.dataset import read_dataset
    from uniwizard.agent.strategies.learning.models import TrainedModel

    output = tmp_path / "m.json"
    assert main(["learn", "--input", str(files[0]), "--use", use, "--output", str(output), "--json", "--force"]) == 0
    assert told(capsys)["models"] == ["big", "poet", "small"]
    model = load_model(output)
    again = TrainedModel.train(read_dataset(files[0])[0], use)
    for text in ("moon river poem silver", "court statute appeal", ""):
        assert abs(model.expected_of(text) - again.expected_of(text)).max() < 0.02
    assert model.models[int(model.expected_of("moon river poem silver dream", "verse").argmax())] == "poet"


def test_what_is_not_surely_better_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    luck = random.Random(2)  # the bound holds with 95%: some coins look better by chance
    coins = [
        {"id": str(n), "task": f"coin {n}", "kind": luck.choice("ab"),
         "outcomes": {m: {"score": luck.randint(0, 1), "cost_usd": 0} for m in ("x", "y")}}
        for n in range(200)
    ]  # fmt: skip
    output = tmp_path / "m.json"
    source = written(tmp_path / "coins.jsonl", coins)
    assert main(["learn", "--input", str(source), "--output", str(output)]) == 1
    assert not output.exists()
    assert "--force" in capsys.readouterr().out
    assert main(["learn", "--input", str(source), "--output", str(output), "--force"]) == 0


@pytest.mark.slow
def test_learn_reads_a_games_own_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tmp_path / "ledger.db3"
    with sqlite3.connect(ledger) as connection:
        connection.execute(
            "CREATE TABLE ledger_attempt (id INTEGER PRIMARY KEY, kind, backend, outcome, failure, practice, started)"
        )
        said = [("chat", "local", "refused", "refused", 0)] * 30 + [("chat", "claude", "answered", "", 0)] * 30
        said += [("chat", "claude", "failed", "network", 0), ("chat", "nobody", "answered", "", 0)]
        said += [("chat", "local", "answered", "", 1)] * 50
        connection.executemany(
            "INSERT INTO ledger_attempt (kind, backend, outcome, failure, practice, started) VALUES (?, ?, ?, ?, ?, 0)",
            said,
        )
    output = tmp_path / "table.json"
    assert main(["learn", "--ledger", str(ledger), "--output", str(output), "--json"]) == 0
    assert told(capsys) == {"use": "learned", "rows": 60, "cells": 2, "output": str(output)}
    backends = "".join(
        f"  {key}: {{api: openai, url: 'http://127.0.0.1:1/v1', model: m}}\n" for key in ("local", "claude")
    )
    config = tmp_path / "b.yaml"
    config.write_text(f"version: 1\nbackends:\n{backends}rules: [{{kinds: [chat], prefer: [local]}}]\n"
                      "route: {use: learned, explore: 0, model: table.json}\n", "utf-8")  # fmt: skip
    assert main(["route", "--config", str(config), "--kind", "chat", "hello"]) == 0
    assert capsys.readouterr().out.startswith("Would ask: claude")
    assert main(["learn", "--ledger", str(config), "--output", str(output)]) == 2


def test_calibrate_finds_the_threshold_for_a_share(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backends = "".join(f"  {key}: {{api: openai, url: 'http://127.0.0.1:1/v1', model: m}}\n" for key in RIGHT)
    config = tmp_path / "b.yaml"
    config.write_text(f"version: 1\nbackends:\n{backends}strategies:\n"
                      "  pair: {use: strong_weak, strong: big, weak: small}\n", "utf-8")  # fmt: skip
    command = ["calibrate", "--config", str(config), "--strategy", "pair", "--input", str(files[0]), "--json"]
    shares = []
    for wanted in (0.0, 0.3, 0.7, 1.0):
        assert main([*command, "--strong-share", str(wanted)]) == 0
        found = told(capsys)
        assert abs(found["strong_share"] - wanted) < 0.02
        shares.append((found["threshold"], found["quality"]))
        assert Tree(load(config, {})).named(f"router-pair-{found['threshold']}")
    assert shares == sorted(shares, key=lambda each: -each[0])
    low, some, _, high = (quality for _, quality in shares)
    assert some > low + 0.5 * (high - low), "the first third goes to what gains most by it"
    assert main([*command[:4], "nobody", *command[5:], "--strong-share", "0.3"]) == 2
    assert "pair" in capsys.readouterr().err


def test_bad_rows_are_named_and_the_others_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [
        "{", "[]", json.dumps({"task": "x"}), json.dumps({"task": 5, "outcomes": {}}),
        json.dumps({"task": "x", "outcomes": {"m": {"score": 2}}}),
        json.dumps({"task": "x", "outcomes": {"m": {"score": 1, "cost_usd": -1}}}),
        json.dumps({"task": "x", "outcomes": {"m": {"score": True}}}),
    ]  # fmt: skip
    source = written(tmp_path / "t.jsonl", [*rows(60, 7), *bad])
    assert main(["evaluate", "--train", str(source), "--test", str(source), "--use", "table"]) == 1
    errors = capsys.readouterr().err
    for number in range(61, 68):
        assert f"line {number}: " in errors
    assert main(["evaluate", "--train", str(tmp_path / "none"), "--test", str(source)]) == 2
    empty = written(tmp_path / "e.jsonl", ["{}"])
    assert main(["learn", "--input", str(empty), "--output", str(tmp_path / "m")]) == 2
    assert main(["learn", "--input", str(source), "--use", "magic", "--output", str(tmp_path / "m")]) == 2


@pytest.mark.parametrize("damage", ["{}", "[]", "no json", '{"format": "uniwizard-model-1"}'])
def test_a_damaged_model_is_a_fault_of_the_file(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(damage, "utf-8")
    with pytest.raises(ValueError, match="no model"):
        load_model(path)
