"""What comes back: the answer in a whole response, or the failure that it means."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.answer import Answer
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from .body import Malformed, parse
from .codecs import codec_of
from .errors import Complaint, failed, shown, unnamed

#: Bytes of a body without JSON in which the reason looks for words.
_GLANCE = 16_000


def decode(backend: Backend, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The answer that the response holds.

    Raises AttemptFailed, and nothing else, whatever the bytes are. The content type is not asked: JSON is JSON.
    """
    return read(backend, status, contents(backend, status, headers, body))


def read(backend: Backend, status: int, node: object) -> Answer:
    """The answer in the parsed body of a 2xx without an error object. Raises AttemptFailed, and nothing else."""
    try:
        if not isinstance(node, dict):
            raise Malformed("the body is JSON, but not an object")
        return codec_of(backend.api).answer(node)
    except Malformed as broken:
        raise AttemptFailed(FailureCode.MALFORMED, f"HTTP {status}: {broken}", status=status) from None
    except AttemptFailed as declined:
        raise AttemptFailed(declined.failure, shown(declined.reason, backend), status=status) from None


def decode_probe(backend: Backend, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Nothing, if the backend is there. Raises AttemptFailed, and nothing else, if it is not.

    A server without a list of models answers 404, and is there all the same.
    """
    try:
        contents(backend, status, headers, body)
    except AttemptFailed as failure:
        if failure.failure is not FailureCode.NOT_FOUND:
            raise


def contents(backend: Backend, status: int, headers: Mapping[str, str], body: bytes) -> object:
    """The JSON of a 2xx that holds no error object; everything else is raised as AttemptFailed."""
    fine = 200 <= status < 300
    try:
        node = parse(body)
    except Malformed as broken:
        if not fine:
            raise failed(backend, status, headers, Complaint(message=_glance(body))) from None
        said = shown(_glance(body), backend)
        reason = f"HTTP {status}: {broken}; it begins: {said}" if said else f"HTTP {status}: {broken}"
        raise AttemptFailed(FailureCode.MALFORMED, reason, status=status) from None
    complaint = codec_of(backend.api).complaint(node)
    if complaint is not None or not fine:
        raise failed(backend, status, headers, complaint or unnamed(node))
    return node


def _glance(body: bytes) -> str:
    return body[:_GLANCE].decode("utf-8", "replace")
