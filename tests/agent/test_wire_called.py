"""A tool call that a model wrote down as text, because its api cannot insist on one."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from uniwizard.agent.core.answer import Answer
from uniwizard.agent.core.task import Task, Tool, ToolCall
from uniwizard.agent.wire.called import call_format, call_guide, called

PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
WEATHER = Tool("weather", "The weather of a place.", PLACE)
CLOCK = Tool("clock", "The time.", {"type": "object", "properties": {}})
ONE = Task("Is it warm?", tools=(WEATHER,), must_call=True)
TWO = Task("Is it warm?", tools=(WEATHER, CLOCK), must_call=True)


@pytest.mark.parametrize(
    ("task", "text", "call"),
    [
        (TWO, '{"name": "weather", "arguments": {"place": "Ulm"}}', ("weather", {"place": "Ulm"})),
        (TWO, '{"name": "weather", "parameters": {"place": "Ulm"}}', ("weather", {"place": "Ulm"})),
        (TWO, '```json\n{"name": "clock"}\n```', ("clock", {})),
        (ONE, '{"place": "Ulm"}', ("weather", {"place": "Ulm"})),
    ],
)
def test_json_that_calls_a_tool_is_its_call(task: Task, text: str, call: tuple[str, object]) -> None:
    made = called(task, Answer(text))
    assert (made.text, made.finish_reason) == ("", "tool_calls")
    assert [(each.name, json.loads(each.arguments)) for each in made.tool_calls] == [call]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (TWO, "It is warm."),
        (TWO, "[]"),
        (TWO, '{"name": "oven"}'),
        (TWO, '{"name": "weather", "arguments": "Ulm"}'),
        (Task("Is it warm?", tools=(WEATHER,)), '{"place": "Ulm"}'),
        (ONE, " " * 200_001 + '{"place": "Ulm"}'),
    ],
)
def test_everything_else_stays_the_text_that_it_is(task: Task, text: str) -> None:
    assert called(task, Answer(text)) == Answer(text)


def test_a_call_that_was_made_is_kept() -> None:
    made = Answer('{"place": "Ulm"}', tool_calls=(ToolCall("1", "weather", "{}"),))
    assert called(ONE, made) is made


def test_what_a_model_is_told_and_held_to_fits_what_is_read() -> None:
    guide = call_guide(TWO.tools)
    assert all(word in guide for word in ("weather: The weather of a place.", "clock: The time.", '"place"'))
    for task in (ONE, TWO):
        check = Draft202012Validator(call_format(task.tools))
        assert check.is_valid({"name": "weather", "arguments": {"place": "Ulm"}})
        assert not check.is_valid({"name": "oven", "arguments": {}})
        assert not check.is_valid({"name": "weather", "arguments": {}})
