"""Planning: every plan can be done, none is cheaper, what is done stays done, and what cannot be is said so."""

from __future__ import annotations

import random
import statistics
import time
from itertools import combinations

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.goals.planner import LEAST, Found, Option, Unreachable, search

FACTS = [f"f{number}" for number in range(7)]
SOME = st.frozensets(st.sampled_from(FACTS), max_size=3)
OPTIONS = st.lists(
    st.tuples(SOME, st.frozensets(st.sampled_from(FACTS), min_size=1, max_size=2), st.floats(0, 9)).map(
        lambda said: Option(*said, "")
    ),
    max_size=9,
)
WANTS = st.frozensets(st.sampled_from(FACTS), min_size=1, max_size=3)


def done_by(steps: tuple[Option[str], ...] | list[Option[str]], true: frozenset[str]) -> frozenset[str]:
    """What is true when all that can be done of ``steps`` is done, in any order."""
    waiting, now = list(steps), set(true)
    while ready := [step for step in waiting if step.needs <= now]:
        for step in ready:
            now |= step.makes
            waiting.remove(step)
    return frozenset(now) if not waiting else frozenset()


def cheapest(wants: frozenset[str], true: frozenset[str], options: list[Option[str]]) -> float | None:
    """By trying every set of options."""
    best = None
    for count in range(len(options) + 1):
        for chosen in combinations(options, count):
            cost = sum(max(LEAST, each.cost) for each in chosen)
            if (best is None or cost < best) and wants <= true | done_by(list(chosen), true):
                best = cost
    return best


def plan(wants: frozenset[str], true: frozenset[str], options: list[Option[str]]) -> Found[str] | None:
    try:
        return search(wants, true, options)
    except Unreachable:
        return None


@settings(max_examples=examples(300), deadline=None)
@given(WANTS, SOME, OPTIONS)
def test_a_plan_can_be_done_and_none_is_cheaper(
    wants: frozenset[str], true: frozenset[str], options: list[Option[str]]
) -> None:
    found, best = plan(wants, true, options), cheapest(wants, true, options)
    assert (found is None) == (best is None)
    if found is not None:
        now = set(true)
        for step in found.steps:
            assert step.needs <= now, "a step whose needs nobody has met"
            now |= step.makes
        assert wants <= now
        assert found.cost == pytest.approx(best)
        assert found.cheapest


@settings(max_examples=examples(150), deadline=None)
@given(WANTS, SOME, OPTIONS, st.data())
def test_replanning_keeps_what_is_done(
    wants: frozenset[str], true: frozenset[str], options: list[Option[str]], data: st.DataObject
) -> None:
    found = plan(wants, true, options)
    if found is None or not found.steps:
        return
    done = found.steps[: data.draw(st.integers(0, len(found.steps)))]
    now = true.union(*(step.makes for step in done))
    again = plan(wants, now, options)
    assert again is not None
    # No more is paid than what the first plan had left, and nothing is done whose facts are all true.
    assert again.cost <= sum(max(LEAST, step.cost) for step in found.steps[len(done) :]) + 1e-9
    assert not [step for step in again.steps if step.makes <= now]


def option(needs: str, makes: str, cost: float = 1.0) -> Option[str]:
    return Option(frozenset(needs.split()), frozenset(makes.split()), cost, f"{needs}>{makes}")


def test_a_circle_is_opened_from_outside() -> None:
    found = search({"a", "b"}, (), [option("a", "b"), option("b", "a"), option("", "c"), option("c", "a", 5.0)])
    assert [step.what for step in found.steps] == [">c", "c>a", "a>b"]


def test_a_fact_that_nothing_makes_is_named_at_its_root() -> None:
    with pytest.raises(Unreachable) as unreachable:
        search({"told"}, (), [option("known asked", "told"), option("", "asked"), option("found", "known")])
    assert (unreachable.value.fact, "nothing" in unreachable.value.why) == ("found", True)
    with pytest.raises(Unreachable) as unreachable:
        search({"told"}, (), [option("known", "told"), option("told", "known")])
    assert "needs it before" in unreachable.value.why


def library(seed: int, actions: int = 100, steps: int = 12) -> tuple[list[Option[str]], set[str]]:
    """A library of so many actions in which a goal takes so many steps: three strands, with detours and dead ends."""
    chance = random.Random(seed)
    options = []
    for number in range(steps):
        needs = f"s{number - 3}" if number >= 3 else ""
        options.append(option(needs, f"s{number}", chance.uniform(1, 3)))
    while len(options) < actions:
        made = chance.choice([f"s{chance.randrange(steps)}", f"x{chance.randrange(30)}"])
        needs = " ".join(chance.sample([f"s{n}" for n in range(steps)] + [f"x{n}" for n in range(30)], 2))
        options.append(option(needs, made, chance.uniform(1, 6)))
    chance.shuffle(options)
    return options, {f"s{steps - 1}", f"s{steps - 2}", f"s{steps - 3}"}


def test_a_large_library_is_searched_to_the_end() -> None:
    took = []
    for seed in range(20):
        options, wants = library(seed)
        began = time.perf_counter()
        found = search(wants, (), options)
        took.append(time.perf_counter() - began)
        assert found.cheapest and 9 <= len(found.steps) <= 12
    # The aim is 20 ms; what is tested is that the search does not wander, on whatever machine.
    assert statistics.median(took) < 0.1
