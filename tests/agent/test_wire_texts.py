"""Embeddings and rerank on the wire, api by api: what is sent, and what is made of whatever comes back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.wire.texts import (
    Embedded,
    Reranked,
    decode_embeddings,
    decode_rerank,
    encode_embeddings,
    encode_rerank,
)


def backend(api: str, **more: Any) -> Backend:
    return Backend("k", api, "http://h/v1/", "m", api_key="sk-1", **more)


def embedded(api: str, node: Any, wanted: int = 1, status: int = 200) -> Embedded:
    return decode_embeddings(backend(api), wanted, status, {}, json.dumps(node).encode())


def reranked(node: Any, wanted: int = 2, status: int = 200) -> Reranked:
    return decode_rerank(backend("openai"), wanted, status, {}, json.dumps(node).encode())


@pytest.mark.parametrize(
    ("api", "path", "body"),
    [
        ("openai", "/embeddings", {"model": "m", "input": ["x"], "encoding_format": "float", "dimensions": 64}),
        ("ollama", "/api/embed", {"model": "m", "input": ["x"], "dimensions": 64}),
        ("gemini", "/models/m:batchEmbedContents", {"requests": [
            {"model": "models/m", "content": {"parts": [{"text": "x"}]}, "outputDimensionality": 64}]}),
    ],
)  # fmt: skip
def test_each_api_is_asked_for_vectors_in_its_own_way(api: str, path: str, body: Any) -> None:
    request = encode_embeddings(["x"], backend(api, headers={"X-Team": "one"}), 64)
    assert (request.method, request.url, json.loads(request.body)) == ("POST", f"http://h/v1{path}", body)
    assert request.headers["x-team"] == "one"
    assert "sk-1" in "".join(request.headers.values())
    sent = json.loads(encode_embeddings(["x"], backend(api)).body)
    assert "imension" not in json.dumps(sent)


def test_an_order_is_asked_for_with_the_backends_options_last() -> None:
    request = encode_rerank("tides", ["moon", "bread"], backend("openai", options={"truncate": True}), 1)
    assert request.url == "http://h/v1/rerank"
    sent = {"model": "m", "query": "tides", "documents": ["moon", "bread"], "top_n": 1, "truncate": True}
    assert json.loads(request.body) == sent


def test_an_api_that_has_neither_says_so_and_is_not_asked() -> None:
    with pytest.raises(AttemptFailed, match="anthropic api makes no embeddings") as caught:
        encode_embeddings(["x"], backend("anthropic"))
    assert caught.value.failure is FailureCode.BAD_REQUEST
    for api in set(APIS) - {"openai"}:
        with pytest.raises(AttemptFailed, match=f"{api} api reranks nothing"):
            encode_rerank("x", ["y"], backend(api))


@pytest.mark.parametrize(
    ("api", "node", "usage"),
    [
        ("openai", {"data": [{"index": 1, "embedding": [3]}, {"index": 0, "embedding": [1, 2.5]}],
                    "usage": {"prompt_tokens": 7}}, Usage(7)),
        ("openai", {"data": [{"index": 0, "embedding": [1, 2.5]}, {"index": 1, "embedding": [3]}]}, None),
        ("ollama", {"embeddings": [[1, 2.5], [3]], "prompt_eval_count": 7}, Usage(7)),
        ("ollama", {"embeddings": [[1, 2.5], [3]]}, None),
        ("gemini", {"embeddings": [{"values": [1, 2.5]}, {"values": [3]}]}, None),
    ],
)  # fmt: skip
def test_vectors_come_in_the_order_of_their_texts(api: str, node: Any, usage: Usage | None) -> None:
    made = embedded(api, {**node, "model": "told"}, 2)
    assert (made.vectors, made.usage, made.model) == (((1.0, 2.5), (3.0,)), usage, "told")


@pytest.mark.parametrize(
    ("api", "node", "why"),
    [
        ("openai", [], "not an object"),
        ("openai", {"data": [{"embedding": [1]}, {"embedding": [1]}]}, "2 embeddings, not 1"),
        ("openai", {"data": []}, "0 embeddings, not 1"),
        ("openai", {"data": [{"embedding": []}]}, "no list of numbers"),
        ("openai", {"data": [{"embedding": "AAAA"}]}, "no list of numbers"),
        ("openai", {"data": [{"embedding": [1, True]}]}, "no list of numbers"),
        ("openai", {"data": [{"embedding": [10**400]}]}, "out of all bounds"),
        ("ollama", {"embeddings": {}}, "no embeddings"),
        ("gemini", {"embeddings": [{"values": ["x"]}]}, "no list of numbers"),
    ],
)
def test_what_are_no_vectors_is_malformed(api: str, node: Any, why: str) -> None:
    with pytest.raises(AttemptFailed, match=why) as caught:
        embedded(api, node)
    assert caught.value.failure is FailureCode.MALFORMED


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN"])
def test_a_vector_out_of_all_bounds_is_malformed(number: str) -> None:
    with pytest.raises(AttemptFailed) as caught:
        decode_embeddings(backend("openai"), 1, 200, {}, f'{{"data": [{{"embedding": [1, {number}]}}]}}'.encode())
    assert caught.value.failure is FailureCode.MALFORMED


def test_the_best_document_comes_first() -> None:
    results = [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 1}]
    made = reranked({"results": results, "usage": {"total_tokens": 9}})
    assert (made.order, made.usage) == (((1, 1.0), (0, 0.1)), Usage(9))


@pytest.mark.parametrize(
    ("node", "why"),
    [
        (7, "not an object"),
        ({"results": []}, "no order"),
        ({"results": [{"index": 2, "relevance_score": 1}]}, "of no document"),
        ({"results": [{"index": 0}]}, "has no score"),
        ({"results": [{"index": 0, "relevance_score": 1}] * 2}, "no order"),
    ],
)
def test_what_is_no_order_is_malformed(node: Any, why: str) -> None:
    with pytest.raises(AttemptFailed, match=why) as caught:
        reranked(node)
    assert caught.value.failure is FailureCode.MALFORMED


@pytest.mark.parametrize(("status", "code"), [(429, FailureCode.RATE_LIMITED), (401, FailureCode.AUTH)])
def test_a_failure_is_the_one_that_its_status_says(status: int, code: FailureCode) -> None:
    for ask in (lambda: embedded("openai", {"error": {}}, status=status), lambda: reranked({"error": {}}, 2, status)):
        with pytest.raises(AttemptFailed) as caught:
            ask()
        assert caught.value.failure is code


leaves = st.none() | st.booleans() | st.integers(-3, 10**400) | st.floats() | st.sampled_from(["", "x", "\ud800"])
NAMES = "data embeddings embedding values index results relevance_score usage model error"
names = st.sampled_from(NAMES.split())
nodes = st.recursive(
    leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=4), max_leaves=12
)
numbers = st.lists(leaves, max_size=3)
likely = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(st.fixed_dictionaries({"embedding": numbers}, optional={"index": leaves}), max_size=2),
        "embeddings": st.lists(numbers | st.fixed_dictionaries({"values": numbers}), max_size=2),
        "results": st.lists(st.fixed_dictionaries({"index": leaves, "relevance_score": leaves}), max_size=2),
    },
)


@pytest.mark.parametrize("api", [api for api in APIS if api != "anthropic"])
@settings(max_examples=examples(200))
@given(node=nodes | likely, wanted=st.integers(0, 2))
def test_any_json_is_as_many_vectors_as_wanted_or_a_failure(api: str, node: Any, wanted: int) -> None:
    try:
        made = embedded(api, node, wanted)
    except AttemptFailed:
        return
    assert len(made.vectors) == wanted
    assert all(vector and all(map(math.isfinite, vector)) for vector in made.vectors)


@settings(max_examples=examples(200))
@given(node=nodes | likely, wanted=st.integers(0, 2))
def test_any_json_is_an_order_of_the_documents_or_a_failure(node: Any, wanted: int) -> None:
    try:
        made = reranked(node, wanted)
    except AttemptFailed:
        return
    places = [index for index, _ in made.order]
    assert len(set(places)) == len(places) and all(0 <= place < wanted for place in places)
    scores = [score for _, score in made.order]
    assert scores == sorted(scores, reverse=True)
