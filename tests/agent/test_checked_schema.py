"""JSON Schemas from outside: a broken one is told before anything is paid, and nothing takes for ever."""

from __future__ import annotations

import re
import time
from typing import Any

import jsonschema
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.judge.checked_schema import MAX_STEPS, InvalidSchema, check_schema, first_fault
from uniwizard.agent.judge.patterns import UnsafePattern, linear

EXPLODING = ["^(a|a)*$", "^(a|aa)+$", "a*a*a*a*b", "(a|a){24}!", "^(a+)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("pattern", EXPLODING)
@pytest.mark.parametrize("where", ["pattern", "patternProperties", "propertyNames", "additionalProperties"])
def test_no_pattern_takes_for_ever(pattern: str, where: str) -> None:
    text = "a" * 5000 + "?"
    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    value: Any = text
    if where == "propertyNames":
        schema, value = {"propertyNames": schema}, {text: 1}
    elif where != "pattern":
        schema = {"patternProperties": {pattern: {"type": "string"}}, "additionalProperties": where == "pattern"}
        value = {text: 1}
    assert first_fault(value, schema) is not None


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        (r"^(?!0$)\d+$", ["10", "7"], ["0", "x"]),
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", ["1.5", "-3"], ["", "+-"]),
        (r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{4,}$", ["Abc1"], ["abc1", "Abcd"]),
        (r"^\u0041+$", ["AA"], ["B"]),
        (r"^\p{L}+$", ["Łukasz"], ["1"]),
    ],
)
def test_what_people_write_with_a_look_ahead_is_taken_apart(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    matches = linear(pattern)
    assert [text for text in fits + fits_not if matches(text)] == fits


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"a(?=b)", r"(?<=a)b", r"^(?!a)b|c$", "(", "a" * 5000, "(?:a{1000}){1000}"]
)
def test_what_cannot_be_matched_in_linear_time_is_turned_down(pattern: str) -> None:
    with pytest.raises(UnsafePattern):
        linear(pattern)
    with pytest.raises(InvalidSchema):
        check_schema({"type": "object", "properties": {"a": {"pattern": pattern}}})


@settings(max_examples=examples(300), deadline=None)
@given(st.from_regex(r"[ab(|)*+?.\[\]^$\\d{}0-9]{0,12}", fullmatch=True), st.text("ab0.", max_size=12))
def test_a_pattern_means_what_python_means_by_it(pattern: str, text: str) -> None:
    try:
        matches = linear(pattern)
        meant = re.compile(pattern)
    except (UnsafePattern, re.error):
        return
    if "$" in pattern and text.endswith("\n"):
        return
    assert matches(text) == (meant.search(text) is not None)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "wizard"}, "invalid"),
        ({"$ref": "#"}, "without end"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
         "without end"),
        ({"$ref": "https://example.org/schema"}, "fetched"),
        ({"$ref": "#/$defs/missing"}, "not in it"),
        ({"properties": {"a": {"pattern": r"(a)\1"}}}, "pattern"),
        ({"items": {"$dynamicRef": "#x"}}, "not supported"),
        ([], "not a JSON Schema"),
        (None, "not a JSON Schema"),
    ],
)  # fmt: skip
def test_a_schema_that_no_answer_could_fit_is_turned_down_at_once(schema: Any, says: str) -> None:
    with pytest.raises(InvalidSchema, match=says):
        check_schema(schema)


def test_a_schema_may_refer_to_itself_further_down() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "n": {"type": "integer"}}}
    check_schema(tree)
    assert first_fault({"left": {"left": {"n": 1}}}, tree) is None
    assert first_fault({"left": {"left": {"n": "x"}}}, tree) is not None


LONG = "9" * 400


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        ({"$ref": "#/allOf/" + "9" * 5000, "allOf": [{}]}, {}, "refers to #/allOf/999"),
        ({"$ref": "#/allOf/٠", "allOf": [{}]}, {}, "which is not in it"),
        ({"$ref": "#/allOf/00", "allOf": [{}]}, {}, "which is not in it"),
        ({"multipleOf": 0.5}, int(LONG), "OverflowError"),
        ({"multipleOf": int(LONG)}, 1.5, "OverflowError"),
        ({"maximum": 1.5}, int(LONG), "$: 999"),
    ],
)
def test_a_number_of_any_length_is_a_fault_and_no_exception(schema: Any, value: Any, says: str) -> None:
    try:
        fault = first_fault(value, schema)
    except InvalidSchema as invalid:
        fault = str(invalid)
    assert fault is not None and says in fault


def test_a_reference_to_a_place_in_a_list_is_followed() -> None:
    schema = {"anyOf": [{"$ref": "#/$defs/all/allOf/1"}], "$defs": {"all": {"allOf": [{}, {"type": "string"}]}}}
    assert first_fault("x", schema) is None
    assert first_fault(1, schema) is not None


def test_a_large_answer_is_looked_at_no_longer_than_the_limit() -> None:
    deep: dict[str, Any] = {"items": {"anyOf": [{"type": "string"}, {"type": "integer"}] * 20}}
    looked = first_fault([[]] * MAX_STEPS, deep)
    assert looked is not None
    assert first_fault([{"a": i} for i in range(2000)], {"uniqueItems": True}) is None
    assert first_fault([{"a": 1}, {"a": 1.0}], {"uniqueItems": True}) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", "integer"]),
            "pattern": st.sampled_from(["^a", "b$", "[abc]+"]),
            "minLength": st.integers(0, 3),
            "required": st.lists(st.text("abc", max_size=2), max_size=2, unique=True),
            "uniqueItems": st.booleans(),
            "enum": st.lists(JSON, min_size=1, max_size=3),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
        },
    ),
    max_leaves=5,
)


@settings(max_examples=examples(300), deadline=None)
@given(JSON, SCHEMAS)
def test_it_finds_what_the_reference_finds(value: Any, schema: dict[str, Any]) -> None:
    meant = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (first_fault(value, schema) is None) == meant


@settings(max_examples=examples(300), deadline=None)
@given(JSON | SCHEMAS)
def test_whatever_a_schema_is_it_is_checked_or_turned_down(schema: Any) -> None:
    started = time.process_time()
    try:
        check_schema(schema)
    except InvalidSchema as bad:
        assert "\n" not in str(bad)[:1]
    assert time.process_time() - started < 5
