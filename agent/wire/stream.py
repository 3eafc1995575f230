"""One streamed answer, decoded as its bytes come: :class:`StreamDecoder`. Without I/O.

When is an answer whole?
    When the provider has said why it ends (a finish reason) or that it ends (``[DONE]``, ``message_stop``, ``done``).
    A stream that stops before either is ``malformed``: cut, however well the last sentence reads.

When may a broken event be passed over?
    When nothing of the answer can have been lost with it: a ping; anything after the finish reason; something that is
    no event of this stream, having neither its beginning nor the names of its parts. Any other broken event was a part
    of the answer, and an answer with a hole is not whole.
"""

from __future__ import annotations

from ..core.answer import Answer, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from .body import Malformed, parse
from .codecs import Codec, codec_of
from .errors import Complaint, failed, shown, unnamed
from .framing import MAX_EVENT, Event, EventStream, Framing, ObjectStream, TooLong
from .response import decode, read

#: Characters of text in one answer, and bytes of the stream that brings it; what is longer is malformed. A long answer
#: of 128,000 tokens comes in some 40 MB of events.
MAX_TEXT = 8 * 1024 * 1024
MAX_STREAM = 64 * 1024 * 1024

#: Bytes by which the events of one stream are known to belong together: they begin alike.
_ALIKE = 8


class StreamDecoder:
    """Decodes one response to a request that was encoded with ``stream=True``; for a 2xx only.

    tokens    events so far that brought something the model made: words, thoughts, tool calls
    finished  whether the answer is whole, although its usage may still follow
    ended     whether nothing follows
    chars     characters of the answer so far
    """

    def __init__(self, backend: Backend, codec: Codec, status: int = 200):
        self._backend = backend
        self._codec = codec
        self._status = status
        self._framing: Framing = ObjectStream() if backend.api == "ollama" else EventStream()
        self._answer = codec.assembly()
        #: The body so far, as long as it may turn out to be no stream at all.
        self._raw: bytearray | None = bytearray()
        self._fed = 0
        self.chars = 0
        self._head = b""
        self._strange: set[bytes] = set()
        self.ended = False

    @property
    def tokens(self) -> int:
        return self._answer.tokens

    @property
    def finished(self) -> bool:
        return self.ended or self._answer.finished

    @property
    def usage(self) -> Usage | None:
        """The tokens that the provider has reported so far."""
        try:
            return self._answer.usage()
        except Malformed:
            return None

    def feed(self, data: bytes) -> list[str]:
        """The pieces of text that ``data`` completes; joined, they are the beginning of the answer's text.

        Raises AttemptFailed when the stream itself says what went wrong, or can no longer become an answer.
        """
        self._fed += len(data)
        try:
            if self._fed > MAX_STREAM:
                raise TooLong
            if self._raw is not None:
                if len(self._raw) + len(data) > MAX_EVENT:
                    raise TooLong
                self._raw += data
            pieces = []
            for event in self._framing.feed(data):
                if said := self._take(event):
                    pieces.append(said)
                    self.chars += len(said)
            if self.chars > MAX_TEXT:
                raise TooLong
            return pieces
        except TooLong:
            raise self._malformed("the stream is larger than any answer") from None
        except Malformed as broken:
            raise self._malformed(str(broken)) from None

    def finish(self) -> Answer:
        """The whole answer, now that the body has ended. Raises AttemptFailed, and nothing else."""
        try:
            for event in self._framing.rest():
                self._take(event, last=True)
            if self._raw is not None:
                # Not one event: an error, or an answer, in one piece; or a web page.
                return decode(self._backend, self._status, {}, bytes(self._raw))
            if not self.finished:
                raise Malformed("the stream is cut off")
            node = self._answer.node()
        except TooLong:
            raise self._malformed("the stream is larger than any answer") from None
        except Malformed as broken:
            raise self._malformed(str(broken)) from None
        return read(self._backend, self._status, node)

    def _take(self, event: Event, *, last: bool = False) -> str:
        if self.ended:
            return ""
        try:
            node = parse(event.data)
        except Malformed:
            if event.data.startswith(b"[DONE]"):
                self.ended = True
                self._raw = None
            elif not event.data.strip():
                pass
            elif not last and not self._answer.finished and event.name != "ping":
                self._pass_over(event.data)
            return ""
        complaint = self._codec.complaint(node)
        if complaint is None and event.name == "error":
            complaint = unnamed(node)
        if complaint is not None:
            raise self._complained(complaint)
        if not isinstance(node, dict):
            return ""
        if self._raw is not None:
            self._raw = None
            self._know(event.data)
        try:
            said = self._answer.take(node)
        except Malformed:
            if self._answer.finished:
                return ""
            raise
        self.ended = self._answer.ended
        return said

    def _pass_over(self, data: bytes) -> None:
        """Nothing, if these broken bytes were no part of the answer. Raises Malformed if they may have been."""
        head = data[:_ALIKE]
        if any(mark in data for mark in self._answer.marks) or (self._head and self._head.startswith(head)):
            raise Malformed("an event is broken")
        if not self._head and len(self._strange) < MAX_EVENT // _ALIKE:
            self._strange.add(head)

    def _know(self, data: bytes) -> None:
        """Remember how the events of this stream begin. Raises Malformed if a broken one began like that."""
        self._head = data[:_ALIKE]
        if any(self._head.startswith(head) for head in self._strange):
            raise Malformed("an event is broken")
        self._strange.clear()

    def _complained(self, complaint: Complaint) -> AttemptFailed:
        return failed(self._backend, self._status, {}, complaint)

    def _malformed(self, why: str) -> AttemptFailed:
        reason = shown(f"HTTP {self._status}: {why}", self._backend)
        return AttemptFailed(FailureCode.MALFORMED, reason, status=self._status)


def stream_decoder(backend: Backend, status: int = 200) -> StreamDecoder:
    """What reads the body of a 2xx to a request that was encoded with ``stream=True``."""
    return StreamDecoder(backend, codec_of(backend.api), status)
