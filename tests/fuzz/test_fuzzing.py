"""The fuzzer itself: its seeds are whole answers, its checks can fail, and a small run finds nothing."""

from __future__ import annotations

import random

import pytest
from fuzz_decoders import ANSWERS, BACKENDS, KEY, bounded, check_answer, check_failure, mutated, seeds

import uniwizard.agent.wire as wire
from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.failures import AttemptFailed, FailureCode


# It watches the memory of every call, and would watch that of measuring the coverage.
@pytest.mark.no_cover
@pytest.mark.slow
def test_a_small_run_finds_nothing() -> None:
    chance = random.Random(20261120)
    pool = list(seeds())
    for _ in range(1500):
        data = chance.choice(pool)
        for _ in range(chance.randrange(1, 6)):
            data = mutated(data, chance)[:20000]
        bounded(data)


def test_every_seed_of_an_answer_is_one() -> None:
    whole = [body[3:] for body in seeds() if body[1] == 0 and body[2] == 0]
    assert len(whole) == len(BACKENDS) == len(ANSWERS)
    for backend, body in zip(BACKENDS, whole, strict=True):
        assert wire.decode(backend, 200, {}, body).text


@pytest.mark.parametrize(
    "failed",
    [
        AttemptFailed(FailureCode.AUTH, f"the key {KEY} is wrong"),
        AttemptFailed(FailureCode.AUTH, "\x1b[2J"),
        AttemptFailed(FailureCode.AUTH, "x" * 5000),
        AttemptFailed(FailureCode.RATE_LIMITED, "slow", retry_after=-1.0),
    ],
)
def test_a_failure_that_breaks_the_contract_is_found(failed: AttemptFailed) -> None:
    with pytest.raises(AssertionError):
        check_failure(failed)


def test_an_answer_out_of_proportion_is_found() -> None:
    with pytest.raises(AssertionError):
        check_answer(Answer("x" * 1000), b"{}")
