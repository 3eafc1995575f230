"""The fake LLM server beside a test that blocks: on a reactor of its own, in a thread."""

from __future__ import annotations

from typing import Self

from reactor_thread import ReactorThread

from .replies import Reply, models
from .server import FakeLLM, Scripted


class FakeLLMThread(FakeLLM):
    """Answers from ``__enter__`` to ``__exit__``; GETs are health checks, and find it well."""

    def __init__(self, *, default: Scripted | None = None, probes: Reply | None = None) -> None:
        self._aside = ReactorThread()
        super().__init__(self._aside.reactor, default=default, probes=probes or models())

    def __enter__(self) -> Self:
        self._aside.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.call(self.stop)
        self._aside.__exit__()
