"""Faults in ``route:`` and ``strategies:``, each with its line: unknown names, circles, branches out of reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import KEYS, Spec, trees

from uniwizard.agent.config import Config, ConfigError, load
from uniwizard.agent.core.task import KINDS
from uniwizard.agent.strategies.tree import Tree

BACKENDS = "version: 1\nbackends:\n" + "".join(
    f"  {key}: {{api: openai, url: 'http://127.0.0.1:1/v1', model: m}}\n" for key in KEYS
)


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "backends.yaml"
    path.write_text(BACKENDS + text, "utf-8")
    return load(path, {})


def faults(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [(fault.line - 6, fault.where, fault.what) for fault in caught.value.faults]


def test_the_issues_own_example_is_good(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """strategies:
  cheap_first: {use: cascade, over: [a, b, c], until: {confidence: 0.7}}
route:
  use: conditional
  cases:
    - {when: {kind: [code_review], tokens: {above: 20000}}, then: {use: fallback, over: [c, d]}}
    - {when: {context: "supervisor.*"}, then: cheap_first}
    - {when: {budget: {left_below: 0.1}}, then: {use: cost, over: [a, b]}}
  otherwise: {use: learned, quality: 0.95}
""",
    )
    assert Tree(config).route is not None
    assert "cheap_first" in Tree(config).names()


def test_no_route_and_ranked_are_the_plain_ranking(tmp_path: Path) -> None:
    for text in ("", "route: ranked\n", "route: {use: ranked}\n"):
        assert Tree(read(tmp_path, text)).route is None


@pytest.mark.parametrize(
    ("text", "line", "place", "what"),
    [
        ("route: nobody\n", 1, "route", "neither a backend nor a strategy"),
        ("route:\n  use: cost\n  over: [a, z]\n", 3, "route.over[1]", "neither a backend"),
        ("route: {use: cheapest}\n", 1, "route.use", '"cheapest" is unknown'),
        ("route: {use: fallback}\n", 1, "route.over", "is missing"),
        ("route: {use: cost, width: 3}\n", 1, "route.width", "unknown key"),
        ("route: fallback\n", 1, "route", "needs options"),
        ("route: {use: cost, over: [a, a]}\n", 1, "route.over[1]", "stands here twice"),
        ("route: {use: strong_weak, strong: a, weak: a}\n", 1, "route.weak", "stands here twice"),
        ("route: {use: weighted, weights: {a: 0}}\n", 1, "route.weights.a", "too small"),
        ("route: {use: trained, model: nowhere.json}\n", 1, "route.model", "cannot be read"),
        ("strategies:\n  a: {use: cost}\n", 2, "strategies.a", "is a backend"),
        ("strategies:\n  chat: {use: cost}\n", 2, "strategies.chat", "is a kind of work"),
        ("strategies:\n  cost: {use: latency}\n", 2, "strategies.cost", "is a strategy of its own"),
        ("strategies:\n  x: x\n", 2, "strategies.x", "x -> x"),
        ("strategies:\n  x: {use: cost, over: [a, y]}\n  y: z\n  z: {use: race, over: [x, b]}\n", 4,
         "strategies.z.over[0]", "x -> y -> z -> x"),
        ("route: {use: fallback, over: [ranked, a]}\n", 1, "route.over[1]", "never reached"),
        ("route: {use: fallback, over: [{use: race, over: [a, b]}, b]}\n", 1, "route.over[1]", "never reached"),
        ("route: {use: cascade, over: [a, {use: cost, over: [b, c]}, c]}\n", 1, "route.over[2]", "never reached"),
    ],
)  # fmt: skip
def test_a_fault_names_its_line_and_place(tmp_path: Path, text: str, line: int, place: str, what: str) -> None:
    ((found_line, found_place, found),) = faults(tmp_path, text)
    assert (found_line, found_place) == (line, place)
    assert what in found


CASES = "route:\n  use: conditional\n  cases:\n"


@pytest.mark.parametrize(
    ("cases", "bad"),
    [
        (["{kind: chat}", "{kind: [chat]}"], 1),
        (["{kind: [chat, write]}", "{kind: chat, tokens: {above: 5}}"], 1),
        (["{tokens: {above: 10}}", "{tokens: {above: 20}, kind: chat}"], 1),
        (["{tokens: {above: 10, below: 11}}"], 0),
        (["{tokens: {below: 0}}"], 0),
        (["{tier: gold}", "{kind: chat}", "{tier: gold, kind: write}"], 2),
        (["{kind: chat}", "{not: {kind: chat}}", "{tier: gold}"], 2),
        (["{all: [{kind: chat}, {not: {kind: chat}}]}"], 0),
    ],
)
def test_a_case_that_no_task_comes_to_is_a_fault(tmp_path: Path, cases: list[str], bad: int) -> None:
    text = CASES + "".join(f"    - {{when: {case}, then: a}}\n" for case in cases)
    ((line, place, what),) = faults(tmp_path, text)
    assert (line, place) == (4 + bad, f"route.cases[{bad}]")
    assert "never reached" in what


def test_cases_that_overlap_are_no_fault(tmp_path: Path) -> None:
    cases = ("{kind: [chat, write]}", "{kind: [write, read]}", "{tokens: {above: 20}}", "{tokens: {above: 10}}")
    read(tmp_path, CASES + "".join(f"    - {{when: {case}, then: a}}\n" for case in cases))


def test_otherwise_is_out_of_reach_when_every_kind_has_a_case(tmp_path: Path) -> None:
    text = CASES + f"    - {{when: {{kind: [{', '.join(KINDS)}]}}, then: a}}\n  otherwise: b\n"
    ((line, place, _),) = faults(tmp_path, text)
    assert (line, place) == (5, "route.otherwise")


def test_a_condition_within_a_case_that_excludes_it_is_a_fault(tmp_path: Path) -> None:
    inner = "{use: conditional, cases: [{when: {kind: write}, then: a}], otherwise: b}"
    ((_, place, _),) = faults(tmp_path, CASES + f"    - {{when: {{kind: chat}}, then: {inner}}}\n")
    assert place == "route.cases[0].then.cases[0]"


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=trees(), named=st.dictionaries(st.sampled_from(["x", "y", "z"]), trees(), max_size=3))
def test_whatever_stands_there_is_either_built_or_explained(tmp_path: Path, route: Spec, named: dict[str, Any]) -> None:
    text = f"route: {json.dumps(route)}\nstrategies: {json.dumps(named)}\n"
    try:
        config = read(tmp_path, text)
    except ConfigError as error:
        assert all("reached" in fault.what or "twice" in fault.what for fault in error.faults), str(error)
        return
    tree = Tree(config)
    for name in named:
        assert tree.named(name)


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.dictionaries(st.sampled_from("uvwxyz"), st.sampled_from("uvwxyz"), min_size=1))
def test_every_circle_is_found_and_nothing_else_is_called_one(tmp_path: Path, edges: dict[str, str]) -> None:
    names = {name: {"use": "fallback", "over": [to if to in edges else "a"]} for name, to in edges.items()}
    in_circle = set()
    for name in edges:
        way, at = [name], edges[name]
        while at in edges and at not in way:
            way.append(at)
            at = edges[at]
        if at in way:
            in_circle.add(frozenset(way[way.index(at) :]))
    try:
        read(tmp_path, f"strategies: {json.dumps(names)}\n")
        found = 0
    except ConfigError as error:
        assert all("leads back to itself" in fault.what for fault in error.faults)
        found = len(error.faults)
    assert found == len(in_circle)
