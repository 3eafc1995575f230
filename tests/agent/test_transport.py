"""The transport: what it sends, what it makes of every way in which a response can go wrong, and that it ends."""

from __future__ import annotations

import gzip
import os
import tempfile
import tracemalloc
from typing import Any
from unittest import mock

import httpx
from certificate import self_signed, shown
from fake_llm import Reply, gzipped, response, silent
from faults import FaultServer, ServerTest, tick
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from uniwizard.agent.core.backend import Timeout
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.transport.client import Response, fetch
from uniwizard.agent.transport.connections import MAX_RESPONSE

THIRTY_SECONDS = Timeout()


class TransportTest(ServerTest):
    def fetch(
        self,
        key: str = "key",
        *,
        url: str = "",
        timeout: Timeout = THIRTY_SECONDS,
        limit: int = MAX_RESPONSE,
        body: bytes = b"{}",
    ) -> Deferred[Response]:
        return Deferred.fromCoroutine(
            fetch(
                self.transport,
                "POST",
                url or f"{self.server.url}/{key}/v1",
                {"content-type": "application/json", "user-agent": "uniwizard-test"},
                body,
                timeout,
                reactor,  # type: ignore[arg-type]
                limit,
            )
        )

    async def failure_of(self, *replies: Reply, **options: Any) -> AttemptFailed:
        self.server.script("key", *replies)
        try:
            got = await self.fetch(**options)
        except AttemptFailed as failed:
            return failed
        raise AssertionError(f"accepted {got!r}")


class Sending(TransportTest):
    async def test_a_request_arrives_as_it_was_given_and_a_response_comes_back_whole(self) -> None:
        self.server.script("key", Reply(response(b'{"a": 1}', "X-Mark: yes", code=418)))
        got = await self.fetch(body=b'{"ask": "me"}')
        assert (got.status, got.body, got.headers["x-mark"]) == (418, b'{"a": 1}', "yes")
        (request,) = self.server.requests["key"]
        assert request.line == "POST /key/v1 HTTP/1.1"
        assert request.body == b'{"ask": "me"}'

    async def test_no_header_is_sent_that_the_caller_did_not_ask_for(self) -> None:
        await self.fetch()
        (request,) = self.server.requests["key"]
        assert sorted(request.headers) == ["accept-encoding", "content-length", "content-type", "host", "user-agent"]
        assert request.headers["user-agent"] == "uniwizard-test"

    async def test_a_line_break_in_a_header_begins_no_header_of_its_own(self) -> None:
        for broken in ("key\r\nx-more: 1", "key\nx-more: 1", "key\r\n\r\nGET / HTTP/1.1"):
            incoming = await self.transport.send("POST", f"{self.server.url}/key/v1", {"authorization": broken}, b"{}")
            while await incoming.more():
                pass
        for request in self.server.requests["key"]:
            assert sorted(request.headers) == ["authorization", "content-length", "host"]
            assert request.body == b"{}"

    async def test_the_lengths_and_the_host_are_the_transport_s_own_whatever_a_caller_says(self) -> None:
        told = {"Content-Length": "1", "Host": "elsewhere", "Transfer-Encoding": "chunked", "Connection": "close"}
        incoming = await self.transport.send("POST", f"{self.server.url}/key/v1", told, b"{}")
        while await incoming.more():
            pass
        (request,) = self.server.requests["key"]
        assert request.headers["host"] == self.server.url.removeprefix("http://")
        assert (sorted(request.headers), request.body) == (["content-length", "host"], b"{}")

    async def test_a_get_has_no_body_to_tell_the_length_of(self) -> None:
        incoming = await self.transport.send("GET", f"{self.server.url}/key/v1", {})
        while await incoming.more():
            pass
        (request,) = self.server.requests["key"]
        assert (request.line, sorted(request.headers)) == ("GET /key/v1 HTTP/1.1", ["host"])

    async def test_requests_one_after_the_other_share_a_connection(self) -> None:
        for _ in range(5):
            await self.fetch()
        assert self.server.connections == 1

    async def test_a_connection_that_the_server_has_closed_is_not_used_again(self) -> None:
        self.server.script("key", Reply(response(b"{}"), end="close"))
        await self.fetch()
        await self.server.until_closed()
        await tick()
        await tick()
        await self.fetch()
        assert self.server.connections == 2

    async def test_cookies_are_not_kept(self) -> None:
        self.server.script("key", Reply(response(b"{}", "Set-Cookie: who=anna; Path=/")))
        await self.fetch()
        await self.fetch()
        assert "cookie" not in self.server.requests["key"][1].headers

    async def test_a_redirect_is_not_followed(self) -> None:
        self.server.script("key", Reply(response(b"", f"Location: {self.server.url}/elsewhere/v1", code=307)))
        assert (await self.fetch()).status == 307
        assert self.server.asked("elsewhere") == 0

    async def test_no_proxy_of_the_environment_is_used(self) -> None:
        proxy = f"{self.server.url}/proxy"
        with mock.patch.dict(os.environ, {"HTTP_PROXY": proxy, "http_proxy": proxy, "ALL_PROXY": proxy}):
            await self.fetch()
        assert self.server.requests["key"][0].line == "POST /key/v1 HTTP/1.1"

    async def test_an_httpx_client_takes_the_transport_too(self) -> None:
        client = httpx.AsyncClient(transport=self.transport, trust_env=False)
        self.server.script("key", gzipped(b'{"a": 1}'))
        got = await client.post(f"{self.server.url}/key/v1", json={"ask": "me"})
        assert got.json() == {"a": 1}


