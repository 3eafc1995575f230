"""Answers that are none, as the providers document them: refusals, hard filters, bodies that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answers import PLAIN, answer, candidate, chat, completion, failure, message

from uniwizard.agent.core.answer import Declined
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.wire import decode


@pytest.mark.parametrize(
    ("api", "body", "text", "finish", "declined"),
    [
        (
            "openai",
            completion({"content": None, "refusal": "I'm sorry, no."}),
            "",
            "refusal",
            Declined("message.refusal", "", "I'm sorry, no."),
        ),
        (
            "openai",
            completion(
                finish="content_filter",
                content_filter_results={"hate": {"filtered": True}, "violence": {"filtered": False}},
            ),
            "Hello.",
            "content_filter",
            Declined("finish_reason", "hate"),
        ),
        (
            "anthropic",
            message(
                {"type": "text", "text": "Well, "},
                stop="refusal",
                stop_details={"type": "refusal", "category": "bio", "explanation": "Lab methods."},
            ),
            "Well, ",
            "refusal",
            Declined("stop_reason", "bio", "Lab methods."),
        ),
        (
            "anthropic",
            message(stop="refusal") | {"content": [], "stop_details": {"category": None, "explanation": None}},
            "",
            "refusal",
            Declined("stop_reason"),
        ),
        (
            "gemini",
            candidate(finish="SAFETY", safetyRatings=[{"category": "HARM_CATEGORY_X", "blocked": True}]),
            "Hello.",
            "content_filter",
            Declined("finishReason", "HARM_CATEGORY_X"),
        ),
        (
            "gemini",
            {"candidates": [{"finishReason": "RECITATION", "finishMessage": "A known text."}]},
            "",
            "content_filter",
            Declined("finishReason", "RECITATION", "A known text."),
        ),
    ],
)
def test_a_refusal_in_a_field_made_for_it_is_declined(
    api: str, body: Any, text: str, finish: str, declined: Declined
) -> None:
    said = answer(api, body)
    assert (said.text, said.finish_reason, said.declined) == (text, finish, declined)


@pytest.mark.parametrize("reason", ["BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR"])
def test_gemini_filters_decline_with_text_and_are_hard_without(reason: str) -> None:
    assert answer("gemini", candidate(finish=reason)).declined == Declined("finishReason", reason)
    assert failure("gemini", {"candidates": [{"finishReason": reason}]}).failure is FailureCode.CONTENT_FILTER


@pytest.mark.parametrize(
    ("api", "status", "body", "category"),
    [
        ("openai", 200, completion({"content": ""}, "content_filter"), "content_filter"),
        (
            "openai",
            400,
            {
                "error": {
                    "message": "The response was filtered.",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {
                        "code": "ResponsibleAIPolicyViolation",
                        "content_filter_result": {
                            "violence": {"filtered": True, "severity": "medium"},
                            "hate": {"filtered": False, "severity": "safe"},
                        },
                    },
                }
            },
            "violence",
        ),
        (
            "openai",
            400,
            {"error": {"message": "Rejected.", "type": "invalid_request_error", "code": "content_policy_violation"}},
            "content_policy_violation",
        ),
        (
            "anthropic",
            400,
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
            },
            "content filtering policy",
        ),
        ("gemini", 200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "PROHIBITED_CONTENT"),
        (
            "gemini",
            200,
            {
                "candidates": [],
                "promptFeedback": {
                    "blockReason": "SAFETY",
                    "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "blocked": True}],
                },
            },
            "HARM_CATEGORY_HARASSMENT",
        ),
    ],
)
def test_a_providers_filter_that_lets_nothing_through_is_raised(
    api: str, status: int, body: Any, category: str
) -> None:
    failed = failure(api, body, status)
    assert failed.failure is FailureCode.CONTENT_FILTER
    assert category in failed.reason


def test_an_answer_out_of_room_is_a_context_overflow() -> None:
    assert failure("anthropic", message(stop="model_context_window_exceeded")).failure is FailureCode.CONTEXT_OVERFLOW


def test_a_disabled_account_at_gemini_is_an_auth_failure() -> None:
    body = {"candidates": [{"finishReason": "PUP_LIMITED_DISABLED"}]}
    assert failure("gemini", body).failure is FailureCode.AUTH


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("openai", {"object": "chat.completion"}),
        ("openai", completion() | {"choices": []}),
        ("openai", completion() | {"choices": {}}),
        ("openai", completion({"content": 5})),
        ("openai", completion({"content": {"text": "x"}})),
        ("openai", completion({"content": "\ud83d"})),
        ("openai", completion() | {"usage": {"prompt_tokens": -1}}),
        ("openai", completion() | {"usage": {"prompt_tokens": 10**300}}),
        ("openai", completion() | {"usage": {"prompt_tokens": True}}),
        ("openai", completion() | {"usage": "many"}),
        ("openai", completion(logprobs={"content": [{"logprob": "low"}]})),
        ("openai", completion({"content": None, "tool_calls": [{"function": {"arguments": "{}"}}]})),
        ("anthropic", {"type": "message"}),
        ("anthropic", message({"type": "text", "text": 5})),
        ("anthropic", message("Hello.")),
        ("anthropic", message(stop="tool_use") | {"content": [{"type": "tool_use", "name": "f", "input": []}]}),
        ("gemini", {}),
        ("gemini", {"candidates": [None]}),
        ("gemini", candidate({"text": ["x"]})),
        ("gemini", candidate(finish="STOP", avgLogprobs=10**400)),
        ("ollama", {"done": True}),
        ("ollama", {"message": "Hello."}),
        ("ollama", chat(content=[])),
        *((api, body) for api in PLAIN for body in (None, 5, "text", [], [PLAIN["openai"]])),
    ],
)
def test_a_body_of_another_shape_is_malformed(api: str, body: Any) -> None:
    assert failure(api, body).failure is FailureCode.MALFORMED


@pytest.mark.parametrize("api", PLAIN)
def test_an_answer_cut_at_any_byte_is_malformed(api: str) -> None:
    whole = json.dumps(PLAIN[api] | {"note": "é"}, ensure_ascii=False).encode()
    backend = Backend("k", api, "http://h", "m")
    assert decode(backend, 200, {}, whole).text == "Hello."
    for end in range(len(whole)):
        with pytest.raises(AttemptFailed) as failed:
            decode(backend, 200, {}, whole[:end])
        assert failed.value.failure is FailureCode.MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"\xff\xfe",
        b"<!doctype html><title>Sign in</title>",
        b'{"choices": NaN}',
        b'{"usage": {"prompt_tokens": -Infinity}}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"model": ' + b"9" * 5000 + b"}",
        b'{"model": "m"} trailing',
        b"data: {}\n\ndata: [DONE]\n\n",
    ],
)
@pytest.mark.parametrize("api", PLAIN)
def test_a_body_that_is_no_json_is_malformed_in_one_harmless_line(api: str, body: bytes) -> None:
    with pytest.raises(AttemptFailed) as failed:
        decode(Backend("k", api, "http://h", "m"), 200, {}, body)
    assert failed.value.failure is FailureCode.MALFORMED
    assert failed.value.reason.isprintable()
    assert "<" not in failed.value.reason


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", ""])
def test_json_is_read_whatever_the_content_type_says(kind: str) -> None:
    body = json.dumps(PLAIN["openai"]).encode()
    assert decode(Backend("k", "openai", "http://h", "m"), 200, {"Content-Type": kind}, body).text == "Hello."
    assert decode(Backend("k", "openai", "http://h", "m"), 200, {}, b"\xef\xbb\xbf" + body).text == "Hello."
