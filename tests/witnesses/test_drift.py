"""The drift of rates beside river's ADWIN, which knows nothing of ours: both find the same change, and no other."""

from __future__ import annotations

import random

import pytest

from uniwizard.agent.telemetry.drift import Cusum


def stream(seed: int, *rates: tuple[int, float]) -> list[bool]:
    rng = random.Random(seed)
    return [rng.random() < rate for calls, rate in rates for _ in range(calls)]


def ours(hits: list[bool]) -> list[int]:
    watched, found = Cusum(), []
    for number, hit in enumerate(hits):
        if watched.observe(hit):
            found.append(number)
            watched.accept()
    return found


def adwins(hits: list[bool]) -> list[int]:
    drift = pytest.importorskip("river.drift", reason="pip install river")
    watched, found = drift.ADWIN(delta=0.0001), []
    for number, hit in enumerate(hits):
        watched.update(float(hit))
        if watched.drift_detected:
            found.append(number)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_both_find_a_change_from_2_to_10_percent_and_ours_no_later(seed: int) -> None:
    hits = stream(seed, (3000, 0.02), (1500, 0.10))
    mine, theirs = ours(hits), adwins(hits)
    assert mine
    assert theirs
    assert mine[0] >= 3000
    assert mine[0] <= theirs[-1]


def test_neither_finds_anything_in_a_steady_rate() -> None:
    hits = stream(9, (20_000, 0.02))
    assert ours(hits) == adwins(hits) == []
