"""An answer as an asynchronous iterator of its text::

answer = router.stream(task, mode="eager")
async for piece in answer:
    ...
answer.result                  # the RouteResult; the pieces, joined, are its text
await answer.aclose()          # any time: lets go of the attempt, whose connection closes
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure as TwistedFailure

from ..core.clock import Clock, DelayedCall
from ..core.result import RouteResult


class AnswerStream:
    """The pieces of one answer, in order. It is thought of from the beginning, whether or not anyone reads.

    result  None until the last piece is there
    """

    def __init__(self, clock: Clock, think: Callable[[Callable[[str], None]], Coroutine[Any, Any, RouteResult]]):
        self._clock = clock
        self.result: RouteResult | None = None
        self._pieces: deque[str] = deque()
        self._shown = 0
        self._ended = False
        self._error: BaseException | None = None
        self._waiting: Deferred[None] | None = None
        self._waking: DelayedCall | None = None
        self._thinking = Deferred.fromCoroutine(think(self._deliver))
        self._thinking.addCallbacks(self._answered, self._failed)

    def __aiter__(self) -> AnswerStream:
        return self

    async def __anext__(self) -> str:
        """The next piece. Raises AllBackendsFailed as the router does: AnswerBroken where a beginning was shown."""
        while not self._pieces and not self._ended:
            # Whoever stops waiting does not want the answer any more.
            self._waiting = Deferred(lambda _: self._thinking.cancel())
            await self._waiting
        if self._pieces:
            return self._pieces.popleft()
        error, self._error = self._error, None
        raise error or StopAsyncIteration

    async def aclose(self) -> None:
        """Let go of the answer; the connection to the backend closes."""
        self._thinking.cancel()
        self._error = None
        self._pieces.clear()

    def _deliver(self, piece: str) -> None:
        self._shown += len(piece)
        self._pieces.append(piece)
        self._wake()

    def _answered(self, result: RouteResult) -> None:
        self.result = result
        if rest := result.text[self._shown :]:
            self._pieces.append(rest)
        self._ended = True
        self._wake()

    def _failed(self, why: TwistedFailure) -> None:
        self._error = why.value
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        # Not from within the backend's own data: whoever reads may let go of the answer there and then.
        if self._waiting is not None and self._waking is None:
            self._waking = self._clock.callLater(0, self._wake_now)

    def _wake_now(self) -> None:
        self._waking = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)
