"""``learned``: who teaches it what, how soon it changes its mind, what outlives a restart, when the rules take over."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_strategies import Saying, clock_at_start, config, router_of, run
from trees import KEYS
from twisted.internet.task import Clock

from uniwizard.agent import Router, RouteResult, Task
from uniwizard.agent.core.events import Learned, LearningTurned
from uniwizard.agent.strategies.learning.guard import Guard
from uniwizard.agent.strategies.learning.table import DECAY, PRIOR, WEIGHTS, Table


def poem(number: int, seed: int = 0) -> Task:
    words = f"Write a poem about {number} silver lanterns."
    # Chance comes from the id, so that these tests always end alike.
    return Task(words, kind="write", asker=f"player-{number % 5}", id=f"{seed}-{number}")


def think(router: Router, clock: Clock, task: Task, good: dict[str, float], luck: random.Random) -> str:
    """One thought that somebody then judges; the backend that answered."""
    result = run(router, clock, task)
    assert isinstance(result, RouteResult)
    clock.advance(400.0)
    router.feedback(task.id, result.answered, good=luck.random() < good[result.backend])
    return result.backend


def test_in_fifty_thoughts_it_learns_who_is_the_better_poet() -> None:
    settled = []
    for seed in range(10):
        luck, clock = random.Random(seed), clock_at_start()
        router = router_of("learned", Saying(clock, {}))
        asked = [think(router, clock, poem(n, seed), {"a": 0.2, "b": 0.9, "c": 0.4, "d": 0.4}, luck) for n in range(50)]
        assert "a" in asked[:3], "the rules prefer it"
        settled.append(router.route(poem(99)) == "b")
        decision = router.explain(replace(poem(99), id="x"))
        assert any("outcomes" in step or "tried" in step for step in decision.path)
    assert sum(settled) >= 8, "by then it asks the better poet"


@pytest.mark.slow
def test_it_notices_that_a_brain_has_become_worse() -> None:
    noticed = []
    for seed in range(10):
        luck, clock = random.Random(seed), clock_at_start()
        router = router_of("learned", Saying(clock, {}))
        rates = {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.5}
        for number in range(150):
            think(router, clock, poem(number, seed), rates, luck)
        assert router.route(poem(999)) == "a"
        rates["a"] = 0.3
        after = [think(router, clock, poem(number, seed), rates, luck) for number in range(150, 450)]
        noticed.append(after[-50:].count("b") > 30)
    assert sum(noticed) >= 8


def test_without_a_lesson_the_rules_decide() -> None:
    plain = router_of(None, Saying(Clock(), {}))
    learned = router_of({"use": "learned", "explore": 0}, Saying(Clock(), {}))
    for kind in ("chat", "analysis", "write"):
        task = Task("hello", kind=kind)
        assert learned.route(task) == plain.route(task)


def test_each_source_counts_what_its_weight_says_and_is_told() -> None:
    clock = clock_at_start()
    client = Saying(clock, {"a": "I'm sorry, but I can't help with that request."})
    router = router_of({"use": "fallback", "over": ["a", "b"]}, client)
    told: list[Learned] = []
    router.events.subscribe(lambda event: told.append(event) if isinstance(event, Learned) else None)
    task = Task("How do the tides work in spring?", kind="chat", asker="anna")
    result = run(router, clock, task)
    assert isinstance(result, RouteResult)
    assert [(e.backend, e.source, e.score) for e in told] == [("a", "refusal", 0.0), ("b", "verdict", 1.0)]
    router.feedback(task.id, result.answered, good=False)
    router.feedback(task.id, result.answered, good=True, source="goal")
    run(router, clock, replace(task, id="again"))
    run(router, clock, replace(task, id="reworded", prompt="Please, how do tides work in the spring?"))
    sources = [event.source for event in told]
    assert sources[2:4] == ["feedback", "goal"]
    assert {"retry", "rephrased"} <= set(sources)
    assert all(event.weight == WEIGHTS[event.source] for event in told)


def test_what_was_learned_outlives_a_restart_and_can_be_edited_and_forgotten() -> None:
    clock = clock_at_start()
    first = router_of("learned", Saying(clock, {}))
    luck = random.Random(1)
    for number in range(60):
        think(first, clock, poem(number), {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.5}, luck)
    (place,) = [kept for kept in first.kept() if kept[1] == "learned"]
    kept = json.loads(json.dumps(first.snapshot(*place)))
    second = router_of("learned", Saying(clock, {}))
    assert second.restore(*place, kept) == []
    for mine, theirs in zip(second.learned(), first.learned(), strict=True):
        assert (mine.kind, mine.backend) == (theirs.kind, theirs.backend)
        assert abs(mine.mean - theirs.mean) < 1e-4
    assert second.route(replace(poem(1), id="1")) == first.route(replace(poem(1), id="1"))
    kept["table"]["cells"].append(["write", "a", "many", 1, 1, 0.5])
    assert second.restore(*place, kept) == ["table: cells[" + str(len(first.learned())) + "]: is not "
                                            "[kind, backend, good, seen, total, prior]"]  # fmt: skip
    second.forget_learned(backend="b")
    assert {row.backend for row in second.learned()} == {row.backend for row in first.learned()} - {"b"}
    second.forget_learned()
    assert second.learned() == []


def test_cheapest_with_nearly_the_same_quality_is_taken_once_it_is_trusted() -> None:
    clock = clock_at_start()
    router = router_of({"use": "learned", "quality": 0.9, "explore": 0, "over": ["d", "b"]}, Saying(clock, {}))
    table = router._decider.world.table
    assert router.route(Task("x", kind="analysis")) == "b"
    for _ in range(60):
        table.observe("analysis", "d", 1.0, prior=0.6)
        table.observe("analysis", "b", 0.2, prior=0.6)
    assert router.route(Task("x", kind="analysis")) == "d"
    for _ in range(200):
        table.observe("analysis", "b", 1.0, prior=0.6)
    assert router.route(Task("x", kind="analysis")) == "b"


def test_exploration_is_rare_falls_and_tells_its_propensity() -> None:
    router = router_of("learned", Saying(Clock(), {}))
    world = router._decider.world

    def explored() -> float:
        plans = [router.plan(Task("x", kind="analysis", id=str(n))) for n in range(3000)]
        choices = [plan.choosing.choice for plan in plans if plan.choosing is not None]
        first = max({c.first for c in choices}, key=[c.first for c in choices].count)
        for choice in choices:
            assert 0 < choice.propensity <= 1
            assert (choice.first == first) == (choice.propensity > 0.5)
        return sum(choice.first != first for choice in choices) / len(choices)

    early = explored()
    world.table.total = 10_000
    late = explored()
    assert 0.02 < early < 0.06
    assert 0.0 < late < 0.02


@settings(max_examples=examples(200))
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(KEYS), st.floats(0, 1), st.sampled_from([0.25, 1.0])))
)
def test_a_mean_stays_between_nothing_and_all_and_moves_towards_what_is_seen(outcomes: list[Any]) -> None:
    table = Table()
    for kind, key, score, weight in outcomes:
        before = table.mean(kind, key, 0.6)
        table.observe(kind, key, score, weight=weight, prior=0.6)
        mean, high = table.bounds(kind, key, 0.6)
        assert 0.0 < mean < 1.0
        assert mean <= high <= 1.0
        if score == 1.0:
            assert mean >= before - 1e-3 * (1 - DECAY) * PRIOR - 0.01
    again = Table()
    assert again.restore(json.loads(json.dumps(table.snapshot()))) == []
    for kind, key, _, _ in outcomes:
        assert abs(again.mean(kind, key, 0.6) - table.mean(kind, key, 0.6)) < 1e-3
    with pytest.raises(ValueError, match="score"):
        table.observe("x", "a", 1.5)


def guarded(rate_learned: float, rate_rules: float, seed: int, tasks: int = 500) -> Guard:
    luck, guard = random.Random(seed), Guard()
    for number in range(tasks):
        by_rules = luck.random() < 0.05
        rate = rate_rules if by_rules else rate_learned
        propensity = 0.05 if by_rules else 0.95
        guard.add(str(number), propensity=propensity, learned=not by_rules, rules=by_rules,
                  reward=float(luck.random() < rate))  # fmt: skip
        guard.consider()
    return guard


@pytest.mark.slow
def test_the_guard_takes_back_what_does_worse_and_seldom_anything_else() -> None:
    assert sum(bool(guarded(0.5, 0.9, seed).reverted) for seed in range(40)) >= 36
    assert sum(bool(guarded(0.9, 0.5, seed).reverted) for seed in range(40)) == 0
    assert sum(bool(guarded(0.8, 0.8, seed).reverted) for seed in range(40)) <= 14


def test_a_reverted_table_lets_the_rules_decide_and_says_so() -> None:
    clock = clock_at_start()
    router = router_of("learned", Saying(clock, {}))
    world = router._decider.world
    for _ in range(300):
        world.table.observe("write", "a", 0.0, prior=0.8)
    assert router.route(Task("x", kind="write", id="same")) != "a"
    told: list[LearningTurned] = []
    router.events.subscribe(lambda event: told.append(event) if isinstance(event, LearningTurned) else None)
    luck = random.Random(1)
    for number in range(500):
        by_rules = number % 20 == 0
        rate, propensity = (0.95, 0.05) if by_rules else (0.3, 0.95)
        world.guard.add(str(number), propensity=propensity, learned=not by_rules, rules=by_rules,
                        reward=float(luck.random() < rate))  # fmt: skip
    result = run(router, clock, Task("x", kind="write"))
    assert isinstance(result, RouteResult)
    assert told
    assert told[0].reverted
    assert router.learning_reverted
    decision = router.explain(Task("x", kind="write", id="same"))
    assert decision.backend == "a"
    assert "the rules decide" in decision.path[0]
    router.forget_learned()
    assert router.learning_reverted == ""


def test_a_config_without_strategies_learns_nothing_and_keeps_nothing() -> None:
    clock = clock_at_start()
    router = router_of(None, Saying(clock, {}))
    result = run(router, clock, Task("x", kind="write"))
    assert isinstance(result, RouteResult)
    router.feedback("1", result.answered, good=False)
    assert router.learned() == []
    assert all(category != "learned" for _, category in router.kept())
    assert config("learned").route == "learned"
