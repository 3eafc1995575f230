"""Embeddings and rerank: what other models make of texts, over OpenAI's, Cohere's and Google's addresses.

A vector means something to its own model only, so a request falls back among backends of the same model. Both names
(``auto``, or the backend's own) are for backends whose ``capabilities`` say ``embeddings`` or ``rerank``.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from twisted.web.http import Request

from ..core.result import AllBackendsFailed, RouteResult
from ..core.task import Task
from ..router import Router
from ..wire.body import Json
from ..wire.texts import Embedded, Reranked
from . import about, fields
from .answering import Answering, Headers
from .auth import Caller
from .errors import Rejected, rejected_for
from .incoming import Place
from .naming import Names
from .write import put_json

#: Texts of one request; OpenAI's own limit.
MAX_TEXTS = 2048


async def answer(
    request: Request,
    headers: Headers,
    caller: Caller,
    router: Router,
    place: Place,
    node: Any,
    names: Names,
    answering: Answering,
) -> None:
    """Answer a request for embeddings or an order. Raises Rejected."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    name = fields.text(node, "model", needed=True)
    pin = _able(router, names, name, place.act)
    task = Task(identity=caller.identity | fields.names(node.get("user")), kind="knowledge")
    texts = _documents(node) if place.act == "rerank" else _inputs(node, place)
    answering.open(router, caller, task)
    try:
        made: Embedded | Reranked
        if place.act == "rerank":
            query, top = fields.text(node, "query", needed=True), fields.whole(node, "top_n")
            made, result = await router.rerank(query, texts, pin, top=top, task=task)
        else:
            made, result = await router.embed(texts, pin, dimensions=_dimensions(node), task=task)
        await answering.written(task)
    except AllBackendsFailed as failed:
        await answering.written(task)
        frees_in = router.quota_frees_in(failed.skipped)
        raise rejected_for(failed, wait=router.wait(), quota_frees_in=frees_in) from None
    finally:
        answering.close(task)
    put_json(request, 200, _written(made, result, node, place, texts), headers | about.headers(result))


def _able(router: Router, names: Names, name: str, need: str) -> str | None:
    """The backend that the model's name stands for. Raises Rejected where it does not make what is asked for."""
    pin = names.resolve(name).pin
    able = [health.backend.key for health in router.registry if need in health.backend.capabilities]
    if not able or (pin is not None and pin not in able):
        known = ", ".join(able) or "none is configured"
        what = "embeddings" if need == "embeddings" else "an order of documents"
        message = f"The model `{name[:80]}` makes no {what}. Those that do: {known}."
        raise Rejected(404, message, code="model_not_found", param="model")
    return pin


def _inputs(node: Json, place: Place) -> list[str]:
    if place.door == "gemini":
        return _gemini_inputs(node)
    given = node.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_TEXTS:
        raise Rejected(400, f"`input` must be a text or a list of 1 to {MAX_TEXTS} texts.", param="input")
    if not all(isinstance(text, str) and text for text in texts):
        message = "`input` must be texts that are not empty; tokens mean something to one model only."
        raise Rejected(400, message, param="input")
    if node.get("encoding_format") not in (None, "float", "base64"):
        raise Rejected(400, "`encoding_format` must be float or base64.", param="encoding_format")
    return texts


def _gemini_inputs(node: Json) -> list[str]:
    requests = fields.objects(node.get("requests"), "requests", MAX_TEXTS) or [node]
    texts = []
    for entry in requests:
        content = entry.get("content")
        parts = fields.objects(content.get("parts"), "content.parts", 100) if isinstance(content, dict) else []
        said = "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))
        if not said:
            raise Rejected(400, "`content` must hold parts of text.", param="content")
        texts.append(said)
    return texts


def _dimensions(node: Json) -> int | None:
    return fields.whole(node, "dimensions") or fields.whole(node, "outputDimensionality")


def _documents(node: Json) -> list[str]:
    texts = []
    for index, document in enumerate(fields.items(node.get("documents"), "documents", MAX_TEXTS)):
        said = document.get("text") if isinstance(document, dict) else document
        if not isinstance(said, str):
            raise Rejected(400, f"`documents[{index}]` must be text.", param="documents")
        texts.append(said)
    if not texts:
        raise Rejected(400, "`documents` must hold at least one text.", param="documents")
    return texts


def _written(made: Embedded | Reranked, result: RouteResult, node: Json, place: Place, texts: list[str]) -> Json:
    used = result.usage.input_tokens
    more = {"model": result.model, "uniwizard": about.about(result)}
    if isinstance(made, Reranked):
        wanted = node.get("return_documents") is True
        order = [
            {"index": at, "relevance_score": score, **({"document": {"text": texts[at]}} if wanted else {})}
            for at, score in made.order
        ]
        return {"object": "list", "results": order, **more, "usage": {"total_tokens": used}}
    if place.door == "gemini":
        vectors = [{"values": list(vector)} for vector in made.vectors]
        return {"embeddings": vectors} if "requests" in node else {"embedding": vectors[0]}
    packed = node.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _packed(vector) if packed else list(vector)}
        for at, vector in enumerate(made.vectors)
    ]
    return {"object": "list", "data": data, **more, "usage": {"prompt_tokens": used, "total_tokens": used}}


def _packed(vector: tuple[float, ...]) -> str:
    """Little-endian floats of 32 bits, as OpenAI's SDKs ask for them."""
    floats = (max(-3.4e38, min(3.4e38, value)) for value in vector)
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *floats)).decode()
