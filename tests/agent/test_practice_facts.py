"""What practice works out itself: dates, units, and which tool it would call with what."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from uniwizard.agent.practice.facts import conversion_in, date_in
from uniwizard.agent.practice.tools import Offer, Offered, told, wish

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("question", "worked"),
    [
        ("5 miles in km", "5 mi = 8.04672 km."),
        ("Convert 2.5 kg to pounds", "2.5 kg = 5.51156 lb."),
        ("how many feet are 2 m?", "2 m = 6.56168 ft."),
        ("How many minutes in an hour?", "1 h = 60 min."),
        ("100 km/h as mph", "100 km/h = 62.1371 mph."),
        ("20 °C in fahrenheit", "20 °C = 68 °F."),
        ("-40 degrees F to celsius", "-40 °F = -40 °C."),
        ("0 K in C", "0 °K = -273.15 °C."),
        ("5 miles in kg", None),
        ("5 parsecs in km", None),
        ("How do tides work?", None),
        ("5 miles in km " + "and so on " * 20, None),
    ],
)
def test_units_are_worked_out_or_left_alone(question: str, worked: str | None) -> None:
    assert conversion_in(question) == worked


@pytest.mark.parametrize(
    ("question", "worked"),
    [
        ("What weekday is 2026-11-21?", "2026-11-21 is a Saturday."),
        ("What day was July 4th, 1776?", "1776-07-04 was a Thursday."),
        ("which day is 1st of January 2027", "2027-01-01 is a Friday."),
        ("How many days between 2026-11-21 and 2026-12-24?", "From 2026-11-21 to 2026-12-24 it is 33 days."),
        ("How many weeks until 24 December 2026?", "From 2026-11-21 to 2026-12-24 it is 4.714 weeks."),
        ("What's the date?", "Today is Saturday, 2026-11-21, by the server's clock (UTC)."),
        ("What weekday is 2026-02-30?", None),
        ("How many days does a week have?", None),
        ("What weekday is 2026-11-21? " + "Well, " * 30, None),
    ],
)
def test_dates_are_worked_out_or_left_alone(question: str, worked: str | None) -> None:
    assert date_in(question, TODAY) == worked


def test_without_a_date_today_is_the_servers() -> None:
    assert "by the server's clock" in (date_in("What day is it?") or "")


@settings(max_examples=examples(200))
@given(st.dates(date(1000, 1, 1), date(9990, 1, 1)), st.integers(0, 400))
def test_the_days_between_two_dates_are_those_of_the_calendar(first: date, days: int) -> None:
    second = first + timedelta(days)
    said = date_in(f"how many days from {first} to {second}?", TODAY)
    assert said == f"From {first} to {second} it is {days} days."


@settings(max_examples=examples(300))
@given(st.text(max_size=150) | st.from_regex(r"(what day is|how many days) [a-z]{0,9} ?\d{1,2},? \d{4}"))
def test_any_question_has_a_fact_or_none(question: str) -> None:
    for found in (date_in(question, TODAY), conversion_in(question)):
        assert found is None or found.endswith(".")


PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
WEATHER = Offered("get_weather", "Tells how warm a place is.", PLACE)


def offered(argument: str, **schema: Any) -> Offered:
    properties = {argument: {"type": "string", **schema}}
    return Offered("look", "Looks.", {"type": "object", "properties": properties, "required": [argument]})


def test_a_tool_is_called_that_the_question_speaks_of() -> None:
    other = Offered("send_mail", "Sends a letter to somebody.", {})
    offer = Offer((other, WEATHER))
    assert wish("What is the weather in Ulm?", offer) == ("get_weather", {"place": "Ulm"})
    assert wish("Say how warm this place is", offer) == ("get_weather", {"place": "place"})
    assert wish("How do tides work?", offer) is None
    assert wish("How do tides work?", Offer()) is None


def test_what_a_tool_has_said_is_the_answer_unless_another_must_be_called() -> None:
    said = Offer((WEATHER,), results=("cold", "warm"))
    assert wish("What is the weather in Ulm?", said) is None
    assert told(said) == "[practice] The tool says: warm"
    assert wish("Why?", Offer((WEATHER,), must=True, results=("warm",))) == ("get_weather", {"place": "practice"})


@pytest.mark.parametrize(
    ("argument", "question", "value"),
    [
        ("path", "Read src/main.py and tell me", "src/main.py"),
        ("name", 'Look up "the old inn"', "the old inn"),
        ("query", "Where do rivers end?", "Where do rivers end?"),
        ("who", "Where has Agnes been?", "Agnes"),
        ("what", "where do rivers end", "rivers"),
        ("what", "is it so", "practice"),
    ],
)
def test_an_argument_is_what_the_question_has_for_it(argument: str, question: str, value: str) -> None:
    assert wish(question, Offer((offered(argument),), must=True)) == ("look", {argument: value})


def test_an_argument_with_a_choice_of_its_own_keeps_to_it() -> None:
    tool = offered("unit", enum=["C", "F"])
    name, arguments = wish("Is Ulm warm?", Offer((tool,), must=True)) or ("", {})
    assert name == "look"
    Draft202012Validator(dict(tool.parameters)).validate(arguments)
