"""Whatever the bytes are, decoding gives an Answer or AttemptFailed, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from examples import examples
from hostile import ANSWERS, KEY, NAMES, check_answer, check_failure
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed
from uniwizard.agent.wire import decode, decode_probe

#: A busy machine is no failure: nothing here is about time.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

apis = st.sampled_from(APIS)
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 404, 413, 429, 500, 503, 529, 599, 0, 99, 999])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -1, 1e308, 0.5])
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["error", "text", "tool_use", "refusal", "content_filter", "SAFETY", "\ud800", KEY, "429"])
)
names = st.sampled_from(NAMES)
json_values = st.recursive(
    leaves, lambda below: st.lists(below, max_size=4) | st.dictionaries(names, below, max_size=6), max_leaves=30
)
header_values = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after-ms", "Date", "content-type"]),
    st.text(max_size=30) | st.floats().map(str) | st.integers().map(str),
)


def read(api: str, status: int, headers: dict[str, str], body: bytes) -> None:
    """Decode, and hold what comes of it against the contract."""
    backend = Backend("k", api, "http://h", "m", api_key=KEY)
    try:
        said = decode(backend, status, headers, body)
    except AttemptFailed as failed:
        assert failed.status == status
        check_failure(failed)
    else:
        assert 200 <= status < 300
        check_answer(said, body)
    try:
        decode_probe(backend, status, headers, body)
    except AttemptFailed as failed:
        assert failed.status == status
        check_failure(failed)


@unhurried
@given(apis, statuses, header_values, st.binary(max_size=300))
@example(
    "openai", 200, {}, b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"x":1e999}}}]}}]}'
)
def test_arbitrary_bytes(api: str, status: int, headers: dict[str, str], body: bytes) -> None:
    read(api, status, headers, body)


@settings(unhurried, max_examples=examples(300))
@given(apis, statuses, json_values)
def test_arbitrary_json(api: str, status: int, body: Any) -> None:
    read(api, status, {}, json.dumps(body).encode())


def paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [here, *(path for key, child in below for path in paths(child, (*here, key)))][0 if here else 1 :]


@settings(unhurried, max_examples=examples(500))
@given(st.data(), apis, statuses)
def test_a_valid_answer_with_any_node_replaced_or_taken_away(data: st.DataObject, api: str, status: int) -> None:
    body = copy.deepcopy(ANSWERS[api])
    *way, last = data.draw(st.sampled_from(paths(ANSWERS[api])))
    parent = body
    for step in way:
        parent = parent[step]
    if data.draw(st.booleans()):
        del parent[last]
    else:
        parent[last] = data.draw(json_values)
    read(api, status, {}, json.dumps(body).encode())


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("replacement", [None, 5, -1, 10**300, True, 0.5, "", "\ud800", [], {}, [[]], [5], {"a": 1}])
def test_every_single_node_of_a_valid_answer_replaced(api: str, replacement: Any) -> None:
    for *way, last in paths(ANSWERS[api]):
        body = copy.deepcopy(ANSWERS[api])
        parent = body
        for step in way:
            parent = parent[step]
        parent[last] = replacement
        read(api, 200, {}, json.dumps(body).encode())


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("depth", [100, 500, 900, 990, 5000])
def test_arguments_nested_to_any_depth(api: str, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    body = (
        json.dumps(ANSWERS[api])
        .replace('"x": 1', f'"x": {deep}')
        .replace('"arguments": "{}"', f'"arguments": {{"x": {deep}}}')
    )
    assert deep in body
    read(api, 200, {}, body.encode())
