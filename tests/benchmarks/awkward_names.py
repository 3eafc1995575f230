"""A real game whose characters have awkward names in several scripts, and think of each other for a long time.

    python tests/benchmarks/awkward_names.py               # 10,000 thoughts of 12 players
    python tests/benchmarks/awkward_names.py 500           # fewer

The provider is one of our own: it remembers every byte and repeats every question. The bar: no identity term on the
wire, no thought stopped, no answer damaged. ``tests/game/test_names_in_game.py`` runs a short version.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "game"))

from awkward import run
from fake_llm import FakeLLMThread
from wired import address, config, wired

PLAYERS = 12


def main() -> int:
    thoughts = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with (
        tempfile.TemporaryDirectory() as directory,
        FakeLLMThread() as provider,
        wired(Path(directory) / "game", config(), UPSTREAM=address(provider)) as game,
    ):
        started = time.perf_counter()
        report = run(game, provider, thoughts=thoughts, players=PLAYERS)
        took = time.perf_counter() - started
    print(f"{report.answered} of {report.asked} thoughts answered in {took:.0f} s; {report.sent} requests read")
    counts = dict.fromkeys(("leaked", "stopped", "damaged", "no answer"), 0)
    for fault in report.faults:
        counts[fault.partition(":")[0]] += 1
        print(fault)
    print(", ".join(f"{kind}: {count}" for kind, count in counts.items()))
    return 1 if report.faults or report.answered < thoughts else 0


if __name__ == "__main__":
    sys.exit(main())
