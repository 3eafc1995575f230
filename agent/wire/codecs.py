"""What a module of an api offers, and which module speaks which api."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..config.extensions import added_api
from ..core.answer import Answer
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.task import Task
from . import anthropic, gemini, ollama, openai
from .assembler import Assembly
from .body import Json, Malformed
from .errors import Complaint

T = TypeVar("T")


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


def codec_of(api: str) -> Codec:
    """The module that speaks ``api``, built in or added by an extension. Raises KeyError."""
    return CODECS.get(api) or _Guarded(added_api(api))


class _Guarded:
    """An extension's module: what it raises is a failure of the attempt, and never the end of a thought."""

    def __init__(self, codec: Codec):
        self._codec = codec
        self.PROBE = codec.PROBE

    def path(self, backend: Backend, stream: bool = False) -> str:
        return self._asked(self._codec.path, backend, stream)

    def credentials(self, backend: Backend) -> dict[str, str]:
        return self._asked(self._codec.credentials, backend)

    def carries(self, backend: Backend) -> frozenset[str]:
        """What an extension's module says it carries; its author need not say."""
        carried: frozenset[str] = self._asked(getattr(self._codec, "carries", lambda _: frozenset()), backend)
        return carried

    def body(self, task: Task, backend: Backend, system: str, stream: bool = False) -> Json:
        return self._asked(self._codec.body, task, backend, system, stream)

    def answer(self, node: Json) -> Answer:
        try:
            return self._codec.answer(node)
        except (AttemptFailed, Malformed):
            raise
        except Exception as error:
            raise Malformed(f"its wire format cannot read it ({type(error).__name__}: {error})") from None

    def complaint(self, node: object) -> Complaint | None:
        try:
            return self._codec.complaint(node)
        except Exception:
            # What is no error to it is looked at as an answer, or told by its status.
            return None

    def assembly(self) -> Assembly:
        return self._codec.assembly()

    def _asked(self, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        except AttemptFailed:
            raise
        except Exception as error:
            why = f"its wire format cannot ask this ({type(error).__name__}: {error})"
            raise AttemptFailed(FailureCode.BAD_REQUEST, why) from None
