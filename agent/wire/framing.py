"""Bytes as they arrive, cut into lines and events: what the streams of all four apis have in common. Without I/O.

    lines = Lines()
    lines.feed(b"data: 1\\r\\nda")      # [b"data: 1"]
    lines.rest()                      # b"da": what the end of the stream left unfinished

    events = EventStream()            # server-sent events, as OpenAI, Anthropic and Gemini send them
    events.feed(b"event: ping\\ndata: {}\\n\\n")       # [Event("ping", b"{}")]

    objects = ObjectStream()          # one JSON object a line, as Ollama sends them
    objects.feed(b'{"a": 1}\\n')       # [Event("", b'{"a": 1}')]

A line ends with LF, CR or CRLF, however the bytes are split on the way. Characters are left encoded: whoever decodes a
whole event never meets half of one. The format of events is that of the HTML standard, section 9.2.6
(https://html.spec.whatwg.org/multipage/server-sent-events.html); ``id`` and ``retry`` mean nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Bytes of one event. A picture or a tool's arguments may be large; this is the size of a whole answer at the most.
MAX_EVENT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """One event is longer than :data:`MAX_EVENT`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, empty where the stream gives none, and its data."""

    name: str
    data: bytes


class Framing(Protocol):
    """How a stream is cut into events. Both methods raise TooLong."""

    def feed(self, data: bytes) -> list[Event]: ...

    def rest(self) -> list[Event]: ...


class Lines:
    """Cuts bytes into lines."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of the line that has not ended
        self._held = 0
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their ends. Raises TooLong."""
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                data = data[1:]
        if not data:
            return []
        if b"\n" not in data and b"\r" not in data:
            self._hold(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces, self._held = [], 0
        self._after_cr = data.endswith(b"\r")
        lines = data.splitlines()
        if not self._after_cr and not data.endswith(b"\n"):
            self._hold(lines.pop())
        if not self._begun and lines:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def _hold(self, data: bytes) -> None:
        self._held += len(data)
        if self._held > MAX_EVENT:
            raise TooLong
        self._pieces.append(data)

    def rest(self) -> bytes:
        """The line that has not ended."""
        rest = b"".join(self._pieces)
        return rest if self._begun else rest.removeprefix(_BOM)


class EventStream:
    """Server-sent events."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._name = ""
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that ``data`` completes; those without data are nobody's business. Raises TooLong."""
        return self._events(self._lines.feed(data))

    def rest(self) -> list[Event]:
        """The event that the end of the stream left without its blank line; at the most one."""
        rest = self._lines.rest()
        return self._events([rest, b""] if rest else [b""])

    def _events(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b"data: ") else line[5:]
                self._held += len(value) + 1
                if self._held > MAX_EVENT:
                    raise TooLong
                self._data.append(value)
            elif not line:
                if self._data:
                    events.append(Event(self._name, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
                    self._data, self._held = [], 0
                self._name = ""
            elif line.startswith(b"event:"):
                self._name = line[6:].decode("utf-8", "replace").removeprefix(" ")
        return events


class ObjectStream:
    """One JSON object a line."""

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> list[Event]:
        """The objects that ``data`` completes; blank lines are passed over. Raises TooLong."""
        return [Event("", line) for line in self._lines.feed(data) if line.strip()]

    def rest(self) -> list[Event]:
        """What the end of the stream left without its line break."""
        rest = self._lines.rest()
        return [Event("", rest)] if rest.strip() else []
