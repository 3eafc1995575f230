"""What leaves: a task as the :class:`WireRequest` that asks a backend for it, and the request of a health check.

The headers of a request name nobody; a backend's own ``headers`` and ``options`` are laid over what the api asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.backend import Backend
from ..core.task import Task
from .body import dump, merge
from .codecs import codec_of

#: Names nobody, not even this program.
USER_AGENT = "llm-client/1.0"


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request, whole. The headers hold the secret, so neither they nor the body are ever in its repr."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def encode(task: Task, backend: Backend, system: str = "", stream: bool = False) -> WireRequest:
    """The request that asks ``backend`` for ``task``; ``system`` is the task-scoped system prompt.

    ``stream`` asks for the answer in pieces, which :func:`stream_decoder` reads. Raises AttemptFailed(bad_request) when
    the task holds something that this api cannot carry, such as a sound.
    """
    codec = codec_of(backend.api)
    body = codec.body(task, backend, system, stream)
    if backend.options:
        body = merge(body, backend.options)
        if not stream:
            # A field that only goes with streams, and is turned down without one.
            body.pop("stream_options", None)
    headers = {"content-type": "application/json", "accept": "application/json", "user-agent": USER_AGENT}
    headers.update({name.lower(): value for name, value in backend.headers.items()})
    headers.update(codec.credentials(backend))
    return WireRequest("POST", backend.url.rstrip("/") + codec.path(backend, stream), headers, dump(body))


def probe(backend: Backend) -> WireRequest:
    """A request that costs nothing and shows whether the backend is there and takes the key."""
    codec = codec_of(backend.api)
    headers = {"accept": "application/json", "user-agent": USER_AGENT}
    headers.update({name.lower(): value for name, value in backend.headers.items()})
    headers.update(codec.credentials(backend))
    return WireRequest("GET", backend.url.rstrip("/") + codec.PROBE, headers)
