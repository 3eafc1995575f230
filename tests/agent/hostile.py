"""What the hostile tests and the fuzzer share: an answer of every api to be spoilt, and the contract of decoding.

The contract: whatever the bytes are, a decoder gives an Answer or raises AttemptFailed, and nothing else; the key is in
no reason it gives, and an answer is no larger than a small multiple of what was sent.
"""

from __future__ import annotations

from typing import Any

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.failures import AttemptFailed

KEY = "sk-live-abcdefghijklmnop"

#: One answer of each api, with all that a decoder looks at in it.
ANSWERS: dict[str, Any] = {
    "openai": {
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "content": "<think>so</think>hi",
                    "refusal": None,
                    "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
                },
                "finish_reason": "content_filter",
                "content_filter_results": {"hate": {"filtered": True}},
                "logprobs": {"content": [{"token": "h", "logprob": -0.1}]},
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
    "anthropic": {
        "model": "m",
        "content": [
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
        ],
        "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "bio", "explanation": "no"},
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hi", "thought": False},
                        {"functionCall": {"name": "f", "args": {"x": 1}}},
                    ]
                },
                "finishReason": "SAFETY",
                "safetyRatings": [{"category": "H", "blocked": True}],
                "avgLogprobs": None,
                "logprobsResult": {"chosenCandidates": [{"logProbability": -0.1}]},
            }
        ],
        "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": [{"category": "H", "blocked": True}]},
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "thoughtsTokenCount": 1},
        "modelVersion": "m",
    },
    "ollama": {
        "model": "m",
        "message": {"content": "hi", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 1,
        "eval_count": 2,
        "logprobs": [{"logprob": -0.1}],
    },
}

#: The names of that, and others.
NAMES = [
    "error", "message", "type", "code", "choices", "content", "text", "usage", "candidates", "parts", "finishReason",
    "promptFeedback", "blockReason", "tool_calls", "function", "name", "arguments", "stop_reason", "stop_details",
    "done_reason", "details", "status", "logprobs", "id", "delta", "index", "content_block", "partial_json", "input",
    "args", "done", "data", "event",
]  # fmt: skip


def check_failure(failed: AttemptFailed) -> None:
    """Hold a failure against the contract."""
    assert KEY not in failed.reason, "the key is in the reason"
    assert failed.reason.isprintable(), "the reason could steer a terminal"
    assert len(failed.reason) < 2000, "the reason is a book"
    assert failed.retry_after is None or 0 <= failed.retry_after <= 86400


def check_answer(answer: Answer, body: bytes) -> None:
    """Hold what became of ``body`` against the contract."""
    assert isinstance(answer, Answer)
    size = 0
    for text in (answer.text, answer.model, *(part for c in answer.tool_calls for part in (c.name, c.arguments, c.id))):
        size += len(text.encode())
    assert size <= 10 * len(body) + 100, "the answer is far larger than what was sent"
    assert answer.logprob is None or answer.logprob <= 0
    if answer.usage is not None:
        usage = answer.usage
        counted = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens)
        assert min(counted) >= 0
