"""What clients are promised beside an answer: aliases, what goes on to which api, what is dropped, how long to wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from fake_llm import Reply, response
from fake_llm.streams import HEAD, LAST_CHUNK, chunk, chunked, sse
from gateway_server import ASKED, TIDES, WEATHER, Aside, Provider, Served, create, error, says
from twisted.internet.task import Clock

from uniwizard.agent.engine.affinity import KEPT, MOST, WARM, Affinity

CACHED = {"type": "ephemeral", "ttl": "1h"}


def speaks(*blocks: Any, **usage: int) -> Reply:
    """A message of Anthropic's."""
    told = {"type": "message", "role": "assistant", "model": "told", "stop_reason": "end_turn", "content": list(blocks)}
    return Reply(response(json.dumps({**told, "usage": {"input_tokens": 10, "output_tokens": 5, **usage}}).encode()))


def text(said: str = TIDES) -> dict[str, str]:
    return {"type": "text", "text": said}


def config(providing: Provider, **gateway: Any) -> str:
    """``a`` speaks OpenAI's format, ``c`` Anthropic's."""
    common = {"max_context": 100_000, "retries": 0, "allowed_fails": 1_000_000, "cooldown_time": 0.001}
    common |= {"capabilities": ["tools", "json", "images", "stream"], "cost_per_1k": {"input": 0.1, "output": 1.0}}
    backends = {
        "a": {**common, "api": "openai", "url": f"{providing.url}/a/v1", "model": "a-model"},
        "c": {**common, "api": "anthropic", "url": f"{providing.url}/c/v1", "model": "claude-x"},
    }
    rules = [{"kinds": ["*"], "prefer": ["a", "c"]}]
    aliases = {"gpt-4o": "c", "my-*": "auto:summarize", "mini": "cheap"}
    strategies = {"cheap": {"use": "fallback", "over": ["c", "a"]}}
    document = {"version": 1, "practice": "never", "backends": backends, "rules": rules, "aliases": aliases}
    return json.dumps({**document, "strategies": strategies, "gateway": gateway})


@pytest.fixture(scope="module")
def serving(providing: Provider) -> Iterator[Served]:
    with Aside(config(providing)) as server:
        yield server


@pytest.fixture(scope="module")
def strict(providing: Provider) -> Iterator[Served]:
    with Aside(config(providing, unsupported="reject")) as server:
        yield server


@pytest.fixture
def claude(served: Served) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="any", base_url=served.root, max_retries=0)


