"""Microseconds per verdict, by the length of the answer. A figure to report, not a test.

    python tests/benchmarks/judge_speed.py [--rounds N]

Every answer is different from the one before, so that nothing is gained by having seen it. Two kinds are measured:
an answer that helps and one that declines, for which evidence has to be found as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from uniwizard.agent.judge import judge

HELPS = (
    "The tide is pulled by the Moon, and twice a day the sea comes up the harbour wall. ",
    "You can read the hour of high water in a table, which the harbour office prints each winter. ",
    "A spring tide follows the full Moon by a day or two because the water lags behind. ",
    "In a narrow bay the wave piles up, so the range may be ten metres or more. ",
    "Fishermen here say that the ebb runs for six hours and the flood for six and a half. ",
)
DECLINES = "I'm sorry, but I can't help with that. It would not be right to describe how this is done. "
LENGTHS = (100, 1_000, 10_000, 1_000_000)


def answer(length: int, number: int, declines: bool) -> str:
    """An answer of ``length`` characters; ``number`` makes it unlike the others."""
    sentences = [HELPS[(number * 7 + i * 3) % len(HELPS)] for i in range(1 + min(length, 20_000) // 60)]
    text = (DECLINES if declines else "") + f"Note {number}: " * (not declines) + "".join(sentences)
    return (text * (1 + length // len(text)))[:length]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    print(f"{'characters':>12} {'helps':>10} {'declines':>10}   microseconds per verdict, best of five")
    for length in LENGTHS:
        figures = []
        for declines in (False, True):
            times = max(rounds if length <= 10_000 else rounds // 20, 1)
            texts = [answer(length, i, declines) for i in range(times)]
            figures.append(min(_round(texts) for _ in range(5)))
        print(f"{length:>12,} {figures[0]:>10.1f} {figures[1]:>10.1f}")


def _round(texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        judge("How do the tides work in a narrow bay?", text)
    return (time.perf_counter() - began) / len(texts) * 1e6


if __name__ == "__main__":
    main()
