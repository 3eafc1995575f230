"""The stream decoders: every stream in every split, cut anywhere, with something broken in it, or no stream at all."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from typing import Any

import pytest
from examples import examples
from fake_llm.streams import candidate, chunk, line, message, ndjson, sse
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_streams import RECORDED, Recorded

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.core.task import Task
from uniwizard.agent.wire import StreamDecoder, encode, stream_decoder
from uniwizard.agent.wire.framing import MAX_EVENT, Event, EventStream, ObjectStream
from uniwizard.agent.wire.stream import MAX_TEXT

every_stream = pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
BACKENDS = {api: Backend("b", api, "http://127.0.0.1:1/v1", "m") for api in APIS}
HUNDREDS = settings(max_examples=examples(int(os.environ.get("EXAMPLES", "150"))), deadline=None)


def decoded(backend: Backend, *pieces: bytes) -> tuple[Answer, str]:
    """The answer in ``pieces``, and the text that was given on the way."""
    decoder = stream_decoder(backend)
    given = "".join("".join(decoder.feed(piece)) for piece in pieces)
    return decoder.finish(), given


def failure_of(backend: Backend, *pieces: bytes) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        print(decoded(backend, *pieces))
    return caught.value


def splits(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """``data`` cut into pieces, anywhere."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=40).map(cut)


# -- whole -----------------------------------------------------------------------------------------------------------


@every_stream
def test_a_stream_brings_the_answer_that_was_sent(recorded: Recorded) -> None:
    answer, given = decoded(recorded.backend, recorded.data)
    assert answer == recorded.answer
    assert given == recorded.answer.text


@every_stream
def test_byte_by_byte_it_is_the_same(recorded: Recorded) -> None:
    pieces = [bytes([byte]) for byte in recorded.data]
    assert decoded(recorded.backend, *pieces) == (recorded.answer, recorded.answer.text)


@every_stream
@HUNDREDS
@given(data=st.data())
def test_in_every_split_it_is_the_same(recorded: Recorded, data: st.DataObject) -> None:
    pieces = data.draw(splits(recorded.data))
    assert decoded(recorded.backend, *pieces) == (recorded.answer, recorded.answer.text)


@every_stream
def test_cut_at_any_byte_it_is_whole_only_where_its_words_are(recorded: Recorded) -> None:
    wholes = 0
    for cut in range(len(recorded.data)):
        try:
            answer, given = decoded(recorded.backend, recorded.data[:cut])
        except AttemptFailed as failed:
            assert failed.failure is FailureCode.MALFORMED
            continue
        wholes += 1
        # What may be lost is the sentinel, and the usage that comes after the words.
        assert (answer.text, answer.finish_reason, answer.tool_calls) == (
            recorded.answer.text,
            recorded.answer.finish_reason,
            recorded.answer.tool_calls,
        ), recorded.data[:cut]
        assert recorded.answer.text.startswith(given)
    tail = recorded.data[len(recorded.data) - wholes :]
    assert b'"text"' not in tail or recorded.api == "gemini", "words were lost and nobody noticed"


@every_stream
def test_what_is_given_on_the_way_is_always_the_beginning_of_the_answer(recorded: Recorded) -> None:
    decoder = stream_decoder(recorded.backend)
    given = ""
    for byte in recorded.data:
        given += "".join(decoder.feed(bytes([byte])))
        assert recorded.answer.text.startswith(given)


def test_a_half_sentinel_is_no_matter() -> None:
    data = sse(chunk({"content": "High at noon."}), chunk({}, "stop"))
    assert decoded(BACKENDS["openai"], data + b"data: [DO")[0].text == "High at noon."


def test_a_sentinel_without_a_reason_is_an_end() -> None:
    answer, _ = decoded(BACKENDS["openai"], sse(chunk({"content": "High at noon."}), "[DONE]"))
    assert (answer.text, answer.finish_reason) == ("High at noon.", "other")


def test_what_follows_the_sentinel_is_nobodys_business() -> None:
    data = sse(chunk({"content": "Noon."}), chunk({}, "stop"), "[DONE]", chunk({"content": " And more."}))
    assert decoded(BACKENDS["openai"], data)[0].text == "Noon."


def test_the_first_choice_is_the_answer() -> None:
    other = chunk({"content": "other"})
    other["choices"][0]["index"] = 1
    data = sse(chunk({"content": "first"}), other, chunk({}, "stop"), "[DONE]")
    assert decoded(BACKENDS["openai"], data)[0].text == "first"


