"""The gateway on the bare socket and at its limits: what clients send that no SDK would, and how the server ends."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any

import pytest
from examples import examples
from gateway_server import ASKED, TIDES, Aside, Program, Provider, Served
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.test.requesthelper import DummyRequest

from uniwizard.agent.gateway import Allowance, Caller, Gateway, GatewaySite, open_door
from uniwizard.agent.gateway.asked import Asking
from uniwizard.agent.gateway.doors import DOORS
from uniwizard.agent.gateway.errors import Rejected
from uniwizard.agent.gateway.naming import Names
from uniwizard.agent.gateway.server import is_loopback
from uniwizard.agent.gateway.sse import EventStream

LIMIT = 20 * 1024 * 1024


def post(body: bytes, *headers: str, path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def body(**more: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": ASKED, **more}).encode()


def ask(served: Served, data: bytes) -> tuple[int, dict[str, str], Any]:
    """Send bytes, and read one response."""
    with socket.create_connection(served.address, timeout=30) as connection:
        connection.sendall(data)
        return response(connection)


def response(connection: socket.socket, method: str = "POST") -> tuple[int, dict[str, str], Any]:
    got = http.client.HTTPResponse(connection, method=method)
    got.begin()
    return got.status, {k.lower(): v for k, v in got.getheaders()}, json.loads(got.read())


def well(served: Served) -> bool:
    return ask(served, post(body()))[0] == 200


class TestBrokenInput:
    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"text"',
            b"\xff\xfe",
            b"{" * 100_000,
            b'{"model": NaN}',
            b'{"a": ' + b"9" * 5000 + b"}",
        ],
        ids=lambda each: repr(each[:12]),
    )
    def test_a_body_that_is_no_json_object_is_a_400_in_openais_format(self, served: Served, sent: bytes) -> None:
        status, _, told = ask(served, post(sent))
        assert status == 400
        assert told["error"]["type"] == "invalid_request_error"
        assert set(told["error"]) == {"message", "type", "param", "code"}

    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
            ("POST", "/v1/models", 405, "method_not_allowed"),
            ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
            ("BREW", "/v1/models", 405, "method_not_allowed"),
            ("POST", "/v1/images/generations", 404, "unknown_url"),
            ("GET", "/", 404, "unknown_url"),
            ("GET", "/v1/models/%00%0d%0aX-Evil:%201", 404, "model_not_found"),
            ("GET", "/v1/../etc/passwd", 404, "unknown_url"),
        ],
    )
    def test_wrong_paths_and_methods(self, served: Served, method: str, path: str, status: int, code: str) -> None:
        got, headers, told = ask(served, post(b"", method=method, path=path))
        assert (got, told["error"]["code"]) == (status, code)
        assert ("allow" in headers) == (status == 405)
        assert "x-evil" not in headers

    def test_health_needs_no_key_and_tells_no_secret(self, served: Served) -> None:
        status, _, told = ask(served, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, told["status"], told["available"]) == (200, "ok", 2)

    def test_a_form_is_not_taken_apart_but_read_as_json(self, served: Served) -> None:
        data = post(body()).replace(b"application/json", b"application/x-www-form-urlencoded")
        assert ask(served, data)[0] == 200

    def test_a_web_page_is_turned_away_from_an_open_door(self, served: Served, provider: Provider) -> None:
        status, _, _ = ask(served, post(body(), "Origin: https://example.org"))
        assert status == 403
        assert not provider.seen["a"]

    def test_garbage_instead_of_http_closes_the_connection_and_nothing_else(self, served: Served) -> None:
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 50 + b"\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 50):
            with socket.create_connection(served.address, timeout=10) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
        assert well(served)


class TestSize:
    def test_an_oversized_body_is_read_to_its_end_and_answered_with_413(self, served: Served) -> None:
        status, _, told = ask(served, post(b'{"x": "' + b"a" * LIMIT + b'"}'))
        assert (status, told["error"]["code"]) == (413, "request_too_large")
        assert well(served)

    def test_an_oversized_body_in_chunks_is_a_413_as_well(self, served: Served) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"a" * 1024 * 1024
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for _ in range(21))
        status, _, told = ask(served, head + chunks + b"0\r\n\r\n")
        assert (status, told["error"]["code"]) == (413, "request_too_large")

    def test_a_body_that_says_it_is_huge_is_not_waited_for(self, served: Served) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        status, _, told = ask(served, head)
        assert (status, told["error"]["code"]) == (413, "request_too_large")

    def test_a_large_picture_is_not_too_large(self, served: Served, provider: Provider) -> None:
        url = "data:image/png;base64," + "A" * (8 * 1024 * 1024)
        parts = [{"type": "image_url", "image_url": {"url": url}}]
        status, _, _ = ask(served, post(body(messages=[{"role": "user", "content": parts}])))
        assert status == 200
        assert provider.seen["a"][-1]["messages"][-1]["content"][0]["image_url"]["url"] == url


class TestConnections:
    def test_pipelined_requests_are_answered_in_their_order(self, served: Served) -> None:
        requests = [post(body()), post(b"{"), post(body(model="nobody")), post(body(model="a"))]
        with socket.create_connection(served.address, timeout=30) as connection:
            connection.sendall(b"".join(requests))
            stream = connection.makefile("rb")
            statuses = []
            for _ in requests:
                statuses.append(int(stream.readline().split()[1]))
                length = 0
                while line := stream.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                stream.read(length)
        assert statuses == [200, 400, 404, 200]

    def test_many_clients_that_leave_in_mid_request_leave_nothing_behind(self, served: Served) -> None:
        whole = post(body())
        for end in range(1, len(whole), 17):
            with socket.create_connection(served.address, timeout=10) as connection:
                connection.sendall(whole[:end])
        status, _, told = ask(served, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, told["under_way"]) == (200, 0)

    def test_a_client_that_leaves_while_its_answer_is_made_cancels_the_attempt(
        self, served: Served, provider: Provider
    ) -> None:
        provider.go.clear()
        with socket.create_connection(served.address, timeout=10) as connection:
            connection.sendall(post(body(stream=True)))
            assert provider.arrived.acquire(timeout=20)
        assert provider.left.acquire(timeout=20)
        provider.go.set()
        assert well(served)


def drip(site: GatewaySite, clock: Clock, pause: float, times: int) -> StringTransport:
    """A client that sends its headers a byte at a time."""
    transport = StringTransport()
    channel = site.buildProtocol(None)  # type: ignore[arg-type]
    channel.makeConnection(transport)
    for byte in post(body())[:times]:
        clock.advance(pause)
        if transport.disconnecting or transport.disconnected:
            break
        channel.dataReceived(bytes([byte]))
    return transport


class TestPatience:
    def setup_method(self) -> None:
        self.clock = Clock()
        self.gateway = Gateway(lambda: None, self.clock, open_door)
        self.site = GatewaySite(self.gateway, self.clock, patience=30, idle=20)
        self.site.startFactory()

    def test_a_request_that_drips_in_is_cut_off(self) -> None:
        assert drip(self.site, self.clock, 5, 20).disconnected

    def test_a_slow_client_is_not(self) -> None:
        assert not drip(self.site, self.clock, 1, 20).disconnected

    def test_one_that_says_nothing_is_let_go(self) -> None:
        transport = drip(self.site, self.clock, 0, 1)
        self.clock.pump([1] * 40)
        assert transport.disconnecting or transport.disconnected

    def test_silence_is_bridged_and_the_status_waits_for_the_first_word(self) -> None:
        request: Any = DummyRequest([b"v1"])
        events = EventStream(request, self.clock, {}, lambda: b": still at it\n\n", keep_alive=5)
        events.wait()
        self.clock.pump([1] * 4)
        assert not events.begun
        self.clock.pump([1] * 12)
        assert b"".join(request.written) == b": still at it\n\n" * 3
        events.end()
        self.clock.pump([1] * 20)
        assert b"".join(request.written) == b": still at it\n\n" * 3

    def test_without_a_configuration_the_door_says_so(self) -> None:
        request: Any = DummyRequest([b"v1"])
        request.path, request.method = b"/health", b"GET"
        self.gateway.render(request)
        assert request.responseCode == 503
        assert b"not_configured" in b"".join(request.written)


class TestAllowance:
    def test_requests_are_counted_over_a_minute(self) -> None:
        caller = Caller("x", Allowance(requests_per_minute=2))
        assert [caller.admit(now) is None for now in (0.0, 1.0, 2.0, 59.0, 60.5, 60.6)] == [
            True,
            True,
            False,
            False,
            True,
            False,
        ]
        denied = caller.admit(60.7)
        assert denied is not None
        assert denied.retry_after == pytest.approx(0.3, abs=60 / 500)

    def test_a_budget_is_the_months(self) -> None:
        caller = Caller("x", Allowance(usd_per_month=1.0))
        november, december = 1_795_000_000.0, 1_797_000_000.0
        assert caller.admit(november) is None
        caller.charge(1.5, november)
        denied = caller.admit(november + 1)
        assert denied is not None
        assert denied.code == "insufficient_quota"
        assert caller.admit(december) is None


class TestServing:
    @pytest.mark.slow
    def test_another_host_than_loopback_needs_a_key(self, provider: Provider) -> None:
        with pytest.raises(AssertionError, match="UNIWIZARD_SERVE_KEY"):
            Program(provider.config("a"), "--host", "0.0.0.0")
        with Program(provider.config("a"), "--host", "0.0.0.0", key="secret") as served:
            assert "secret" not in served.said

    @pytest.mark.parametrize(
        ("host", "loopback"),
        [
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("localhost", True),
            ("0.0.0.0", False),
            ("::", False),
            ("", False),
            ("localhost.example.org", False),
        ],
    )
    def test_what_loopback_is(self, host: str, loopback: bool) -> None:
        assert is_loopback(host) is loopback

    @pytest.mark.slow
    def test_a_port_that_is_taken_is_one_line(self, served: Served, provider: Provider) -> None:
        with pytest.raises(AssertionError, match="cannot listen on"):
            Program(provider.config("a"), "--port", str(served.address[1]))

    @pytest.mark.slow
    def test_at_the_end_what_is_under_way_is_finished_and_nothing_new_is_taken(self, provider: Provider) -> None:
        provider.go.clear()
        got: list[int] = []
        with Program(provider.config("a")) as ending:
            asking = threading.Thread(target=lambda: got.append(ask(ending, post(body()))[0]))
            asking.start()
            assert provider.arrived.acquire(timeout=20)
            ending.signal()
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(ending.address, timeout=5).close()
                except OSError:
                    break
            else:
                raise AssertionError("it still takes connections")
            provider.go.set()
            asking.join(20)
            assert ending.ended() == 0
        assert got == [200]


# -- arbitrary input ---------------------------------------------------------------------------------------------

KEYS = ("a",)
WORDS = (
    "auto a auto:chat user assistant tool system text image_url function required none json_schema object eager wav x"
    " data:image/png;base64,AAAA"
)
NAMES = (
    "role content type text image_url url input_audio data format tool_calls function name arguments id tool_call_id"
    " refusal json_schema schema parameters allowed_tools mode tools include_usage properties $ref description"
)
FIELDS = (
    "tools tool_choice response_format max_tokens max_completion_tokens temperature stream stream_options stop n user"
    " logprobs modalities parallel_tool_calls stream_mode"
)
words = st.sampled_from([*WORDS.split(), "", "\ud800", "\x00"])
leaves = st.none() | st.booleans() | st.integers(-3, 10**12) | st.floats(allow_nan=False) | words
names = st.sampled_from(NAMES.split())
values = st.recursive(
    leaves, lambda below: st.lists(below, max_size=4) | st.dictionaries(names, below, max_size=4), max_leaves=12
)
message = st.dictionaries(names, values, max_size=5) | st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "developer"]), "content": values},
    optional={"tool_calls": values, "tool_call_id": values, "name": values, "refusal": values},
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["auto", "a", "auto:chat"]) | values,
        "messages": st.lists(message, max_size=3) | values,
        **dict.fromkeys(FIELDS.split(), values),
    },
)


class TestArbitraryInput:
    @settings(max_examples=examples(500), deadline=None)
    @given(values | bodies)
    def test_every_json_is_a_task_or_an_error_of_the_400s(self, node: Any) -> None:
        try:
            asked = DOORS["chat"].read(node, Names(KEYS), Asking())
        except Rejected as rejected:
            assert 400 <= rejected.status < 500
            json.dumps(rejected.body())
        else:
            assert asked.task.turns

    @settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values | bodies)
    def test_no_json_is_answered_with_a_500(self, served: Served, node: Any) -> None:
        connection = http.client.HTTPConnection(*served.address, timeout=30)
        connection.request("POST", "/v1/chat/completions", json.dumps(node), {"content-type": "application/json"})
        got = connection.getresponse()
        said = got.read()
        connection.close()
        assert got.status in (200, 400, 404, 503), (got.status, said)
        if got.status == 503:
            assert json.loads(said)["error"]["uniwizard"]["attempts"]

    def test_the_server_is_well_after_all_that(self, served: Aside) -> None:
        status, _, told = ask(served, post(body()))
        assert (status, told["choices"][0]["message"]["content"]) == (200, TIDES)
        assert served.trouble == []
