"""What a module of an api offers, and which module speaks which api."""

from __future__ import annotations

from typing import Protocol

from ..core.answer import Answer
from ..core.backend import Backend
from ..core.task import Task
from . import anthropic, gemini, ollama, openai
from .assembler import Assembly
from .body import Json
from .errors import Complaint


class Codec(Protocol):
    """What a module of this package offers.

    PROBE        the path of a GET that costs nothing
    path         the path of one call, below ``backend.url``
    credentials  the headers that carry the secret, and what else the api insists on
    carries      what of a task's sampling, and its temperature, the api has a field for
    body         the request; raises AttemptFailed(bad_request) for a part that the api has no form for
    answer       the answer in a 2xx; raises Malformed, or AttemptFailed for a hard filter or a full context
    complaint    the error object in any JSON value, or None if it holds none; raises nothing
    assembly     puts a streamed answer together
    """

    PROBE: str

    def path(self, backend: Backend, stream: bool = False) -> str: ...
    def credentials(self, backend: Backend) -> dict[str, str]: ...
    def carries(self, backend: Backend) -> frozenset[str]: ...
    def body(self, task: Task, backend: Backend, system: str, stream: bool = False) -> Json: ...
    def answer(self, node: Json) -> Answer: ...
    def complaint(self, node: object) -> Complaint | None: ...
    def assembly(self) -> Assembly: ...


CODECS: dict[str, Codec] = {"openai": openai, "anthropic": anthropic, "gemini": gemini, "ollama": ollama}