class Receiving(TransportTest):
    async def test_gzip_is_decoded(self) -> None:
        self.server.script("key", gzipped(b'{"a": 1}'))
        assert (await self.fetch()).body == b'{"a": 1}'
        assert self.server.requests["key"][0].headers["accept-encoding"] == "gzip"

    async def test_broken_gzip_is_malformed(self) -> None:
        broken = bytearray(gzip.compress(b'{"a": 1}' * 100))
        broken[20] ^= 0xFF
        failed = await self.failure_of(Reply(response(bytes(broken), "Content-Encoding: gzip")))
        assert failed.failure is FailureCode.MALFORMED
        await self.server.until_closed()

    async def test_gzip_that_is_cut_off_is_malformed_although_the_length_is_right(self) -> None:
        failed = await self.failure_of(Reply(response(gzip.compress(b'{"a": 1}')[:-9], "Content-Encoding: gzip")))
        assert failed.failure is FailureCode.MALFORMED

    async def test_an_encoding_that_was_not_asked_for_is_malformed(self) -> None:
        failed = await self.failure_of(Reply(response(b"\x0b\x02\x80", "Content-Encoding: br")))
        assert failed.failure is FailureCode.MALFORMED
        await self.server.until_closed()

    async def test_a_gzip_bomb_is_not_unpacked_beyond_the_limit(self) -> None:
        bomb = gzipped(b"0" * 50_000_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        failed = await self.failure_of(bomb, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        assert failed.failure is FailureCode.MALFORMED
        assert "larger than 1000 bytes" in failed.reason
        await self.server.until_closed()

    async def test_fifty_megabytes_of_body_are_not_read_to_the_end(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n"
        failed = await self.failure_of(Reply(head, endless=b"x" * 65536))
        assert failed.failure is FailureCode.MALFORMED
        await self.server.until_closed()

    async def test_a_head_without_end_is_not_read_to_the_end(self) -> None:
        failed = await self.failure_of(Reply(b"HTTP/1.1 200 OK\r\n", endless=b"X-More: and more\r\n" * 4000))
        assert failed.failure is FailureCode.MALFORMED
        await self.server.until_closed()

    async def test_a_body_of_exactly_the_limit_is_taken(self) -> None:
        self.server.script("key", Reply(response(b"x" * 1000)))
        assert len((await self.fetch(limit=1000)).body) == 1000

    async def test_chunks_are_joined(self) -> None:
        chunks = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n'
        self.server.script("key", Reply(chunks))
        assert (await self.fetch()).body == b'{"a": 1}'

    async def test_a_body_of_unknown_length_ends_with_its_connection(self) -> None:
        self.server.script(
            "key", Reply(b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"a": 1}', end="close")
        )
        assert (await self.fetch()).body == b'{"a": 1}'

    async def test_a_connection_that_closes_at_any_byte_is_a_failure_and_never_half_an_answer(self) -> None:
        for whole in (
            response(b'{"a": "b"}'),
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"a": "b"}\r\n0\r\n\r\n',
        ):
            for end in ("close", "reset"):
                for cut in range(len(whole)):
                    failed = await self.failure_of(Reply(whole[:cut], end=end))
                    assert failed.failure is FailureCode.NETWORK, (whole, cut, failed)

    async def test_what_is_no_http_is_a_network_failure(self) -> None:
        failed = await self.failure_of(Reply(b"SSH-2.0-OpenSSH_9.6\r\n\r\n" * 20, end="close"))
        assert failed.failure is FailureCode.NETWORK
        assert failed.reason == "what answered does not speak HTTP"


class Ending(TransportTest):
    async def test_silence_ends_at_the_total_timeout_and_the_connection_closes(self) -> None:
        failed = await self.failure_of(silent(), timeout=Timeout(total=0.05))
        assert failed.failure is FailureCode.TIMEOUT
        assert "0.05 s" in failed.reason
        await self.server.until_closed()

    async def test_a_body_that_drips_ends_at_the_total_timeout(self) -> None:
        drip = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", end="hang")
        failed = await self.failure_of(drip, timeout=Timeout(total=0.05))
        assert failed.failure is FailureCode.TIMEOUT
        await self.server.until_closed()

    async def test_a_refused_connection_is_a_network_failure_that_names_no_address(self) -> None:
        url = f"{self.server.url}/key/v1"
        await self.server.stop()
        failed = await self.failure_of(url=url)
        assert failed.failure is FailureCode.NETWORK
        assert failed.reason == "the connection was refused"

    async def test_a_host_that_does_not_exist_is_a_network_failure(self) -> None:
        failed = await self.failure_of(url="http://nobody.invalid/v1")
        assert failed.failure is FailureCode.NETWORK

    async def test_a_connection_that_never_comes_about_ends_at_the_connect_timeout(self) -> None:
        # 192.0.2.0/24 is set aside for documentation (RFC 5737): packets to it go nowhere, or are turned back at once.
        failed = await self.failure_of(url="http://192.0.2.1/v1", timeout=Timeout(connect=0.05, total=20))
        assert failed.failure in (FailureCode.TIMEOUT, FailureCode.NETWORK)

    async def test_cancelling_closes_the_connection_whatever_has_arrived(self) -> None:
        whole = response(b'{"a": 1}')
        for cut in (0, 5, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
            self.server.script("key", Reply(whole[:cut], end="hang"))
            asked = self.fetch()
            while self.server.asked("key") == 0:
                await tick()
            await tick()
            self.server.requests.clear()
            asked.cancel()
            with self.assertRaises(CancelledError):
                await asked
            await self.server.until_closed()

    async def test_cancelling_before_anything_was_sent_sends_nothing(self) -> None:
        asked = self.fetch()
        asked.cancel()
        with self.assertRaises(CancelledError):
            await asked
        await tick()
        assert self.server.asked("key") == 0


class Tls(TransportTest):
    def setUp(self) -> None:
        super().setUp()
        self.certificate = self_signed("127.0.0.1")
        self.secure = FaultServer(reactor, shown(self.certificate))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.secure.stop()))

    async def test_a_certificate_that_nobody_vouches_for_is_a_network_failure(self) -> None:
        failed = await self.failure_of(url=f"{self.secure.url}/key/v1")
        assert failed.failure is FailureCode.NETWORK
        assert self.secure.asked("key") == 0

    async def test_ssl_cert_file_names_the_trusted_ones(self) -> None:
        await self.trust()
        assert (await self.fetch(url=f"{self.secure.url}/key/v1")).status == 200

    async def test_cancelling_closes_a_tls_connection_although_the_server_goes_on_sending(self) -> None:
        await self.trust()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5242880\r\n\r\n"
        self.secure.script("key", Reply(head, end="hang"))
        asked = self.fetch(url=f"{self.secure.url}/key/v1")
        while self.secure.asked("key") == 0:
            await tick()
        asked.cancel()
        with self.assertRaises(CancelledError):
            await asked
        await self.secure.until_closed()

    async def trust(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "trusted.pem")
        with open(path, "wb") as file:
            file.write(self.certificate)
        # OpenSSL reads it when a connection's context is made.
        environment = mock.patch.dict(os.environ, {"SSL_CERT_FILE": path})
        environment.start()
        self.addCleanup(environment.stop)
