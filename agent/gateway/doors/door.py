"""What a module of this package offers: :class:`Door`, and for streams :class:`Stream`; and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ...core.result import RouteResult
from ...core.task import ToolCall
from ...wire.body import Json, dump, dumps
from ..asked import Asked, Asking
from ..errors import Rejected
from ..naming import Names

#: Characters of one piece of a judged answer's text, give or take a word.
PIECE = 160


class Door(Protocol):
    """One wire format towards clients.

    read    what a request's JSON asks for; raises Rejected, and nothing else, whatever the JSON is
    answer  the JSON of a judged answer; ``seconds`` since the epoch is when it was made
    stream  makes the events of one answer
    error   the JSON of an error
    """

    def read(self, node: object, names: Names, asking: Asking) -> Asked: ...
    def answer(self, result: RouteResult, asked: Asked, seconds: float) -> Json: ...
    def stream(self, asked: Asked, seconds: float) -> Stream: ...
    def error(self, rejected: Rejected) -> Json: ...


class Stream(Protocol):
    """The events of one answer, as bytes.

    begin  what stands before the first text; ``model`` is what is being asked
    text   one piece of the answer
    end    all that follows the text, to the very last byte; ``begin`` has been called
    error  ends a stream that was begun
    wait   says that nothing is there yet; before ``begin`` as well
    """

    def begin(self, model: str) -> bytes: ...
    def text(self, piece: str) -> bytes: ...
    def end(self, result: RouteResult) -> bytes: ...
    def error(self, rejected: Rejected) -> bytes: ...
    def wait(self) -> bytes: ...


def data(event: object) -> bytes:
    """One server-sent event without a name."""
    return b"data: %s\n\n" % dump(event)


def named(event: Json) -> bytes:
    """One server-sent event under the name that its type is."""
    return b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), dump(event))


def pieces(text: str) -> Iterator[str]:
    """``text`` in pieces of about :data:`PIECE` characters that end with a word."""
    start = 0
    while len(text) - start > PIECE:
        end = text.rfind(" ", start, start + PIECE) + 1 or start + PIECE
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


class Stops:
    """Holds a stream to its stops: passes on what comes before the first of them, whole and nothing after it.

    stopped  the stop that ended it; empty as long as none has
    """

    def __init__(self, stops: tuple[str, ...]):
        self._stops = stops
        self._longest = max(map(len, stops), default=1)
        self._held = ""
        self.stopped = ""

    def hear(self, piece: str, *, last: bool = False) -> str:
        """What of the text so far may be shown now."""
        if not self._stops:
            return piece
        if self.stopped:
            return ""
        said = self._held + piece
        ends = [(place, stop) for stop in self._stops if (place := said.find(stop)) >= 0]
        if ends:
            place, self.stopped = min(ends)
            self._held = ""
            return said[:place]
        kept = (
            0
            if last
            else next((n for n in range(min(len(said), self._longest - 1), 0, -1) if self._begins(said[-n:])), 0)
        )
        self._held = said[len(said) - kept :]
        return said[: len(said) - kept]

    def _begins(self, tail: str) -> bool:
        return any(stop.startswith(tail) for stop in self._stops)


def stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str]:
    """``text`` up to the first of ``stops``, which does not belong to it, and that stop; empty where there is none."""
    ends = [(place, stop) for stop in stops if (place := text.find(stop)) >= 0]
    if not ends:
        return text, ""
    place, stop = min(ends)
    return text[:place], stop


def said(result: RouteResult, asked: Asked) -> tuple[str, tuple[ToolCall, ...], str]:
    """The text and the tool calls that the caller sees, and the stop that ended the text."""
    if result.refused:
        return ("" if asked.task.schema is not None else result.text), (), ""
    text = result.text
    if asked.task.schema is not None and result.content is not None:
        # What was judged valid is the JSON itself, without the fence or the talk that a model may put around it.
        text = dumps(result.content)
    text, stop = stopped(text, asked.stop)
    calls = result.tool_calls[:1] if asked.task.one_call else result.tool_calls
    return text, calls, stop


def cut(result: RouteResult) -> bool:
    """Whether the answer ended at its limit."""
    return result.finish_reason == "length"


def thought(result: RouteResult) -> str:
    """What the model thought, as text; empty where its api does not tell."""
    return "".join(thought.text for thought in result.thoughts)


def object_of(call: ToolCall) -> Any:
    """A call's arguments as the object that some formats want."""
    from ...wire.body import object_of as read

    return read(call.arguments)