def test_a_byte_order_mark_is_passed_over() -> None:
    for recorded in RECORDED:
        assert decoded(recorded.backend, b"\xef", b"\xbb\xbf" + recorded.data)[0] == recorded.answer


def test_usage_is_known_as_soon_as_it_is_reported() -> None:
    decoder = stream_decoder(BACKENDS["anthropic"])
    assert decoder.usage is None
    decoder.feed(sse(message(), names=True))
    assert decoder.usage is not None and decoder.usage.input_tokens == 12


def test_thoughts_count_as_tokens_but_comments_and_pings_do_not() -> None:
    for recorded in RECORDED:
        if "thoughts" in recorded.name:
            decoder = stream_decoder(recorded.backend)
            for byte in recorded.data:
                if decoder.feed(bytes([byte])):
                    break
            assert decoder.tokens >= 2, recorded.name
    decoder = stream_decoder(BACKENDS["anthropic"])
    decoder.feed(b": hello\n\n" + sse(message(), {"type": "ping"}, names=True))
    assert decoder.tokens == 0


# -- broken ----------------------------------------------------------------------------------------------------------


STRANGE = (b"data: {not json\n\n", b"data:\n\n", b"data: 5\n\n", b"data: null\n\n", b'data: "x"\n\n', b"data: [1]\n\n")


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_something_that_is_no_part_of_the_stream_is_passed_over(strange: bytes, place: int) -> None:
    events = [sse(chunk({"content": "High "})), sse(chunk({"content": "at noon."})), sse(chunk({}, "stop"))]
    data = b"".join([*events[:place], strange, *events[place:]])
    assert decoded(BACKENDS["openai"], data)[0].text == "High at noon."


@pytest.mark.parametrize("cut", [2, 6, 30, 100, -3])
@pytest.mark.parametrize("place", [0, 1])
def test_a_broken_part_of_the_answer_breaks_the_answer(cut: int, place: int) -> None:
    events = [sse(chunk({"content": "High "})), sse(chunk({"content": "at noon."})), sse(chunk({}, "stop"))]
    half = events[place].strip()[: cut + 6 if cut > 0 else cut] + b"\n\n"
    data = b"".join([*events[:place], half, *events[place + 1 :]])
    failed = failure_of(BACKENDS["openai"], data)
    assert (failed.failure, failed.reason) == (FailureCode.MALFORMED, "HTTP 200: an event is broken")


def test_what_is_broken_after_the_finish_reason_takes_nothing_away() -> None:
    data = sse(chunk({"content": "Noon."}), chunk({}, "stop"), '{"id":"chatcmpl-7","usa', chunk(usage="x"), "[DONE]")
    answer, _ = decoded(BACKENDS["openai"], data)
    assert (answer.text, answer.usage) == ("Noon.", None)


def test_a_ping_may_hold_anything() -> None:
    recorded = next(recorded for recorded in RECORDED if recorded.api == "anthropic")
    start, *rest = recorded.data.split(b"\n\n")
    data = b"\n\n".join([start, b'event: ping\ndata: {"type": "pi', *rest])
    assert decoded(recorded.backend, data)[0] == recorded.answer


def test_a_part_of_the_wrong_shape_is_malformed() -> None:
    for delta in ({"content": 5}, {"content": "x", "tool_calls": "y"}, {"refusal": [1]}):
        assert failure_of(BACKENDS["openai"], sse(chunk(delta), chunk({}, "stop"))).failure is FailureCode.MALFORMED


@pytest.mark.parametrize(
    ("api", "error", "failure"),
    [
        ("openai", sse({"error": {"message": "overloaded", "type": "server_error", "code": 503}}), "server_error"),
        ("openai", sse({"error": {"code": "rate_limit_exceeded", "message": "slow down"}}), "rate_limited"),
        ("openai", sse({"error": {"code": "context_length_exceeded", "message": ""}}), "context_overflow"),
        ("openai", b'event: error\ndata: {"message": "boom"}\n\n', "malformed"),
        ("anthropic", sse({"type": "error", "error": {"type": "overloaded_error"}}, names=True), "overloaded"),
        ("gemini", sse({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}), "overloaded"),
        ("gemini", b'data: {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}\n\n', "rate_limited"),
        ("ollama", ndjson({"error": "server busy, please try again"}), "overloaded"),
    ],
)
def test_an_error_in_the_stream_is_that_failure_at_once(api: str, error: bytes, failure: str) -> None:
    begun = {
        "openai": sse(chunk({"content": "High at "})),
        "anthropic": sse(message(), names=True),
        "gemini": sse(candidate({"text": "High at "})),
        "ollama": ndjson(line("High at ")),
    }[api]
    for before in (b"", begun):
        decoder = stream_decoder(BACKENDS[api])
        with pytest.raises(AttemptFailed) as caught:
            decoder.feed(before + error)
        assert caught.value.failure == failure


