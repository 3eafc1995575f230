"""Kill -9 and reload a real game at random moments under load, as often as is asked or the time allows.

    python tests/benchmarks/crash_run.py [times] [minutes] [seed]      # 200 60, if you have an hour

It takes about five seconds a crash on two idle cores, and prints what became of every thought, attempt and breaker;
anything lost or counted twice is an error, and then the game's directory stays to be looked at.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "game")]

from crashes import Crashes  # noqa: E402

#: Crashes between two lines of progress.
STRIDE = 10


def main(times: int, minutes: float, seed: int) -> None:
    """Run and print."""
    directory = Path(tempfile.mkdtemp(prefix="crashes-"))
    print(f"seed {seed}, in {directory}", flush=True)
    began = time.monotonic()
    until = began + minutes * 60
    with Crashes(directory / "game", seed=seed) as crashes:
        for done in range(0, times, STRIDE):
            if time.monotonic() > until:
                break
            crashes.run(min(STRIDE, times - done), until)
            print(f"{time.monotonic() - began:6.0f} s: {crashes.report()}", flush=True)
    shutil.rmtree(directory)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 20,
        float(given[1]) if given[1:] else 10.0,
        int(given[2]) if given[2:] else random.randrange(10**6),
    )
