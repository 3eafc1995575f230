"""Vectors and orders of texts, from backends that make them: asked, retried, booked and told of like any task.

    client = embedder(caller, dimensions=None)
    await TaskRunner(SameModel(...), admission, client, Acceptance(), ...).run(plan)    # raises AllBackendsFailed
    client.made                                                                         # an Embedded

What one model makes of a text means nothing to another, so a task falls back among backends of the same model only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..cloud_caller import CloudCaller
from ..core.answer import Answer
from ..core.backend import Backend
from ..core.failures import FailureCode
from ..core.task import Task
from ..core.verdict import Verdict
from ..privacy.blindfold import Blindfold
from ..strategies.choice import Step
from ..transport.client import Response
from ..wire.request import WireRequest
from ..wire.texts import Embedded, Reranked, decode_embeddings, decode_rerank, encode_embeddings, encode_rerank
from .next_backend import NextBackend
from .run import Run

Made = TypeVar("Made", Embedded, Reranked)


class TextsClient(Generic[Made]):
    """A :class:`~.ports.Client` for one task: ``made`` is what the last backend answered with."""

    def __init__(
        self,
        caller: CloudCaller,
        encode: Callable[[Task, Backend], WireRequest],
        decode: Callable[[Task, Backend, Response], Made],
    ):
        self._caller = caller
        self._encode = encode
        self._decode: Callable[[Task, Backend, Response], Made] = decode
        self.made: Made | None = None

    async def ask(
        self,
        task: Task,
        backend: Backend,
        system: str,
        blindfold: Blindfold,
        total: float,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        response = await self._caller.exchange(self._encode(task, backend), backend, blindfold, total)
        self.made = self._decode(task, backend, response)
        return Answer("", self.made.model, usage=self.made.usage)


def embedder(caller: CloudCaller, dimensions: int | None) -> TextsClient[Embedded]:
    """Asks for the vectors of a task's turns."""

    def encode(task: Task, backend: Backend) -> WireRequest:
        return encode_embeddings([turn.text for turn in task.turns], backend, dimensions)

    def decode(task: Task, backend: Backend, response: Response) -> Embedded:
        return decode_embeddings(backend, len(task.turns), response.status, response.headers, response.body)

    return TextsClient(caller, encode, decode)


def reranker(caller: CloudCaller, top: int | None) -> TextsClient[Reranked]:
    """Asks for an order of a task's earlier turns by how well they fit the last one."""

    def encode(task: Task, backend: Backend) -> WireRequest:
        *documents, query = [turn.text for turn in task.turns]
        return encode_rerank(query, documents, backend, top)

    def decode(task: Task, backend: Backend, response: Response) -> Reranked:
        return decode_rerank(backend, len(task.turns) - 1, response.status, response.headers, response.body)

    return TextsClient(caller, encode, decode)


class Acceptance:
    """A :class:`~.ports.Judge` of numbers: there is nothing to judge in them."""

    def __call__(self, task: Task, answer: Answer, key: str) -> Verdict:
        return Verdict()

    def sureness(self, verdict: Verdict, key: str) -> float | None:
        return None


class SameModel(NextBackend):
    """Turns to backends of the same model as the first one's."""

    def following(self, run: Run, failure: FailureCode) -> Step | None:
        if super().following(run, failure) is None:
            return None
        model = self._registry[run.plan.first].backend.model
        ranking, _ = self._rank(run.plan.work)
        able = (entry.backend for entry in ranking if entry.backend not in run.tried)
        return next((Step((key,)) for key in able if self._registry[key].backend.model == model), None)
