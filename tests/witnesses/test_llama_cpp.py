"""llama.cpp as an independent witness: a real model, made on the spot, that knows one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from servers import KEY
from witness import WitnessTest

from uniwizard.agent import Router
from uniwizard.agent.core.failures import FailureCode

TIDE = {
    "type": "object",
    "properties": {"tide": {"type": "boolean"}},
    "required": ["tide"],
    "additionalProperties": False,
}


class LlamaCpp(WitnessTest):
    @pytest.fixture(autouse=True)
    def _witness(self, llama: str) -> None:
        self.url = llama

    def server(self, key: str = KEY, **settings: Any) -> Router:
        env = {"LLAMA_CPP_PYTHON_URL": self.url, "WITNESS_KEY": key}
        settings = {"provider": "llama-cpp-python", "model": "tiny", "api_key": "${WITNESS_KEY}"} | settings
        return self.router(env, tiny={"max_tokens": 60, "max_context": 100_000} | settings)

    async def test_it_says_its_sentence_and_counts_it(self) -> None:
        result = await self.ask(self.server(), "tiny")
        assert result.text.strip() == "The moon pulls on the sea."
        assert (result.usage.output_tokens, result.usage.estimated) == (7, False)
        assert result.usage.input_tokens > 20
        assert result.cost_usd == 0

    async def test_an_answer_held_to_a_schema_by_its_grammar(self) -> None:
        # Its own way to give a grammar, laid over the json_object that the catalogue says it takes.
        router = self.server(options={"response_format": {"schema": TIDE}})
        result = await self.ask(router, "tiny", schema=TIDE, temperature=0)
        assert result.content in ({"tide": True}, {"tide": False})

    async def test_a_prompt_longer_than_its_context(self) -> None:
        assert await self.failure(self.server(), "tiny", "word " * 2000) is FailureCode.CONTEXT_OVERFLOW

    async def test_a_wrong_key(self) -> None:
        assert await self.failure(self.server("sk-wrong"), "tiny") is FailureCode.AUTH

    async def test_the_probe_finds_it(self) -> None:
        assert await self.server().checker.probe_all() == {"tiny": ""}
