"""What a caller gets when a provider misbehaves: every fault, plain and streamed, through a real router, as a table.

    python tests/benchmarks/fault_table.py [--write]        # --write: into FAULTS.md beside it

Two backends on loopback, ``a`` that has the fault and is preferred, ``b`` that is well, with the default settings but
for shorter time-outs (PATIENCE); the jitter of the backoff is its mean. A cell says whose whole answer the caller got,
how often ``a`` + ``b`` were asked, and the seconds until the caller had it. Afterwards: the breaker of ``a``; who
answered the next task, with the fault still there; and, the fault mended, after how many quiet seconds the work goes
back to ``a``, which is then asked and must answer with its breaker closed. Those seconds are not waited for: the
router's clock is put forward. The health checks of ``Router.start`` are off.

Exits with 1 if anyone was given a part of an answer as the whole, if ``a`` did not recover, or if the servers counted
other requests than the router told of.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import react
from zope.interface import directlyProvides, providedBy

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/agent")]

from certificate import self_signed  # noqa: E402
from fake_llm import Reply, answer, completion, response, silent, status  # noqa: E402
from fake_llm.streams import PIECES, SAID, begun, chunk, closed, spoken, sse, streamed, whole  # noqa: E402  # noqa: E402
from faults import CLASSIFIER, FaultServer  # noqa: E402

from uniwizard.agent import AllBackendsFailed, Router, RouteResult, Task  # noqa: E402
from uniwizard.agent.config.settings import Config, Rule  # noqa: E402
from uniwizard.agent.core.backend import Backend, Price, Timeout  # noqa: E402
from uniwizard.agent.core.events import AttemptStarted, Event  # noqa: E402
from uniwizard.agent.health.breaker import State  # noqa: E402

reactor: Any = installed

#: The page that shows the table.
TABLE = Path(__file__).with_name("FAULTS.md")
#: Seconds; by default they are 10, 30, 30 and 30.
PATIENCE = Timeout(connect=1.0, first_token=0.5, idle=0.5, total=2.0)
QUESTION = Task("How do the tides work?", kind="knowledge")
#: Seconds between the tasks of a row that has many.
BETWEEN = 30.0
#: Seconds: how exactly, and how far, it is looked for when work goes back to a backend.
STEP, FARTHEST = 5.0, 3600.0
#: Rows that are worked on at once; they mostly wait.
AT_ONCE = 3

Replies = tuple[Reply, ...]
GOOD = {"plain": answer(SAID), "streamed": streamed(whole("openai"))}
HALF = spoken("openai", *PIECES[:2])
SORRY = ("I'm sorry, but ", "I can't help with that request.")
PAGE = Reply(response(b"<html><body>502 Bad Gateway</body></html>", kind="text/html"))


@dataclass(frozen=True)
class Fault:
    """One row. What ``a`` replies, in order and the last for ever; None where the fault does not exist that way.

    other    what ``b`` replies when it is streamed, if not an answer
    a        settings of ``a``
    eager    the reader sees the answer as it comes, and ``b`` can continue it
    tasks    how many are given, BETWEEN seconds apart
    costs    tell what was charged
    reached  False where no request comes as far as the server
    """

    name: str
    plain: Replies | None
    streamed: Replies | None
    other: Reply | None = None
    a: dict[str, Any] = field(default_factory=dict)
    eager: bool = False
    tasks: int = 1
    costs: bool = False
    reached: bool = True


def always(name: str, *replies: Reply, **more: Any) -> Fault:
    """A fault that looks the same whether an answer or a stream was asked for."""
    return Fault(name, replies, replies, **more)


def passing(name: str, *replies: Reply, **more: Any) -> Fault:
    """The same, but it passes."""
    return Fault(name, (*replies, GOOD["plain"]), (*replies, GOOD["streamed"]), **more)


def late(seconds: float) -> tuple[Replies, Replies]:
    return (replace(GOOD["plain"], after=seconds),), (replace(GOOD["streamed"], after=seconds),)


def short(whole_response: bytes, by: int = 40) -> Reply:
    """A response that promises fewer bytes than it sends."""
    head, _, body = whole_response.partition(b"\r\n\r\n")
    promised = head.replace(b"Length: %d" % len(body), b"Length: %d" % (len(body) - by))
    return Reply(promised + b"\r\n\r\n" + body)


def faults(tls: FaultServer) -> Iterator[Fault]:
    """The rows of the table; ``tls`` is a server whose certificate nobody vouches for."""
    body = response(completion(SAID))
    events = [sse(chunk({"content": piece})) for piece in PIECES]
    end = closed("openai")
    too_long = status(400, error={"code": "context_length_exceeded", "message": "too long"})
    filtered = status(400, error={"code": "content_filter", "message": "triggered the content policy"})
    boom = b'{"error": {"message": "boom", "code": 500}}'

    yield passing("429 once, `Retry-After: 1`", status(429, "Retry-After: 1"))
    yield always("429 for ever", status(429))
    yield passing("500 once", status(500))
    yield always("503 for ever", status(503))
    yield always("TCP reset before headers", Reply(end="reset"))
    yield always("no answer at all", silent())
    yield Fault("first token late, in time", *late(PATIENCE.first_token * 0.6))
    yield Fault("first token too late", *late(PATIENCE.first_token * 2))
    yield Fault("stream cut", (Reply(body[:-60], end="reset"),), (begun(HALF, "reset"),))
    yield Fault("stream stalled", (Reply(body[:-60], end="hang"),), (begun(HALF, "hang"),))
    mendable = b"".join([*events[:2], b"data: {oops\n\n", *events[2:], end])
    yield Fault("malformed event, no words in it", None, (streamed(mendable),))
    harmful = b"".join([events[0], events[1][:-20] + b"\n\n", *events[2:], end])
    yield Fault("malformed event, words lost", (Reply(response(completion(SAID)[:-20])),), (streamed(harmful),))
    yield Fault(
        "no sentinel, finish reason there", None, (streamed(whole("openai").removesuffix(b"data: [DONE]\n\n")),)
    )
    yield Fault("no sentinel, no finish reason", None, (streamed(HALF),))
    yield always("context length (`b` has a larger one)", too_long)
    yield always("content filter", filtered)
    cut_off = streamed(HALF + sse(chunk({}, "content_filter"), "[DONE]"))
    yield Fault(
        "content filter in mid-answer", (answer("".join(PIECES[:2]), finish_reason="content_filter"),), (cut_off,)
    )
    yield Fault(
        "shown answer cut, `b` continues it",
        None,
        (begun(HALF, "reset"),),
        streamed(whole("openai", *PIECES[2:])),
        eager=True,
    )
    yield Fault("shown answer cut, `b` rejects a prefill", None, (begun(HALF, "reset"),), status(400), eager=True)
    yield passing("down for a while, then healthy: 20 tasks", *[status(503)] * 6, tasks=20)
    yield Fault(
        "accounting after a fallback",
        (Reply(body[:-60], end="reset"),),
        (begun(HALF, "reset"),),
        a={"price": Price(1.0, 1.0)},
        costs=True,
    )
    yield Fault("refusal", (answer("".join(SORRY)),), (streamed(whole("openai", *SORRY)),))
    yield Fault("empty", (answer(""),), (streamed(end),))
    yield always("HTML with 200", PAGE)
    yield Fault("an error object with 200", (Reply(response(boom)),), (streamed(b"data: " + boom + b"\n\n"),))
    oversized = response(whole("openai"), kind="text/event-stream")
    yield Fault("body larger than promised", (short(body),), (short(oversized),))
    yield always("DNS failure", a={"url": "http://nobody.invalid/v1"}, reached=False)
    yield always("TLS failure", a={"url": f"{tls.url}/a/v1"}, reached=False)


@dataclass
class Ahead:
    """The reactor, with a clock that can be put forward."""

    by: float = 0.0

    def __post_init__(self) -> None:
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        return float(reactor.seconds()) + self.by

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:
        return reactor.callLater(delay, callable, *args)


@dataclass
class Trial:
    """One fault, asked for in one of the two ways (``plain``, ``streamed``)."""

    fault: Fault
    way: str
    server: FaultServer = field(default_factory=lambda: FaultServer(reactor))
    clock: Ahead = field(default_factory=Ahead)
    started: Counter[str] = field(default_factory=Counter)
    got: str = ""
    afterwards: str = ""
    sound: bool = True

    async def run(self) -> Trial:
        replies = self.fault.plain if self.way == "plain" else self.fault.streamed
        assert replies is not None
        self.server.script("a", *replies)
        self.server.script("b", self.fault.other or GOOD[self.way])
        a, b = self.backend("a"), self.backend("b", max_context=200_000)
        config = Config({"a": a, "b": b}, (Rule(frozenset("*"), ("a", "b")),), practice="never")
        router = Router(config, self.clock, classifier=CLASSIFIER, random=lambda: 0.5)
        router.events.subscribe(self.heard)
        try:
            await self.misbehave(router)
            await self.recover(router)
        finally:
            await router.stop()
            await self.server.stop()
        self.sound &= all(router.registry[key].in_flight == 0 for key in "ab")
        return self

    def backend(self, key: str, **settings: Any) -> Backend:
        able = frozenset({"stream", "prefill"}) if self.fault.eager else frozenset({"stream"})
        settings = {"retries": 2, "timeout": PATIENCE, "price": Price(1.0, 2.0)} | settings
        url = str(self.fault.a.get("url", "")) if key == "a" else ""
        settings["capabilities"] = able if self.way == "streamed" else frozenset()
        if key == "a" and self.fault.eager:
            settings["capabilities"] = frozenset({"stream"})
        made = self.server.backend(key, **settings)
        return replace(made, url=url) if url else made

    def heard(self, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            self.started[event.backend] += 1

    async def misbehave(self, router: Router) -> None:
        began, got = reactor.seconds(), Counter[str]()
        for number in range(self.fault.tasks):
            if number:
                self.clock.by += BETWEEN
            got[await self.ask(router)] += 1
        took = reactor.seconds() - began
        asked = {key: self.server.asked(key) for key in "ab"}
        if self.fault.reached or asked["a"]:
            self.sound &= asked == {key: self.started[key] for key in "ab"}
        told = ", ".join(f"{count} x {words}" if self.fault.tasks > 1 else words for words, count in got.items())
        self.got = f"{told}; {self.started['a']} + {self.started['b']}; {took:.2f} s"

    async def recover(self, router: Router) -> None:
        state = router.registry["a"].state
        following = await self.ask(router)
        if not self.fault.reached:
            self.afterwards = f"{state}; {following}; not mended"
            return
        for key in "ab":
            self.server.script(key, GOOD[self.way])
        mended = self.clock.by
        while router.explain(QUESTION).backend != "a" and self.clock.by - mended < FARTHEST:
            self.clock.by += STEP
        waited = self.clock.by - mended
        back = await self.ask(router)
        self.sound &= back[:1] == "a" and router.registry["a"].state is State.CLOSED
        self.afterwards = f"{state}; {following}; {f'after {waited:.0f} s' if waited else 'at once'}"

    async def ask(self, router: Router) -> str:
        """What the caller of one task got, in a few words."""
        try:
            if self.way == "plain":
                result = await router.call_with_fallback(QUESTION)
                text = result.text
            else:
                stream = router.stream(QUESTION, mode="eager" if self.fault.eager else "whole")
                text = "".join([piece async for piece in stream])
                assert stream.result is not None
                result = stream.result
        except AllBackendsFailed as failed:
            return f"{type(failed).__name__} ({', '.join(str(each.failure) for each in failed.attempts)})"
        return self.judged(result, text)

    def judged(self, result: RouteResult, text: str) -> str:
        if result.refused:
            return "refusal"
        if text != SAID or result.text != SAID:
            self.sound = False
            return f"**a part of {result.backend}'s answer as the whole**"
        if not self.fault.costs:
            return result.backend
        charged = ", ".join(
            f"${sum(each.cost_usd for each in result.attempts if each.backend == key):.2f} for {key}"
            for key in dict.fromkeys(each.backend for each in result.attempts)
        )
        return f"{result.backend} ({charged})"


async def row(fault: Fault, places: DeferredSemaphore) -> tuple[str, bool]:
    """A line of the table, and whether everything in it was sound."""
    await places.acquire()
    try:
        ways = [way for way, replies in (("plain", fault.plain), ("streamed", fault.streamed)) if replies is not None]
        trials = await gatherResults([Deferred.fromCoroutine(Trial(fault, way).run()) for way in ways])
    finally:
        places.release()
    cells = {trial.way: trial.got for trial in trials}
    afterwards = " / ".join(dict.fromkeys(trial.afterwards for trial in trials))
    line = f"| {fault.name} | {cells.get('plain', '')} | {cells.get('streamed', '')} | {afterwards} |"
    return line, all(trial.sound for trial in trials)


async def main(_: Any) -> None:
    certificate: Any = PrivateCertificate
    tls = FaultServer(reactor, certificate.loadPEM(self_signed("127.0.0.1")).options())
    places = DeferredSemaphore(AT_ONCE)
    rows = await gatherResults([Deferred.fromCoroutine(row(fault, places)) for fault in faults(tls)])
    await tls.stop()
    table = [
        "| fault | plain: answered by; asked a + b; took | streamed | afterwards: breaker; next; work goes back to a |",
        "| --- | --- | --- | --- |",
        *(line if sound else f"{line} UNSOUND" for line, sound in rows),
    ]
    print("\n".join(table))
    if "--write" in sys.argv:
        # What stands above the table is said by people.
        said, _, _ = TABLE.read_text("utf-8").partition("| fault |")
        TABLE.write_text(said + "\n".join(table) + "\n", "utf-8")
    if not all(sound for _, sound in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
