"""How long it takes to tell a task's kind, in microseconds. Run ``python tests/benchmarks/classify_speed.py``."""

from __future__ import annotations

import sys
import timeit
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from uniwizard.agent.classify.classifier import Classifier  # noqa: E402
from uniwizard.agent.core.task import Task  # noqa: E402

TEN = "Could you please explain how the engine of a car works?"
CASES = {
    "kind given": Task("x", kind="chat"),
    "10 words": Task(TEN),
    "44 words": Task(f"{TEN} " * 4),
    "10,000 characters": Task("The quick brown fox explains code to the old king. " * 200),
    "100,000 characters": Task("The quick brown fox explains code to the old king. " * 2000),
}


def main() -> None:
    """Print the best of seven runs of every case, and the time to load the file."""
    print(f"load  {min(timeit.repeat(Classifier.load, number=1, repeat=3)) * 1e3:8.1f} ms")
    classifier = Classifier.load()
    for name, task in CASES.items():
        best = min(timeit.repeat(lambda task=task: classifier.classify(task), number=1000, repeat=7))
        print(f"{name:20} {best * 1e3:8.1f} us")


if __name__ == "__main__":
    main()
