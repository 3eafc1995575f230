"""How far long work is, as a bar on a terminal's standard error; nothing in a pipe.

    with Progress("simulate", len(rows)) as progress:
        for row in progress.over(rows): ...

    with Waiting() as waiting:                  # of unknown length: a line that says what is happening
        waiting.say("claude: 420 characters")

It is drawn at most ten times a second, and gone once the work is done, so that what is printed stands alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

T = TypeVar("T")

#: Seconds between two drawings, and the bar's width in characters.
_EVERY, _WIDTH = 0.1, 30
#: Takes the line back, and clears it (ECMA-48).
_CLEAR = "\r\x1b[K"


class Waiting:
    """A line on a terminal that is written over again and again."""

    def __init__(self, out: TextIO | None = None):
        self._out = out or sys.stderr
        self._shown = self._out.isatty()
        self._drawn = 0.0
        self._there = False

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def say(self, text: str, *, now: bool = False) -> None:
        """Show ``text`` in the place of what was there; left out where the last one is too fresh, unless ``now``."""
        if not self._shown or (not now and time.monotonic() - self._drawn < _EVERY):
            return
        self._drawn, self._there = time.monotonic(), True
        self._out.write(f"{_CLEAR}{text[:78]}")
        self._out.flush()

    def clear(self) -> None:
        """Take the line away, before something else is printed."""
        if self._there:
            self._there = False
            self._out.write(_CLEAR)
            self._out.flush()


class Progress(Waiting):
    """A bar for ``total`` pieces of work."""

    def __init__(self, what: str, total: int, out: TextIO | None = None):
        super().__init__(out)
        self._what = what
        self._total = max(1, total)
        self._done = 0

    def __enter__(self) -> Progress:
        return self

    def over(self, work: Iterable[T]) -> Iterator[T]:
        """``work``, piece by piece, each counted once it is taken."""
        for piece in work:
            self.step()
            yield piece

    def step(self, what: str = "") -> None:
        """One piece more is done; ``what`` is what comes next."""
        self._done += 1
        self._what = what or self._what
        share = min(1.0, self._done / self._total)
        full = round(share * _WIDTH)
        self.say(f"{self._what} [{'#' * full}{'-' * (_WIDTH - full)}] {share:4.0%}")
