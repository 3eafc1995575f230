"""Work that takes longer than a turn of the reactor may last, done by one thread beside the reactor's.

    schema = await aside(clock, check_schema, node)

One thread for all of it: what many send at once waits for each other, and the reactor waits for no more than one of
Python's switches of threads. Where time is a test's ``Clock`` there is no reactor, and the work is done at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

P = ParamSpec("P")
T = TypeVar("T")

#: Characters or bytes from which on reading, checking or writing a text is worth a thread: some milliseconds' work.
LONG = 100_000

_thread = ThreadPoolExecutor(1, "uniwizard-aside")


async def aside(clock: object, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``work`` returns or raises. It must touch nothing that the reactor's thread changes meanwhile."""
    if not IReactorFromThreads.providedBy(clock):
        return work(*args, **kwargs)
    reactor: Any = clock
    done: Deferred[T] = Deferred(lambda _: None)

    def run() -> None:
        tell: Callable[[Any], None] = done.callback
        result: Any
        try:
            result = work(*args, **kwargs)
        except BaseException:
            tell, result = done.errback, Failure()  # type: ignore[no-untyped-call]
        reactor.callFromThread(_told, done, tell, result)

    _thread.submit(run)
    return await done


def _told(done: Deferred[Any], tell: Callable[[Any], None], result: Any) -> None:
    # Whoever waited for it may have been cancelled.
    if not done.called:
        tell(result)
