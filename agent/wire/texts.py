"""What other models make of texts: vectors (embeddings) and an order (rerank). Without I/O, like the rest of the wire.

    request = encode_embeddings(["one", "two"], backend, dimensions=256)
    made = decode_embeddings(backend, 2, status, headers, body)       # made.vectors, made.usage, made.model

OpenAI's ``/embeddings``, Gemini's ``:batchEmbedContents`` and Ollama's ``/api/embed``; for an order, the ``/rerank``
that Cohere, Jina and vLLM share. Anthropic has neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ..core.answer import Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from .body import Json, Malformed, child, children, count, dump, merge, number, text
from .codecs import codec_of
from .request import USER_AGENT, WireRequest
from .response import contents


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of some texts, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Reranked:
    """Documents by how well they fit the query, best first: (index, score)."""

    order: tuple[tuple[int, float], ...]
    model: str = ""
    usage: Usage | None = None


def encode_embeddings(texts: Sequence[str], backend: Backend, dimensions: int | None = None) -> WireRequest:
    """The request for the vectors of ``texts``. Raises AttemptFailed(bad_request) where the api has none."""
    body: Json
    match backend.api:
        case "openai":
            path, body = "/embeddings", {"model": backend.model, "input": list(texts), "encoding_format": "float"}
            if dimensions is not None:
                body["dimensions"] = dimensions
        case "ollama":
            path, body = "/api/embed", {"model": backend.model, "input": list(texts)}
            if dimensions is not None:
                body["dimensions"] = dimensions
        case "gemini":
            model = backend.model if "/" in backend.model else f"models/{backend.model}"
            path = f"/{quote(model)}:batchEmbedContents"
            more = {} if dimensions is None else {"outputDimensionality": dimensions}
            body = {"requests": [{"model": model, "content": {"parts": [{"text": said}]}, **more} for said in texts]}
        case _:
            raise AttemptFailed(FailureCode.BAD_REQUEST, f"the {backend.api} api makes no embeddings")
    return _request(backend, path, body)


def encode_rerank(query: str, documents: Sequence[str], backend: Backend, top: int | None = None) -> WireRequest:
    """The request for an order of ``documents``. Raises AttemptFailed(bad_request) where the api has none."""
    if backend.api != "openai":
        raise AttemptFailed(FailureCode.BAD_REQUEST, f"the {backend.api} api reranks nothing")
    body: Json = {"model": backend.model, "query": query, "documents": list(documents)}
    if top is not None:
        body["top_n"] = top
    return _request(backend, "/rerank", body)


def _request(backend: Backend, path: str, body: Json) -> WireRequest:
    headers = {"content-type": "application/json", "accept": "application/json", "user-agent": USER_AGENT}
    headers.update({name.lower(): value for name, value in backend.headers.items()})
    headers.update(codec_of(backend.api).credentials(backend))
    return WireRequest("POST", backend.url.rstrip("/") + path, headers, dump(merge(body, backend.options)))


def decode_embeddings(backend: Backend, wanted: int, status: int, headers: Mapping[str, str], body: bytes) -> Embedded:
    """The vectors in a response to a request for ``wanted`` of them. Raises AttemptFailed, and nothing else."""
    node = contents(backend, status, headers, body)
    try:
        if not isinstance(node, dict):
            raise Malformed("the body is JSON, but not an object")
        match backend.api:
            case "gemini":
                vectors = [_vector(entry, "values") for entry in children(node, "embeddings")]
                usage = None
            case "ollama":
                listed = node.get("embeddings")
                if not isinstance(listed, list):
                    raise Malformed("the body has no embeddings")
                vectors = [_vector({"values": entry}, "values") for entry in listed]
                usage = Usage(count(node, "prompt_eval_count")) if "prompt_eval_count" in node else None
            case _:
                entries = sorted(children(node, "data"), key=lambda entry: count(entry, "index"))
                vectors = [_vector(entry, "embedding") for entry in entries]
                used = child(node, "usage")
                usage = Usage(count(used, "prompt_tokens")) if used else None
        if len(vectors) != wanted:
            raise Malformed(f"the body has {len(vectors)} embeddings, not {wanted}")
        return Embedded(tuple(vectors), text(node, "model"), usage)
    except Malformed as broken:
        raise AttemptFailed(FailureCode.MALFORMED, f"HTTP {status}: {broken}", status=status) from None


def _vector(entry: Json, key: str) -> tuple[float, ...]:
    values = entry.get(key)
    if not isinstance(values, list) or not values:
        raise Malformed("an embedding is no list of numbers")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise Malformed("an embedding is no list of numbers")
    try:
        vector = tuple(float(value) for value in values)
    except OverflowError:
        raise Malformed("an embedding is out of all bounds") from None
    if not all(map(math.isfinite, vector)):
        raise Malformed("an embedding is out of all bounds")
    return vector


def decode_rerank(backend: Backend, wanted: int, status: int, headers: Mapping[str, str], body: bytes) -> Reranked:
    """The order in a response to a request about ``wanted`` documents. Raises AttemptFailed, and nothing else."""
    node = contents(backend, status, headers, body)
    try:
        if not isinstance(node, dict):
            raise Malformed("the body is JSON, but not an object")
        order = []
        for entry in children(node, "results"):
            index, score = count(entry, "index"), number(entry, "relevance_score")
            if index >= wanted or score is None:
                raise Malformed("a result is of no document, or has no score")
            order.append((index, score))
        if len({index for index, _ in order}) != len(order) or (wanted and not order):
            raise Malformed("the body has no order of the documents")
        order.sort(key=lambda each: -each[1])
        used = child(node, "usage")
        usage = Usage(count(used, "total_tokens")) if used else None
        return Reranked(tuple(order), text(node, "model"), usage)
    except Malformed as broken:
        raise AttemptFailed(FailureCode.MALFORMED, f"HTTP {status}: {broken}", status=status) from None
