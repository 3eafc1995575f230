"""A reactor of its own in a thread, for servers beside a test that blocks::

with ReactorThread() as aside:
    url = aside.call(lambda: PracticeServer(aside.reactor).start())
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import reactor as installed
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import blockingCallFromThread

T = TypeVar("T")


class ReactorThread:
    """``reactor`` runs from ``__enter__`` to ``__exit__``; what listens on it before that is served from then on."""

    def __init__(self) -> None:
        # Of the kind that is best here; the process's own is the tests'.
        self.reactor: Any = type(installed)()
        self._thread = threading.Thread(target=self.reactor.run, kwargs={"installSignalHandlers": False}, daemon=True)

    def __enter__(self) -> ReactorThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reactor.callFromThread(self.reactor.stop)
        self._thread.join()

    def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """What ``work`` returns in the reactor's thread; a Deferred or coroutine is waited for."""
        result: T = blockingCallFromThread(self.reactor, maybeDeferred, work, *arguments)
        return result
