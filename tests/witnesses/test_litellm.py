"""LiteLLM's proxy as an independent witness: both of its doors understand the brain, and the brain them."""

from __future__ import annotations

import pytest
from servers import KEY
from witness import SCHEMA, WitnessTest

from uniwizard.agent import Router, Tool
from uniwizard.agent.core.failures import FailureCode

LOOK = Tool("look", "Look at something.", {"type": "object", "properties": {"at": {"type": "string"}}})
MODELS = ("plain", "json", "tools", "limited", "long", "broken", "nobody")


class OpenAIDoor(WitnessTest):
    """``/v1/chat/completions``, found by naming the provider alone."""

    @pytest.fixture(autouse=True)
    def _witness(self, litellm: str) -> None:
        self.url = litellm

    def proxy(self, key: str = KEY) -> Router:
        env = {"LITELLM_PROXY_API_BASE": self.url, "LITELLM_PROXY_API_KEY": key}
        price = {"input": 0.1, "output": 1.0}
        # Its mock answers stream neither their usage nor their tool calls, so they are asked for whole.
        shared = {"provider": "litellm", "cost_per_1k": price, "capabilities": ["tools", "json"]}
        return self.router(env, **{model: shared | {"model": model} for model in MODELS})

    async def test_a_plain_answer_with_its_usage_and_its_cost(self) -> None:
        result = await self.ask(self.proxy(), "plain")
        assert (result.text, result.backend, result.model) == ("The moon pulls on the sea.", "plain", "plain")
        assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (10, 20, False)
        assert abs(result.cost_usd - 0.021) < 1e-12

    async def test_a_tool_call(self) -> None:
        result = await self.ask(self.proxy(), "tools", tools=(LOOK,))
        (call,) = result.tool_calls
        assert (call.id, call.name, call.arguments) == ("call_1", "look", '{"at": "moon"}')

    async def test_an_answer_to_a_schema(self) -> None:
        result = await self.ask(self.proxy(), "json", schema=SCHEMA)
        assert result.content == {"rivers": ["Vistula"]}

    async def test_its_failures_have_our_names(self) -> None:
        router = self.proxy()
        found = {key: await self.failure(router, key) for key in ("limited", "long", "broken", "nobody")}
        assert found == {
            "limited": FailureCode.RATE_LIMITED,
            "long": FailureCode.CONTEXT_OVERFLOW,
            "broken": FailureCode.SERVER_ERROR,
            "nobody": FailureCode.NOT_FOUND,
        }

    async def test_a_failure_there_turns_to_the_next_backend(self) -> None:
        result = await self.ask(self.proxy(), "broken")
        first, *_, last = result.attempts
        assert (first.backend, first.failure) == ("broken", "server_error")
        assert last.failure is None

    async def test_the_probe_is_answered_with_the_right_key_alone(self) -> None:
        assert (await self.proxy().checker.probe_all())["plain"] == ""
        assert (await self.proxy("sk-wrong").checker.probe_all())["plain"] != ""


class AnthropicDoor(WitnessTest):
    """``/v1/messages`` of the same proxy."""

    @pytest.fixture(autouse=True)
    def _witness(self, litellm: str) -> None:
        self.url = litellm

    def proxy(self) -> Router:
        shared = {"api": "anthropic", "url": f"{self.url}/v1", "api_key": "${WITNESS_KEY}", "capabilities": ["json"]}
        return self.router({"WITNESS_KEY": KEY}, **{model: shared | {"model": model} for model in MODELS})

    async def test_a_plain_answer_with_its_usage(self) -> None:
        result = await self.ask(self.proxy(), "plain")
        assert (result.text, result.model) == ("The moon pulls on the sea.", "plain")
        assert result.usage.input_tokens > 0
        assert not result.usage.estimated

    async def test_an_answer_to_a_schema(self) -> None:
        assert (await self.ask(self.proxy(), "json", schema=SCHEMA)).content == {"rivers": ["Vistula"]}

    async def test_its_failures_have_our_names(self) -> None:
        router = self.proxy()
        assert await self.failure(router, "limited") is FailureCode.RATE_LIMITED
        assert await self.failure(router, "long") is FailureCode.CONTEXT_OVERFLOW
        assert await self.failure(router, "broken") is FailureCode.SERVER_ERROR
