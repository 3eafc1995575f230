"""What the road does in time, on a clock of the tests' own: backoff, Retry-After, cooldown, the single probe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faults import CLASSIFIER
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, Router, RouteResult, Task
from uniwizard.agent.config.settings import Config, Rule
from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.events import Event, Retrying
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.engine.admission import MAX_RETRY_AFTER
from uniwizard.agent.health.breaker import State
from uniwizard.agent.router import FIRST_DELAY, MAX_DELAY

TASK = Task("hello", kind="chat")


def failure(kind: FailureCode = FailureCode.OVERLOADED, retry_after: float | None = None) -> AttemptFailed:
    return AttemptFailed(kind, "as scripted", retry_after=retry_after)


class ScriptedCaller:
    """Answers or fails as told, at once or when the test lets it; in place of the one with a network."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[object]] = {}
        self.asked: list[str] = []

    async def ask(
        self, task: Task, backend: Backend, system: str, blindfold: object, total: float, on_text: object
    ) -> Answer:
        self.asked.append(backend.key)
        left = self.outcomes.get(backend.key, [])
        outcome = left.pop(0) if len(left) > 1 else left[0] if left else Answer("High at noon, low at six.")
        if isinstance(outcome, Deferred):
            outcome = await outcome
        if isinstance(outcome, AttemptFailed):
            raise outcome
        assert isinstance(outcome, Answer)
        return outcome


class Road:
    """A router over backends ``a``, ``b`` ... on a clock of its own."""

    def __init__(self, *backends: Backend, random: Callable[[], float] = lambda: 1.0):
        self.clock = Clock()
        self.clock.advance(1_000_000)
        config = Config({b.key: b for b in backends}, (Rule(frozenset("*"), tuple(b.key for b in backends)),))
        self.caller = ScriptedCaller()
        self.router = Router(config, self.clock, classifier=CLASSIFIER, random=random, client=self.caller)
        self.events: list[Event] = []
        self.router.events.subscribe(self.events.append)

    def script(self, key: str, *outcomes: object) -> None:
        self.caller.outcomes[key] = list(outcomes)

    def begin(self, task: Task = TASK) -> list[Any]:
        """A task under way; the list receives its result or failure."""
        ended: list[Any] = []
        Deferred.fromCoroutine(self.router.call_with_fallback(task)).addBoth(ended.append)
        return ended

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.begin(), "the task has not ended"

    @property
    def delays(self) -> list[float]:
        return [event.delay for event in self.events if isinstance(event, Retrying)]


def backend(key: str, **settings: Any) -> Backend:
    return Backend(key, "openai", "http://127.0.0.1:9/v1", "model", **({"retries": 0} | settings))


def test_the_wait_doubles_with_every_retry_up_to_a_bound():
    road = Road(backend("a", retries=7, allowed_fails=99))
    road.script("a", failure())
    ended = road.begin()
    while not ended:
        road.clock.advance(MAX_DELAY)
    assert road.delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert len(road.caller.asked) == 8


def test_the_wait_is_a_random_share_of_that():
    road = Road(backend("a", retries=2, allowed_fails=99), random=iter((0.0, 0.25)).__next__)
    road.script("a", failure())
    ended = road.begin()
    road.clock.pump([0.0, 1.0])
    assert ended
    assert road.delays == [0.0, 0.25 * 2 * FIRST_DELAY]


def test_nothing_is_asked_before_the_wait_is_over():
    road = Road(backend("a", retries=1))
    road.script("a", failure(), Answer("High at noon."))
    ended = road.begin()
    road.clock.advance(FIRST_DELAY - 0.001)
    assert road.caller.asked == ["a"]
    road.clock.advance(0.002)
    assert ended[0].text == "High at noon."


def test_a_providers_retry_after_is_waited_for():
    road = Road(backend("a", retries=1))
    road.script("a", failure(FailureCode.RATE_LIMITED, 3.0), Answer("High at noon."))
    ended = road.begin()
    road.clock.advance(2.999)
    assert not ended
    road.clock.advance(0.001)
    assert ended[0].backend == "a"
    assert road.delays == [3.0]


def test_a_retry_after_that_is_too_long_sends_the_task_on_at_once():
    road = Road(backend("a", retries=1), backend("b"))
    road.script("a", failure(FailureCode.RATE_LIMITED, MAX_RETRY_AFTER + 0.1))
    (result,) = road.begin()
    assert result.backend == "b"
    assert road.caller.asked == ["a", "b"]


