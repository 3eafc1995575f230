"""An answer on its way to the reader: how far it has come, and what of it may be shown before its end.

:class:`StreamProgress` tells the listeners that text comes. :class:`StreamContinuation` is for readers who would
rather see a beginning than wait (``mode="eager"``): it lets the text go as soon as its first sentence has been judged,
and when the backend then breaks, it joins the next one's continuation to what has been shown, so that nothing is said
twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..core.answer import Answer, Usage
from ..core.clock import Clock
from ..core.events import Event, WordsBegan, WordsCame
from ..core.task import Message, Task
from ..judge import opening
from ..privacy.blindfold import Redacted
from ..privacy.placeholders import held

#: Seconds between two reports of progress.
PROGRESS = 1.0

#: Characters in which a continuation may repeat the end of what it continues, and the fewest that are no coincidence.
_LONGEST_REPEAT = 200
_SHORTEST_REPEAT = 8


class StreamProgress:
    """Tells of the words of one attempt as they come: the first at once, then how many there are, once a second."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        task_id: str,
        backend: str,
        also: Callable[[str], None] | None = None,
    ):
        self._emit = emit
        self._clock = clock
        self._task_id = task_id
        self._backend = backend
        self._also = also
        #: Characters so far, and the tokens that the provider has reported by now, where it has.
        self.chars = 0
        self.usage: Usage | None = None
        self._told = 0.0
        #: When the first words came, in seconds since the epoch; None as long as none have.
        self.began: float | None = None

    def __call__(self, text: str) -> None:
        now = self._clock.seconds()
        if not self.chars:
            self._told = self.began = now
            self._emit(WordsBegan(now, self._task_id, self._backend))
        self.chars += len(text)
        if now - self._told >= PROGRESS:
            self._told = now
            self._emit(WordsCame(now, self._task_id, self._backend, self.chars))
        if self._also is not None:
            self._also(text)


class StreamContinuation:
    """What of one task's answer has been shown. ``deliver`` takes the pieces, with every name put back."""

    def __init__(self, veiled: Redacted, deliver: Callable[[str], None]):
        self._veiled = veiled
        self._deliver = deliver
        self._shown: list[str] = []
        self._pending = ""
        self._open = False
        self._barred = False
        self._before = ""

    @property
    def given(self) -> str:
        """The text that has been shown, as the backends wrote it: still veiled."""
        return "".join(self._shown)

    @property
    def text(self) -> str:
        """The text that has been shown."""
        return self._veiled.restore(self.given)

    def begin(self) -> Task:
        """What to ask now: the task, or that its answer be continued where the last backend broke off."""
        self._before = self.given
        self._pending = ""
        self._open = self._barred = False
        task = self._veiled.task
        if not self._before:
            return task
        # Anthropic turns a prefill down that ends in a blank.
        return task.with_turns((*task.turns, Message("assistant", self._before.rstrip())))

    def hear(self, said: str) -> None:
        """Take what the backend says now, and show what may be shown."""
        self._pending += said
        if not self._open and not self._barred:
            self._decide()
        if self._open:
            # The end of it may be half of a placeholder.
            self._show(held(self._pending) if self._veiled.names else len(self._pending))

    def _decide(self) -> None:
        if self._before:
            repeated = overlap(self._before, self._pending)
            if repeated is not None:
                self._pending = self._pending[repeated:]
                self._open = True
            return
        verdict = opening(self._veiled.task, self._pending)
        self._open = verdict is not None and verdict.accepted
        self._barred = verdict is not None and not verdict.accepted

    def _show(self, length: int) -> None:
        piece, self._pending = self._pending[:length], self._pending[length:]
        if piece:
            self._shown.append(piece)
            self._deliver(self._veiled.restore(piece))

    def complete(self, answer: Answer) -> Answer:
        """``answer`` with all its text, of which a part may have come from another backend."""
        if not self._before:
            return answer
        repeated = overlap(self._before, answer.text, whole=True)
        return replace(answer, text=self._before + answer.text[repeated:])


def overlap(before: str, after: str, *, whole: bool = False) -> int | None:
    """How many characters of ``after`` only say again how ``before`` ends; None while more must be known.

    A continuation may begin at the break, some words before it, or with the whole text once more.
    """
    skipped = len(after) - len(after.lstrip()) if before[-1:].isspace() else 0
    said = after[skipped:]
    if not said:
        return skipped if whole else None
    end = before.rstrip()[-_LONGEST_REPEAT:]
    if not whole and (before.lstrip().startswith(said) or (len(said) < _LONGEST_REPEAT and said in end)):
        return None
    repeated = len(before.strip())
    if repeated < _SHORTEST_REPEAT or not said.startswith(before.strip()):
        lengths = range(min(len(end), len(said)), _SHORTEST_REPEAT - 1, -1)
        repeated = next((length for length in lengths if end.endswith(said[:length])), 0)
    if repeated and before[-1:].isspace():
        # The blank after it has been shown as well.
        rest = said[repeated:]
        if not whole and not rest.strip():
            return None
        repeated += len(rest) - len(rest.lstrip())
    return skipped + repeated
