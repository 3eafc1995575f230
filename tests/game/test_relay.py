"""The relay between Portal and Server, over real sockets: what it passes on, and what comes of either side's going."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from uniwizard.server.plugin.relay import Relay

ASK = b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nHost: portal\r\nCookie: secret\r\nX-Forwarded-For: 192.0.2.7\r\n"
ASK += b"Authorization: Bearer key\r\nUser-Agent: mine\r\nContent-Length: 2\r\n\r\n{}"


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
        site = Site(self.relay)
        site.noisy = False
        self.outer = reactor.listenTCP(0, site, interface="127.0.0.1")

    async def tearDown(self) -> None:
        await self.outer.stopListening()
        await maybeDeferred(self.inner.stopListening)
        await self.relay.close()
        for server in self.servers:
            server.transport.abortConnection()

    async def client(self) -> Recorder:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.outer.getHost().port)
        client = await connectProtocol(endpoint, Recorder())
        client.transport.write(ASK)
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
