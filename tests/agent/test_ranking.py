"""Who would do a task best, and why; who cannot, and why not."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from faults import CLASSIFIER

from uniwizard.agent.config.loader import load
from uniwizard.agent.config.settings import Headroom, Rule
from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.agent.core.backend import Backend, Price
from uniwizard.agent.core.decision import Ranked, Skipped, work_of
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.core.task import KINDS, Image, Task, Tool
from uniwizard.agent.health.breaker import Health
from uniwizard.agent.quota import Quotas
from uniwizard.agent.strategies.ranked import preferred, rank

KEYS = dict.fromkeys(
    ("ANTHROPIC_API_KEY", "MOONSHOT_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY"), "key"
)
SHIPPED = load(CONFIGS / "backends.yaml", KEYS)
PICTURE = Image("image/png", b"png")


def healthy(*backends: Backend) -> dict[str, Health]:
    return {backend.key: Health(backend, lambda: 1_000_000.0, lambda event: None) for backend in backends}


def backend(key: str, **settings: object) -> Backend:
    return Backend(key, "openai", "http://x", "m", **settings)  # type: ignore[arg-type]


def ranked(
    healths: dict[str, Health], task: Task | None = None, kind: str = "chat", rules: tuple[Rule, ...] = ()
) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
    work = work_of(task or Task("hello"), kind)
    quotas = Quotas({key: health.backend for key, health in healths.items()}, 0.0)
    return rank(work, healths.values(), rules, CLASSIFIER.suits, quotas.__getitem__, Headroom(), 0.0)


def order(*arguments: object, **more: object) -> list[str]:
    return [entry.backend for entry in ranked(*arguments, **more)[0]]  # type: ignore[arg-type]


FIRST = {
    **dict.fromkeys(("read", "write", "status", "chat"), "local"),
    **dict.fromkeys(("reasoning", "analysis", "code_review", "architecture"), "claude"),
    **dict.fromkeys(("long_document", "bulk_code"), "kimi"),
    **dict.fromkeys(("knowledge", "summarize"), "gpt"),
    "multimodal": "gemini",
    "quick_answer": "grok",
    **dict.fromkeys(("roleplay", "dialogue"), "local"),
    **dict.fromkeys(("describe", "story"), "claude"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_goes_to_the_backend_its_rule_names(kind: str) -> None:
    ranking, _ = ranked(healthy(*SHIPPED.backends.values()), kind=kind, rules=SHIPPED.rules)
    assert ranking[0].backend == FIRST[kind]
    assert f"first choice for {kind}" in ranking[0].reasons


@pytest.mark.parametrize("kind", KINDS)
def test_everyone_else_stays_in_reserve(kind: str) -> None:
    assert sorted(order(healthy(*SHIPPED.backends.values()), kind=kind, rules=SHIPPED.rules)) == sorted(
        SHIPPED.backends
    )


def test_the_default_file_without_keys_leaves_the_local_backend() -> None:
    config = load(CONFIGS / "backends.yaml", {"PATH": os.environ.get("PATH", "")})
    ranking, skipped = ranked(healthy(*config.backends.values()), kind="architecture", rules=config.rules)
    assert [entry.backend for entry in ranking] == ["local"]
    assert Skipped("claude", "asleep: ANTHROPIC_API_KEY is not set") in skipped


def test_preferences_count_in_their_order() -> None:
    rules = (Rule(frozenset({"chat"}), ("c", "a")),)
    assert order(healthy(*map(backend, "abc")), rules=rules) == ["c", "a", "b"]


def test_a_rule_that_names_the_kind_comes_before_one_for_any() -> None:
    rules = (Rule(frozenset("*"), ("a",)), Rule(frozenset({"chat"}), ("b",)))
    assert preferred("chat", rules) == ["b", "a"]
    assert preferred("read", rules) == ["a"]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (Task("look", images=(PICTURE,)), "cannot take images"),
        (Task("hear", images=(Image("audio/wav", b"wav"),)), "cannot take audio"),
        (Task("do", tools=(Tool("look"),)), "cannot take tools"),
        (Task("do", images=(PICTURE,), tools=(Tool("look"),)), "cannot take images or tools"),
    ],
)
def test_who_lacks_what_the_task_needs_is_skipped_and_told_why(task: Task, reason: str) -> None:
    able = backend("b", capabilities=frozenset({"images", "audio", "tools"}))
    ranking, skipped = ranked(healthy(backend("a"), able), task)
    assert [entry.backend for entry in ranking] == ["b"]
    assert skipped == (Skipped("a", reason),)


def test_a_schema_can_be_asked_of_anyone_but_better_of_who_has_a_json_mode() -> None:
    healths = healthy(backend("a"), backend("b", capabilities=frozenset({"json"})))
    task = Task("list", schema={"type": "array"})
    assert order(healths, task) == ["b", "a"]
    assert "no JSON mode" in ranked(healths, task)[0][1].reasons


def test_what_does_not_fit_is_not_sent() -> None:
    ranking, skipped = ranked(
        healthy(backend("a", max_context=1000), backend("b", max_context=9000)), Task("x " * 8000)
    )
    assert [entry.backend for entry in ranking] == ["b"]
    assert skipped[0].reason == "too long: about 4250 tokens, 1000 fit"


def test_the_answer_needs_room_as_well() -> None:
    healths = healthy(backend("a", max_context=4000))
    assert order(healths, Task("x" * 12_400, max_tokens=800)) == ["a"]
    assert order(healths, Task("x" * 12_900, max_tokens=800)) == []
    assert order(healths, Task("x" * 12_900, max_tokens=0)) == ["a"]


def test_an_open_breaker_is_a_reason_to_be_skipped() -> None:
    healths = healthy(backend("a", allowed_fails=0), backend("b"))
    healths["a"].failed(FailureCode.OVERLOADED, "503")
    ranking, skipped = ranked(healths)
    assert [entry.backend for entry in ranking] == ["b"]
    assert skipped[0].reason.startswith("breaker open for 60 s more: overloaded: 503")


def test_who_fails_is_asked_later() -> None:
    healths = healthy(*map(backend, "ab"))
    assert order(healths) == ["a", "b"]
    healths["a"].failed(FailureCode.OVERLOADED, "503")
    assert order(healths) == ["b", "a"]
    assert any("has failed lately" in reason for reason in ranked(healths)[0][1].reasons)


def test_who_declines_a_kind_is_asked_later_for_that_kind() -> None:
    healths = healthy(*map(backend, "ab"))
    for _ in range(3):
        healths["a"].judged("chat", declined=True)
    assert order(healths) == ["b", "a"]
    assert order(healths, kind="knowledge") == ["a", "b"]


def test_of_equals_the_cheaper_and_then_the_quicker_is_asked() -> None:
    dear, cheap = backend("a", price=Price(0.01, 0.03)), backend("b")
    assert order(healthy(dear, cheap)) == ["b", "a"]
    healths = healthy(*map(backend, "ab"))
    healths["a"].succeeded(20.0)
    healths["b"].succeeded(1.0)
    assert order(healths) == ["b", "a"]


def test_a_price_never_outweighs_a_preference() -> None:
    healths = healthy(backend("a", price=Price(1, 3)), backend("b"))
    assert order(healths, rules=(Rule(frozenset({"chat"}), ("a",)),)) == ["a", "b"]


def test_every_backend_is_ranked_or_skipped_with_a_reason() -> None:
    healths = healthy(
        *(replace(b, unconfigured="asleep" if n % 2 else "") for n, b in enumerate(SHIPPED.backends.values()))
    )
    ranking, skipped = ranked(healths, rules=SHIPPED.rules)
    assert {entry.backend for entry in (*ranking, *skipped)} == set(SHIPPED.backends)
    assert all(entry.reasons for entry in ranking)
    assert all(entry.reason for entry in skipped)
