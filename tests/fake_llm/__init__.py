"""The fake LLM server of all tests and benchmarks: real sockets on loopback, scripted per backend, faults to the byte.

    server = FakeLLM(reactor)                       # on the reactor of an asynchronous test
    with FakeLLMThread() as server: ...             # beside a test that blocks
    python -m fake_llm 0.1                          # in a process of its own, for benchmarks (see __main__)

    server.script("claude", status(503), answer("The moon."))     # in this order; the last one is repeated
    server.default = answer("What a backend without a script says.")
    f"{server.url}/claude/v1"                                     # where ``claude`` is
    server.requests["claude"][-1].json                            # what it was asked

It knows nothing of Uniwizard. The replies are in :mod:`fake_llm.replies`, streams of every api in
:mod:`fake_llm.streams`.
"""

from __future__ import annotations

from .replies import Reply, answer, completion, gzipped, models, refusal, response, silent, status
from .server import FakeLLM, Request
from .thread import FakeLLMThread

__all__ = [
    "FakeLLM",
    "FakeLLMThread",
    "Reply",
    "Request",
    "answer",
    "completion",
    "gzipped",
    "models",
    "refusal",
    "response",
    "silent",
    "status",
]
