"""What watching costs: microseconds of CPU an attempt for metrics, for the Redis channel, for traces; and traces off.

    python tests/benchmarks/telemetry_cost.py           # exit status 1 where a bound is passed
    python tests/benchmarks/telemetry_cost.py --drift   # false alarms, and calls until a change is found

Bounds: metrics 10 us an attempt, the two events around its task included, which tell what is under way; the channel 25
us (a real Redis, everything but Redis's own process); traces that are off 2 us a call: nobody listens for them then,
and what is left is that the end of a task holds the way to its texts. The best of five rounds each.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

from test_memory_redis import RedisServer  # noqa: E402
from twisted.internet import reactor, task  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402

from uniwizard.agent import Router, Task  # noqa: E402
from uniwizard.agent.config import CONFIGS, load  # noqa: E402
from uniwizard.agent.config.settings import TraceSettings  # noqa: E402
from uniwizard.agent.core.answer import Usage  # noqa: E402
from uniwizard.agent.core.attempt import Attempt  # noqa: E402
from uniwizard.agent.core.events import AttemptEnded, Event, TaskBegan, TaskEnded, Veiled  # noqa: E402
from uniwizard.agent.core.result import RouteResult  # noqa: E402
from uniwizard.agent.engine.telling import told  # noqa: E402
from uniwizard.agent.state.redis import connect  # noqa: E402
from uniwizard.agent.telemetry.channel import Channel  # noqa: E402
from uniwizard.agent.telemetry.drift import Cusum, Drift  # noqa: E402
from uniwizard.agent.telemetry.metrics import Metrics  # noqa: E402
from uniwizard.agent.telemetry.thoughts import Gathering  # noqa: E402
from uniwizard.agent.telemetry.traces import Tracer  # noqa: E402

CALLS, ROUNDS = 20_000, 5
BOUNDS = {"metrics": 10.0, "channel": 25.0, "traces off": 2.0}


def events(router: Router) -> list[Event]:
    """What three kinds at six backends bring, an attempt a task."""
    keys = router.backend_keys()
    found: list[Event] = []
    for number in range(CALLS):
        key, kind, now = keys[number % len(keys)], ("chat", "knowledge", "status")[number % 3], 1.8e9 + number
        attempt = Attempt(key, "m", kind, None, "", now, 812.0, Usage(120, 80), 0.001, first_token_ms=90.0)
        found.append(TaskBegan(now, str(number), kind, "supervisor.plan"))
        found.append(AttemptEnded(now + 1, str(number), attempt))
        found.append(TaskEnded(now + 1, str(number), kind, "supervisor.plan", "answered", key, 812.0, 0.001))
    return found


def best(round_: Callable[[], None]) -> float:
    """Microseconds of this thread's CPU a call, in the best of several rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        round_()
        times.append((time.thread_time() - began) / CALLS * 1e6)
    return min(times)


def heard_by(listener: Callable[[Event], None], found: list[Event]) -> Callable[[], None]:
    def one() -> None:
        for event in found:
            listener(event)

    return one


@contextmanager
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server
    finally:
        server.close()


async def channel_cost(found: list[Event], url: str) -> float:
    """CPU a task from the event to Redis' answer; this process's alone."""
    channel = Channel(connect(url), reactor)  # type: ignore[arg-type]
    gathering = Gathering([channel.publish])
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for first in range(0, len(found), 900):
            for event in found[first : first + 900]:
                gathering(event)
            while channel._under_way:
                await task.deferLater(reactor, 0.001)  # type: ignore[arg-type]
        times.append((time.process_time() - began) / CALLS * 1e6)
    assert channel.dropped == 0
    channel.close()
    return min(times)


def off_cost() -> float:
    """What only traces need of every task, although they are off."""

    def ending(veiled: Veiled | None) -> None:
        for _ in range(CALLS):
            TaskEnded(1.0, "t", "chat", "", "answered", "a", 1.0, 0.0, False, veiled)

    def with_texts() -> None:
        for _ in range(CALLS):
            TaskEnded(1.0, "t", "chat", "", "answered", "a", 1.0, 0.0, False, lambda: ((), ""))

    return best(with_texts) - best(lambda: ending(None))


def around_cost(router: Router) -> float:
    """The two events around a task, with no listener."""
    plan = router.plan(Task("Hello", kind="chat"))
    result = RouteResult("hi", "local", "m", "chat", (), Usage(1, 1), 0.0, 1.0)

    async def answered() -> RouteResult:
        return result

    def drive(coroutine: object) -> None:
        try:
            coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return

    def bare() -> None:
        for _ in range(CALLS):
            drive(answered())

    def around() -> None:
        for _ in range(CALLS):
            drive(told(plan, answered(), router.events.emit, router.clock))

    return best(around) - best(bare)


def drift() -> None:
    rng = random.Random(5)

    def alarms(*rates: tuple[int, float]) -> list[int]:
        watched, found, number = Cusum(), [], 0
        for calls, rate in rates:
            for _ in range(calls):
                if watched.observe(rng.random() < rate):
                    found.append(number)
                    watched.accept()
                number += 1
        return found

    for rate in (0.005, 0.02, 0.08, 0.3):
        print(f"steady {rate:5.1%}: {len(alarms((1_800_000, rate))) / 10:.1f} false alarms in 180,000 calls")
    late = sorted(next((a - 1000 for a in alarms((1000, 0.02), (1500, 0.1)) if a >= 1000), 9999) for _ in range(1000))
    within = sum(calls < 250 for calls in late) / len(late)
    print(f"2% to 10%: found after {late[500]} calls at the median, within 250 in {within:.1%} of 1,000 runs")


def main() -> int:
    """Print a line each; 1 where a bound is passed."""
    if "--drift" in sys.argv:
        drift()
        return 0
    keys = ("ANTHROPIC_API_KEY", "MOONSHOT_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY")
    router = Router(load(CONFIGS / "backends.yaml", dict.fromkeys(keys, "none")), reactor)  # type: ignore[arg-type]
    found = events(router)
    took = {"metrics": best(heard_by(Metrics(router), found)) + around_cost(router), "traces off": off_cost()}
    took["drift"] = best(heard_by(Drift(lambda event: None), found))

    async def post(body: bytes) -> None:
        """Nobody is there."""

    tracer = Tracer(TraceSettings(to="x", keep=0.1), post, task.Clock(), lambda key: "openai")
    took["traces kept at 10%"] = best(heard_by(Gathering([tracer.export]), found))
    thoughts = list(tracer._waiting)[:500]
    began = time.thread_time()
    tracer.encoded(thoughts)
    took["traces, a thought that is sent"] = (time.thread_time() - began) / len(thoughts) * 1e6

    async def with_redis(_: object) -> None:
        with redis() as server:
            took["channel"] = await channel_cost(found, server.url)

    task.react(lambda r: Deferred.fromCoroutine(finish(with_redis, took)))
    return 0


async def finish(measure: Callable[[object], object], took: dict[str, float]) -> None:
    """Measure the channel, print all, and end with the status."""
    await measure(None)  # type: ignore[misc]
    passed = False
    for name, microseconds in took.items():
        bound = BOUNDS.get(name)
        passed = passed or (bound is not None and microseconds > bound)
        print(f"{name:<32}{microseconds:7.1f} us{'' if bound is None else f'   at most {bound:g}'}")
    raise SystemExit(int(passed))


if __name__ == "__main__":
    sys.exit(main())
