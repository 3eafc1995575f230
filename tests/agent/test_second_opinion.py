"""A second opinion on doubtful answers: when it is asked for, what is sent, what it costs, what it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_llm.replies import answer
from faults import RouterTest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent import Task
from uniwizard.agent.config.faults import ConfigError
from uniwizard.agent.config.loader import load
from uniwizard.agent.core.backend import Price
from uniwizard.agent.core.events import AttemptEnded, AttemptStarted
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.core.verdict import Verdict
from uniwizard.agent.engine.second_opinion import KIND, yes_or_no
from uniwizard.agent.judge import JudgeSettings
from uniwizard.agent.judge.calibrated import CalibratedJudge
from uniwizard.agent.judge.judging import reconsider

TASK = Task(
    "How do the tides work, asks Wilhelmina Okonkwo?", kind="knowledge", identity=frozenset({"Wilhelmina Okonkwo"})
)
TIDES = "The moon pulls on the water twice a day, and the land turns below it. Ask Wilhelmina Okonkwo for a table."
#: Every answer is doubtful.
ALWAYS = {"backend": "cheap", "between": [0, 1], "weight": 20, "timeout": 5}


class SecondOpinions(RouterTest):
    def asking(self, reply: str, first: str = TIDES, **settings: Any) -> Any:
        self.server.script("a", answer(first))
        self.server.script("b", answer("The tide follows the moon."))
        self.server.script("cheap", answer(reply))
        backends = [self.server.backend(key, price=Price(1000, 1000)) for key in ("a", "b", "cheap")]
        judge = {key: {"second_opinion": {**ALWAYS, **settings}} for key in ("a", "b", "cheap")}
        self.router_ = self.router(*backends, judge=judge)
        self.heard: list[Any] = []
        self.router_.events.subscribe(self.heard.append)
        return self.router_

    async def test_nobody_is_asked_unless_the_config_says_so(self) -> None:
        self.server.script("a", answer(TIDES))
        router = self.router(self.server.backend("a"), self.server.backend("cheap"))
        assert (await router.call_with_fallback(TASK, pin="a")).backend == "a"
        assert self.server.asked("cheap") == 0

    async def test_an_adviser_who_says_yes_has_the_task_move_on(self) -> None:
        result = await self.asking("Yes.").call_with_fallback(TASK, pin="a")
        assert result.backend != "a"
        assert result.attempts[0].failure is FailureCode.REFUSED
        assert "second opinion of cheap" in result.attempts[0].reason

    async def test_an_adviser_who_says_no_has_a_refusal_accepted(self) -> None:
        result = await self.asking("no", "I'm sorry, but I can't help with that.").call_with_fallback(TASK, pin="a")
        assert (result.backend, result.refused) == ("a", False)

    async def test_an_answer_outside_of_the_bounds_is_not_asked_about(self) -> None:
        result = await self.asking("Yes.", between=[0.4, 0.5]).call_with_fallback(TASK, pin="a")
        assert (result.backend, self.server.asked("cheap")) == ("a", 0)

    async def test_it_is_asked_once_an_answer_and_never_about_its_own(self) -> None:
        await self.asking("No.").call_with_fallback(TASK, pin="a")
        assert self.server.asked("cheap") == 1
        self.server.script("cheap", answer(TIDES))
        await self.router_.call_with_fallback(TASK, pin="cheap")
        assert self.server.asked("cheap") == 2

    async def test_no_name_leaves_with_the_question(self) -> None:
        await self.asking("No.").call_with_fallback(TASK, pin="a")
        sent = self.server.requests["cheap"][-1].body
        assert b"tides work" in sent
        assert b"Wilhelmina" not in sent and b"Okonkwo" not in sent

    async def test_it_is_an_attempt_of_its_own_for_listeners_and_part_of_the_price(self) -> None:
        result = await self.asking("No.").call_with_fallback(TASK, pin="a")
        ended = [event.attempt for event in self.heard if isinstance(event, AttemptEnded)]
        started = [event.number for event in self.heard if isinstance(event, AttemptStarted)]
        assert [attempt.backend for attempt in ended] == ["cheap", "a"]
        assert ended[0].kind == KIND and ended[0].cost_usd > 0
        assert len(set(started)) == 2
        assert [attempt.backend for attempt in result.attempts] == ["a"]
        assert result.cost_usd == pytest.approx(sum(attempt.cost_usd for attempt in ended))

    async def test_an_adviser_who_fails_or_waffles_changes_nothing(self) -> None:
        for reply in ("Perhaps.", "", "Yes and no."):
            result = await self.asking(reply).call_with_fallback(TASK, pin="a")
            assert (result.backend, result.refused) == ("a", False)


def verdicts() -> st.SearchStrategy[Verdict]:
    chance = st.floats(0, 1)
    return st.builds(lambda score, refuses: Verdict(score=max(score, refuses), refuses=refuses), chance, chance)


@given(verdicts(), st.booleans(), st.floats(0, 10))
def test_a_reply_moves_the_chance_of_a_refusal_its_own_way_only(verdict: Verdict, refuses: bool, weight: float) -> None:
    settings = JudgeSettings.from_mapping({"second_opinion": {"backend": "cheap", "weight": weight}})
    changed = reconsider(verdict, refuses, settings)
    assert 0 <= changed.refuses <= 1
    assert changed.refuses >= verdict.refuses - 1e-5 if refuses else changed.refuses <= verdict.refuses + 1e-5
    assert changed.refused is (changed.refuses >= settings.reroute_at)


def test_a_fault_of_form_and_a_providers_field_are_not_reconsidered() -> None:
    judge = CalibratedJudge({"a": {"second_opinion": ALWAYS}})
    for verdict in (Verdict(FailureCode.MALFORMED, 0.3), Verdict(FailureCode.REFUSED, 1.0, source="provider")):
        assert judge.adviser(verdict, "a")[0] == ""
        assert judge.reconsider(verdict, "a", True) == verdict


@given(st.text())
def test_any_reply_is_yes_no_or_neither(reply: str) -> None:
    assert yes_or_no(reply) in (True, False, None)


@pytest.mark.parametrize(("reply", "said"), [("Yes.", True), ("**no**", False), ("yes, no", None), ("Sure", None)])
def test_a_reply_of_a_word_is_understood(reply: str, said: bool | None) -> None:
    assert yes_or_no(reply) is said


CONFIG = """
version: 1
backends:
  a: {api: openai, url: "http://127.0.0.1:1/v1", model: m}
  b: {api: openai, url: "http://127.0.0.1:1/v1", model: m}
judge: {second_opinion: %s}
"""


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"backend": "c"}, "is no backend"),
        ({"backend": "b", "between": [0.9, 0.1]}, "falls"),
        ({"backend": "b", "between": [0.9]}, "between"),
        ({"between": [0.1, 0.9]}, "backend"),
    ],
)
def test_a_fault_in_the_config_is_named_with_its_line(tmp_path: Any, section: dict[str, Any], fault: str) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text(CONFIG % json.dumps(section))
    with pytest.raises(ConfigError, match=fault) as raised:
        load(path, {})
    assert raised.value.faults[0].line == 6


def test_a_config_that_names_an_adviser_gives_its_settings(tmp_path: Any) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text(CONFIG % '{"backend": "b", "between": [0.2, 0.6]}')
    judge = CalibratedJudge(load(path, {}).judge)
    assert judge.adviser(Verdict(refuses=0.4), "a") == ("b", 5.0)
    assert judge.adviser(Verdict(refuses=0.7), "a")[0] == ""
    assert judge.adviser(Verdict(refuses=0.4), "b")[0] == ""
