"""Months of traffic to simulate, made by seed: steady, office hours, bursts here and there, little, too much.

python tests/benchmarks/traffic.py --shape office --rows 50000 > office.jsonl
python -m agent simulate --traffic office.jsonl --config tests/data/simulate.yaml

Without --shape it makes all of them, simulates each and prints the tables.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 31

#: Share of the tasks, and the medians of their input and output tokens, by kind.
KINDS: dict[str, tuple[float, int, int]] = {
    "read": (6, 600, 120),
    "write": (5, 500, 250),
    "status": (5, 200, 60),
    "reasoning": (10, 1200, 600),
    "analysis": (9, 3000, 700),
    "code_review": (9, 6000, 800),
    "architecture": (4, 4000, 900),
    "long_document": (5, 30000, 800),
    "bulk_code": (5, 9000, 900),
    "knowledge": (12, 300, 350),
    "summarize": (8, 5000, 300),
    "multimodal": (6, 2200, 300),
    "quick_answer": (8, 120, 80),
    "chat": (8, 400, 150),
}


#: The tasks in an hour, to a scale of its own.
Rate = Callable[[datetime], float]
#: Shares of the tasks by kind, instead of those in :data:`KINDS`.
Shares = dict[str, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """A month's traffic: how it comes, how much of it for each task asked for, and what is asked when."""

    rate: Rate
    load: float = 1.0
    shares: Callable[[datetime], Shares] = lambda at: {}


def _day(at: datetime) -> float:
    """Days since the month began."""
    return (at - START) / timedelta(days=1)


def _steady(at: datetime) -> float:
    return 1.0


def _office(at: datetime) -> float:
    if at.weekday() >= 5:
        return 0.08
    return 1.0 if 8 <= at.hour < 18 else 0.1


def _burst(*spans: tuple[float, float], height: float = 8.0) -> Rate:
    return lambda at: height if any(first <= _day(at) < last for first, last in spans) else 1.0


def _mondays(at: datetime) -> float:
    return 6.0 if at.weekday() == 0 else 1.0


def _growing(at: datetime) -> float:
    return 0.2 + 1.8 * _day(at) / DAYS


def _fading(at: datetime) -> float:
    return 2.0 - 1.8 * _day(at) / DAYS


def _documents(at: datetime) -> Shares:
    return {"long_document": 60.0}


def _code_later(at: datetime) -> Shares:
    late = _day(at) >= DAYS / 2
    return {"code_review": 40.0, "architecture": 20.0} if late else {"knowledge": 40.0, "quick_answer": 20.0}


SHAPES: dict[str, Shape] = {
    "steady": Shape(_steady),
    "office": Shape(_office),
    "burst": Shape(_burst((DAYS - 3, DAYS))),
    "burst_at_start": Shape(_burst((0, 3))),
    "burst_in_middle": Shape(_burst((14, 17))),
    "bursts": Shape(_burst((4, 5), (11.5, 12), (19, 21), (29, 30), height=10.0)),
    "last_day": Shape(_burst((DAYS - 1, DAYS), height=25.0)),
    "mondays": Shape(_mondays),
    "growing": Shape(_growing),
    "fading": Shape(_fading),
    "documents": Shape(_steady, shares=_documents),
    "code_later": Shape(_steady, shares=_code_later),
    "little": Shape(_office, load=0.3),
    "little_burst": Shape(_burst((DAYS - 3, DAYS)), load=0.3),
    "middling": Shape(_steady, load=0.6),
    "much": Shape(_office, load=3.0),
    "much_burst": Shape(_burst((DAYS - 3, DAYS)), load=3.0),
}


def traffic(name: str, rows: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """The rows of a month, in order of time; sizes are log-normal about the medians of their kind."""
    chance = random.Random(f"{name}/{seed}")
    shape = SHAPES[name]
    hours = [START + timedelta(hours=hour) for hour in range(24 * DAYS)]
    weights = [shape.rate(hour) for hour in hours]
    moments = sorted(
        hour + timedelta(seconds=chance.random() * 3600)
        for hour in chance.choices(hours, weights, k=round(rows * shape.load))
    )
    for at in moments:
        shares = {kind: share for kind, (share, _, _) in KINDS.items()} | shape.shares(at)
        kind = chance.choices(list(shares), list(shares.values()))[0]
        _, given, answered = KINDS[kind]
        yield {
            "time": at.isoformat(timespec="milliseconds"),
            "kind": kind,
            "input_tokens": max(1, round(given * math.exp(chance.gauss(0, 0.8)))),
            "output_tokens": max(1, round(answered * math.exp(chance.gauss(0, 0.6)))),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.shape:
        for row in traffic(arguments.shape, arguments.rows, arguments.seed):
            print(json.dumps(row))
        return
    sys.path.insert(0, str(ROOT))
    from uniwizard.agent.classify.classifier import Classifier
    from uniwizard.agent.config.loader import load
    from uniwizard.agent.simulation import optimum_of, read_traffic, simulate, table

    config = load(ROOT / "tests/data/simulate.yaml", os.environ)
    suits = Classifier.load().suits
    for shape in SHAPES:
        rows, _ = read_traffic(json.dumps(row) for row in traffic(shape, arguments.rows, arguments.seed))
        began = time.perf_counter()
        outcomes = simulate(rows, config, suits) | optimum_of(rows, config, suits)
        print(f"\n{shape}: {len(rows):,} tasks in a month, {time.perf_counter() - began:.1f} s\n")
        print("\n".join(table(outcomes)))


if __name__ == "__main__":
    main()
