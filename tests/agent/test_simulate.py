"""The simulation: what it prints, what it makes of bad rows, and that no limit is ever passed by our own policy."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from faults import CLASSIFIER
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.__main__ import main
from uniwizard.agent.config.loader import load
from uniwizard.agent.config.settings import Config
from uniwizard.agent.core.backend import Quota
from uniwizard.agent.core.task import KINDS
from uniwizard.agent.simulation import Outcome, Row, figures, optimum_of, read_goals, read_traffic, simulate

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests/data/simulate.yaml"
FIGURES = {"utilisation", "of_optimum", "violations", "delayed", "first_choice", "cost_usd"}
START = datetime(2026, 10, 1, tzinfo=UTC)


def row(hour: float, kind: str = "analysis", given_: int = 2000, answered: int = 400) -> dict[str, Any]:
    time = (START + timedelta(hours=hour)).isoformat()
    return {"time": time, "kind": kind, "input_tokens": given_, "output_tokens": answered}


def config(scale: float = 1.0, *more: Quota) -> Config:
    whole = load(CONFIG, {})
    backends = {
        key: replace(b, quota=(*(replace(q, limit=q.limit * scale) for q in b.quota), *more) if b.quota else ())
        for key, b in whole.backends.items()
    }
    return replace(whole, backends=backends)


def rows_of(*rows: dict[str, Any]) -> list[Row]:
    found, faults = read_traffic(map(json.dumps, rows))
    assert not faults
    return found


def both(rows: list[Row], using: Config) -> dict[str, Outcome]:
    pytest.importorskip("scipy")
    return simulate(rows, using, CLASSIFIER.suits) | optimum_of(rows, using, CLASSIFIER.suits)


@pytest.mark.slow
def test_the_json_has_the_promised_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    traffic, plot = tmp_path / "t.jsonl", tmp_path / "p.svg"
    traffic.write_text("\n".join(json.dumps(row(hour, KINDS[hour % 14])) for hour in range(140)), "utf-8")
    status = main(["simulate", "--traffic", str(traffic), "--config", str(CONFIG), "--json", "--plot", str(plot)])
    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert set(told) == {"policies"}
    assert set(told["policies"]) == {
        "headroom", "rules", "cheapest", "usage_based", "weighted_shuffle", "least_busy", "latency_based", "optimum",
        "round_robin", "most_headroom", "fallback", "cascade", "race", "hedge", "vote", "learned",
    }  # fmt: skip
    for name, policy in told["policies"].items():
        assert set(policy) == FIGURES, name
        assert 0 <= policy["utilisation"] <= 1
        assert 0 <= policy["of_optimum"] <= 1
        assert 0 <= policy["first_choice"] <= 1
    assert told["policies"]["optimum"]["of_optimum"] == 1
    assert len(ElementTree.parse(plot).findall("{http://www.w3.org/2000/svg}polyline")) == 3 * 5


def test_bad_rows_are_named_and_the_others_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    traffic = tmp_path / "t.jsonl"
    bad = [
        "{", "[]", json.dumps(row(1) | {"time": "2026-10-01T00:00:00"}), json.dumps(row(1) | {"kind": "poetry"}),
        json.dumps(row(1) | {"input_tokens": -1}), json.dumps(row(1) | {"output_tokens": True}),
        json.dumps(row(1) | {"time": "soon"}),
    ]  # fmt: skip
    traffic.write_text("\n".join([json.dumps(row(0)), "", *bad]), "utf-8")
    assert main(["simulate", "--traffic", str(traffic), "--config", str(CONFIG)]) == 1
    told = capsys.readouterr()
    for number, what in enumerate(
        (
            "is not JSON",
            "is not an object",
            "has no zone",
            "kind: 'poetry'",
            "input_tokens",
            "output_tokens",
            "ISO 8601",
        ),
        3,
    ):
        assert any(f"line {number}: " in line and what in line for line in told.err.splitlines()), what
    assert "headroom" in told.out


def test_a_file_that_is_not_there_is_the_commands_fault(tmp_path: Path) -> None:
    assert main(["simulate", "--traffic", str(tmp_path / "none"), "--config", str(CONFIG)]) == 2


@pytest.mark.slow
def test_without_scipy_everything_but_the_optimum_is_told(tmp_path: Path) -> None:
    (tmp_path / "scipy.py").write_text("raise ImportError", "utf-8")
    traffic = tmp_path / "t.jsonl"
    traffic.write_text(json.dumps(row(0)), "utf-8")
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
               "from agent.__main__ import main; sys.exit(main(sys.argv[1:]))",
               "simulate", "--json", "--traffic", str(traffic), "--config", str(CONFIG)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "pip install scipy" in done.stderr
    assert json.loads(done.stdout)["policies"]["headroom"]["of_optimum"] is None


@pytest.mark.slow
def test_with_quota_for_all_every_task_goes_to_its_first_choice() -> None:
    outcomes = both(rows_of(*(row(hour, KINDS[hour % 14]) for hour in range(100))), config())
    told = figures(outcomes)["policies"]["headroom"]
    assert (told["of_optimum"], told["first_choice"], told["delayed"]) == (1.0, 1.0, 0)


def test_the_optimum_of_a_case_worked_out_by_hand() -> None:
    # claude does analysis at 1.1 and has quota for one of two tasks; nobody else of what is left does it above 0.6.
    whole = load(CONFIG, {})
    claude = replace(whole.backends["claude"], quota=(Quota(1, "requests", "day"),))
    using = replace(whole, backends={"claude": claude, "gpt": replace(whole.backends["gpt"], quota=())})
    outcome = both(rows_of(row(1), row(2)), using)["optimum"]
    assert outcome.fit == pytest.approx(1.1 + 0.6)


@pytest.mark.slow
def test_scarce_quota_is_spent_better_than_by_serving_whoever_comes_first() -> None:
    rows = rows_of(*(row(hour / 2, given_=40_000 if hour % 4 == 0 else 1500) for hour in range(1400)))
    told = figures(both(rows, config(0.05)))["policies"]
    assert told["headroom"]["of_optimum"] >= 0.95
    assert told["headroom"]["first_choice"] > told["rules"]["first_choice"]
    assert told["headroom"]["violations"] == 0


KIND = st.sampled_from(KINDS)


@settings(max_examples=examples(25), deadline=None)
@given(
    calls=st.lists(st.tuples(st.floats(0, 3), KIND, st.integers(0, 60_000), st.integers(0, 5000)), max_size=60),
    quota=st.sampled_from(
        [Quota(3, "requests", "5h"), Quota(50_000, "tokens", "hour"), Quota(0.2, "usd", "day", rolling=True)]
    ),
    scale=st.sampled_from([0.0005, 0.01, 1.0]),
)
@pytest.mark.slow
def test_no_traffic_makes_our_policy_pass_a_limit(
    calls: list[tuple[float, str, int, int]], quota: Quota, scale: float
) -> None:
    hour, rows = 0.0, []
    for wait, kind, given_, answered in calls:
        hour += wait
        rows.append(row(hour, kind, given_, answered))
    outcome = simulate(rows_of(*rows), config(scale, quota), CLASSIFIER.suits)["headroom"]
    assert outcome.violations == 0


def goal(number: int, *kinds: str, after: list[list[int]] | None = None, **more: Any) -> str:
    steps = [{"kind": kind, "input_tokens": 4000, "output_tokens": 800} for kind in kinds]
    for step, before in zip(steps, after or [], strict=False):
        step["after"] = before  # type: ignore[assignment]
    return json.dumps({"id": f"g{number}", "priority": number % 3, "steps": steps, **more})


@pytest.mark.slow
def test_a_backlog_uses_what_would_expire_and_takes_nothing_from_the_traffic() -> None:
    pytest.importorskip("scipy")
    # One week of quota, and no free backend that could do the backlog on its own.
    whole = load(CONFIG, {})
    paid = {key: replace(whole.backends[key], quota=(Quota(3.0, "usd", "week"),)) for key in ("claude", "gpt")}
    using = replace(whole, backends=paid, rules=())
    rows = rows_of(*(row(96 + hour, KINDS[hour % 11]) for hour in range(7 * 24)))
    goals, faults = read_goals(goal(n, "analysis", "knowledge", "summarize", after=[[], [0], [0]]) for n in range(400))
    assert not faults
    outcomes = simulate(rows, using, CLASSIFIER.suits, goals) | optimum_of(rows, using, CLASSIFIER.suits, goals)
    told = figures(outcomes)["policies"]
    ours, alone, best = told["headroom"], told["traffic alone"], told["optimum"]
    assert alone["utilisation"] < ours["utilisation"] and max(ours["expired_unused"].values()) < 0.1
    assert (ours["violations"], ours["interactive_lost"]["delayed"], ours["interactive_lost"]["delay_ms"]) == (0, 0, 0)
    assert ours["interactive_lost"]["first_choice"] <= 0.005
    assert 0 < ours["goals"]["steps_done"] <= best["goals"]["steps_done"] <= 1200
    assert 0.5 < ours["of_optimum"] <= 1.0 and alone["of_optimum"] < ours["of_optimum"]


def test_a_step_gives_its_place_to_whoever_needs_it() -> None:
    claude = replace(load(CONFIG, {}).backends["claude"], quota=(), max_parallel=2)
    using = replace(load(CONFIG, {}), backends={"claude": claude}, rules=())
    # Twice a quarter of an hour two ask at once, for what takes a minute; a step takes a place in between.
    rows = rows_of(
        *(
            row(second / 3600, "analysis", 100, 3000)
            for minute in range(0, 7200, 420)
            for second in (minute, minute + 1)
        )
    )
    goals, _ = read_goals(goal(number, "chat") for number in range(50))
    worked = simulate(rows, using, CLASSIFIER.suits, goals)["headroom"]
    assert worked.backlog is not None and worked.backlog["interrupted"] > 0
    assert worked.delay_ms == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{}", "id"), (goal(1), "steps"), (goal(1, "nonsense"), "kind"), (goal(1, "chat", after=[[0]]), "circle"),
        (goal(1, "chat", after=[[7]]), "after"), (goal(1, "chat", deadline="soon"), "deadline"),
        (goal(1, "chat", priority="high"), "priority"), ("[", "JSON"),
    ],
)  # fmt: skip
def test_a_goal_that_cannot_be_is_told_with_its_line(line: str, said: str) -> None:
    goals, faults = read_goals([goal(0, "chat"), line])
    assert len(goals) == 1
    assert faults[0].startswith("line 2: ") and said in faults[0]
