"""The relay between Portal and Server, over real sockets: what it passes on, and what comes of either side's going."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from uniwizard.server.plugin.relay import Relay, Streamed

ASK = b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: portal\r\nCookie: secret\r\nX-Forwarded-For: 192.0.2.7\r\n"
ASK += b"Authorization: Bearer key\r\nUser-Agent: mine\r\nContent-Length: 2\r\n\r\n{}"
BIG = b"POST /v1/messages HTTP/1.1\r\nHost: portal\r\nContent-Length: 9000000\r\n"
PATIENT = BIG + b"Expect: 100-continue\r\n\r\n"
NO = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nX-Request-Id: 7\r\n\r\nno"


class Recorder(Protocol):
    """Keeps what arrives, and says when there is enough of it and when the other side is gone."""

    def __init__(self) -> None:
        self.read = b""
        self.gone: Deferred[bytes] = Deferred()
        self._until: tuple[bytes, Deferred[bytes]] | None = None

    def until(self, words: bytes) -> Deferred[bytes]:
        waiting: Deferred[bytes] = Deferred()
        self._until = (words, waiting)
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        self.read += data
        if self._until is not None and self._until[0] in self.read:
            (_, waiting), self._until = self._until, None
            waiting.callback(self.read)

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(self.read)


def unnamed_files() -> set[str]:
    """The temporary files that this process has open and that have no name any more."""
    opened = (os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink())
    return {name for name in opened if name.startswith(tempfile.gettempdir()) and "(deleted)" in name}


class Endless:
    """Writes as long as it may; ``slowed`` is fired once it may not for a moment."""

    slowed: Deferred[None] | None = None

    def __init__(self, transport: Any, passed: list[int]):
        self._transport, self._passed, self._goes = transport, passed, True
        reactor.callLater(0, self._write)

    def _write(self) -> None:
        if self._goes and sum(self._passed) < 8_999_995:
            piece = min(64_000, 8_999_995 - sum(self._passed))
            self._passed.append(piece)
            self._transport.write(b"x" * piece)
            reactor.callLater(0, self._write)
        elif self._goes and self.slowed is not None:
            self.slowed.callback(None)

    def pauseProducing(self) -> None:
        self._goes = False
        reactor.callLater(1, self._check, len(self._passed))

    def resumeProducing(self) -> None:
        self._goes = True
        reactor.callLater(0, self._write)

    def stopProducing(self) -> None:
        self._goes = False

    def _check(self, passed: int) -> None:
        if not self._goes and len(self._passed) == passed and self.slowed is not None and not self.slowed.called:
            self.slowed.callback(None)


class RelayTest(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.servers: list[Recorder] = []
        self.arrived: Deferred[Recorder] = Deferred()

        def serve(_: Any) -> Recorder:
            server = Recorder()
            self.servers.append(server)
            reactor.callLater(0, self.arrived.callback, server)
            return server

        factory = Factory()
        factory.buildProtocol = serve  # type: ignore[method-assign]
        self.inner = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.relay = Relay(reactor, "127.0.0.1", self.inner.getHost().port)
        root = Resource()
        root.putChild(b"v1", self.relay)
        site = Site(root, requestFactory=Streamed)
        site.noisy = False
        self.outer = reactor.listenTCP(0, site, interface="127.0.0.1")

    async def tearDown(self) -> None:
        await self.outer.stopListening()
        await maybeDeferred(self.inner.stopListening)
        await self.relay.close()
        for server in self.servers:
            server.transport.abortConnection()

    async def client(self, sent: bytes = ASK) -> Recorder:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.outer.getHost().port)
        client = await connectProtocol(endpoint, Recorder())
        client.transport.write(sent)
        self.addCleanup(client.transport.abortConnection)
        return client

    async def test_the_path_the_key_and_the_body_go_on_and_nothing_of_who_asks(self) -> None:
        client = await self.client()
        server = await self.arrived
        asked = await server.until(b"{}")
        assert asked.startswith(b"POST /v1/chat/completions?x=1 HTTP/1.1\r\n")
        assert b"Bearer key" in asked
        for word in (b"secret", b"192.0.2.7", b"mine"):
            assert word not in asked
        server.transport.write(b"HTTP/1.1 201 Made\r\nX-Request-Id: 7\r\nContent-Length: 4\r\n\r\nwell")
        answered = (await client.until(b"well")).lower()
        assert answered.startswith(b"http/1.1 201 made")
        assert b"x-request-id: 7" in answered
        assert b"content-length: 4" in answered

    async def test_a_stream_is_passed_on_piece_by_piece(self) -> None:
        client = await self.client()
        server = await self.arrived
        await server.until(b"{}")
        server.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"one", b"two", b"three"):
            server.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await client.until(piece)
        server.transport.write(b"0\r\n\r\n")
        await client.until(b"\r\n0\r\n\r\n")

    async def test_a_client_that_goes_before_or_amid_the_answer_takes_the_request_with_it(self) -> None:
        for begun in (b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"):
            self.arrived = Deferred()
            client = await self.client()
            server = await self.arrived
            await server.until(b"{}")
            if begun:
                server.transport.write(begun)
                await client.until(b"one")
            client.transport.loseConnection()
            await server.gone

    async def test_an_answer_that_breaks_off_is_not_made_to_look_whole(self) -> None:
        client = await self.client()
        server = await self.arrived
        await server.until(b"{}")
        server.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await client.until(b"one")
        server.transport.abortConnection()
        assert not (await client.gone).endswith(b"0\r\n\r\n")

    async def test_while_the_server_is_away_clients_are_asked_to_come_again(self) -> None:
        await self.inner.stopListening()
        client = await self.client()
        answered = (await client.until(b"reloading")).lower()
        assert answered.startswith(b"http/1.1 503")
        assert b"retry-after: 3" in answered

    async def test_a_body_goes_on_as_it_comes_and_is_kept_nowhere(self) -> None:
        before = unnamed_files()
        client = await self.client(BIG + b"\r\nfirst")
        server = await self.arrived
        await server.until(b"first")
        client.transport.write(b"second" + b"x" * 500_000)
        await server.until(b"x" * 500_000)
        assert unnamed_files() == before

    async def test_a_server_that_does_not_read_slows_the_client_down(self) -> None:
        client = await self.client(BIG + b"\r\nfirst")
        server = await self.arrived
        await server.until(b"first")
        server.transport.pauseProducing()
        passed: list[int] = []
        client.transport.registerProducer(Endless(client.transport, passed), True)
        slowed: Deferred[None] = Deferred()
        client.transport.producer.slowed = slowed
        await slowed
        # What the sockets of the system hold, and no more; the body has nine million bytes.
        assert sum(passed) < 8_900_000
        client.transport.abortConnection()
        server.transport.resumeProducing()
        await server.gone

    async def test_a_server_that_answers_amid_the_body_is_heard_at_once(self) -> None:
        client = await self.client(BIG + b"\r\nfirst")
        server = await self.arrived
        await server.until(b"first")
        server.transport.write(NO)
        answered = (await client.gone).lower()
        assert answered.startswith(b"http/1.1 401") and answered.endswith(b"\r\nno")
        assert b"connection: close" in answered and b"x-request-id: 7" in answered

    async def test_who_waits_for_the_word_gets_it_when_the_server_would_take_the_body(self) -> None:
        client = await self.client(PATIENT.replace(b"9000000", b"5"))
        server = await self.arrived
        asked = (await server.until(b"\r\n\r\n")).lower()
        assert b"x-uniwizard-screen: yes" in asked and b"content-length: 5" not in asked
        assert client.read == b""
        server.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await client.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.transport.write(b"hello")
        asked = await server.until(b"hello")
        assert b"screen" not in asked.lower().rpartition(b"post ")[2]
        server.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell")
        assert (await client.until(b"well")).count(b"HTTP/1.1") == 2

    async def test_who_waits_for_the_word_is_turned_away_without_a_body(self) -> None:
        client = await self.client(PATIENT)
        server = await self.arrived
        await server.until(b"\r\n\r\n")
        server.transport.write(NO)
        answered = await client.gone
        assert answered.startswith(b"HTTP/1.1 401") and b"100 Continue" not in answered

    async def test_more_requests_than_are_passed_on_are_asked_to_come_again(self) -> None:
        self.relay.most = 1
        first = await self.client()
        server = await self.arrived
        await server.until(b"{}")
        for sent in (ASK, PATIENT):
            answered = (await (await self.client(sent)).until(b"overloaded")).lower()
            assert answered.startswith(b"http/1.1 503") and b"retry-after: 1" in answered
        server.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell")
        await first.until(b"well")
        assert len(self.servers) == 1
        await self.client()
        await server.until(b"{}")