def test_the_breaker_opens_after_the_allowed_fails_and_the_cooldown_gives_the_work_back():
    road = Road(backend("a", allowed_fails=2, cooldown_time=60), backend("b"))
    road.script("a", failure(), failure(), failure(), Answer("Back again, and high at noon."))
    road.fail(2)
    assert road.router.registry["a"].state is State.CLOSED
    road.clock.advance(3600)  # failures of long ago do not keep the first choice from its work
    road.fail()
    assert road.router.registry["a"].state is State.OPEN
    assert road.router.route(TASK) == "b"
    road.clock.advance(59.9)
    assert road.router.route(TASK) == "b"
    road.clock.advance(0.2)
    (result,) = road.begin()
    assert result.backend == "a"
    assert road.router.registry["a"].state is State.CLOSED


def test_a_backend_whose_breaker_opens_is_not_retried():
    road = Road(backend("a", retries=5, allowed_fails=1), backend("b"))
    road.script("a", failure())
    ended = road.begin()
    road.clock.advance(FIRST_DELAY)
    assert ended[0].backend == "b"
    assert road.caller.asked == ["a", "a", "b"]


def half_open() -> Road:
    road = Road(backend("a", allowed_fails=0, cooldown_time=60), backend("b"))
    road.script("a", failure())
    road.fail()
    road.clock.advance(61)
    return road


def test_a_half_open_breaker_lets_one_task_through_and_sends_the_others_on():
    road = half_open()
    probe: Deferred[Answer] = Deferred()
    road.script("a", probe)
    ended = [road.begin() for _ in range(4)]
    assert road.caller.asked[2:] == ["a", "b", "b", "b"]
    assert [bool(one) for one in ended] == [False, True, True, True]
    probe.callback(Answer("High at noon."))
    assert ended[0][0].backend == "a"
    assert road.router.registry["a"].state is State.CLOSED


def test_a_probe_that_fails_opens_the_breaker_again_for_a_whole_cooldown():
    road = half_open()
    road.fail()
    road.clock.advance(59)
    assert road.router.route(TASK) == "b"
    road.clock.advance(2)
    assert road.router.route(TASK) == "a"


def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next():
    road = half_open()
    road.script("a", Deferred())
    asked = Deferred.fromCoroutine(road.router.call_with_fallback(TASK))
    assert road.router.route(TASK) == "b"
    asked.addErrback(lambda _: None)
    asked.cancel()
    assert road.router.route(TASK) == "a"


def test_a_probe_that_declines_shows_that_the_backend_is_there():
    road = half_open()
    road.script("a", Answer("I'm sorry, but I can't help with that request."))
    (result,) = road.begin()
    assert result.backend == "b"
    assert road.router.registry["a"].state is State.CLOSED


def test_a_task_that_waited_for_a_place_asks_no_breaker_that_opened_meanwhile():
    road = Road(backend("a", allowed_fails=0, max_parallel=1), backend("b"))
    first: Deferred[Answer] = Deferred()
    road.script("a", first)
    ended = [road.begin(), road.begin()]
    assert road.caller.asked == ["a"]
    first.errback(failure())
    assert [one[0].backend for one in ended] == ["b", "b"]
    assert road.caller.asked == ["a", "b", "b"]


def test_a_quota_that_is_used_up_opens_the_breaker_for_as_long_as_the_provider_says():
    road = Road(backend("a", cooldown_time=60), backend("b"))
    road.script("a", failure(FailureCode.QUOTA_EXHAUSTED, 7200.0))
    road.fail()
    road.clock.advance(7199)
    assert road.router.route(TASK) == "b"
    road.clock.advance(2)
    assert road.router.route(TASK) == "a"


def test_a_wrong_key_keeps_the_breaker_open_until_an_admin_resets_it():
    road = Road(backend("a"), backend("b"))
    road.script("a", failure(FailureCode.AUTH))
    road.fail()
    road.clock.advance(10**8)
    assert road.router.route(TASK) == "b"
    road.router.registry["a"].close()
    assert road.router.route(TASK) == "a"


def test_the_deadline_bounds_the_wait_for_an_answer():
    totals: list[float] = []
    road = Road(backend("a"))
    ask = road.caller.ask

    async def noting(
        task: Task, backend: Backend, system: str, blindfold: object, total: float, on_text: object
    ) -> Answer:
        totals.append(total)
        return await ask(task, backend, system, blindfold, total, on_text)

    road.caller.ask = noting  # type: ignore[method-assign]
    road.begin(Task("x", kind="chat", deadline=4.0))
    road.begin()
    assert totals == [4.0, float("inf")]


