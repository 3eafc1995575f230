"""Answers as the providers document them: text, finish, usage, tool calls, refusals and hard filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answers import PLAIN, answer, candidate, chat, completion, message

from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.task import ToolCall


@pytest.mark.parametrize("api", PLAIN)
def test_a_plain_answer_without_usage(api: str) -> None:
    said = answer(api, PLAIN[api])
    assert (said.text, said.finish_reason, said.usage, said.tool_calls, said.declined) == (
        "Hello.",
        "stop",
        None,
        (),
        None,
    )
    assert said.model


@pytest.mark.parametrize(
    ("api", "body", "finish"),
    [
        ("openai", completion(finish="length"), "length"),
        ("openai", completion(finish="function_call"), "tool_calls"),
        ("openai", completion(finish=None), "other"),
        ("openai", completion(finish="from_the_future"), "other"),
        ("anthropic", message(stop="stop_sequence"), "stop"),
        ("anthropic", message(stop="max_tokens"), "length"),
        ("anthropic", message(stop="tool_use"), "tool_calls"),
        ("anthropic", message(stop="pause_turn"), "other"),
        ("anthropic", message(stop=None), "other"),
        ("gemini", candidate(finish="MAX_TOKENS"), "length"),
        ("gemini", candidate(finish="CONTINUATION"), "length"),
        ("gemini", candidate(finish="LANGUAGE"), "other"),
        ("gemini", candidate(finish="MALFORMED_FUNCTION_CALL"), "other"),
        ("gemini", candidate(finish=None), "other"),
        ("ollama", chat("length"), "length"),
        ("ollama", chat("load"), "other"),
        ("ollama", chat(None), "other"),
    ],
)
def test_a_finish_is_told_in_our_words_and_its_text_is_kept(api: str, body: Any, finish: str) -> None:
    said = answer(api, body)
    assert (said.finish_reason, said.text, said.declined) == (finish, "Hello.", None)


@pytest.mark.parametrize(
    ("api", "body", "usage"),
    [
        (
            "openai",
            completion()
            | {
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 50,
                    "total_tokens": 150,
                    "prompt_tokens_details": {"cached_tokens": 60},
                    "completion_tokens_details": {"reasoning_tokens": 30},
                }
            },
            Usage(100, 50, 60, 30),
        ),
        (  # xAI counts reasoning beside the completion
            "openai",
            completion()
            | {
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 20,
                    "total_tokens": 150,
                    "completion_tokens_details": {"reasoning_tokens": 30},
                }
            },
            Usage(100, 50, 0, 30),
        ),
        (  # Moonshot
            "openai",
            completion() | {"usage": {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 4}},
            Usage(9, 5, 4, 0),
        ),
        (
            "anthropic",
            message()
            | {
                "usage": {
                    "input_tokens": 10,
                    "cache_creation_input_tokens": 200,
                    "cache_read_input_tokens": 3000,
                    "output_tokens": 40,
                    "output_tokens_details": {"thinking_tokens": 25},
                }
            },
            Usage(3210, 40, 3000, 25),
        ),
        (
            "anthropic",
            message()
            | {
                "usage": {
                    "input_tokens": 10,
                    "output_tokens": 4,
                    "cache_read_input_tokens": None,
                    "output_tokens_details": None,
                }
            },
            Usage(10, 4, 0, 0),
        ),
        (
            "gemini",
            candidate()
            | {
                "usageMetadata": {
                    "promptTokenCount": 100,
                    "toolUsePromptTokenCount": 7,
                    "cachedContentTokenCount": 64,
                    "candidatesTokenCount": 20,
                    "thoughtsTokenCount": 30,
                    "totalTokenCount": 157,
                }
            },
            Usage(107, 50, 64, 30),
        ),
        (
            "ollama",
            chat() | {"prompt_eval_count": 26, "prompt_eval_cached_count": 20, "eval_count": 298},
            Usage(26, 298, 20, 0),
        ),
    ],
)
def test_usage_counts_cached_tokens_as_input_and_reasoning_as_output(api: str, body: Any, usage: Usage) -> None:
    assert answer(api, body).usage == usage


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (
            "openai",
            completion(
                {
                    "role": "assistant",
                    "content": "Let me see.",
                    "tool_calls": [
                        {"id": "a1", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}}
                    ],
                },
                "tool_calls",
            ),
        ),
        (
            "anthropic",
            message(
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "a1", "name": "f", "input": {"x": "é"}},
                stop="tool_use",
            ),
        ),
        (
            "gemini",
            candidate({"text": "Let me see."}, {"functionCall": {"id": "a1", "name": "f", "args": {"x": "é"}}}),
        ),
        (
            "ollama",
            chat(content="Let me see.", tool_calls=[{"id": "a1", "function": {"name": "f", "arguments": {"x": "é"}}}]),
        ),
    ],
)
def test_tool_calls_come_with_their_arguments_as_json_text(api: str, body: Any) -> None:
    said = answer(api, body)
    assert (said.text, said.finish_reason) == ("Let me see.", "tool_calls")
    (call,) = said.tool_calls
    assert (call.id, call.name, json.loads(call.arguments)) == ("a1", "f", {"x": "é"})


def test_a_thought_cut_short_says_nothing() -> None:
    said = answer("openai", completion({"content": "<think>hm, let me"}, "length"))
    assert (said.text, said.finish_reason) == ("", "length")


def test_the_arguments_of_an_openai_call_stay_as_the_model_wrote_them() -> None:
    function = {"name": "f", "arguments": '{"x":  broken'}
    body = completion({"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]})
    assert answer("openai", body).tool_calls == (ToolCall("1", "f", '{"x":  broken'),)


@pytest.mark.parametrize("api", ["gemini", "ollama"])
def test_calls_without_ids_get_ids_to_tell_them_apart(api: str) -> None:
    calls = [{"name": "f", "args": {}}, {"name": "g", "args": {}}]
    body = {
        "gemini": candidate(*({"functionCall": call} for call in calls)),
        "ollama": chat(tool_calls=[{"function": {"name": c["name"], "arguments": {}}} for c in calls]),
    }[api]
    assert [call.id for call in answer(api, body).tool_calls] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("openai", completion({"content": "Hello.", "reasoning_content": "hm"})),
        ("openai", completion({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hello."}]})),
        ("openai", completion({"content": "<think>\nhm</think>\n\nHello."})),
        ("ollama", chat(content="\n<think></think>Hello.")),
        (
            "anthropic",
            message({"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hello."}),
        ),
        ("anthropic", message({"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."})),
        ("gemini", candidate({"text": "hm", "thought": True}, {"text": "Hel"}, {"text": "lo."})),
        ("ollama", chat(thinking="hm")),
    ],
)
def test_thoughts_are_left_out_and_the_parts_of_the_text_joined(api: str, body: Any) -> None:
    assert answer(api, body).text == "Hello."


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (
            "openai",
            completion(logprobs={"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]}),
        ),
        ("gemini", candidate(avgLogprobs=-1.0)),
        (
            "gemini",
            candidate(logprobsResult={"chosenCandidates": [{"logProbability": -0.5}, {"logProbability": -1.5}]}),
        ),
        ("ollama", chat() | {"logprobs": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]}),
    ],
)
def test_logprob_is_the_mean_over_the_tokens(api: str, body: Any) -> None:
    assert answer(api, body).logprob == -1.0
