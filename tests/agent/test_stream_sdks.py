"""The providers' own SDKs judge both ends: practice's streams, and what our decoder makes of recorded ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest
from aside import practice_aside
from fake_llm import FakeLLMThread, Reply, Request, response
from google import genai
from google.genai import types as gt
from recorded_streams import RECORDED, Recorded

from uniwizard.agent.core.answer import Answer, Declined
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.task import Task
from uniwizard.agent.wire import encode, stream_decoder

ROOT = Path(__file__).resolve().parents[2]
ASK: Any = [{"role": "user", "content": "How do tides work?"}]


def from_openai(url: str) -> Answer:
    client = openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)
    with client.chat.completions.stream(model="m", messages=ASK, stream_options={"include_usage": True}) as stream:
        try:
            done = stream.get_final_completion()
        except openai.LengthFinishReasonError as length:
            done = length.completion  # type: ignore[assignment]
    said, finish = done.choices[0].message, str(done.choices[0].finish_reason)
    declined = Declined("message.refusal", explanation=said.refusal) if said.refusal else None
    calls = tuple((call.id, call.function.name, call.function.arguments) for call in said.tool_calls or ())
    tokens = (done.usage.prompt_tokens, done.usage.completion_tokens) if done.usage else None
    return seen(said.content or "", done.model, finish, tokens, calls, declined)


def from_anthropic(url: str) -> Answer:
    client = anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)
    with client.messages.stream(model="m", max_tokens=50, messages=ASK) as stream:
        done = stream.get_final_message()
    said = "".join(block.text for block in done.content if block.type == "text")
    calls = tuple(
        (block.id, block.name, json.dumps(block.input, ensure_ascii=False, separators=(",", ":")))
        for block in done.content
        if block.type == "tool_use"
    )
    details = done.stop_details
    declined = Declined("stop_reason", details.category or "", details.explanation or "") if details else None
    usage = done.usage
    asked = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return seen(said, done.model, str(done.stop_reason), (asked, usage.output_tokens), calls, declined)


def from_gemini(url: str) -> Answer:
    client = genai.Client(api_key="k", http_options=gt.HttpOptions(base_url=url, api_version="v1beta"))
    said, calls, last, tokens = "", [], None, None
    for last in client.models.generate_content_stream(model="m", contents="How do tides work?"):
        for part in last.candidates[0].content.parts if last.candidates and last.candidates[0].content else ():
            if part.text and not part.thought:
                said += part.text
            if part.function_call:
                call = part.function_call
                calls.append((call.id, call.name, json.dumps(call.args, ensure_ascii=False, separators=(",", ":"))))
        if usage := last.usage_metadata:
            output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
            tokens = (usage.prompt_token_count or 0, output)
    assert last is not None and last.candidates
    finish = last.candidates[0].finish_reason
    assert finish is not None
    blocked = [rating.category.value for rating in last.candidates[0].safety_ratings or () if rating.blocked]
    declined = Declined("finishReason", blocked[0]) if blocked else None
    return seen(said, last.model_version or "", finish.value, tokens, tuple(calls), declined)


def from_ollama(url: str) -> Answer:
    said, calls, last = "", [], None
    for last in ollama.Client(host=url).chat(model="m", messages=ASK, stream=True):
        said += last.message.content or ""
        for call in last.message.tool_calls or ():
            arguments = json.dumps(call.function.arguments, ensure_ascii=False, separators=(",", ":"))
            calls.append((f"call_{len(calls)}", call.function.name, arguments))
    assert last is not None
    return seen(said, last.model or "", str(last.done_reason), (last.prompt_eval_count, last.eval_count), tuple(calls))


def seen(*what: Any) -> Any:
    """What both sides are compared by: words, model, end, tokens, calls, refusal."""
    text, model, finish, tokens, calls, *declined = what
    return text, model, finish, tokens, calls, declined[0] if declined else None


#: How the SDKs name the ends that we call by one word each.
ENDS = {
    "end_turn": "stop",
    "STOP": "stop",
    "SAFETY": "content_filter",
    "tool_use": "tool_calls",
    "None": "other",
}
SDKS = {"openai": from_openai, "anthropic": from_anthropic, "gemini": from_gemini, "ollama": from_ollama}


def agrees(theirs: Any, ours: Answer) -> None:
    text, model, finish, tokens, calls, declined = theirs
    assert (ours.text, ours.model) == (text, model)
    assert tuple((call.id, call.name, call.arguments) for call in ours.tool_calls) == calls
    assert ours.declined == declined
    if not calls and declined is None:
        assert ours.finish_reason == ENDS.get(finish, finish)
    if ours.usage is not None:
        assert (ours.usage.input_tokens, ours.usage.output_tokens) == tokens


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[str, dict[str, Recorded]]]:
    """A server that answers everything with one recorded stream, and where to put that."""
    told: dict[str, Recorded] = {}

    def reply(_: Request) -> Reply:
        kind = "application/x-ndjson" if told["now"].api == "ollama" else "text/event-stream"
        return Reply(response(told["now"].data, kind=kind))

    with FakeLLMThread(default=reply) as server:
        yield server.url, told


#: What the SDKs hand on as words, and we do not: thoughts between tags. And line ends that their readers do not know.
BEYOND_THE_SDKS = ("thoughts between tags",)


@pytest.mark.parametrize(
    "recorded",
    [each for each in RECORDED if not any(name in each.name for name in BEYOND_THE_SDKS)],
    ids=lambda recorded: recorded.name,
)
def test_the_sdk_makes_the_same_of_a_stream(recorded: Recorded, stage: tuple[str, dict[str, Recorded]]) -> None:
    url, told = stage
    told["now"] = recorded
    decoder = stream_decoder(recorded.backend)
    decoder.feed(recorded.data)
    agrees(SDKS[recorded.api](url), decoder.finish())


@pytest.fixture(scope="module")
def practice() -> Iterator[str]:
    """The address of a practice server whose every key plays the scene that it is called."""
    with practice_aside("refuse", "decline", "hedge", "empty") as url:
        yield url


@pytest.mark.parametrize("scene", ["answer", "refuse", "decline", "hedge", "empty"])
@pytest.mark.parametrize("api", APIS)
def test_the_sdk_reads_practices_streams_and_we_read_the_same(api: str, scene: str, practice: str) -> None:
    url = f"{practice}/{scene}"
    base = url + {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "ollama": ""}[api]
    backend = Backend(scene, api, base, "m")
    request = encode(Task("How do tides work?"), backend, stream=True)
    response = httpx.post(request.url, headers=request.headers, content=request.body)
    decoder = stream_decoder(backend)
    given = "".join(decoder.feed(response.content))
    ours = decoder.finish()
    assert given == ours.text
    assert ours.usage is not None
    assert scene in ("empty", "decline") or ours.text.startswith("[practice] ")
    agrees(SDKS[api](url), ours)
