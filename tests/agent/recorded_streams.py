"""Streams as the providers send them, to the byte, each with the answer it brings. Field names and order of events are
those of the providers' streaming guides and SDK types; the SDKs read every one of them in test_stream_sdks.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from fake_llm.streams import TEXT_BLOCK, block, candidate, chunk, line, message, ndjson, sse, stop, words

from uniwizard.agent.core.answer import Answer, Declined, Usage
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.task import Thought, ToolCall


@dataclass(frozen=True)
class Recorded:
    """One stream. ``deltas`` is the text that a reader sees while it comes."""

    name: str
    api: str
    data: bytes
    answer: Answer

    @property
    def backend(self) -> Backend:
        return Backend("b", self.api, "http://127.0.0.1:1/v1", "m", api_key="secret-key")


USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
OPENAI_CALL = [
    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "tide", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"port": "Gda'}},
    {"index": 0, "function": {"arguments": 'ńsk"}'}},
    {"index": 1, "id": "call_2", "type": "function", "function": {"name": "moon", "arguments": "{}"}},
]


CLAUDE_USAGE = Usage(12, 15, 3)


GEMINI_USAGE = {"promptTokenCount": 8, "candidatesTokenCount": 6, "thoughtsTokenCount": 4, "totalTokenCount": 18}


COUNTS = {"done_reason": "stop", "total_duration": 5, "prompt_eval_count": 7, "eval_count": 3}

SAID = "Die Flut steigt 🌊 zweimal am Tag, größer bei Vollmond — 満潮."

RECORDED = (
    Recorded(
        "openai text",
        "openai",
        sse(
            chunk({"role": "assistant", "content": "", "refusal": None}),
            chunk({"content": "Die Flut steigt 🌊 zwei"}),
            chunk({"content": "mal am Tag, größer"}),
            chunk({"content": " bei Vollmond — 満潮."}),
            chunk({}, "stop"),
            chunk(usage=USAGE),
            "[DONE]",
        ),
        Answer(SAID, "gpt-x", "stop", Usage(12, 5)),
    ),
    Recorded(
        "openai text with CRLF, comments and thoughts",
        "openai",
        b": OPENROUTER PROCESSING\r\n\r\n"
        + sse(
            chunk({"role": "assistant", "reasoning_content": "Hmm, tides."}),
            chunk({"content": "High at noon"}),
            end="\r\n",
        )
        + b": keep-alive\r\n\r\n"
        + sse(chunk({"content": ", low at six."}), chunk({"content": ""}, "length"), "[DONE]", end="\r\n"),
        Answer("High at noon, low at six.", "gpt-x", "length", thoughts=(Thought("Hmm, tides.", "openai"),)),
    ),
    Recorded(
        "openai thoughts between tags, with CR",
        "openai",
        sse(
            chunk({"role": "assistant", "content": "<th"}),
            chunk({"content": "ink>\nLet me see.</thi"}),
            chunk({"content": "nk>\n"}),
            chunk({"content": "\nThe moon"}),
            chunk({"content": " pulls."}, "stop"),
            "[DONE]",
            end="\r",
        ),
        Answer("The moon pulls.", "gpt-x"),
    ),
    Recorded(
        "openai tool calls",
        "openai",
        sse(
            chunk({"role": "assistant", "content": None}),
            *(chunk({"tool_calls": [call]}) for call in OPENAI_CALL),
            chunk({}, "tool_calls"),
            chunk(usage=USAGE),
            "[DONE]",
        ),
        Answer(
            "",
            "gpt-x",
            "tool_calls",
            Usage(12, 5),
            (ToolCall("call_1", "tide", '{"port": "Gdańsk"}'), ToolCall("call_2", "moon", "{}")),
        ),
    ),
    Recorded(
        "openai refusal",
        "openai",
        sse(
            chunk({"role": "assistant", "content": None, "refusal": ""}),
            chunk({"refusal": "I cannot help"}),
            chunk({"refusal": " with that."}),
            chunk({}, "stop"),
            "[DONE]",
        ),
        Answer("", "gpt-x", "refusal", declined=Declined("message.refusal", explanation="I cannot help with that.")),
    ),
    Recorded(
        "openai without a sentinel",
        "openai",
        sse(chunk({"role": "assistant", "content": "High at noon."}), chunk({}, "stop")),
        Answer("High at noon.", "gpt-x"),
    ),
    Recorded(
        "anthropic text with thoughts and a ping",
        "anthropic",
        sse(
            message(),
            {"type": "ping"},
            *block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "Tides."},
                {"type": "signature_delta", "signature": "c2ln"},
            ),
            *block(1, TEXT_BLOCK, *words("Die Flut steigt 🌊 zwei", "mal am Tag, größer", " bei Vollmond — 満潮.")),
            *stop("end_turn"),
            names=True,
        ),
        Answer(SAID, "claude-x", "stop", CLAUDE_USAGE, thoughts=(Thought("Tides.", "anthropic", "c2ln"),)),
    ),
    Recorded(
        "anthropic tool use",
        "anthropic",
        sse(
            message(),
            *block(0, TEXT_BLOCK, *words("I look it up.")),
            *block(
                1,
                {"type": "tool_use", "id": "toolu_1", "name": "tide", "input": {}},
                {"type": "input_json_delta", "partial_json": ""},
                {"type": "input_json_delta", "partial_json": '{"port": "Gda'},
                {"type": "input_json_delta", "partial_json": 'ńsk"}'},
            ),
            *block(2, {"type": "tool_use", "id": "toolu_2", "name": "moon", "input": {}}),
            *stop("tool_use"),
            names=True,
        ),
        Answer(
            "I look it up.",
            "claude-x",
            "tool_calls",
            CLAUDE_USAGE,
            (ToolCall("toolu_1", "tide", '{"port":"Gdańsk"}'), ToolCall("toolu_2", "moon", "{}")),
        ),
    ),
    Recorded(
        "anthropic refusal after some words",
        "anthropic",
        sse(
            message(),
            *block(0, TEXT_BLOCK, *words("Well, to")),
            *stop("refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "No."}),
            names=True,
            end="\r\n",
        ),
        Answer("Well, to", "claude-x", "refusal", CLAUDE_USAGE, declined=Declined("stop_reason", "cyber", "No.")),
    ),
    Recorded(
        "gemini text with thoughts",
        "gemini",
        sse(
            candidate({"text": "Thinking of tides.", "thought": True}),
            candidate({"text": "Die Flut steigt 🌊 zwei"}, usage={"promptTokenCount": 8, "totalTokenCount": 8}),
            candidate({"text": "mal am Tag, größer"}),
            candidate({"text": " bei Vollmond — 満潮."}, finishReason="STOP", usage=GEMINI_USAGE),
            end="\r\n",
        ),
        Answer(SAID, "gemini-x", "stop", Usage(8, 10, 0, 4), thoughts=(Thought("Thinking of tides.", "gemini"),)),
    ),
    Recorded(
        "gemini function call",
        "gemini",
        sse(
            candidate({"text": "I look it up."}),
            candidate({"functionCall": {"id": "f1", "name": "tide", "args": {"port": "Gdańsk"}}}),
            candidate({"text": ""}, finishReason="STOP", usage=GEMINI_USAGE),
        ),
        Answer(
            "I look it up.",
            "gemini-x",
            "tool_calls",
            Usage(8, 10, 0, 4),
            (ToolCall("f1", "tide", '{"port":"Gdańsk"}'),),
        ),
    ),
    Recorded(
        "gemini stopped by its filter after some words",
        "gemini",
        sse(
            candidate({"text": "Well, to"}),
            candidate(
                finishReason="SAFETY",
                safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}],
            ),
        ),
        Answer(
            "Well, to", "gemini-x", "content_filter", declined=Declined("finishReason", "HARM_CATEGORY_HARASSMENT")
        ),
    ),
    Recorded(
        "ollama text with thoughts",
        "ollama",
        ndjson(
            line(message={"thinking": "Tides."}),
            line("Die Flut steigt 🌊 zwei"),
            line("mal am Tag, größer"),
            line(" bei Vollmond — 満潮."),
            line(done=True, **COUNTS),
        ),
        Answer(SAID, "llama-x", "stop", Usage(7, 3), thoughts=(Thought("Tides.", "ollama"),)),
    ),
    Recorded(
        "ollama tool call",
        "ollama",
        ndjson(
            line(message={"tool_calls": [{"function": {"name": "tide", "arguments": {"port": "Gdańsk"}}}]}),
            line(done=True, **COUNTS),
            end="\r\n",
        ),
        Answer(
            "", "llama-x", "tool_calls", Usage(7, 3), (ToolCall("call_0", "tide", '{"port":"Gdańsk"}'),)
        ),
    ),
)  # fmt: skip
