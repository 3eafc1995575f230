"""The practice server over real sockets: every scene on every api, bad requests, limits, and a clean end."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.protocol import ClientCreator, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.client import (
    Agent,
    FileBodyProducer,
    HTTPConnectionPool,
    ResponseFailed,
    readBody,
)
from twisted.web.http_headers import Headers

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.core.task import Task
from uniwizard.agent.practice import PracticeServer, Scenario
from uniwizard.agent.practice.samples import sample
from uniwizard.agent.practice.script import Script
from uniwizard.agent.practice.server import BODY_LIMIT, RETRY_AFTER
from uniwizard.agent.practice.sums import sum_in
from uniwizard.agent.wire import decode, decode_probe, encode, probe
from uniwizard.agent.wire.request import WireRequest


class Guest(Protocol):
    """A bare connection that keeps what it receives; ``gone`` fires with the reason of its end."""

    def __init__(self) -> None:
        self.received = b""
        self.gone: Deferred[Any] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(reason.value)


@pytest.mark.filterwarnings("ignore:Using readBody with a transport")  # of a pooled connection
class PracticeCase(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.server = PracticeServer(reactor, slow=0.01)
        self.port = int(self.server.start().rpartition(":")[2])
        self.pool = HTTPConnectionPool(reactor, persistent=True)
        self.agent = Agent(reactor, pool=self.pool)
        self.addCleanup(self.pool.closeCachedConnections)
        self.addCleanup(self.server.stop)

    def backend(self, api: str, key: str = "", api_key: str | None = "fine") -> Backend:
        nameless = Backend(key or api, api, "", "m", api_key=api_key)
        return Backend(key or api, api, self.server.url_for(nameless), "m", api_key=api_key)

    async def send(self, request: WireRequest) -> tuple[int, dict[str, str], bytes]:
        headers = Headers({name: [value] for name, value in request.headers.items()})
        body = FileBodyProducer(BytesIO(request.body)) if request.method == "POST" else None
        response = await self.agent.request(request.method.encode(), request.url.encode(), headers, body)
        received = {name.decode(): values[0].decode() for name, values in response.headers.getAllRawHeaders()}
        return response.code, received, await readBody(response)

    async def ask(self, backend: Backend, task: Task | str = "How do tides work?") -> Answer:
        asked = task if isinstance(task, Task) else Task(task)
        return decode(backend, *await self.send(encode(asked, backend)))

    async def failure(self, backend: Backend, task: Task | str = "How do tides work?") -> AttemptFailed:
        with pytest.raises(AttemptFailed) as failed:
            await self.ask(backend, task)
        return failed.value


class Scenes(PracticeCase):
    async def test_answer_is_labelled_useful_and_counted(self) -> None:
        for api in APIS:
            said = await self.ask(self.backend(api))
            assert said.text.startswith("[practice] Tides rise"), api
            assert said.model == "practice/m"
            assert said.finish_reason == "stop"
            assert said.usage is not None and said.usage.input_tokens > 0 < said.usage.output_tokens

    async def test_refuse_is_prose_in_a_fine_response(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "refuse")
            said = await self.ask(self.backend(api))
            assert said.text.removeprefix("[practice] ") in Script.from_file().refusals, api
            assert (said.declined, said.finish_reason) == (None, "stop")

    async def test_decline_is_the_apis_own_field_where_it_has_one(self) -> None:
        sources = {}
        for api in APIS:
            self.server.set_scenario(api, "decline")
            said = await self.ask(self.backend(api))
            sources[api] = said.declined.source if said.declined else "prose"
        assert sources == {
            "openai": "message.refusal",
            "anthropic": "stop_reason",
            "gemini": "finishReason",
            "ollama": "prose",
        }

    async def test_hedge_says_nothing_at_length_and_empty_nothing_at_all(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "hedge")
            assert len((await self.ask(self.backend(api))).text) > 200
            self.server.set_scenario(api, "empty")
            assert (await self.ask(self.backend(api))).text == ""

    async def test_503_and_429_are_the_providers_own_errors(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "503")
            assert (await self.failure(self.backend(api))).failure is FailureCode.OVERLOADED, api
            self.server.set_scenario(api, "429")
            failed = await self.failure(self.backend(api))
            assert (failed.failure, failed.retry_after) == (FailureCode.RATE_LIMITED, RETRY_AFTER), api

    async def test_slow_answers_in_the_end(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "slow")
            assert (await self.ask(self.backend(api))).text.startswith("[practice] "), api

    async def test_cut_breaks_off_in_the_middle_of_the_body(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "cut")
            request = encode(Task("How do tides work?"), self.backend(api))
            head = [
                f"POST {request.url.removeprefix(self.server.url)} HTTP/1.1",
                "host: x",
                f"content-length: {len(request.body)}",
            ]
            guest = await ClientCreator(reactor, Guest).connectTCP("127.0.0.1", self.port)
            guest.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + request.body)
            reason = await guest.gone
            head_received, _, body = guest.received.partition(b"\r\n\r\n")
            declared = re.search(rb"content-length: (\d+)", head_received.lower())
            assert declared is not None
            assert 0 < len(body) < int(declared[1]), api
            assert isinstance(reason, ConnectionLost), "aborted, not closed in good order"

    async def test_silent_never_answers_and_lets_go_of_a_client_that_leaves(self) -> None:
        for api in APIS:
            self.server.set_scenario(api, "silent")
            request = encode(Task("x"), self.backend(api))
            waiting = self.agent.request(
                b"POST", request.url.encode(), Headers(), FileBodyProducer(BytesIO(request.body))
            )
            waiting.addTimeout(0.1, reactor)
            with pytest.raises((TimeoutError, ResponseFailed)):
                await waiting
            assert self.server.seen[api].count == 1

    async def test_scenes_belong_to_keys_and_not_to_each_other(self) -> None:
        self.server.set_scenario("claude", "503")
        assert (await self.ask(self.backend("anthropic", "sonnet"))).text
        assert (await self.failure(self.backend("anthropic", "claude"))).failure is FailureCode.OVERLOADED
        self.server.set_scenario("claude", Scenario.ANSWER)
        assert (await self.ask(self.backend("anthropic", "claude"))).text

    def test_a_word_that_is_no_scene_is_turned_down_with_those_that_are(self) -> None:
        with pytest.raises(
            ValueError, match=r"'sulk'.*answer, refuse, decline, hedge, lie, empty, 503, 429, slow, cut, stall, silent"
        ):
            self.server.set_scenario("claude", "sulk")
        assert "claude" not in self.server.scenarios


class Requests(PracticeCase):
    async def test_seen_counts_every_request_and_keeps_the_latest(self) -> None:
        backend = self.backend("openai", "gpt")
        for number in range(12):
            await self.ask(backend, f"question {number}")
        seen = self.server.seen["gpt"]
        assert seen.count == 12
        assert len(seen.bodies) < 12
        assert b"question 11" in seen.bodies[-1]
        assert seen.headers[-1]["user-agent"] == "llm-client/1.0"
        assert seen.paths[-1] == "/gpt/v1/chat/completions"

    async def test_any_key_of_a_config_has_an_address(self) -> None:
        for key in ("my backend", "a/b", "größe", "v1", "100%"):
            assert (await self.ask(self.backend("gemini", key))).text.startswith("[practice]")
            assert self.server.seen[key].count == 1

    async def test_a_schema_is_honoured(self) -> None:
        schema = {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 3}, "tags": {"type": "array", "items": {"enum": ["a"]}}},
            "required": ["n", "tags"],
            "additionalProperties": False,
        }
        for api in APIS:
            said = json.loads((await self.ask(self.backend(api), Task("three", schema=schema))).text)
            assert set(said) == {"n", "tags"}, api
            assert said["tags"] == ["a"]

    async def test_sums_are_worked_out(self) -> None:
        for api in APIS:
            assert (await self.ask(self.backend(api), "what is 17*23?")).text == "[practice] 17*23 = 391."

    async def test_probes_succeed_unless_the_key_is_bad_or_the_backend_is_down(self) -> None:
        for api in APIS:
            backend = self.backend(api)
            decode_probe(backend, *await self.send(probe(backend)))
            with pytest.raises(AttemptFailed) as failed:
                decode_probe(backend, *await self.send(probe(self.backend(api, api_key="bad-key"))))
            assert failed.value.failure is FailureCode.AUTH
            assert (await self.failure(self.backend(api, api_key="bad-key"))).failure is FailureCode.AUTH
            self.server.set_scenario(api, "refuse")
            decode_probe(backend, *await self.send(probe(backend)))
            self.server.set_scenario(api, "503")
            with pytest.raises(AttemptFailed) as failed:
                decode_probe(backend, *await self.send(probe(backend)))
            assert failed.value.failure is FailureCode.OVERLOADED

    async def test_a_request_that_cannot_be_read_gets_the_providers_400(self) -> None:
        bodies = [b"", b"{", b"[]", b"5", b'{"model": 5}', b'{"messages": 5, "contents": 5}', b"\xff", b"[" * 100_000]
        bodies += [
            b'{"model":"m","messages":[{"content":"x"}],"contents":[5]}',
        ]
        for api in APIS:
            good = encode(Task("x"), self.backend(api))
            for body in bodies:
                answer = await self.send(WireRequest("POST", good.url, good.headers, body))
                assert answer[0] == 400, (api, body)
                with pytest.raises(AttemptFailed) as failed:
                    decode(self.backend(api), *answer)
                assert failed.value.failure is FailureCode.BAD_REQUEST

    async def test_an_unknown_address_gets_a_404_body(self) -> None:
        for method, rest in (("GET", ""), ("GET", "/k"), ("POST", "/k/v1/embeddings"), ("DELETE", "/k/v1/models")):
            status, _, body = await self.send(WireRequest(method, self.server.url + rest, {}))
            assert status == 404
            assert json.loads(body)["error"]["message"]

    async def test_a_request_over_the_limit_gets_413_and_is_not_kept(self) -> None:
        good = encode(Task("x"), self.backend("openai"))
        answer = await self.send(WireRequest("POST", good.url, good.headers, b" " * (BODY_LIMIT + 1)))
        assert answer[0] == 413
        assert self.server.seen["openai"].bodies[-1] == b""


class Stopping(TestCase):
    timeout = 30

    async def test_stop_closes_the_port_and_every_open_connection(self) -> None:
        server = PracticeServer(reactor)
        url = server.start()
        assert url == server.start() == server.url
        port = int(url.rpartition(":")[2])

        idle = await ClientCreator(reactor, Guest).connectTCP("127.0.0.1", port)
        waiting = await ClientCreator(reactor, Guest).connectTCP("127.0.0.1", port)
        server.set_scenario("k", "silent")
        waiting.transport.write(b"GET /k/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        await server.stop()
        await idle.gone
        await waiting.gone
        with pytest.raises(ConnectionRefusedError):
            await ClientCreator(reactor, Guest).connectTCP("127.0.0.1", port)
        with pytest.raises(RuntimeError):
            _ = server.url
        await server.stop()

    async def test_a_stopped_server_starts_again(self) -> None:
        server = PracticeServer(reactor)
        server.start()
        await server.stop()
        assert server.start().startswith("http://127.0.0.1:")
        await server.stop()


@pytest.mark.parametrize(
    ("question", "worked"),
    [
        ("what is 17*23", "17*23 = 391."),
        ("2+2", "2+2 = 4."),
        ("What is 10 / 4?", "10 / 4 = 2.5."),
        ("what is 3 plus 4 times 2?", "3 + 4 * 2 = 11."),
        ("compute (1+2)^3", "(1+2)**3 = 27."),
        ("how much is 6 x 7?", "6*7 = 42."),
        ("9**9**9", None),
        ("99999999999999*99999999999999", None),
        ("1/0", None),
        ("what happened on 2024-10-24?", None),
        ("3", None),
        ("call 555 now", None),
        ("2+" * 500 + "2", None),
        ("(((((((", None),
    ],
)
def test_sums_are_right_or_left_alone(question: str, worked: str | None) -> None:
    assert sum_in(question) == worked


@settings(max_examples=examples(200), deadline=None)
@given(
    st.integers(0, 9999),
    st.sampled_from(["+", "-", "*", "/", "x", " times ", "^"]),
    st.integers(1, 99),
    st.sampled_from(["{} {}", "{1} {0}", "{}{}", "is the {} {}?", "what about {1} in {0}?"]),
    st.sampled_from(["war", "score", "grid", "route", "pixels", "q", "flight", "Krieg", "wojna", "guerra"]),
)
def test_numbers_in_any_other_sentence_are_no_sum(left: int, sign: str, right: int, put: str, word: str) -> None:
    written = f"{left}{sign}{right}"
    assert sum_in(put.format(word, written)) is None
    assert sign == "^" or sum_in(f"how much is {written}, please?") is not None


SCHEMAS: list[Any] = [
    {"type": "string", "minLength": 20},
    {"type": "string", "maxLength": 3},
    {"type": "string", "format": "date"},
    {"type": "integer", "exclusiveMinimum": 5},
    {"type": "integer", "maximum": -2},
    {"type": "integer", "multipleOf": 7, "minimum": 8},
    {"type": "number", "minimum": 0.5, "maximum": 0.75},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "array", "items": {"type": "number"}, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]},
    {"enum": ["x", 1]},
    {"const": None},
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}, {"required": ["a"]}]},
    {
        "$defs": {
            "node": {
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
        "$ref": "#/$defs/node",
    },
    {},
    True,
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_sample_of_a_schema_satisfies_it(schema: Any) -> None:
    Draft202012Validator(schema).validate(sample(schema))


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, {"$ref": "#/no"}]
)
def test_a_schema_without_end_still_ends(schema: Any) -> None:
    sample(schema)


def test_the_script_says_the_same_to_the_same_and_not_always_the_same() -> None:
    script = Script.from_file()
    assert script.refusal("a") == script.refusal("a")
    assert len({script.refusal(str(n)) for n in range(50)}) == len(script.refusals) > 3
    assert script.answer("Explain how boats float") == script.answer("Explain how boats float")


def test_a_reply_never_takes_up_a_refusing_word_of_the_question() -> None:
    said = Script.from_file().answer("Explain why you refuse and cannot, unable, sorry {topic} boats").lower()
    assert "boats" in said
    assert not [word for word in ("refuse", "cannot", "unable", "sorry", "{") if word in said]
