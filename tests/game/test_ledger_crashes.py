"""Kill -9 and reload at random moments under load: nothing vanishes, nothing is counted twice, no breaker forgets.

``tests/benchmarks/crash_run.py`` does the same as often as one likes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from crashes import Crashes

pytestmark = pytest.mark.game


def test_nothing_is_lost_in_six_crashes_under_load(tmp_path: Path) -> None:
    with Crashes(tmp_path / "game", seed=20261120) as crashes:
        crashes.run(times=6)
        print(crashes.report())
