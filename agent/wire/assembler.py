"""A streamed answer, put together event by event until it is what the same api would have sent in one piece.

Each codec has its own :class:`Assembly`; at the end its ``node`` goes through the same ``answer`` that reads plain
responses, so refusals, filters, tool calls and usage mean the same either way.
"""

from __future__ import annotations

from typing import Protocol

from ..core.answer import Usage
from .body import Json

_OPEN, _CLOSE = "<think>", "</think>"


class Assembly(Protocol):
    """One answer in the making.

    marks     names that an event which carries a part of an answer has in it, as they stand in the bytes
    tokens    events so far that brought something the model made: words, thoughts, tool calls
    finished  whether the provider has said why the answer ends
    ended     whether the provider has said that nothing follows
    """

    tokens: int
    finished: bool
    ended: bool

    @property
    def marks(self) -> tuple[bytes, ...]: ...

    def take(self, node: Json) -> str:
        """Add one event; the text in it that is for the reader. Raises Malformed."""

    def node(self) -> Json:
        """The body of a plain response that says the same. Raises Malformed."""

    def usage(self) -> Usage | None:
        """The tokens that have been reported so far. Raises Malformed."""


class Spoken:
    """Leaves out, as it comes, the reasoning that open models put before their answer between <think> tags.

    What it lets through is the beginning of what :func:`agent.wire.body.spoken` makes of the whole.
    """

    def __init__(self) -> None:
        self._held: str | None = ""  # None once the answer itself has begun
        self._thinking = False
        self._bare = False  # whether anything but blanks has followed the thoughts

    def hear(self, said: str) -> str:
        """What of ``said`` is for the reader."""
        if self._held is None:
            if self._bare:
                said = said.lstrip()
                self._bare = not said
            return said
        held = self._held + said
        if not self._thinking:
            begun = held.lstrip()
            if begun.startswith(_OPEN):
                self._thinking = True
            elif _OPEN.startswith(begun):
                self._held = held
                return ""
            else:
                self._held = None
                return held
        _, closed, after = held.partition(_CLOSE)
        if not closed:
            self._held = held[-len(_CLOSE) :]
            return ""
        self._held = None
        self._bare = True
        return self.hear(after)
