"""What providers say of their limits: how long a 429 asks us to stay away, and that we do."""

from __future__ import annotations

import pytest
from fake_llm import answer, status
from faults import RouterTest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent import Task
from uniwizard.agent.config.settings import Rule
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.health.breaker import State
from uniwizard.agent.wire import decode
from uniwizard.agent.wire.errors import resets_in

DATE = {"Date": "Fri, 20 Nov 2026 10:00:00 GMT"}
NOON = 1_795_168_800  # of that date, in seconds since the epoch


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"X-RateLimit-Reset-Tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-reset": str(NOON + 90)}, 90.0),
        ({"x-ratelimit-reset": str((NOON + 90) * 1000)}, 90.0),
        ({"x-ratelimit-reset": str(NOON - 90)}, 0.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-20T10:01:30Z"}, 90.0),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-20T12:01:30+02:00"}, 90.0),
        # The limit that was hit is the one of which nothing remains.
        (
            {
                "x-ratelimit-remaining-requests": "57",
                "x-ratelimit-reset-requests": "24h0m0s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "4s",
            },
            4.0,
        ),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-20T10:00:30Z",
                "anthropic-ratelimit-tokens-remaining": "9000",
                "anthropic-ratelimit-tokens-reset": "2026-11-20T10:01:30Z",
            },
            30.0,
        ),
        ({"x-ratelimit-reset": "tomorrow"}, None),
        ({"x-ratelimit-reset": "nan"}, None),
        ({"x-ratelimit-reset": "-5"}, None),
        ({"x-ratelimit-reset": ""}, None),
        ({"anthropic-ratelimit-tokens-reset": "2026-11-20T10:01:30"}, None),
        ({"x-ratelimit-reset-requests": "999999h"}, 86_400.0),
    ],
)
def test_the_reset_of_the_limit_that_was_hit_is_the_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert resets_in({**DATE, **headers}) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=30))
def test_any_value_is_a_wait_or_none(value: str) -> None:
    wait = resets_in({"x-ratelimit-reset": value, "date": value})
    assert wait is None or 0 <= wait <= 86_400


def test_retry_after_comes_before_the_body_and_the_body_before_the_limits() -> None:
    backend = Backend("b", "gemini", "http://127.0.0.1:1", "m")
    limits = {**DATE, "x-ratelimit-reset": "30"}
    delay = b'{"error": {"code": 429, "details": [{"retryDelay": "20s"}]}}'
    for headers, body, wait in (
        ({**limits, "Retry-After": "10"}, delay, 10.0),
        (limits, delay, 20.0),
        (limits, b"{}", 30.0),
    ):
        with pytest.raises(AttemptFailed) as caught:
            decode(backend, 429, headers, body)
        assert (caught.value.failure, caught.value.retry_after) == (FailureCode.RATE_LIMITED, wait)
    with pytest.raises(AttemptFailed) as caught:
        decode(backend, 503, limits, b"{}")
    assert caught.value.retry_after is None, "what is overloaded has hit no limit"


class Resting(RouterTest):
    async def test_who_asks_for_a_long_pause_is_left_alone_and_stays_trusted(self) -> None:
        self.server.script("a", status(429, "x-ratelimit-reset-requests: 90s"), answer())
        prefer_a = Rule(frozenset({"*"}), ("a",))
        router = self.router(self.server.backend("a", retries=2), self.server.backend("b"), rules=(prefer_a,))
        for _ in range(3):
            assert (await router.call_with_fallback(Task("x", kind="chat"))).backend == "b"
        assert self.server.asked("a") == 1
        assert router.registry["a"].state is State.CLOSED
        assert "left alone for" in router.explain("x").skipped[0].reason
        router.registry.reset("a")
        assert (await router.call_with_fallback(Task("x", kind="chat"))).backend == "a"

    async def test_a_short_pause_is_waited_for_here(self) -> None:
        self.server.script("a", status(429, "x-ratelimit-reset-requests: 10ms"), answer())
        router = self.router(self.server.backend("a", retries=1), self.server.backend("b"))
        result = await router.call_with_fallback(Task("x", kind="chat"))
        assert [attempt.backend for attempt in result.attempts] == ["a", "a"]
