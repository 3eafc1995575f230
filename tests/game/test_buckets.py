"""What the overview reads: attempts by hour and by day with their times, counted once whatever comes twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alone
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ledger_tables import NOON, end, row

from uniwizard.world.ledger import buckets
from uniwizard.world.ledger.histogram import Histogram
from uniwizard.world.ledger.models import Attempt, Bucket
from uniwizard.world.ledger.storage import Storage


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    with alone.tables(tmp_path) as file:
        yield file


@given(st.lists(st.floats(0.2, 1e7), min_size=1, max_size=80), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_a_tenth_of_the_exact_one(times: list[float], share: float) -> None:
    counted = Histogram()
    for time in times:
        counted.add(time)
    exact = sorted(times)[max(0, -(-int(share * 1000) * len(times) // 1000) - 1)]
    found = Histogram.read(counted.text()).percentile(share)
    assert found is not None
    assert 0.9 < found / exact < 1.11


def of(span: str, by: str = "work") -> list[dict[str, Any]]:
    found = Bucket.objects.filter(span=span, by=by).order_by("began", "backend", "asker")
    return [{name: getattr(bucket, name) for name in ("backend", "asker", "attempts", "cost_usd")} for bucket in found]


def test_what_has_ended_is_counted_by_hour_and_day_by_work_and_by_asker(file: Path) -> None:
    rows = [end("a", latency_ms=100.0), end("a", 2, NOON + 10, latency_ms=900.0), end("b", 1, NOON + 3600)]
    Storage().apply([("start", row("c")), *(("end", each) for each in rows)])
    assert of("h") == [
        {"backend": "one", "asker": "", "attempts": 2, "cost_usd": 0.5},
        {"backend": "one", "asker": "", "attempts": 1, "cost_usd": 0.25},
    ]
    assert of("d", "asker") == [{"backend": "", "asker": "anna", "attempts": 3, "cost_usd": 0.75}]
    (day,) = Bucket.objects.filter(span="d", by="work")
    sums = buckets.sums_of(day)
    assert (sums.fallbacks, sums.rate("fallbacks")) == (1, pytest.approx(1 / 3))
    assert sums.latency.percentile(0.5) == pytest.approx(900, rel=0.1)


def test_practice_and_real_are_never_in_one_bucket(file: Path) -> None:
    Storage().apply([("end", end("a")), ("end", end("b", practice=True))])
    assert [(found.practice, found.attempts) for found in Bucket.objects.filter(span="d", by="work")] == [
        (False, 1),
        (True, 1),
    ]


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 7), max_size=25), st.integers(1, 5))
def test_an_end_that_is_written_again_counts_once(file: Path, order: list[int], batch: int) -> None:
    for model in (Attempt, Bucket):
        model.objects.all().delete()
    ends = [("end", end(f"t{n // 2}", n % 2 + 1)) for n in range(8)]
    storage = Storage()
    for first in range(0, len(order), batch):
        storage.apply([ends[n] for n in order[first : first + batch]])
    for span in "hd":
        for by in ("work", "asker"):
            found = sum(bucket["attempts"] for bucket in of(span, by))
            assert found == len(set(order)) == Attempt.objects.count()


def test_old_hours_are_let_go_and_days_stay(file: Path) -> None:
    Storage().apply([("end", end("a"))])
    assert buckets.forget(NOON + 61 * 86_400.0) == 2
    assert (of("h"), len(of("d"))) == ([], 1)


def test_the_migration_counts_what_was_there_before(file: Path) -> None:
    from importlib import import_module

    from django.apps import apps
    from django.db import connections

    rng = random.Random(2)
    storage = Storage()
    for n in range(60):
        more = {"backend": rng.choice("ab"), "latency_ms": rng.random() * 1000, "practice": rng.random() < 0.2}
        storage.apply([("end", end(f"t{n}", 1, NOON + rng.random() * 86_400, **more))])
    kept = set(Bucket.objects.filter(span="d").values_list("began", "backend", "asker", "attempts", "latency"))
    Bucket.objects.all().delete()
    editor = type("Editor", (), {"connection": connections["default"]})
    import_module("uniwizard.world.ledger.migrations.0006_buckets").count(apps, editor)
    again = set(Bucket.objects.filter(span="d").values_list("began", "backend", "asker", "attempts", "latency"))
    assert again == kept
