"""What a Redis channel says, read off the socket: in RESP, by nobody's client library."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol


class Subscriber(Protocol):
    """``messages`` are the payloads so far."""

    transport: Any

    def __init__(self, channel: str) -> None:
        self._channel = channel.encode()
        self._data = b""
        self.ready: Deferred[None] = Deferred()
        self.messages: list[str] = []

    def connectionMade(self) -> None:
        self.transport.write(b"SUBSCRIBE " + self._channel + b"\r\n")

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while (taken := self._message()) is not None:
            kind, payload = taken
            if kind == b"subscribe":
                self.ready.callback(None)
            elif kind == b"message":
                self.messages.append(payload.decode())

    def _message(self) -> tuple[bytes, bytes] | None:
        """The kind and the payload of the next whole push of three, taken off the data; None while it is not whole."""
        parts, rest = [], self._data.partition(b"\r\n")[2]
        for _ in range(3):
            head, found, rest = rest.partition(b"\r\n")
            if not found:
                return None
            if head.startswith(b":"):
                parts.append(head[1:])
                continue
            size = int(head[1:] or b"0")
            if len(rest) < size + 2:
                return None
            parts.append(rest[:size])
            rest = rest[size + 2 :]
        self._data = rest
        return parts[0], parts[2]

    def close(self) -> None:
        self.transport.loseConnection()


async def subscribed(port: int, channel: str) -> Subscriber:
    """A subscriber that hears ``channel`` by now."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    found: Subscriber = await connectProtocol(endpoint, Subscriber(channel))
    await found.ready
    return found
