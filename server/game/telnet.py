"""A telnet client that reads a game as a player does: plain text, no negotiation, no colour::

    with Telnet("localhost", 4000) as player:
        player.login("wizard", "secret")
        player.send("look")
        print(player.expect("Workshop"))

It blocks, and every wait is bounded. :class:`Wire` is the part without a socket: bytes in, text and replies out.
"""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType

# RFC 854 and 855.
_SE, _SB, _WILL, _WONT, _DO, _DONT, _IAC = 240, 250, 251, 252, 253, 254, 255
_REFUSAL = {_WILL: _DONT, _DO: _WONT}

#: ECMA-48 control sequences: colour, cursor, erase.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UNFINISHED_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*)?$")


class NotSeen(AssertionError):
    """What was expected did not come. The message holds what came instead."""


class Wire:
    """Turns what a telnet server sends into text, and refuses every option, so that no handshake is waited for."""

    def __init__(self) -> None:
        self._bytes = b""
        self._text = ""

    def receive(self, data: bytes) -> tuple[str, bytes]:
        """The text that ``data`` adds and the bytes to answer with. Sequences may be cut anywhere."""
        plain, replies = bytearray(), bytearray()
        data = self._bytes + data
        at = 0
        while at < len(data):
            if data[at] != _IAC:
                end = data.find(_IAC, at)
                end = len(data) if end < 0 else end
                plain += data[at:end]
                at = end
                continue
            size = self._command_size(data, at)
            if size == 0:
                break
            command = data[at + 1]
            if command == _IAC:
                plain.append(_IAC)
            elif command in _REFUSAL:
                replies += bytes((_IAC, _REFUSAL[command], data[at + 2]))
            at += size
        self._bytes = data[at:]
        return self._readable(bytes(plain)), bytes(replies)

    @staticmethod
    def _command_size(data: bytes, at: int) -> int:
        """How many bytes the command at ``at`` takes; 0 if its end has not come yet."""
        if at + 1 >= len(data):
            return 0
        command = data[at + 1]
        if command == _SB:
            end = data.find(bytes((_IAC, _SE)), at + 2)
            return 0 if end < 0 else end + 2 - at
        if command in (_WILL, _WONT, _DO, _DONT):
            return 3 if at + 2 < len(data) else 0
        return 2

    def _readable(self, plain: bytes) -> str:
        # latin-1 keeps every byte apart until whole characters can be decoded.
        text = self._text + plain.decode("latin-1")
        cut = _UNFINISHED_ANSI.search(text)
        keep = len(text) if cut is None else cut.start()
        keep -= _unfinished_utf8(text[:keep].encode("latin-1"))
        self._text = text[keep:]
        whole = _ANSI.sub("", text[:keep]).encode("latin-1").decode("utf-8", "replace")
        return whole.replace("\r", "").replace("\0", "")


def _unfinished_utf8(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character whose rest has not come."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < size else 0
        if byte < 0x80:
            return 0
    return 0


class Telnet:
    """One connection. Times are in seconds; a wait that ends in vain raises :class:`NotSeen`."""

    def __init__(self, host: str, port: int, *, timeout: float = 20.0):
        self._socket = socket.create_connection((host, port), timeout)
        self._timeout = timeout
        self._wire = Wire()
        self._unread = ""
        #: Everything received so far.
        self.transcript = ""

    def __enter__(self) -> Telnet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, line: str) -> None:
        """Type a line."""
        self._socket.sendall(line.encode("utf-8").replace(b"\xff", b"\xff\xff") + b"\r\n")

    def expect(self, pattern: str | re.Pattern[str], timeout: float | None = None) -> str:
        """Read until ``pattern`` comes (a str is plain text); all that came up to its end, not yet returned before."""
        search = re.compile(re.escape(pattern)) if isinstance(pattern, str) else pattern
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while (match := search.search(self._unread)) is None:
            if not self._receive(deadline):
                raise NotSeen(f"{search.pattern!r} did not come; this did:\n{self._unread}")
        seen, self._unread = self._unread[: match.end()], self._unread[match.end() :]
        return seen

    def quiet(self, seconds: float = 0.5) -> str:
        """Read until nothing has come for ``seconds``; all that came."""
        while self._receive(time.monotonic() + seconds):
            pass
        seen, self._unread = self._unread, ""
        return seen

    def login(self, name: str, password: str) -> str:
        """Log in to an account and enter the game as its character; what was shown."""
        self.send(f"connect {_quoted(name)} {_quoted(password)}")
        return self.expect(f"You become {name}.")

    def create_account(self, name: str, password: str) -> str:
        """Make a new account, log in and enter the game; what was shown."""
        self.send(f"create {_quoted(name)} {_quoted(password)}")
        self.expect("Is this what you intended?")
        self.send("y")
        self.expect("was created")
        return self.login(name, password)

    def _receive(self, deadline: float) -> bool:
        """Wait for more text; False if none came in time or the game hung up."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return False
        self._socket.settimeout(remaining)
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError:
            data = b""
        if not data:
            return False
        text, replies = self._wire.receive(data)
        if replies:
            self._socket.sendall(replies)
        self._unread += text
        self.transcript += text
        return True


def _quoted(words: str) -> str:
    return f'"{words}"' if " " in words else words
