"""What strangers send at the door: odd headers, bodies without a key, more connections than there is room for."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from attacks.crowd import crowd
from examples import examples
from gateway_server import ASKED, TIDES, Aside, Program, Provider, Served, says
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_gateway_wire import ask, body, post, response

from uniwizard.agent.gateway.asked import Asking
from uniwizard.agent.gateway.doors import DOORS
from uniwizard.agent.gateway.errors import Rejected
from uniwizard.agent.gateway.incoming import Place, query_of
from uniwizard.agent.gateway.naming import Names

NAMES = (
    b"authorization", b"x-api-key", b"api-key", b"origin", b"x-stream-mode", b"content-encoding", b"anthropic-version",
    b"access-control-request-headers", b"content-type", b"accept", b"user-agent", b"x-goog-api-key",
)  # fmt: skip
VALUES = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0"))


class TestHeaders:
    @settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4), path=st.binary(max_size=20))
    def test_no_byte_of_a_header_or_a_path_breaks_anything(
        self, served: Served, headers: list[tuple[bytes, bytes]], path: bytes
    ) -> None:
        for place in (
            b"/v1/chat/completions",
            b"/v1/messages",
            b"/" + path.translate(None, b"\r\n\0 \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"),
        ):
            sent = body()
            head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (place, len(sent))
            head += b"".join(b"%s: %s\r\n" % each for each in headers)
            with socket.create_connection(served.address, timeout=30) as connection:
                connection.sendall(head + b"\r\n" + sent)
                status = int(connection.recv(12)[9:])
            assert status in (200, 400, 401, 403, 404, 405, 415, 503), status

    def test_a_key_of_odd_bytes_is_a_wrong_key(self, provider: Provider) -> None:
        with Aside(provider.config("a"), key="secret") as served:
            for key in (b"Bearer \xff", b"Bearer \xc3\x28", b"\xfe\xff", b"Bearer"):
                sent = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: " + key
                status, _, told = ask(served, sent + b"\r\nContent-Length: 2\r\n\r\n{}")
                assert (status, told["error"]["code"]) == (401, "invalid_api_key")

    def test_errors_are_in_the_format_of_their_door(self, served: Served) -> None:
        for path, reads in (
            ("/v1/messages", lambda told: told["error"]["type"] == "invalid_request_error" and told["type"] == "error"),
            ("/v1beta/models/a:generateContent", lambda told: told["error"]["status"] == "INVALID_ARGUMENT"),
            ("/v1/responses", lambda told: told["error"]["code"] == "invalid_json"),
        ):
            status, headers, told = ask(served, post(b"{", path=path))
            assert status == 400 and reads(told), told
            assert headers["x-request-id"] == headers["request-id"]


class TestBodies:
    def test_nothing_is_held_of_a_body_that_nobody_may_send(self, provider: Provider) -> None:
        with Aside(provider.config("a"), key="secret") as served:
            before = set(Path(tempfile.gettempdir()).iterdir())
            half = post(b"x" * 1_000_000).replace(b"Content-Length: 1000000", b"Content-Length: 19000000")
            held = [socket.create_connection(served.address) for _ in range(5)]
            for connection in held:
                connection.sendall(half)
            assert ask(served, post(body(), "Authorization: Bearer secret"))[0] == 200
            assert set(Path(tempfile.gettempdir()).iterdir()) <= before
            for connection in held:
                connection.close()
            status, _, _ = ask(served, post(b"x" * 3_000_000))
            assert status == 401
            # Who waits for the word is told before a byte of the body has come.
            for length, key, expected in ((5, "wrong", 401), (5, "secret", 100), (90_000_000, "secret", 413)):
                head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nExpect: 100-continue\r\n"
                with socket.create_connection(served.address, timeout=30) as connection:
                    connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
                    told = connection.recv(10_000)
                    assert int(told.split()[1]) == expected
                    if expected == 401:
                        assert b'"authentication_error"' in told and connection.recv(10_000) == b""

    def test_more_bodies_than_there_is_room_for_are_asked_to_come_again(self, provider: Provider) -> None:
        text = yaml.safe_load(provider.config("a")) | {"gateway": {"max_held_mb": 1}}
        with Aside(json.dumps(text)) as served:
            status, headers, told = ask(served, post(b'"' + b"x" * 2_000_000 + b'"'))
            assert (status, headers["retry-after"], told["error"]["code"]) == (503, "1", "overloaded")
            assert ask(served, post(body()))[0] == 200

    def test_more_values_than_are_read_are_turned_down_before_they_are_parsed(self, served: Served) -> None:
        parts = [{"type": "text", "text": "a"}] * 30_000
        many = json.dumps({"model": "a", "messages": [{"role": "user", "content": parts}]}).encode()
        status, _, told = ask(served, post(many))
        assert (status, "parts" in told["error"]["message"]) == (400, True)
        status, _, told = ask(served, post(b"[" + b"{}," * 500_000 + b"{}]"))
        assert (status, told["error"]["code"]) == (400, "too_many_values")
        status, _, told = ask(served, post(b"[" + b"1," * 2_000_000 + b"1]"))
        assert (status, told["error"]["code"]) == (400, "too_many_values")


class TestCrowds:
    def test_connections_beyond_the_bound_are_answered_and_none_is_cut(self, provider: Provider) -> None:
        text = yaml.safe_load(provider.config("a")) | {"gateway": {"max_connections": 20}}
        with Aside(json.dumps(text)) as served:
            crowd = [socket.create_connection(served.address, timeout=30) for _ in range(60)]
            for connection in crowd:
                connection.sendall(post(body()))
            got = [response(connection) for connection in crowd]
            assert {status for status, _, _ in got} == {200, 503}
            assert all(headers["retry-after"] == "1" for status, headers, _ in got if status == 503)
            for connection in crowd:
                connection.close()
            # The server hears of each hang-up in its own time.
            until = time.monotonic() + 20
            while (status := ask(served, post(body()))[0]) == 503:
                assert time.monotonic() < until, "there is no room though all have gone"
            assert status == 200

    @pytest.mark.slow
    def test_of_a_thousand_at_once_none_is_cut(self, provider: Provider) -> None:
        provider.default = replace(says(), after=1.0)
        text = yaml.safe_load(provider.config("a")) | {"gateway": {"max_requests": 300}}
        text["backends"]["a"]["max_parallel"] = 300
        with Program(json.dumps(text)) as served:
            told = crowd(served.address, 1_000, post(body()))
        assert set(told) == {"200", "503"} and told.total() == 1_000
        assert told["200"] >= 300


class TestCors:
    def test_only_the_pages_that_are_named_may_ask(self, provider: Provider) -> None:
        text = yaml.safe_load(provider.config("a")) | {"gateway": {"cors_origins": ["https://app.example"]}}
        with Aside(json.dumps(text)) as served:
            status, headers, _ = ask(served, post(body(), "Origin: https://app.example"))
            assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
            assert ask(served, post(body(), "Origin: https://evil.example"))[0] == 403


#: Odd values of every sort; drawn from a list, since hypothesis takes long to put trees of them together.
VALUE: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, -2, -1, 0, 1, 9, 0.5, -1e300, float("inf"), float("nan"), 10**30),
        *(
            "",
            " ",
            "a",
            "\x00",
            "\ud800",
            "\u202e|n",
            "{",
            "null",
            "data:,",
            "data:image/png;base64,AA==",
            "auto",
            "any",
        ),
        *([], {}, [[]], [{}], {"": ""}, [None], ["a", 1], [["a"], {"a": []}], {"a": {"a": {"a": None}}}),
        *({"type": None}, {"type": "text"}, {"type": "text", "text": 1}, {"type": [], "name": {}}, {"name": "a"}),
        *(
            [{"type": "function"}],
            [{"function": None}],
            [{"function": {"name": []}}],
            [{"name": "a", "input_schema": []}],
        ),
        *(
            {"data": 1},
            {"data": "?", "media_type": []},
            {"url": {}},
            {"format": {"type": "json_schema"}},
            {"parts": {}},
        ),
        *(
            [{"functionDeclarations": [1]}],
            {"functionCallingConfig": []},
            {"maxOutputTokens": "a", "stopSequences": [0]},
        ),
    ]
)
ROLE = st.sampled_from(["user", "assistant", "system", "model", "tool"])
BLOCK = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "text",
                "image",
                "tool_use",
                "tool_result",
                "thinking",
                "document",
                "input_text",
                "message",
                "function_call",
                "reasoning",
            ]
        )
    },
    optional={
        **dict.fromkeys(
            [
                "text",
                "source",
                "id",
                "name",
                "input",
                "tool_use_id",
                "content",
                "thinking",
                "signature",
                "call_id",
                "output",
                "arguments",
            ],
            VALUE,
        ),
        "role": ROLE,
    },
)
TURN = st.fixed_dictionaries(
    {"role": ROLE}, optional={"content": VALUE | st.lists(BLOCK, max_size=3), "parts": st.lists(BLOCK)}
)
BODY = st.fixed_dictionaries(
    {"model": st.sampled_from(["auto", "a"])},
    optional={
        "messages": st.lists(TURN, max_size=3) | VALUE,
        "input": st.lists(BLOCK | TURN, max_size=3) | VALUE,
        "contents": st.lists(TURN, max_size=3) | VALUE,
        "prompt": VALUE,
        **dict.fromkeys(
            [
                "system",
                "tools",
                "tool_choice",
                "thinking",
                "output_config",
                "max_tokens",
                "stop_sequences",
                "instructions",
                "text",
                "reasoning",
                "store",
                "generationConfig",
                "toolConfig",
                "systemInstruction",
                "stream",
                "temperature",
                "metadata",
                "previous_response_id",
            ],
            VALUE,
        ),
    },
)


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=examples(400), deadline=None)
@given(node=BODY | VALUE)
def test_every_json_is_understood_or_an_error_of_the_400s(door: str, node: Any) -> None:
    try:
        asked = DOORS[door].read(node, Names(("a",)), Asking())
    except Rejected as rejected:
        assert 400 <= rejected.status < 500
        json.dumps(DOORS[door].error(rejected))
    else:
        # The contrib's door speaks for a character; whoever comes in by another brings the words for the model.
        assert asked.task.turns and asked.task.guided is (door == "generate")


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_every_query_is_read_or_is_none(query: bytes, fields: int) -> None:
    assert isinstance(query_of(query), dict)
    assert query_of(b"&".join([b"a=1"] * fields)) == ({"a": ["1"] * fields} if 0 < fields <= 50 else {})


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60))
def test_every_path_is_a_place(path: bytes) -> None:
    assert Place.of(path).door in DOORS


def test_tides_are_still_there(served: Served) -> None:
    assert (
        ask(served, post(json.dumps({"model": "a", "messages": ASKED}).encode()))[2]["choices"][0]["message"]["content"]
        == TIDES
    )
