"""Feeds every decoder of the brain with bytes nobody meant, and holds what comes out against the contract.

    make fuzz                              ten minutes of CPU
    make fuzz FUZZ_SECONDS=60
    python tests/fuzz/fuzz_decoders.py --seconds 60 [--seed 1] [--plain]

The contract is that of ``tests/agent/hostile.py``; besides, a decoder ends, and holds no more memory than a small
multiple of what it was given.

With atheris (coverage-guided, libFuzzer) a finding is written to .uniwizard/fuzz/ and the process ends with its trace;
without it, or with --plain, the same mutations run unguided. Both begin with an answer of every api and change its
JSON a node at a time, or its bytes. Streams are fed in pieces cut anywhere.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "agent")]

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None and __name__ == "__main__" and "--plain" not in sys.argv:
    with atheris.instrument_imports(include=["uniwizard.agent.wire", "uniwizard.agent.core.failures"]):
        import uniwizard.agent.wire as wire
else:
    import uniwizard.agent.wire as wire

from hostile import ANSWERS, KEY, NAMES, check_answer, check_failure  # noqa: E402

from uniwizard.agent.core.backend import APIS, Backend  # noqa: E402
from uniwizard.agent.core.failures import AttemptFailed  # noqa: E402

FINDINGS = ROOT / ".uniwizard" / "fuzz"
BACKENDS = [Backend("k", api, "http://127.0.0.1", "m", api_key=KEY) for api in APIS]
STATUSES = [200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 408, 413, 429, 500, 503, 529, 0, 999]

#: Bytes of memory that decoding may hold at its peak: a fixed part, and so many for each byte of input. Python's own
#: objects are the multiple: an empty object is two bytes on the wire and 64 in memory.
FIXED, PER_BYTE = 3_000_000, 400

#: The streaming decoders, where this brain has them.
stream_decoder: Callable[..., Any] | None = getattr(wire, "stream_decoder", None)

COMPLAINTS: list[Any] = [
    {"error": {"message": f"Incorrect API key provided: {KEY}", "type": "invalid_request_error", "code": "401"}},
    {"error": {"code": 400, "innererror": {"code": "x", "content_filter_result": {"hate": {"filtered": True}}}}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "3.5s"}]}}],
    {"error": "model 'm' not found"},
    {"object": "error", "message": "maximum context length", "code": 40303},
]


def _stream(*events: Any, named: bool = False, done: bool = False) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event.get('type', 'x')}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n")
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


STREAMS: dict[str, bytes] = {
    "openai": _stream(
        {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hé"}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f"}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        done=True,
    ),
    "anthropic": _stream(
        {"type": "message_start", "message": {"model": "m", "content": [], "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hé"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "1", "name": "f"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
        named=True,
    ),
    "gemini": _stream(
        {"candidates": [{"content": {"parts": [{"text": "hé"}]}}], "modelVersion": "m"},
        {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1}},
    ),
    "ollama": b'{"model":"m","message":{"content":"h\xc3\xa9"},"done":false}\n'
    b'{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","eval_count":1}\n',
}

#: What replaces a node of an answer, or a name in it.
ODD: list[Any] = [
    None, True, False, 0, -1, 5, 0.5, 1e308, 10**30, "", " ", "x" * 300, "\ud800", KEY, "429", "<think>", "[DONE]", [],
    {}, [[]], [5], [None], {"a": 1}, {"error": {}}, {"error": KEY}, "content_filter", "refusal", "SAFETY", "tool_calls",
    "data: x\n\n", "\u2028", [[[[[[[[]]]]]]]],
]  # fmt: skip


def seeds() -> Iterator[bytes]:
    """Inputs to begin with: a byte for the api, one for the status, one for the way, then the body."""
    for number, api in enumerate(APIS):
        body = json.dumps(ANSWERS[api]).encode()
        yield bytes([number, 0, 0]) + body
        yield bytes([number, 0, 1]) + STREAMS[api]
        for status, complaint in enumerate(COMPLAINTS):
            yield bytes([number, status + 6, status % 2]) + json.dumps(complaint).encode()


def one_input(data: bytes) -> None:
    """Decode once each way; raises AssertionError, or whatever a decoder should not have raised."""
    if len(data) < 3:
        return
    backend = BACKENDS[data[0] % len(BACKENDS)]
    status = STATUSES[data[1] % len(STATUSES)]
    headers = {"retry-after": data[3:9].decode("latin-1")} if data[2] & 4 else {}
    body = data[3:]
    if data[2] & 1 and stream_decoder is not None:
        fed_in_pieces(backend, body, cut=data[2] >> 3)
        return
    try:
        answer = wire.decode(backend, status, headers, body)
    except AttemptFailed as failed:
        check_failure(failed)
    else:
        check_answer(answer, body)
    try:
        wire.decode_probe(backend, status, headers, body)
    except AttemptFailed as failed:
        check_failure(failed)


def fed_in_pieces(backend: Backend, body: bytes, cut: int) -> None:
    """The body through the streaming decoder, ``cut`` bytes at a time, must come out as it does all at once."""
    whole, pieces = (streamed(backend, body, size) for size in (len(body) or 1, cut or 1))
    assert whole == pieces, f"cut into pieces of {cut or 1}: {pieces}; in one: {whole}"


def streamed(backend: Backend, body: bytes, size: int) -> object:
    """What became of ``body`` in pieces of ``size`` bytes: the Answer, or the failure and its reason."""
    assert stream_decoder is not None
    decoder = stream_decoder(backend)
    said: list[str] = []
    try:
        for at in range(0, len(body), size):
            said += decoder.feed(body[at : at + size])
        answer = decoder.finish()
    except AttemptFailed as failed:
        check_failure(failed)
        return failed.failure, failed.reason
    check_answer(answer, body)
    assert answer.text.startswith("".join(said)), "what was heard is not how the answer begins"
    return answer


def bounded(data: bytes) -> None:
    """:func:`one_input`, and the memory it held at its peak."""
    tracemalloc.start()
    try:
        one_input(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= FIXED + PER_BYTE * len(data), f"{peak} bytes of memory for {len(data)} of input"


# -- mutations ---------------------------------------------------------------------------------------------------


def mutated(data: bytes, chance: random.Random) -> bytes:
    """``data`` with its JSON changed in a node or two, or its bytes; the first three bytes now and then too."""
    head, body = bytearray(data[:3].ljust(3, b"\0")), data[3:]
    if chance.random() < 0.1:
        head[chance.randrange(3)] = chance.randrange(256)
    lines = body.split(b"\n")
    chosen = chance.randrange(len(lines))
    line = lines[chosen]
    start = b"data: " if line.startswith(b"data: ") else b""
    try:
        node = json.loads(line[len(start) :])
    except (ValueError, RecursionError):
        node = None
    if node is not None and chance.random() < 0.7:
        for _ in range(chance.randrange(1, 4)):
            node = changed(node, chance)
        lines[chosen] = start + json.dumps(node).encode("utf-8", "surrogatepass")
    elif chance.random() < 0.3:
        other = chance.randrange(len(lines))
        lines[chosen], lines[other] = lines[other], lines[chosen]
    else:
        lines[chosen] = scrambled(line, chance)
    return bytes(head) + b"\n".join(lines)


def changed(node: Any, chance: random.Random) -> Any:
    """``node`` with one node in it replaced, renamed, doubled or taken away."""
    if isinstance(node, dict) and node and chance.random() < 0.85:
        key = chance.choice(list(node))
        whole = dict(node)
        match chance.randrange(8):
            case 0:
                del whole[key]
            case 1:
                whole[chance.choice(NAMES)] = whole.pop(key)
            case 2:
                whole[chance.choice(NAMES)] = chance.choice(ODD)
            case _:
                whole[key] = changed(node[key], chance)
        return whole
    if isinstance(node, list) and node and chance.random() < 0.85:
        index = chance.randrange(len(node))
        match chance.randrange(6):
            case 0:
                return node[:index] + node[index + 1 :]
            case 1:
                return node[:index] + [node[index]] * chance.choice((2, 50)) + node[index:]
            case _:
                return [*node[:index], changed(node[index], chance), *node[index + 1 :]]
    return chance.choice(ODD)


def scrambled(line: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(line) + 1)
    match chance.randrange(6):
        case 0:
            return line[:at]
        case 1:
            return line[:at] + bytes([chance.randrange(256)]) + line[at + 1 :]
        case 2:
            return line[:at] + chance.choice([b"\r", b"\n", b"\r\n", b"\n\n", b"\xff", b"\xc3", b"\0"]) + line[at:]
        case 3:
            return line[:at] + b"[" * chance.choice((1, 100, 3000)) + line[at:]
        case 4:
            return line[:at] + chance.choice([b"1e999", b"NaN", b"9" * 5000, b"\\ud800", b'"', b"data:"]) + line[at:]
        case _:
            return line + line[:at]


# -- the two ways to run -----------------------------------------------------------------------------------------


def guided(seconds: int, seed: int) -> None:
    corpus = FINDINGS / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(body)
    words = FINDINGS / "words.dict"
    words.write_text("".join(f'"\\"{name}\\""\n' for name in NAMES))

    def mutate(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, chance)[:most]

    options = [
        sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=20000", "-timeout=10",
        "-rss_limit_mb=1024", f"-artifact_prefix={FINDINGS}/", f"-dict={words}", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup(options, one_input, custom_mutator=mutate)
    atheris.Fuzz()


def unguided(seconds: int, seed: int) -> int:
    """The same mutations without a guide; returns how many inputs were decoded."""
    chance = random.Random(seed)
    pool = list(seeds())
    done = 0
    end = time.process_time() + seconds
    while time.process_time() < end:
        data = chance.choice(pool)
        for _ in range(chance.randrange(1, 6)):
            data = mutated(data, chance)[:20000]
        try:
            (bounded if done % 16 == 0 else one_input)(data)
        except BaseException:
            FINDINGS.mkdir(parents=True, exist_ok=True)
            (FINDINGS / "crash-plain").write_bytes(data)
            raise
        done += 1
        if done % 50 == 0 and len(pool) < 5000:
            pool.append(data)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    arguments = parser.parse_args()
    if atheris is not None and not arguments.plain:
        guided(arguments.seconds, arguments.seed)
        return
    done = unguided(arguments.seconds, arguments.seed)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{done} inputs in {time.process_time():.0f} s of CPU, at most {memory} MB, no finding")


if __name__ == "__main__":
    main()
