"""Seventeen months of traffic, each with a large backlog of goals: what the goals use, and what they take away.

    python tests/benchmarks/backlog.py [--rows 50000] [--goals 30000] [--shape office] [--optimum]
    python tests/benchmarks/backlog.py --write 30000 > backlog.jsonl        # the backlog alone, for simulate --goals

The traffic is that of ``traffic.py``. A goal has four to six steps: two or three at the beginning, which wait for
nobody, then what is made of them. The aims: utilisation at least 97%, no limit passed, first choice down by at most
half a point, nobody delayed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

from traffic import KINDS, SHAPES, traffic  # noqa: E402


def backlog(count: int, seed: int = 7) -> Iterator[dict[str, Any]]:
    """So many goals; sizes are log-normal about the medians of their kind, as those of the traffic."""
    chance = random.Random(f"backlog/{seed}")
    shares = [share for share, _, _ in KINDS.values()]
    for number in range(count):
        steps = []
        first = chance.randint(2, 3)
        for step in range(chance.randint(4, 6)):
            kind = chance.choices(list(KINDS), shares)[0]
            _, given, answered = KINDS[kind]
            after = [] if step < first else sorted(chance.sample(range(step), chance.randint(1, 2)))
            steps.append(
                {
                    "kind": kind,
                    "input_tokens": max(1, round(given * math.exp(chance.gauss(0, 0.8)))),
                    "output_tokens": max(1, round(answered * math.exp(chance.gauss(0, 0.6)))),
                    "after": after,
                }
            )
        yield {"id": f"goal-{number}", "priority": chance.randint(0, 2), "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--goals", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--optimum", action="store_true", help="the optimum in hindsight as well; minutes a shape")
    parser.add_argument("--write", type=int, metavar="N", help="print a backlog of N goals and do nothing else")
    arguments = parser.parse_args()
    if arguments.write:
        for goal in backlog(arguments.write, arguments.seed):
            print(json.dumps(goal))
        return
    from uniwizard.agent.classify.classifier import Classifier
    from uniwizard.agent.config.loader import load
    from uniwizard.agent.simulation import figures, optimum_of, read_goals, read_traffic
    from uniwizard.agent.simulation.policies import policies
    from uniwizard.agent.simulation.replay import Situation, replay

    config = load(ROOT / "tests/data/simulate.yaml", os.environ)
    suits = Classifier.load().suits
    goals, _ = read_goals(json.dumps(goal) for goal in backlog(arguments.goals, arguments.seed))
    print(f"{len(goals):,} goals, {sum(len(goal.steps) for goal in goals):,} steps beside each")
    head = f"{'traffic':<17}{'utilisation':>12}{'alone':>8}{'first choice':>14}{'lost':>8}{'delayed':>9}"
    print(f"{head}{'delay ms':>10}{'violations':>12}{'goals done':>12}{'steps':>9}{'of optimum':>12}{'took':>8}")
    for shape in arguments.shape or SHAPES:
        rows, _ = read_traffic(json.dumps(row) for row in traffic(shape, arguments.rows, arguments.seed))
        began = time.perf_counter()
        situation = Situation(config, suits)
        alone = replay(rows, situation, policies(situation.config, situation.suits)["headroom"])
        both = replay(rows, situation, policies(situation.config, situation.suits)["headroom"], goals)
        outcomes = {"headroom": both, "traffic alone": alone}
        if arguments.optimum:
            outcomes |= optimum_of(rows, config, suits, goals)
        told = figures(outcomes)["policies"]
        ours, lost = told["headroom"], told["headroom"]["interactive_lost"]
        best = "-" if ours["of_optimum"] is None else f"{ours['of_optimum']:.1%}"
        print(
            f"{shape:<17}{ours['utilisation']:>12.1%}{told['traffic alone']['utilisation']:>8.1%}"
            f"{ours['first_choice']:>14.2%}{lost['first_choice']:>8.2%}{lost['delayed']:>9}{lost['delay_ms']:>10.1f}"
            f"{ours['violations']:>12}{ours['goals']['goals_done']:>12,}{ours['goals']['steps_done']:>9,}{best:>12}"
            f"{time.perf_counter() - began:>7.0f}s",
            flush=True,
        )


if __name__ == "__main__":
    main()