def test_latency_is_counted_from_the_beginning_of_the_whole_road():
    road = Road(backend("a"))
    slow: Deferred[Answer] = Deferred()
    road.script("a", slow)
    ended = road.begin()
    road.clock.advance(2.5)
    slow.callback(Answer("High at noon."))
    assert isinstance(ended[0], RouteResult)
    assert ended[0].latency_ms == 2500.0


def test_a_reload_closes_a_wrong_keys_breaker_only_where_something_changed():
    road = Road(backend("a"), backend("b"), backend("c"))
    for key in "ab":
        road.script(key, failure(FailureCode.AUTH))
    road.fail()
    assert [road.router.registry[key].state for key in "ab"] == [State.OPEN, State.OPEN]
    changed = {key: backend(key, api_key="new" if key == "b" else None) for key in "abc"}
    road.router.reload(Config(changed, road.router.registry.config.rules))
    assert [road.router.registry[key].state for key in "ab"] == [State.OPEN, State.CLOSED]


def test_a_reload_keeps_an_open_breaker_for_the_rest_of_its_cooldown():
    road = Road(backend("a", allowed_fails=0, cooldown_time=60), backend("b"))
    road.script("a", failure())
    road.fail()
    changed = {"a": backend("a", allowed_fails=0, max_tokens=7), "b": backend("b")}
    road.router.reload(Config(changed, road.router.registry.config.rules))
    road.clock.advance(59)
    assert road.router.route(TASK) == "b"
    road.clock.advance(2)
    assert road.router.route(TASK) == "a"


def test_everyone_failing_is_one_error_and_no_place_stays_taken():
    road = Road(*(backend(key, allowed_fails=99) for key in "abc"))
    for key in "abc":
        road.script(key, failure())
    for _ in range(20):
        (ended,) = road.begin()
        assert isinstance(ended.value, AllBackendsFailed)
    assert all(road.router.free_places(key) == 8 for key in "abc")
    assert all(health.in_flight == 0 for health in road.router.registry)


def test_an_unforeseen_error_frees_the_place_as_well():
    road = Road(backend("a", max_parallel=1))
    road.script("a", succeed("no answer at all"))
    (ended,) = road.begin()
    assert isinstance(ended.value, AssertionError)
    road.script("a", Answer("High at noon."))
    assert road.begin()[0].backend == "a"


def test_a_backend_that_failed_gets_its_work_back_one_cooldown_after_its_last_failure():
    road = Road(backend("a", cooldown_time=3.0, allowed_fails=9), backend("b"))
    road.script("a", failure(), failure(), failure(), Answer("High at noon, low at six."))
    recovered = None
    began = road.clock.seconds()
    last_failure = began
    while recovered is None and road.clock.seconds() < began + 60:
        before = road.caller.asked.count("a")
        (result,) = road.begin()
        if result.backend == "a":
            recovered = road.clock.seconds()
        elif road.caller.asked.count("a") > before:
            last_failure = road.clock.seconds()
        road.clock.advance(1.2)
    assert recovered is not None
    assert recovered - last_failure <= 6.0
    assert road.router.route(TASK) == "a", "one good answer restores its place"
    assert road.router.state("a").reliability() == 1.0


def test_while_one_task_tries_a_backend_that_had_failed_the_others_go_elsewhere():
    road = Road(backend("a", cooldown_time=3.0, allowed_fails=9), backend("b"))
    slow: Deferred[Answer] = Deferred()
    road.script("a", failure(), failure(), slow)
    for _ in range(2):
        road.begin()
    assert road.router.route(TASK) == "b"
    road.clock.advance(3.1)
    tried = road.begin()
    assert road.caller.asked[-1] == "a"
    (other,) = road.begin()
    assert other.backend == "b"
    slow.callback(Answer("High at noon, low at six."))
    assert tried[0].backend == "a"
    assert road.router.route(TASK) == "a"


def test_a_trial_that_fails_waits_for_another_cooldown():
    road = Road(backend("a", cooldown_time=3.0, allowed_fails=9), backend("b"))
    road.script("a", failure())
    for _ in range(2):
        road.begin()
    road.clock.advance(3.1)
    (result,) = road.begin()
    assert (result.backend, road.caller.asked[-2:]) == ("b", ["a", "b"])
    road.clock.advance(2.8)
    road.begin()
    assert road.caller.asked[-1] == "b"
    road.clock.advance(0.3)
    road.begin()
    assert road.caller.asked[-2:] == ["a", "b"]
