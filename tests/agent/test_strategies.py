"""Every strategy in the tree: it asks nobody whom it may not, passes no limit, and ends; and each does what it says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from faults import CLASSIFIER
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import KEYS, Spec, trees
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, Router, RouteResult, Task
from uniwizard.agent.config.routes import STRATEGIES
from uniwizard.agent.config.settings import Config, Rule
from uniwizard.agent.core.answer import Answer, Usage
from uniwizard.agent.core.backend import Backend, Price, Quota
from uniwizard.agent.core.clock import sleep
from uniwizard.agent.core.events import AttemptEnded, AttemptStarted
from uniwizard.agent.core.failures import AttemptFailed, FailureCode
from uniwizard.agent.core.task import KINDS
from uniwizard.agent.engine.continuation import StreamProgress
from uniwizard.agent.privacy.blindfold import Blindfold

START = 1_790_000_000.0
PRICES = {"a": 0.0, "b": 0.001, "c": 0.004, "d": 0.02}
GOOD = "The moon pulls on the water, and the earth turns below it."


class Saying:
    """A client without a wire: what each backend says, and after how many seconds; who is under way is counted."""

    def __init__(self, clock: Clock, says: Mapping[str, Any], seconds: Mapping[str, float] | None = None):
        self.clock, self.says, self.seconds = clock, says, seconds or {}
        self.asked: list[str] = []
        self.under_way: Counter[str] = Counter()
        self.most: defaultdict[str, int] = defaultdict(int)

    async def ask(
        self,
        task: Task,
        backend: Backend,
        system: str,
        blindfold: Blindfold,
        total: float,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        key = backend.key
        self.asked.append(key)
        self.under_way[key] += 1
        self.most[key] = max(self.most[key], self.under_way[key])
        try:
            if wait := self.seconds.get(key, 0.0):
                await sleep(self.clock, wait)
        finally:
            self.under_way[key] -= 1
        said = self.says.get(key, GOOD)
        if isinstance(said, FailureCode):
            raise AttemptFailed(said, "as told")
        text, logprob = said if isinstance(said, tuple) else (said, None)
        if isinstance(on_text, StreamProgress):
            on_text(text)
        return Answer(text, usage=Usage(10, 20), model="m", logprob=logprob)


def config(route: Spec, named: Mapping[str, Any] | None = None, **of_backends: Any) -> Config:
    backends = {
        key: Backend(
            key, "openai", "http://127.0.0.1:1/v1", f"model-{key}", price=Price(PRICES[key], PRICES[key]), retries=0,
            capabilities=frozenset({"json", "tools"}), max_context=100_000, **of_backends.get(key, {}),
        )
        for key in KEYS
    }  # fmt: skip
    rules = (Rule(frozenset({"chat"}), ("b",)), Rule(frozenset({"*"}), KEYS))
    return Config(backends, rules, practice="never", route=route, strategies=named or {})


def router_of(route: Spec, client: Saying, named: Mapping[str, Any] | None = None, **of_backends: Any) -> Router:
    made = config(route, named, **of_backends)
    return Router(made, client.clock, classifier=CLASSIFIER, random=lambda: 0.0, client=client)


def clock_at_start() -> Clock:
    clock = Clock()
    clock.advance(START)
    return clock


def run(router: Router, clock: Clock, task: Task, strategy: str = "", patience: int = 400) -> RouteResult | Exception:
    """The end of the road, which must come while the clock goes on by ten seconds a step."""
    ends: list[Any] = []
    Deferred.fromCoroutine(router.call_with_fallback(task, strategy=strategy)).addBoth(ends.append)
    for _ in range(patience):
        if ends:
            break
        clock.advance(10.0)
    assert ends, "the road does not end"
    (end,) = ends
    if isinstance(end, RouteResult):
        return end
    error: Exception = end.value
    return error


SAYS = st.one_of(
    st.just(GOOD),
    st.just("I'm sorry, but I can't help with that request."),
    st.just(""),
    st.just((GOOD, -2.0)),
    st.just(("Another answer altogether, with nothing in common.", None)),
    st.sampled_from([FailureCode.SERVER_ERROR, FailureCode.TIMEOUT, FailureCode.MALFORMED, FailureCode.AUTH]),
)


@settings(max_examples=examples(200), deadline=None)
@given(
    spec=trees(),
    says=st.dictionaries(st.sampled_from(KEYS), SAYS),
    seconds=st.dictionaries(st.sampled_from(KEYS), st.sampled_from([0.0, 1.0, 30.0])),
    barred=st.sets(st.sampled_from(KEYS), max_size=3),
    kind=st.sampled_from(KINDS),
    requests=st.integers(1, 3),
    tasks=st.integers(1, 4),
    deadline=st.sampled_from([None, 15.0]),
)
def test_no_tree_asks_whom_it_may_not_passes_a_limit_or_goes_on_for_ever(
    spec: Spec,
    says: dict[str, Any],
    seconds: dict[str, float],
    barred: set[str],
    kind: str,
    requests: int,
    tasks: int,
    deadline: float | None,
) -> None:
    clock = clock_at_start()
    client = Saying(clock, says, seconds)
    quota = {"quota": (Quota(requests, "requests", "day"),), "max_parallel": 2}
    router = router_of(spec, client, **dict.fromkeys(KEYS, quota))
    begun: Counter[str] = Counter()
    ended: Counter[str] = Counter()

    def count(event: object) -> None:
        if isinstance(event, AttemptStarted):
            begun[event.backend] += 1
        elif isinstance(event, AttemptEnded):
            ended[event.attempt.backend] += 1

    router.events.subscribe(count)
    for key in barred:
        router.set_disabled(key, True)
    ends: list[Any] = []
    for number in range(tasks):
        task = Task("How do the tides work?", kind=kind, deadline=deadline, asker=str(number % 2))
        decision = router.explain(task)
        assert not {entry.backend for entry in decision.ranking} & barred
        assert not decision.path or decision.backend == (decision.ranking[0].backend if decision.ranking else "")
        Deferred.fromCoroutine(router.call_with_fallback(task)).addBoth(ends.append)
    for _ in range(200):
        if len(ends) == tasks:
            break
        clock.advance(10.0)
    assert len(ends) == tasks, "a road does not end"
    assert all(isinstance(end, RouteResult) or end.check(AllBackendsFailed) for end in ends)
    for _ in range(30):
        clock.advance(10.0)
    assert not set(client.asked) & barred
    assert max(Counter(client.asked).values(), default=0) <= requests, "more requests than the quota has"
    assert max(client.most.values(), default=0) <= 2, "more at once than there are places"
    assert not +client.under_way, "something is still under way"
    for key in KEYS:
        assert router.free_places(key) == 2, "a place was not given back"


@settings(max_examples=examples(300), deadline=None)
@given(spec=trees(), kind=st.sampled_from(KINDS))
def test_to_choose_changes_nothing_and_every_step_says_why(spec: Spec, kind: str) -> None:
    router = router_of(spec, Saying(clock_at_start(), {}))
    task = Task("How do the tides work?", kind=kind)
    first, second = router.explain(task), router.explain(task)
    assert first == second
    assert first.path or spec == "ranked" or spec in KEYS or not first.backend
    assert all(step for step in first.path)


@settings(max_examples=examples(200), deadline=None)
@given(kind=st.sampled_from(KINDS), disabled=st.sets(st.sampled_from(KEYS)), over=st.booleans())
def test_ranked_in_a_tree_decides_as_no_tree_does(kind: str, disabled: set[str], over: bool) -> None:
    task = Task("How do the tides work?", kind=kind)
    route = {"use": "ranked", "over": list(KEYS)} if over else {"use": "fallback", "over": ["ranked"]}
    plain, tree = router_of(None, Saying(Clock(), {})), router_of(route, Saying(Clock(), {}))
    for router in (plain, tree):
        for key in disabled:
            router.set_disabled(key, True)
    assert tree.explain(task).ranking == plain.explain(task).ranking
    assert plain.explain(task).path == ()


def test_every_strategy_of_the_schema_is_there_and_the_other_way_round() -> None:
    from importlib import import_module

    room = Path(import_module("uniwizard.agent.strategies").__file__ or "").parent
    made = {
        module.STRATEGY.name
        for path in room.glob("*.py")
        if hasattr(module := import_module(f"uniwizard.agent.strategies.{path.stem}"), "STRATEGY")
    }
    assert made == set(STRATEGIES)


def first_of(route: Spec, task: Task | None = None, **of_backends: Any) -> str:
    return router_of(route, Saying(clock_at_start(), {}), **of_backends).route(task or Task("hello", kind="analysis"))


def test_each_ordering_goes_by_its_figure() -> None:
    everyone = list(reversed(KEYS))
    assert first_of({"use": "cost", "over": everyone}) == "a"
    assert first_of({"use": "fallback", "over": everyone}) == "d"
    assert first_of({"use": "rules", "over": everyone}, Task("hello", kind="chat")) == "b"
    assert first_of({"use": "ranked", "over": ["d", "c"]}) == "c"


def test_round_robin_takes_turns_and_skips_who_cannot_be_asked() -> None:
    clock = clock_at_start()
    client = Saying(clock, {})
    router = router_of({"use": "round_robin", "over": list(KEYS)}, client)
    router.set_disabled("c", True)
    for _ in range(6):
        run(router, clock, Task("hello", kind="chat"))
    assert Counter(client.asked) == {"a": 2, "b": 2, "d": 2}
    assert client.asked[:3] == client.asked[3:]


def test_least_busy_fills_by_the_share_of_places_taken() -> None:
    clock = clock_at_start()
    client = Saying(clock, {}, dict.fromkeys(KEYS, 1000.0))
    router = router_of("least_busy", client, a={"max_parallel": 9}, b={"max_parallel": 3})
    for key in "cd":
        router.set_disabled(key, True)
    for _ in range(12):
        Deferred.fromCoroutine(router.call_with_fallback(Task("hello", kind="chat"))).addErrback(lambda _: None)
    assert Counter(client.asked) == {"a": 9, "b": 3}


def test_latency_asks_the_quickest_once_everyone_was_timed() -> None:
    clock = clock_at_start()
    client = Saying(clock, {}, {"a": 9.0, "b": 4.0, "c": 30.0, "d": 21.0})
    router = router_of("latency", client)
    for _ in range(6):
        run(router, clock, Task("hello", kind="chat"))
    # The clock goes on in steps of ten seconds, so those up to ten look alike to it.
    assert Counter(client.asked[:4]) == dict.fromkeys(KEYS, 1)
    assert set(client.asked[4:]) <= {"a", "b"}


def test_usage_goes_by_the_share_of_its_limits() -> None:
    clock = clock_at_start()
    client = Saying(clock, {})
    router = router_of(
        {"use": "usage", "over": ["a", "b"], "by": "requests"}, client,
        a={"quota": (Quota(100, "requests", "day"),)}, b={"quota": (Quota(50, "requests", "day"),)},
    )  # fmt: skip
    for _ in range(60):
        run(router, clock, Task("hello", kind="chat"))
    asked = Counter(client.asked)
    assert (asked["a"], asked["b"]) == (40, 20)


def test_weighted_draws_in_proportion() -> None:
    router = router_of({"use": "weighted", "weights": {"a": 3, "b": 1}}, Saying(Clock(), {}))
    drawn = Counter(router.route(Task("hello", kind="chat")) for _ in range(4000))
    assert abs(drawn["a"] / 4000 - 0.75) < 0.04
    assert set(drawn) == {"a", "b"}


def test_split_keeps_an_asker_in_one_arm_and_counts_what_comes_of_it() -> None:
    clock = clock_at_start()
    client = Saying(clock, {"b": FailureCode.SERVER_ERROR})
    arms = {"control": {"share": 90, "then": "a"}, "canary": {"share": 10, "then": "b"}}
    router = router_of({"use": "split", "name": "poets", "arms": arms}, client)
    asked = {str(who): {router.route(Task("hi", asker=str(who))) for _ in range(3)} for who in range(1000)}
    assert all(len(of_one) == 1 for of_one in asked.values())
    assert 60 < sum(of_one == {"b"} for of_one in asked.values()) < 140
    ends = [run(router, clock, Task("hi", asker=str(who), kind="chat")) for who in range(100)]
    arms_seen = router.experiments()
    assert arms_seen["poets/control"]["tasks"] + arms_seen["poets/canary"]["tasks"] == 100
    assert arms_seen["poets/canary"]["accepted"] == 0.0
    assert arms_seen["poets/control"]["accepted"] == 1.0
    assert all(isinstance(end, RouteResult) for end in ends), "the other arm answers where one cannot"


def test_sticky_stays_with_who_answered_and_lets_go_when_it_fails() -> None:
    clock = clock_at_start()
    client = Saying(clock, says := {})
    router = router_of({"use": "sticky", "then": "round_robin"}, client)
    for _ in range(3):
        for conversation in ("x", "y"):
            run(router, clock, Task("hello", kind="chat", conversation=conversation))
    assert client.asked[:2] * 3 == client.asked
    assert client.asked[0] != client.asked[1]
    says[client.asked[0]] = FailureCode.SERVER_ERROR
    result = run(router, clock, Task("hello", kind="chat", conversation="x"))
    assert isinstance(result, RouteResult)
    assert result.backend != client.asked[0]
    run(router, clock, Task("hello", kind="chat", conversation="x"))
    assert client.asked[-1] == result.backend


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ({"kind": "chat"}, Task("x", kind="chat"), Task("x", kind="write")),
        ({"tokens": {"above": 10}}, Task("x" * 100), Task("x")),
        ({"needs": ["json"]}, Task("x", schema={"type": "object"}), Task("x")),
        (
            {"language": "de"},
            Task("Das ist nicht der Grund, und es ist auch nicht gut."),
            Task("The moon is not here."),
        ),
        ({"context": "supervisor.*"}, Task("x", context="supervisor.plan"), Task("x", context="worker")),
        ({"tier": ["gold"]}, Task("x", tier="gold"), Task("x")),
        ({"not": {"tier": "gold"}}, Task("x"), Task("x", tier="gold")),
        ({"any": [{"tier": "gold"}, {"kind": "chat"}]}, Task("x", kind="chat"), Task("x", kind="write")),
        ({"tier": "gold", "kind": "chat"}, Task("x", kind="chat", tier="gold"), Task("x", kind="chat")),
        ({"all": [{"tier": "gold"}, {"kind": "chat"}]}, Task("x", kind="chat", tier="gold"), Task("x", kind="write")),
    ],
)
def test_a_condition_sends_where_it_says(when: dict[str, Any], yes: Task, no: Task) -> None:
    route = {"use": "conditional", "cases": [{"when": when, "then": "c"}], "otherwise": "d"}
    assert (first_of(route, yes), first_of(route, no)) == ("c", "d")


def test_the_hour_the_budget_the_quota_and_the_breaker_are_conditions() -> None:
    clock = clock_at_start()

    def who(when: dict[str, Any], change: Callable[[Router], object] = lambda router: None) -> str:
        route = {"use": "conditional", "cases": [{"when": when, "then": "c"}], "otherwise": "d"}
        client = Saying(clock, {"a": FailureCode.AUTH})
        router = router_of(route, client, a={"quota": (Quota(2, "requests", "day"),)})
        change(router)
        return router.route(Task("x", kind="chat"))

    hour = int(clock.seconds() // 3600 % 24)
    assert who({"hour": {"from": hour, "to": (hour + 1) % 24}}) == "c"
    assert who({"hour": {"from": (hour + 1) % 24, "to": hour}}) == "d"
    assert who({"backend": {"a": "available"}}) == "c"
    assert who({"backend": {"a": "open"}}) == "d"
    asks = lambda router: Deferred.fromCoroutine(router.call("a", "x")).addErrback(lambda _: None)  # noqa: E731
    assert who({"backend": {"a": "open"}}, asks) == "c"
    assert who({"headroom": {"backend": "a", "below": 0.6}}, asks) == "c"
    assert who({"headroom": {"backend": "a", "below": 0.4}}, asks) == "d"

    class Purse:
        def reserve(self, task_id: str, usd: float) -> str:
            return ""

        def unreserve(self, task_id: str) -> None: ...

        def left(self, task_id: str) -> float:
            return 0.05

    assert who({"budget": {"left_below": 0.1}}) == "d"
    assert who({"budget": {"left_below": 0.1}}, lambda router: router.keep_account(None, Purse())) == "c"


def test_a_case_that_holds_is_not_left_when_nobody_of_it_can_be_asked() -> None:
    clock = clock_at_start()
    route = {"use": "conditional", "cases": [{"when": {"kind": "chat"}, "then": "a"}], "otherwise": "d"}
    router = router_of(route, Saying(clock, {}))
    router.set_disabled("a", True)
    decision = router.explain(Task("x", kind="chat"))
    assert decision.backend == ""
    assert any("case 1" in step for step in decision.path)
    assert isinstance(run(router, clock, Task("x", kind="chat")), AllBackendsFailed)


def test_a_named_strategy_is_chosen_by_its_name_and_an_unknown_one_is_a_key_error() -> None:
    router = router_of(None, Saying(clock_at_start(), {}), {"dear": {"use": "fallback", "over": ["d", "c"]}})
    assert router.route("hello", "dear") == "d"
    assert router.route("hello", "cost") == "a"
    assert router.explain("hello", "dear").path == ("fallback: d is the first that can be asked",)
    with pytest.raises(KeyError, match="dear"):
        router.route("hello", "nobody")
    with pytest.raises(KeyError):
        router.route("hello", "conditional")


def test_routellms_names_carry_a_threshold() -> None:
    named = {"pair": {"use": "strong_weak", "strong": "d", "weak": "a"}}
    router = router_of(None, Saying(clock_at_start(), {}), named)
    task = Task("hello", kind="analysis")
    assert router.route(task, "router-pair-0.0") == "d"
    assert router.route(task, "router-pair-0.99999") == "a"
    for wrong in ("router-cost-0.5", "router-pair", "router-pair-2x", "router-nobody-0.5"):
        assert not router.has_strategy(wrong)


def test_a_strategy_that_leaves_the_configs_rooms_keeps_to_its_branch_when_all_of_it_fail() -> None:
    clock = clock_at_start()
    client = Saying(clock, {"a": FailureCode.SERVER_ERROR, "b": FailureCode.SERVER_ERROR})
    router = router_of({"use": "cost", "over": ["a", "b"]}, client)
    failed = run(router, clock, Task("x", kind="chat"))
    assert isinstance(failed, AllBackendsFailed)
    assert client.asked == ["a", "b"]
    assert {entry.backend: entry.reason for entry in failed.skipped} == dict.fromkeys(
        "cd", "not in the branch that was taken"
    )


def test_practice_is_learned_apart() -> None:
    made = config("learned")
    clock = clock_at_start()
    client = Saying(clock, {})
    practising = {key: replace(backend, unconfigured="X is not set") for key, backend in made.backends.items()}
    router = Router(replace(made, backends=practising), clock, classifier=CLASSIFIER, client=client)
    assert router.learned() == []
