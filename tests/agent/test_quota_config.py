"""Quotas and headroom as the backends file gives them, and its faults by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniwizard.agent.config.loader import load
from uniwizard.agent.config.settings import Headroom
from uniwizard.agent.config.yaml_files import ConfigError
from uniwizard.agent.core.backend import Quota

FILE = """version: 1
backends:
  a:
    api: openai
    url: http://127.0.0.1
    model: m
    quota:
      - {quota}
headroom: {headroom}
"""


def written(tmp_path: Path, quota: str, headroom: str = "{}") -> Path:
    path = tmp_path / "backends.yaml"
    path.write_text(FILE.replace("{quota}", quota).replace("{headroom}", headroom), "utf-8")
    return path


@pytest.mark.parametrize(
    ("quota", "built"),
    [
        ("{limit: 100, unit: usd, per: month}", Quota(100.0, "usd", "month")),
        ("{limit: 50, unit: requests, per: 5h, rolling: true}", Quota(50.0, "requests", "5h", rolling=True)),
        (
            "{limit: 1, unit: tokens, per: week, day: sunday, hour: 9, zone: Europe/Warsaw}",
            Quota(1.0, "tokens", "week", zone="Europe/Warsaw", day=6, hour=9),
        ),
        ("{limit: 1, unit: usd, per: month, day: 31}", Quota(1.0, "usd", "month", day=31)),
    ],
)
def test_a_quota_is_built_as_it_is_written(tmp_path: Path, quota: str, built: Quota) -> None:
    assert load(written(tmp_path, quota), {}).backends["a"].quota == (built,)


def test_the_weights_of_headroom_have_defaults_and_can_be_set(tmp_path: Path) -> None:
    quota = "{limit: 1, unit: usd, per: day}"
    assert load(written(tmp_path, quota), {}).headroom == Headroom()
    assert load(written(tmp_path, quota, "{pull: 0.3, save: false}"), {}).headroom == Headroom(pull=0.3, save=False)


@pytest.mark.parametrize(
    ("quota", "what"),
    [
        ("{limit: 1, unit: usd, per: month, zone: Mars/Olympus}", "zone"),
        ("{limit: 1, unit: usd, per: month, day: monday}", "day of a month"),
        ("{limit: 1, unit: usd, per: week, day: 3}", "day of a week"),
        ("{limit: 1, unit: usd, per: day, day: 3}", "day"),
        ("{limit: 1, unit: usd, per: 5h, hour: 3}", "no reset in a zone"),
        ("{limit: 1, unit: usd, per: day, hour: 3, rolling: true}", "no reset in a zone"),
        ("{limit: 0, unit: usd, per: day}", "limit"),
        ("{limit: 1, unit: euro, per: day}", "unit"),
        ("{limit: 1, unit: usd, per: fortnight}", "per"),
    ],
)
def test_a_reset_that_no_clock_knows_is_a_fault_with_its_line(tmp_path: Path, quota: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, quota), {})
    assert any(what in str(fault) and ":8" in str(fault) for fault in caught.value.faults), caught.value.faults
