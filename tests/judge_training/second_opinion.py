"""What a second opinion costs and what it brings. For development only (see requirements.txt).

    python tests/judge_training/second_opinion.py --data LABELLED.jsonl [--scores SCORES.json] [--adviser KEY]

What it brings: the answers whose probability of a full refusal, by weights that have not seen them, lies between the
bounds are put to a scripted judge that is right with a known probability; the mean of 200 runs. What it costs: the
share of answers that are asked about, and the tokens, dollars and milliseconds of one question, put by the real engine
to the simulated backend that stands in for KEY (``practice: always``) of the shipped ``configs/backends.yaml``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from corpus import ROOT, Row, held_rows, own_rows, rows_of
from measure import unseen_scores
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from uniwizard.agent import Router, Task
from uniwizard.agent.config.loader import load
from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.events import AttemptEnded
from uniwizard.agent.core.pricing import cost_usd
from uniwizard.agent.core.verdict import Verdict
from uniwizard.agent.engine.second_opinion import KIND, REPLY_TOKENS
from uniwizard.agent.judge.judging import reconsider
from uniwizard.agent.judge.settings import JudgeSettings, SecondOpinionSettings

BOUNDS = ((0.3, 0.7), (0.15, 0.85), (0.05, 0.95))
QUALITIES = (0.8, 0.9, 0.95)
RUNS, TASKS = 200, 40


def brought(rows: list[Row], refuses: np.ndarray) -> None:
    """Print what a scripted judge of each quality changes."""
    full = np.array([row.refuses for row in rows])
    good = np.array([not row.declines for row in rows])
    print("| bounds | asked about | quality | full refusals accepted | complying answers rerouted |")
    print("| --- | ---: | ---: | ---: | ---: |")
    act = refuses >= JudgeSettings().reroute_at
    print(f"| none | 0.0% | | {(full & ~act).sum() / full.sum():.1%} | {(good & act).sum() / good.sum():.1%} |")
    random = np.random.default_rng(0)
    for low, high in BOUNDS:
        settings = JudgeSettings(second_opinion=SecondOpinionSettings("scripted", (low, high)))
        after = {
            says: np.array([reconsider(Verdict(score=p, refuses=p), says, settings).refused for p in refuses])
            for says in (True, False)
        }
        doubtful = (refuses >= low) & (refuses <= high)
        for quality in QUALITIES:
            missed = rerouted = 0.0
            for _ in range(RUNS):
                says = np.where(random.random(len(rows)) < quality, full, ~full)
                now = np.where(doubtful, np.where(says, after[True], after[False]), act)
                missed += (full & ~now).sum() / full.sum() / RUNS
                rerouted += (good & now).sum() / good.sum() / RUNS
            print(f"| {low} to {high} | {doubtful.mean():.1%} | {quality:.0%} | {missed:.1%} | {rerouted:.1%} |")


async def cost(adviser: str) -> None:
    """Print what one question costs in practice."""
    config = load(ROOT / "configs" / "backends.yaml", {**os.environ, "ANTHROPIC_API_KEY": "none"})
    asked = {"second_opinion": {"backend": adviser, "between": [0, 1]}}
    config = replace(config, practice="always", judge=dict.fromkeys(config.backends, asked))
    router = Router(config, reactor)
    ended: list[Any] = []
    router.events.subscribe(lambda event: ended.append(event.attempt) if isinstance(event, AttemptEnded) else None)
    await router.start()
    try:
        for row in [row for row in held_rows() if row.klass == "unseen"][:TASKS]:
            await router.call_with_fallback(Task(row.asked))
    finally:
        await router.stop()
    mine = [attempt for attempt in ended if attempt.kind == KIND]
    if not mine:
        print("no question was asked")
        return
    n, priced = len(mine), config.backends[adviser]
    tokens = sum(attempt.usage.input_tokens for attempt in mine) / n
    # The simulated backend costs nothing and does not heed max_tokens: this is the real one's price of a full reply.
    usd = cost_usd(priced, Usage(round(tokens), REPLY_TOKENS))
    print(
        f"one question to {adviser}: {tokens:.0f} tokens in, at most {REPLY_TOKENS} out, ${usd:.6f} by its price; "
        f"{sum(attempt.latency_ms for attempt in mine) / n:.0f} ms in practice; {n} of {TASKS} answers were asked about"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, help="what train.py --scores kept; else it is computed")
    parser.add_argument("--adviser", default="grok", help="the key of the backend that is asked")
    args = parser.parse_args()
    scores = json.loads(args.scores.read_text()) if args.scores else unseen_scores(args.data)
    rows = rows_of(args.data)
    print("Answers labelled by people:\n")
    brought(rows, np.array([scores[row.id][1] for row in rows]))
    agents = [row for row in own_rows() if row.klass == "agents"]
    print("\nAgents' conversations of the corpus:\n")
    brought(agents, np.array([scores[row.id][1] for row in agents]))
    print()
    done = ensureDeferred(cost(args.adviser))
    done.addErrback(lambda failure: print(failure, file=sys.stderr))
    done.addBoth(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    main()