def test_a_block_by_the_filter_is_a_content_filter() -> None:
    blocked = sse({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "g"})
    assert failure_of(BACKENDS["gemini"], blocked).failure is FailureCode.CONTENT_FILTER
    stopped = sse(chunk({"role": "assistant", "content": ""}), chunk({}, "content_filter"), "[DONE]")
    assert failure_of(BACKENDS["openai"], stopped).failure is FailureCode.CONTENT_FILTER


# -- no stream at all ------------------------------------------------------------------------------------------------


PLAIN = {
    "openai": {"model": "m", "choices": [{"message": {"content": "Noon."}, "finish_reason": "stop"}]},
    "anthropic": {"model": "m", "content": [{"type": "text", "text": "Noon."}], "stop_reason": "end_turn"},
    "gemini": {"candidates": [{"content": {"parts": [{"text": "Noon."}]}, "finishReason": "STOP"}]},
    "ollama": {"model": "m", "message": {"content": "Noon."}, "done": True, "done_reason": "stop"},
}


#: Ollama's stream is JSON as well, one object a line, so an answer of its has no form with more lines.
FORMS = [*((api, None) for api in APIS), *((api, 2) for api in APIS if api != "ollama")]


@pytest.mark.parametrize(("api", "indent"), FORMS)
def test_an_answer_in_one_piece_is_an_answer(api: str, indent: int | None) -> None:
    data = json.dumps(PLAIN[api], indent=indent).encode()
    assert decoded(BACKENDS[api], data[:20], data[20:])[0].text == "Noon."


@pytest.mark.parametrize("api", APIS)
def test_an_error_object_in_a_200_is_that_error(api: str) -> None:
    for data in (b'{"error": {"message": "boom", "code": 500}}', b'{\n "error": {\n  "code": 500\n }\n}'):
        assert failure_of(BACKENDS[api], data).failure in (FailureCode.SERVER_ERROR, FailureCode.MALFORMED)


@pytest.mark.parametrize("api", APIS)
def test_a_web_page_and_nothing_at_all_are_malformed(api: str) -> None:
    page = b"<!doctype html>\n<html><head><title>Bad gateway</title></head></html>\n"
    failed = failure_of(BACKENDS[api], page)
    assert failed.failure is FailureCode.MALFORMED and "Bad gateway" in failed.reason
    for data in (b"", b"\n\n", b": nothing\n\n", b"data: \n\n"):
        assert failure_of(BACKENDS[api], data).failure is FailureCode.MALFORMED


# -- whatever anyone sends -------------------------------------------------------------------------------------------


def survives(decoder: StreamDecoder, pieces: list[bytes]) -> None:
    try:
        for piece in pieces:
            assert all(isinstance(said, str) for said in decoder.feed(piece))
        assert isinstance(decoder.finish(), Answer)
    except AttemptFailed as failed:
        assert "\n" not in failed.reason


