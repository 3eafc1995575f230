"""What a decision costs, from raw text to the backend's key: the plain ranking, and every strategy beside it.

    python tests/benchmarks/deciding.py

Six backends of configs/backends.yaml, all awake, one process; classifying the text included. Each strategy is measured
in turns with the plain ranking, so that a busy machine is busy for both; the bound is 80 microseconds of CPU at the
median and 600 at the 99th percentile. The exit status is 1 where one of them is passed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from twisted.internet.task import Clock

from uniwizard.agent import Router, Task
from uniwizard.agent.config import CONFIGS, load
from uniwizard.agent.config.routes import STRATEGIES

KEYS = ("ANTHROPIC_API_KEY", "MOONSHOT_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY")
ROUNDS = 3000
MEDIAN, LAST = 80.0, 600.0

TEXTS = ("review this diff, number {}", "Write a poem about {} lanterns", "what is {} times 17?", "hello there, {}")


def main() -> int:
    """Print a line a strategy; 1 where a bound is passed."""
    router = Router(load(CONFIGS / "backends.yaml", dict.fromkeys(KEYS, "none")), Clock())
    decider = router._decider
    names = ["", *(name for name, options in STRATEGIES.items() if not options.required)]
    took: dict[str, list[float]] = {name: [] for name in names}
    tasks = [Task(TEXTS[number % len(TEXTS)].format(number)) for number in range(ROUNDS)]
    for number, task in enumerate(tasks):
        # Whoever comes first pays for words that are not remembered yet, so each is first in turn.
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            began = time.thread_time_ns()
            decider.decide(task, name)
            took[name].append((time.thread_time_ns() - began) / 1000.0)
    plain = _at(took[""], 0.5)
    passed = False
    print(f"{'strategy':<14}{'median us':>10}{'p99 us':>9}{'of ranked':>11}")
    for name, times in took.items():
        median, last = _at(times, 0.5), _at(times, 0.99)
        passed = passed or median > MEDIAN or last > LAST
        print(f"{name or '(no route)':<14}{median:>10.1f}{last:>9.1f}{median / plain:>11.2f}")
    return int(passed)


def _at(times: list[float], share: float) -> float:
    return sorted(times)[int(share * (len(times) - 1))]


if __name__ == "__main__":
    sys.exit(main())
