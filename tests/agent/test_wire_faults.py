"""Error responses: which failure each documented error is, how long to wait, and what the reason may show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.wire import decode, decode_probe, probe

KEY = "sk-live-abcdefghijklmnop"


def fail(api: str, status: int, body: Any, headers: dict[str, str] | None = None) -> AttemptFailed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(AttemptFailed) as failed:
        decode(Backend("k", api, "http://h", "m", api_key=KEY), status, headers or {}, raw)
    assert failed.value.status == status
    return failed.value


def openai(message: str = "No.", kind: str | None = "invalid_request_error", code: Any = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "No.", **more: Any) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_1"}


def gemini(code: int, status: str, message: str = "No.", details: Any = None) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": details or []}}


CASES = [
    ("openai", 401, openai("Incorrect API key provided", code="invalid_api_key"), "auth"),
    ("openai", 403, openai(code="unsupported_country_region_territory"), "auth"),
    ("openai", 404, openai("The model `m` does not exist", code="model_not_found"), "not_found"),
    ("openai", 403, openai("Project has no access to model", code="model_not_found"), "not_found"),
    ("openai", 429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), "rate_limited"),
    ("openai", 429, openai("You exceeded", "insufficient_quota", "insufficient_quota"), "quota_exhausted"),
    ("openai", 400, openai("Too long", code="context_length_exceeded"), "context_overflow"),
    ("openai", 400, openai("This model's maximum context length is 8192 tokens"), "context_overflow"),
    ("openai", 400, openai("Unsupported parameter", code="unsupported_parameter"), "bad_request"),
    ("openai", 500, openai("Oops", "server_error"), "server_error"),
    ("openai", 503, openai("The engine is currently overloaded", "server_error"), "overloaded"),
    ("openai", 429, openai("busy", "engine_overloaded_error"), "overloaded"),  # Moonshot
    ("openai", 429, openai("pay", "exceeded_current_quota_error"), "quota_exhausted"),  # Moonshot
    ("openai", 400, {"code": "Client specified an invalid argument", "error": "Bad."}, "bad_request"),  # xAI
    ("openai", 403, {"code": "x", "error": "Content violates usage guidelines."}, "content_filter"),  # xAI
    (
        "openai",
        400,
        {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400},
        "bad_request",
    ),  # vLLM
    ("openai", 404, {"object": "error", "message": "no m", "type": "NotFoundError", "code": 404}, "not_found"),
    ("openai", 400, {"error": {"code": 400, "message": "n", "type": "exceed_context_size_error"}}, "context_overflow"),
    ("openai", 402, {"error": {"code": 402, "message": "Insufficient credits"}}, "quota_exhausted"),  # OpenRouter
    ("openai", 200, {"error": {"code": 502, "message": "Upstream died"}}, "server_error"),  # OpenRouter
    ("openai", 200, {"error": {"message": "who knows"}}, "malformed"),
    ("openai", 422, {"detail": "field required"}, "bad_request"),
    ("anthropic", 400, anthropic("invalid_request_error"), "bad_request"),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
        "context_overflow",
    ),
    ("anthropic", 400, anthropic("invalid_request_error", "Your credit balance is too low"), "quota_exhausted"),
    ("anthropic", 401, anthropic("authentication_error"), "auth"),
    ("anthropic", 402, anthropic("billing_error"), "quota_exhausted"),
    ("anthropic", 403, anthropic("permission_error"), "auth"),
    ("anthropic", 404, anthropic("not_found_error"), "not_found"),
    ("anthropic", 413, anthropic("request_too_large"), "context_overflow"),
    ("anthropic", 429, anthropic("rate_limit_error"), "rate_limited"),
    (
        "anthropic",
        429,
        anthropic("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
        "quota_exhausted",
    ),
    ("anthropic", 500, anthropic("api_error"), "server_error"),
    ("anthropic", 504, anthropic("timeout_error"), "timeout"),
    ("anthropic", 529, anthropic("overloaded_error"), "overloaded"),
    ("anthropic", 200, anthropic("overloaded_error"), "overloaded"),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT"), "bad_request"),
    ("gemini", 400, gemini(400, "FAILED_PRECONDITION"), "bad_request"),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]), "auth"),
    ("gemini", 400, gemini(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum"), "context_overflow"),
    ("gemini", 403, gemini(403, "PERMISSION_DENIED"), "auth"),
    ("gemini", 404, gemini(404, "NOT_FOUND"), "not_found"),
    ("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
    (
        "gemini",
        429,
        gemini(429, "RESOURCE_EXHAUSTED", details=[{"violations": [{"quotaId": "GenerateRequestsPerDayFreeTier"}]}]),
        "quota_exhausted",
    ),
    ("gemini", 500, gemini(500, "INTERNAL"), "server_error"),
    ("gemini", 503, gemini(503, "UNAVAILABLE"), "overloaded"),
    ("gemini", 504, gemini(504, "DEADLINE_EXCEEDED"), "timeout"),
    ("gemini", 503, [gemini(503, "UNAVAILABLE")], "overloaded"),
    ("gemini", 200, gemini(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
    ("ollama", 404, {"error": "model 'm' not found"}, "not_found"),
    ("ollama", 200, {"error": "model 'm' not found"}, "not_found"),
    ("ollama", 400, {"error": "m does not support tools"}, "bad_request"),
    ("ollama", 400, {"error": "the input length exceeds the context length"}, "context_overflow"),
    ("ollama", 401, {"error": "unauthorized"}, "auth"),
    ("ollama", 500, {"error": "llama runner process has terminated"}, "server_error"),
    ("ollama", 503, {"error": "server busy, please try again. maximum pending requests exceeded"}, "overloaded"),
    # LiteLLM's proxy 1.106.2, as tests/witnesses hears it.
    ("openai", 400, openai("litellm.ContextWindowExceededError: too long\nmodel=m.", code="400"), "context_overflow"),
    ("openai", 400, openai("litellm.ContentPolicyViolationError: no", code="400"), "content_filter"),
    ("openai", 400, openai("/chat/completions: Invalid model name passed in model=m.", code="400"), "not_found"),
    ("openai", 400, openai("Budget has been exceeded!", "budget_exceeded", "400"), "quota_exhausted"),
    ("openai", 429, openai("litellm.RateLimitError: slow", "throttling_error", "429"), "rate_limited"),
    ("anthropic", 400, anthropic("invalid_request_error", "litellm.ContextWindowExceededError: x"), "context_overflow"),
]


@pytest.mark.parametrize(("api", "status", "body", "word"), CASES)
def test_a_documented_error_is_the_failure_it_means(api: str, status: int, body: Any, word: str) -> None:
    assert fail(api, status, body).failure == word


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "ollama"])
@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (301, "malformed"),
        (302, "malformed"),
        (401, "auth"),
        (502, "server_error"),
        (503, "overloaded"),
        (408, "timeout"),
    ],
)
def test_an_error_page_of_a_gateway_goes_by_its_status(api: str, status: int, failure: str) -> None:
    failed = fail(api, status, b"<html><body><h1>Gateway says no</h1></body></html>")
    assert failed.failure == failure
    assert failed.reason.startswith(f"HTTP {status}")


ODD = [None, 5, [], {}, "text", {"error": 5}, {"error": []}, {"error": {"message": 5, "code": [], "type": {}}}]
ODD += [{"error": {"details": 5}}, {"error": {"details": [5, {"violations": [5]}, {"reason": 5, "retryDelay": 5}]}}]
ODD += [{"error": {"code": True, "innererror": {"content_filter_result": 5}}}, [5], {"type": "error"}]


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "ollama"])
@pytest.mark.parametrize("body", ODD)
def test_an_error_body_of_any_shape_still_goes_by_its_status(api: str, body: Any) -> None:
    assert fail(api, 429, body).failure is FailureCode.RATE_LIMITED


DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"Retry-After": "Fri, 20 Nov 2026 10:00:42 GMT", "Date": DATE}, 42.0),
        ({"Retry-After": "Fri, 20 Nov 2026 09:00:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": DATE}, 86400.0),
        ({"Retry-After": "1e18"}, 86400.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Fri, 99 Foo 2026 10:00:42 GMT", "Date": DATE}, None),
        ({}, None),
    ],
)
def test_the_wait_that_a_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert fail("openai", 429, openai(), headers).retry_after == seconds


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34.5s", 34.5), ("0s", 0.0), ("999999999s", 86400.0), ("-3s", None), ("soon", None), (7, None)],
)
def test_gemini_says_the_wait_in_its_body(delay: Any, seconds: float | None) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    assert fail("gemini", 429, gemini(429, "RESOURCE_EXHAUSTED", details=[info])).retry_after == seconds


@pytest.mark.parametrize(
    "told",
    [
        f"Your key {KEY} is wrong",
        f"{KEY}{KEY}",
        "x" * 1990 + KEY,
        " " * 1990 + KEY,
        KEY + " " * 4000 + KEY,
    ],
)
@pytest.mark.parametrize("status", [400, 401, 500, 200])
def test_the_key_is_never_in_a_reason(told: str, status: int) -> None:
    for body in (openai(told), told.encode(), {"message": told}):
        assert KEY[:10] not in str(fail("openai", status, body))


def test_a_key_of_letters_that_a_reason_does_not_show_is_left_out_whole() -> None:
    backend = Backend("k", "openai", "http://h", "m", api_key="open|sesame$barley")
    with pytest.raises(AttemptFailed) as failed:
        decode(backend, 400, {}, json.dumps(openai("Not open|sesame$barley again")).encode())
    assert failed.value.reason.endswith("Not ... again")


def test_what_a_provider_writes_is_shown_short_and_harmless() -> None:
    told = "no\r\n\x1b[31m|rred|n $func(x) <script>\u202e\u0000 " + "z" * 500
    reason = fail("openai", 400, openai(told)).reason
    assert reason.isprintable()
    assert not set(reason) & set("|$<>\x1b\u202e")
    assert "red" in reason
    assert len(reason) <= len("HTTP 400: ") + 80


@pytest.mark.parametrize("api", ["openai", "anthropic", "gemini", "ollama"])
def test_a_probe_is_a_get_with_the_credentials_of_a_call(api: str) -> None:
    request = probe(Backend("k", api, "http://h/v1/", "m", api_key=KEY))
    assert (request.method, request.body) == ("GET", b"")
    assert KEY in "".join(request.headers.values())


def test_a_probe_fails_for_everything_but_an_answer_or_a_missing_list() -> None:
    backend = Backend("k", "openai", "http://h", "m")
    decode_probe(backend, 200, {}, b'{"data": []}')
    decode_probe(backend, 404, {}, b"404 page not found")
    decode_probe(backend, 404, {}, json.dumps(openai()).encode())
    for status, failure in (
        (401, "auth"),
        (403, "auth"),
        (429, "rate_limited"),
        (500, "server_error"),
        (302, "malformed"),
    ):
        with pytest.raises(AttemptFailed) as failed:
            decode_probe(backend, status, {}, b"{}")
        assert failed.value.failure == failure
    with pytest.raises(AttemptFailed) as failed:
        decode_probe(backend, 200, {}, b"<html>please sign in</html>")
    assert failed.value.failure is FailureCode.MALFORMED
