"""What quota does to the ranking: it pulls, pushes back, skips, prices what is scarce, and says so."""

from __future__ import annotations

from typing import Any

import pytest
from faults import CLASSIFIER
from twisted.internet.task import Clock

from uniwizard.agent.backend_registry import Registry
from uniwizard.agent.config.settings import Config, Headroom, Rule
from uniwizard.agent.core.backend import Backend, Price, Quota
from uniwizard.agent.core.decision import Ranked, Skipped, Work
from uniwizard.agent.core.events import Events
from uniwizard.agent.health.breaker import Health
from uniwizard.agent.quota import Quotas, Spend
from uniwizard.agent.strategies.ranked import gains, rank

DAY = 86_400.0
#: Midday of a day that windows of a day cut in half.
NOON = 20_000 * DAY + DAY / 2
DAILY = Quota(1.0, "usd", "day")


class Shelf:
    """Backends, their quotas and a clock."""

    def __init__(self, *backends: Backend, rules: tuple[Rule, ...] = (), headroom: Headroom | None = None):
        self.now = NOON
        self.healths = [Health(backend, lambda: self.now, lambda event: None) for backend in backends]
        self.quotas = Quotas({backend.key: backend for backend in backends}, NOON)
        self.rules = rules
        self.headroom = headroom or Headroom()

    def used(self, key: str, usd: float) -> None:
        self.quotas[key].observe(self.now, Spend(1, 0, 0, usd))

    def rank(self, work: Work) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
        return rank(work, self.healths, self.rules, CLASSIFIER.suits, self.quotas.__getitem__, self.headroom, self.now)

    def choose(self, work: Work) -> str:
        ranking, skipped = self.rank(work)
        for key, gain in gains(ranking, skipped):
            self.quotas[key].wanted(self.now, work, gain)
        return ranking[0].backend if ranking else ""


def backend(key: str, *quota: Quota, **more: Any) -> Backend:
    settings = {"price": Price(0.001, 0.001), "max_context": 1_000_000} | more
    return Backend(key, "openai", "http://127.0.0.1", "m", quota=quota, **settings)


CHAT = Work("chat", 100)


def test_among_equals_the_quota_that_would_expire_unused_pulls() -> None:
    shelf = Shelf(backend("a", DAILY), backend("b", DAILY))
    shelf.used("a", 0.6)
    shelf.used("b", 0.2)
    ranking, _ = shelf.rank(CHAT)
    assert [entry.backend for entry in ranking] == ["b", "a"]
    assert "quota to burn (20% of 1 usd per day used, 50% of its time gone): x1.038" in ranking[0].reasons
    assert "quota ahead of its pace (60% of 1 usd per day used, 50% of its time gone): x0.980" in ranking[1].reasons


def test_the_weights_come_from_the_config() -> None:
    shelf = Shelf(backend("a", DAILY), headroom=Headroom(pull=0.0, push=0.5))
    free = shelf.rank(CHAT)[0][0].score
    shelf.used("a", 0.9)
    assert shelf.rank(CHAT)[0][0].score == pytest.approx(free * 0.6, abs=1e-3)


def test_an_exhausted_window_is_skipped_with_its_reset() -> None:
    shelf = Shelf(backend("a", DAILY), backend("b"))
    shelf.used("a", 1.0)
    ranking, skipped = shelf.rank(CHAT)
    assert [entry.backend for entry in ranking] == ["b"]
    assert skipped[0].reason == "quota: 1 usd per day used up; resets 2024-10-05 00:00 UTC"


def test_paid_quota_is_not_saved_for_its_price() -> None:
    dear = backend("dear", DAILY, price=Price(0.01, 0.01))
    shelf = Shelf(dear, backend("cheap", DAILY))
    shelf.used("cheap", 0.1)
    assert shelf.choose(CHAT) == "dear"


def test_simple_tasks_still_try_local_first_however_much_quota_there_is_to_burn() -> None:
    simple = Rule(frozenset({"read", "write", "status", "chat"}), ("local",))
    shelf = Shelf(backend("local", price=Price()), backend("a", DAILY), rules=(simple,))
    shelf.now = NOON + DAY * 0.49
    for kind in ("read", "write", "status", "chat"):
        assert shelf.choose(Work(kind, 100)) == "local"


def scarce(**headroom: Any) -> Shelf:
    """One good backend, of which much more is wanted than there is, beside a free one that does it less well."""
    prefer = Rule(frozenset({"analysis"}), ("good", "free"))
    shelf = Shelf(
        backend("good", DAILY, price=Price(0.01, 0.0)),
        backend("free", price=Price()),
        rules=(prefer,),
        headroom=Headroom(**headroom),
    )
    shelf.now = 20_000 * DAY
    for number in range(400):
        shelf.now += 60.0
        # A third of the tasks are twenty times as large as the others and gain no more.
        shelf.choose(Work("analysis", 20_000 if number % 3 == 0 else 1000))
    return shelf


def test_scarce_quota_goes_to_the_tasks_that_make_most_of_it() -> None:
    shelf = scarce()
    shelf.used("good", 0.5)
    assert shelf.choose(Work("analysis", 200)) == "good"
    assert shelf.choose(Work("analysis", 20_000)) == "free"
    entry = next(e for e in shelf.rank(Work("analysis", 20_000))[0] if e.backend == "good")
    assert any("times what is left of 1 usd per day is wanted: x0." in reason for reason in entry.reasons)


def test_without_a_price_whoever_comes_first_is_served() -> None:
    shelf = scarce(price=0.0)
    shelf.used("good", 0.2)
    assert shelf.choose(Work("analysis", 20_000)) == "good"


def test_a_task_is_turned_away_only_where_every_quota_is_worth_more_to_others_and_only_if_saving() -> None:
    for save, told in ((True, True), (False, False)):
        shelf = scarce(save=save)
        shelf.used("good", 0.5)
        huge = Work("analysis", 20_000)
        assert shelf.choose(huge) == "free"
        shelf.healths[1].disabled = True
        ranking, skipped = shelf.rank(huge)
        assert any("kept for tasks that make more of it" in entry.reason for entry in skipped) is told
        assert [entry.backend for entry in ranking] == ([] if told else ["good"])


def test_practice_costs_no_quota_and_is_not_held_back_by_it() -> None:
    registry = Registry(Config({"a": backend("a", DAILY)}), Clock(), Events())
    registry.quotas["a"].observe(0.0, Spend(1, 0, 0, 1.0))
    assert registry.quota("a").obstacle(0.0, CHAT).startswith("quota: 1 usd per day used up")
    registry.stand_in({"a": "http://127.0.0.1:1"})
    assert registry.quota("a").obstacle(0.0, CHAT) == ""
    registry.quota("a").reserve(0.0, CHAT).settle(Spend(1, 0, 0, 1.0))
    assert registry.quotas["a"].windows[0].window.used == 1.0
    registry.stand_in({})
    assert registry.quota("a") is registry.quotas["a"]
