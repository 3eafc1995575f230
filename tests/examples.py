"""How many examples a property is tried with: ``@settings(max_examples=examples(300))``, fewer in ``make quick``."""

from __future__ import annotations

import os

from hypothesis import settings

QUICK = 15

# What an example takes is the machine's business: no deadline.
settings.register_profile("default", deadline=None)
settings.register_profile("quick", max_examples=QUICK, deadline=None, derandomize=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)


def examples(count: int) -> int:
    """``count``, or what a quick run has time for."""
    return min(count, QUICK) if PROFILE == "quick" else count