@pytest.mark.parametrize("api", APIS)
@HUNDREDS
@given(pieces=st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_are_an_answer_or_a_failure(api: str, pieces: list[bytes]) -> None:
    survives(stream_decoder(BACKENDS[api]), pieces)


@every_stream
@HUNDREDS
@given(data=st.data())
def test_a_stream_with_anything_changed_is_an_answer_or_a_failure(recorded: Recorded, data: st.DataObject) -> None:
    broken = bytearray(recorded.data)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(broken)))
        end = min(len(broken), start + data.draw(st.integers(0, 30)))
        broken[start:end] = data.draw(st.binary(max_size=30))
    survives(stream_decoder(recorded.backend), [bytes(broken)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["choices", "delta", "content", "index", "tool_calls", "function", "arguments", "finish_reason", "usage",
         "type", "message", "content_block", "text", "partial_json", "candidates", "parts", "finishReason", "error",
         "done", "usageMetadata", "logprobs", "id", "name"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("api", APIS)
@HUNDREDS
@given(nodes=st.lists(JSON, max_size=5))
def test_any_json_is_an_answer_or_a_failure(api: str, nodes: list[Any]) -> None:
    survives(stream_decoder(BACKENDS[api]), [ndjson(*nodes) if api == "ollama" else sse(*nodes, "[DONE]")])


def test_one_event_without_end_is_malformed_and_not_kept() -> None:
    for api in APIS:
        decoder = stream_decoder(BACKENDS[api])
        with pytest.raises(AttemptFailed) as caught:
            for _ in range(MAX_EVENT // 65536 + 2):
                decoder.feed(b"x" * 65536)
        assert caught.value.failure is FailureCode.MALFORMED


def test_words_without_end_are_malformed() -> None:
    decoder = stream_decoder(BACKENDS["ollama"])
    piece = ndjson(line("x" * 100_000))
    with pytest.raises(AttemptFailed) as caught:
        for _ in range(MAX_TEXT // 100_000 + 2):
            decoder.feed(piece)
    assert "larger than any answer" in caught.value.reason


# -- lines -----------------------------------------------------------------------------------------------------------


@given(data=st.data(), events=st.lists(st.tuples(st.text("ab", max_size=3), st.lists(st.text("x: {}", max_size=5), min_size=1, max_size=3)), max_size=4))  # fmt: skip  # noqa: E501
@HUNDREDS
def test_events_are_the_same_in_every_split_and_with_every_line_end(
    data: st.DataObject, events: list[tuple[str, list[str]]]
) -> None:
    written, meant = b"", []
    for name, lines in events:
        end = data.draw(st.sampled_from([b"\n", b"\r", b"\r\n"]))
        rows = [f"event: {name}"] * bool(name) + [": comment", "id: 7"] + [f"data: {text}" for text in lines]
        written += b"".join(row.encode() + end for row in [*rows, ""])
        meant.append(Event(name, "\n".join(lines).encode()))
    stream = EventStream()
    heard = [event for piece in data.draw(splits(written)) for event in stream.feed(piece)]
    assert heard + stream.rest() == meant


@given(data=st.data(), rows=st.lists(st.text("x{}", min_size=1, max_size=5), max_size=5))
@HUNDREDS
def test_objects_are_the_same_in_every_split(data: st.DataObject, rows: list[str]) -> None:
    written = b"".join(row.encode() + data.draw(st.sampled_from([b"\n", b"\r", b"\r\n"])) for row in rows)
    stream = ObjectStream()
    heard = [event.data.decode() for piece in data.draw(splits(written)) for event in stream.feed(piece)]
    assert heard + [event.data.decode() for event in stream.rest()] == rows


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_stream_is_asked_for_in_each_apis_way() -> None:
    for api in APIS:
        request = encode(Task("x"), BACKENDS[api], stream=True)
        if api == "gemini":
            assert request.url.endswith("/models/m:streamGenerateContent?alt=sse")
            assert "stream" not in json.loads(request.body)
        else:
            assert json.loads(request.body)["stream"] is True
        plain = encode(Task("x"), BACKENDS[api])
        assert "stream_options" not in json.loads(plain.body)


@pytest.mark.parametrize(
    ("url", "options", "asked"),
    [
        ("https://api.openai.com/v1", {}, True),
        ("https://mine.openai.azure.com/openai/v1", {}, True),
        ("http://127.0.0.1:8080/v1", {}, True),
        ("https://api.mistral.ai/v1", {}, False),
        ("https://api.mistral.ai/v1", {"stream_options": {"include_usage": True}}, True),
        ("https://api.openai.com/v1", {"stream_options": None}, False),
    ],
)
def test_usage_is_asked_for_where_the_question_is_understood(url: str, options: dict[str, Any], asked: bool) -> None:
    backend = Backend("b", "openai", url, "m", options=options)
    body = json.loads(encode(Task("x"), backend, stream=True).body)
    assert ("stream_options" in body) is asked
    assert "stream_options" not in json.loads(encode(Task("x"), backend).body)


def test_text_of_a_block_that_holds_none_is_no_part_of_the_answer() -> None:
    """Found by fuzzing: it was given on the way and missing in the end."""
    start = {"type": "message_start", "message": {"role": "assistant", "content": [], "model": "m", "usage": {}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "1", "name": "f"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
    backend = Backend("k", "anthropic", "http://x", "m")
    assert failure_of(backend, sse(start, block, delta, stop)).failure is FailureCode.MALFORMED