def test_an_alias_is_a_backend_a_kind_or_a_strategy(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("a", says())
    provider.say("c", speaks(text()))
    told = {name: create(sdk, model=name).model_extra["uniwizard"] for name in ("gpt-4o", "my-own", "mini")}
    assert told["gpt-4o"]["backend"] == told["mini"]["backend"] == "c"
    assert told["my-own"]["kind"] == "summarize"
    assert told["mini"]["path"] == ["fallback: c is the first that can be asked"]


def test_models_come_with_context_price_and_capabilities(served: Served) -> None:
    (model,) = (entry for entry in httpx.get(f"{served.url}/models").json()["data"] if entry["id"] == "a")
    assert model["context_length"] == 100_000
    assert model["pricing"] == {"prompt": "0.0001000000", "completion": "0.0010000000"}
    assert model["uniwizard"]["capabilities"] == ["images", "json", "stream", "tools"]


def test_cache_marks_and_thoughts_go_on_to_who_can_use_them(claude: anthropic.Anthropic, provider: Provider) -> None:
    provider.say("c", speaks(text(), cache_read_input_tokens=7, cache_creation_input_tokens=3))
    system: Any = [{"type": "text", "text": "Long rules.", "cache_control": CACHED}]
    thinking = {"type": "thinking", "thinking": "First the moon.", "signature": "sig"}
    turns: Any = [
        {"role": "user", "content": "How do tides work?"},
        {"role": "assistant", "content": [thinking, text("By the moon.")]},
        {"role": "user", "content": [{**text("And why?"), "cache_control": {"type": "ephemeral"}}]},
    ]
    answer = claude.messages.create(model="c", max_tokens=50, system=system, messages=turns)
    sent = provider.seen["c"][-1]
    assert sent["system"][-1]["cache_control"] == CACHED
    assert sent["messages"][1]["content"][0] == thinking
    assert sent["messages"][2]["content"][-1]["cache_control"]["type"] == "ephemeral"
    assert answer.usage.cache_read_input_tokens == 7
    # To another api goes what was said, without the marks and without a thought that only its own api can take back.
    provider.say("a", says())
    claude.messages.create(model="a", max_tokens=50, system=system, messages=turns)
    assert "cache_control" not in json.dumps(provider.seen["a"][-1])
    assert "First the moon" not in json.dumps(provider.seen["a"][-1])


def test_json_mode_works_where_the_api_has_none(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("c", speaks(text('```json\n{"river": "Vistula"}\n```')))
    answer = create(sdk, model="c", response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == {"river": "Vistula"}
    assert "JSON" in json.dumps(provider.seen["c"][-1]["system"])


def test_what_an_api_has_no_field_for_is_dropped_and_named(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("c", speaks(text()))
    raw = sdk.chat.completions.with_raw_response.create(model="c", messages=ASKED, seed=7, frequency_penalty=0.5)
    assert set(raw.headers["x-uniwizard-dropped"].split(", ")) == {"seed", "frequency_penalty"}
    assert not {"seed", "frequency_penalty"} & provider.seen["c"][-1].keys()


def test_or_the_request_is_turned_down_where_the_config_says_so(strict: Served, provider: Provider) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        create(strict.sdk(), model="c", seed=7)
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "seed")
    assert not provider.seen["c"]
    provider.say("a", says())
    assert create(strict.sdk(), model="a", seed=7).choices[0].message.content == TIDES


def test_odd_histories_are_accepted(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("c", speaks(text()))
    call = {"id": "call_abcdefgh", "type": "function", "function": {"name": "weather", "arguments": '{"place":"Ulm"}'}}
    other = {**call, "id": "call_ijklmnop"}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    turns: list[Any] = [
        *ASKED,
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call, other], "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": call["id"], "content": [{"type": "text", "text": "rain"}, picture]},
        {"role": "tool", "tool_call_id": other["id"], "content": "sun"},
        {"role": "assistant", "content": None, "tool_calls": None},
        {"role": "user", "content": "So?"},
    ]
    for model in ("c", "a"):
        if model == "a":
            provider.say("a", says())
        assert create(sdk, model=model, messages=turns, tools=[WEATHER]).choices[0].message.content == TIDES
    assert "iVBORw0KGgo" in json.dumps(provider.seen["c"][-1])


def test_who_must_wait_is_told_how_long(provider: Provider) -> None:
    provider.say("a", error(429, retry_after="17"))
    with Aside(provider.config("a").replace("cooldown_time: 0.001", "cooldown_time: 30")) as served:
        for _ in range(2):
            # Limited, and then resting: as long as the provider has said.
            with pytest.raises((openai.RateLimitError, openai.InternalServerError)) as caught:
                create(served.sdk())
            assert 1 <= int(caught.value.response.headers["retry-after"]) <= 30


def test_a_stream_without_usage_is_counted_and_marked(sdk: openai.OpenAI, provider: Provider) -> None:
    pieces = [sse(chunk({"content": f"Tide number {n} comes and goes. "}, model="told")) for n in range(20)]
    data = b"".join(chunked(event, last=False) for event in (*pieces, sse(chunk({}, "stop")), sse("[DONE]")))
    provider.say("a", Reply(HEAD + data + LAST_CHUNK))
    turns: list[Any] = [{"role": "user", "content": "How do tides work? " * 50}]
    chunks = list(create(sdk, messages=turns, stream=True, stream_options={"include_usage": True}))
    assert provider.seen["a"][-1]["stream_options"] == {"include_usage": True}
    usage = chunks[-1].usage
    assert usage is not None and usage.prompt_tokens > 200 and usage.completion_tokens > 100
    marked = [each.model_extra["uniwizard"] for each in chunks if "uniwizard" in (each.model_extra or {})]
    assert marked[-1]["usage_estimated"] is True


def test_a_conversation_is_kept_for_a_while_and_no_more_than_so_many() -> None:
    clock = Clock()
    affinity = Affinity(clock.seconds)
    affinity.remember("one", "a", "chat", 10)
    found = affinity.of("one")
    assert found is not None and affinity.warm(found)
    clock.advance(WARM + 1)
    assert affinity.of("one") == found and not affinity.warm(found)
    clock.advance(KEPT)
    assert affinity.of("one") is None
    for number in range(MOST + 5):
        affinity.remember(str(number), "a", "chat", 10)
    assert len(affinity) == MOST and affinity.of("3") is None
