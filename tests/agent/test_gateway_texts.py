"""Embeddings and rerank through OpenAI's and Google's SDKs; what the house's judge says at ``/v1/moderations``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from fake_llm import Reply, response
from gateway_server import REFUSAL, TIDES, Aside, Provider, Served, error
from google import genai
from google.genai import types

VECTOR = [0.25, -0.5, 1.0]


def vectors(count: int) -> Reply:
    data = [{"object": "embedding", "index": at, "embedding": VECTOR} for at in range(count)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return Reply(response(json.dumps({"object": "list", "data": data, "model": "told", "usage": usage}).encode()))


def order(*pairs: tuple[int, float]) -> Reply:
    results = [{"index": index, "relevance_score": score} for index, score in pairs]
    return Reply(response(json.dumps({"results": results, "usage": {"total_tokens": 9}}).encode()))


@pytest.fixture(scope="module")
def serving(providing: Provider) -> Iterator[Served]:
    """``a`` and ``b`` make vectors by the same model, ``c`` by another, and ``a`` orders documents."""
    backend = {"api": "openai", "max_context": 8000, "retries": 0, "allowed_fails": 1000000, "cooldown_time": 0.001}
    able = {"a": ["embeddings", "rerank"], "b": ["embeddings"], "c": ["embeddings"]}
    backends = {
        key: {**backend, "url": f"{providing.url}/{key}/v1", "model": "same" if key != "c" else "other"}
        | {"capabilities": able[key], "cost_per_1k": 0.1}
        for key in able
    }
    rules = [{"kinds": ["*"], "prefer": ["a", "b", "c"]}]
    with Aside(json.dumps({"version": 1, "practice": "never", "backends": backends, "rules": rules})) as server:
        yield server


def test_vectors_come_as_the_sdk_asks_for_them(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("a", vectors(2))
    # The SDK asks for base64 and unpacks it.
    made = sdk.embeddings.create(model="a", input=["one", "two"], dimensions=3)
    assert [entry.embedding for entry in made.data] == [VECTOR, VECTOR]
    assert (made.usage.prompt_tokens, made.model) == (4, "told")
    sent = provider.seen["a"][-1]
    assert (sent["input"], sent["dimensions"], sent["model"]) == (["one", "two"], 3, "same")
    provider.say("a", vectors(1))
    assert sdk.embeddings.create(model="a", input="one", encoding_format="float").data[0].embedding == VECTOR


def test_vectors_fall_back_to_the_same_model_alone(sdk: openai.OpenAI, provider: Provider) -> None:
    provider.say("a", error(503))
    provider.say("b", vectors(1))
    raw = sdk.embeddings.with_raw_response.create(model="auto", input="one")
    assert raw.headers["x-uniwizard-backend"] == "b"
    provider.say("b", error(503))
    with pytest.raises(openai.InternalServerError):
        sdk.embeddings.create(model="auto", input="one")
    assert not provider.seen["c"]


def test_googles_client_gets_its_vectors(served: Served, provider: Provider) -> None:
    provider.say("a", vectors(1))
    google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=served.root))
    made = google.models.embed_content(model="a", contents="one")
    assert made.embeddings is not None and made.embeddings[0].values == VECTOR


def test_documents_are_put_in_order(served: Served, provider: Provider) -> None:
    provider.say("a", order((1, 0.9), (0, 0.1)))
    asked = {"model": "auto", "query": "tides", "documents": ["bread", {"text": "sea"}], "return_documents": True}
    told = httpx.post(f"{served.url}/rerank", json=asked).json()
    assert [(entry["index"], entry["document"]["text"]) for entry in told["results"]] == [(1, "sea"), (0, "bread")]
    assert httpx.post(f"{served.url}/rerank", json={**asked, "model": "c"}).status_code == 404


class TestModerations:
    def test_it_says_what_declines_and_says_nothing_of_harm(self, sdk: openai.OpenAI, provider: Provider) -> None:
        told = sdk.moderations.create(model="omni-moderation-latest", input=[TIDES, REFUSAL, "  "])
        fine, declined, empty = (result.to_dict() for result in told.results)
        assert told.model == "uniwizard-judge"
        assert "does not look for hate" in told.to_dict()["uniwizard"]["note"]  # type: ignore[index]
        assert [fine["flagged"], declined["flagged"], empty["flagged"]] == [False, True, True]
        assert declined["categories"] == {
            "refusal": True, "partial_refusal": False, "empty": False, "malformed": False, "low_confidence": False,
        }  # fmt: skip
        scores: Any = declined["category_scores"]
        assert scores["refusal"] > 0.9 and scores["refusal"] + scores["partial_refusal"] <= 1.0
        assert declined["uniwizard"]["evidence"]  # type: ignore[index]
        assert empty["categories"]["empty"] is True  # type: ignore[index]
        assert not provider.log

    def test_what_was_asked_counts_and_parts_are_one_text(self, served: Served) -> None:
        parts = [{"type": "text", "text": "I'm sorry,"}, {"type": "text", "text": "but I can't help with that."}]
        asked = {"input": parts, "prompt": "How do I bake bread?"}
        (result,) = httpx.post(f"{served.url}/moderations", json=asked).json()["results"]
        assert result["categories"]["refusal"]

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            ({"input": []}, 400),
            ({"input": [{"type": "image_url", "image_url": {"url": "http://x"}}]}, 400),
            ({"input": "x" * 500_000}, 400),
            ({"input": "x", "model": "gpt-4o"}, 404),
            ([], 400),
        ],
    )
    def test_what_cannot_be_judged_is_turned_away(self, served: Served, asked: Any, status: int) -> None:
        assert httpx.post(f"{served.url}/moderations", json=asked).status_code == status
