"""Nothing that names anyone leaves: whatever the name, however it is dressed, wherever it stands, in whichever api."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from typing import Any

import pytest
from disguises import AWKWARD, NAMES, PLACES, disguised, reveals
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from uniwizard.agent import Names, Place, Task
from uniwizard.agent.cloud_caller import _inspect
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.failures import AttemptFailed, LeakFound
from uniwizard.agent.core.task import Image, Message, Tool, ToolCall
from uniwizard.agent.privacy.blindfold import Blindfold, Redacted
from uniwizard.agent.wire import encode

SYSTEM = "Answer plainly, in one paragraph. Reply with JSON alone where a schema is given."


def backend(api: str) -> Backend:
    return Backend("key", api, "https://api.anthropic.com/v1", "model-1", api_key="k", capabilities=frozenset({"json"}))


def check(task: Task, blindfold: Blindfold, system: str = SYSTEM, **options: object) -> Redacted:
    """Redact, encode and scan the task for every api. Raises LeakFound."""
    blindfold = blindfold.plus(task.identity)
    redacted = blindfold.redact(task)
    for api in APIS:
        to = replace(backend(api), **options)  # type: ignore[arg-type]
        try:
            request = encode(redacted.task, to, system)
        except AttemptFailed:
            continue
        inspect(request, redacted.task, to, system, blindfold)
    return redacted


def inspect(request: object, task: Task, to: Backend, system: str, blindfold: Blindfold) -> None:
    looking = Deferred.fromCoroutine(_inspect(request, task, to, system, blindfold, False, Clock()))  # type: ignore[arg-type]
    failures: list[object] = []
    looking.addErrback(failures.append)
    assert looking.called
    if failures:
        failures[0].raiseException()  # type: ignore[attr-defined]


def said_in(task: Task) -> list[object]:
    """All that a task says, to compare."""
    turns = [(m.role, m.text, m.tool_call_id, [(c.id, c.name, c.arguments) for c in m.tool_calls]) for m in task.turns]
    return [turns, [(tool.name, tool.description, tool.parameters) for tool in task.tools], task.schema]


# -- names, disguises, places ------------------------------------------------------------------------------------


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(NAMES), st.data(), st.sampled_from(sorted(PLACES)), st.sampled_from(APIS))
def test_no_name_leaves_in_any_dress_from_any_place_and_none_stops_a_task(
    name: str, data: st.DataObject, place: str, api: str
) -> None:
    said = data.draw(st.sampled_from(list(disguised(name))))
    task = replace(PLACES[place](said), identity=frozenset({name}))
    others = Names([*NAMES, *AWKWARD])
    redacted = check(task, Blindfold(others, ["Uniwizard"]))
    request = encode(redacted.task, backend(api), SYSTEM)
    assert reveals(name, request) == ""
    for turn, before in zip(redacted.task.turns, task.turns, strict=True):
        assert redacted.restore(turn.text) == before.text or before.text.startswith("{")
        calls = redacted.restore_calls(turn.tool_calls)
        assert [(c.name, json.loads(c.arguments)) for c in calls] == [
            (c.name, json.loads(c.arguments)) for c in before.tool_calls
        ]
    if task.schema is not None and not ("%" in said and "$defs" in place):
        # A reference's own percent-encoding is undone.
        assert redacted.restore_content(redacted.task.schema) == task.schema


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(AWKWARD), st.sampled_from(sorted(PLACES)), st.sampled_from(AWKWARD))
def test_no_everyday_name_stops_or_changes_what_others_ask(name: str, place: str, word: str) -> None:
    task = PLACES[place](f"the {word.lower()} of it")
    redacted = check(task, Blindfold(Names([name])))
    if name.lower() not in ("name_1", "person1q", "max_tokens", "anthropic"):
        assert said_in(redacted.task) == said_in(task)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {"model": {"type": "string"}}}])
def test_whoever_is_called_like_that_can_think_and_so_can_everybody_else(name: str, schema: dict[str, object]) -> None:
    text = (
        "Search for the city of Rome: how do tides work, and why have prices rose? SELECT name_1 FROM t WHERE a = 1\n"
    )
    tools = (Tool("search", "searches the city", {"type": "object", "properties": {"city": {"type": "string"}}}),)
    task = Task(text, schema=schema, tools=tools)
    for identity in (frozenset(), frozenset({name})):
        asked = replace(task, identity=identity)
        redacted = check(asked, Blindfold(Names([name, "Timmy", *AWKWARD])))
        assert [tool.name for tool in redacted.task.tools] == ["search"]
        assert redacted.restore(redacted.task.prompt) == text


names = st.one_of(st.sampled_from((*NAMES, *AWKWARD)), st.text(min_size=1, max_size=20))
texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=string.printable, max_size=200),
    st.text(alphabet="Person1QZ23 _-\\%&#;xu0041", max_size=60),
)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(names, min_size=1, max_size=5), st.lists(texts, min_size=2, max_size=6))
@example(["ß"], ["ss ẞ", "SS"])
@example(["name_1", "NAME"], ["[NAME_1] name 1", "NAME_2"])
@example(["\u0130\u0130"], ["\u0130\u0130 i\u0307i\u0307", ""])
def test_whatever_the_name_and_the_text_the_task_goes_through_and_comes_back(
    terms: list[str], parts: list[str]
) -> None:
    words = " ".join(part + " " + term for part, term in zip(parts, terms * len(parts), strict=False))
    task = Task(words, messages=(Message("assistant", parts[0]), Message("user", words[::2])))
    redacted = check(task, Blindfold(Names(terms)))
    for turn, before in zip(redacted.task.turns, task.turns, strict=True):
        if not before.text.lstrip().startswith(("{", "[")):
            assert redacted.restore(turn.text) == before.text


# -- how it is done ----------------------------------------------------------------------------------------------


def test_different_spellings_stay_different_so_that_a_schema_keeps_its_sense() -> None:
    schema = {"type": "object", "properties": {"who": {"enum": ["anna", "ANNA"]}, "anna": {}}, "required": ["anna"]}
    redacted = check(Task("Anna?", schema=schema), Blindfold(["Anna"]))
    assert redacted.task.schema == {
        "type": "object",
        "properties": {"who": {"enum": ["Person1Z", "Person1Y"]}, "Person1Z": {}},
        "required": ["Person1Z"],
    }
    assert redacted.restore_content(redacted.task.schema) == schema


def test_the_first_name_of_somebody_who_was_named_whole_is_theirs() -> None:
    redacted = Blindfold(["Anna Kowalska", "Bob"]).redact(Task("Anna Kowalska met Bob. Anna left."))
    assert redacted.task.prompt == "Person1Q met Person2Q. Person1Z left."


def test_names_of_tools_stay_within_what_providers_take() -> None:
    name = "ask_bob_" + "x" * 56
    redacted = check(Task("x", tools=(Tool(name),)), Blindfold(["Bob"]))
    (tool,) = redacted.task.tools
    assert len(tool.name) <= 64 and "bob" not in tool.name
    assert redacted.restore_calls((ToolCall("1", tool.name, "{}"),))[0].name == name


def test_json_stays_json_whatever_the_name() -> None:
    name = 'Zephyrine "the\\Bold" O\'Brien'
    call = ToolCall("1", "look", json.dumps({"who": name}))
    redacted = Blindfold([name]).redact(Task(messages=(Message("assistant", tool_calls=(call,)),)))
    arguments = redacted.task.messages[0].tool_calls[0].arguments
    assert json.loads(arguments) == {"who": "Person1Q"}
    (back,) = redacted.restore_calls(redacted.task.messages[0].tool_calls)
    assert json.loads(back.arguments) == {"who": name}


def test_an_answer_in_json_stays_json_whatever_the_name() -> None:
    name = 'Zephyrine "the" Bold'
    redacted = Blindfold([name]).redact(Task(f"What of {name}?", schema={"type": "object"}))
    assert json.loads(redacted.restore('{"who": "Person1Q"}')) == {"who": name}


def test_a_picture_is_not_searched_for_letters() -> None:
    picture = Image("image/png", bytes(range(256)) * 200)
    check(Task("what is this?", images=(picture,)), Blindfold(["aBc", "Kxy", "Timmy", "xyz", "AAEC"]))


def test_a_name_that_looks_like_an_address_needs_its_dots() -> None:
    assert Blindfold(["10.0.0.7"]).redact(Task("10, 0, 0, 7 and 10.0.0.77")).task.prompt == "10, 0, 0, 7 and 10.0.0.77"


def test_a_task_without_names_is_the_same_object() -> None:
    task = Task("How do tides work?", tools=(Tool("look"),), schema={"type": "object"})
    assert Blindfold(["Timmy"]).redact(task).task is task


# -- who is known ------------------------------------------------------------------------------------------------


def test_who_is_added_is_known_at_once_to_all_who_share_the_names_and_who_is_removed_no_more() -> None:
    shared = Names(["Timmy"])
    one, other = Blindfold(shared), Blindfold(shared, ["Uniwizard"])
    assert one.redact(Task("Zephyrine?")).task.prompt == "Zephyrine?"
    shared.add("Zephyrine")
    for blindfold in (one, other):
        assert blindfold.redact(Task("Zephyrine?")).task.prompt == "Person1Q?"
    shared.discard("Zephyrine")
    assert one.redact(Task("Zephyrine?")).task.prompt == "Zephyrine?"


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES + AWKWARD)), max_size=40))
def test_names_are_counted_so_that_two_of_the_same_name_may_come_and_go(steps: list[tuple[bool, str]]) -> None:
    table, there = Names(), []
    for comes, name in steps:
        if comes:
            table.add(name)
            there.append(name)
        else:
            table.discard(name)
            if name in there:
                there.remove(name)
    fresh = Names(there)
    text = " ".join((*NAMES, "Anna", "Kowalska", "Ask Rose, then The Place of JSON."))
    assert [hit[:4] for hit in table.find(text)] == [hit[:4] for hit in fresh.find(text)]
    assert len(table) == len(fresh)
    table.replace(NAMES)
    assert [hit[:4] for hit in table.find(text)] == [hit[:4] for hit in Names(NAMES).find(text)]


def test_somebody_who_comes_while_a_task_is_under_way_does_not_stop_it() -> None:
    shared = Names(["Timmy"])
    blindfold = Blindfold(shared).plus(frozenset())
    redacted = blindfold.redact(Task("How does Zephyrine sail?"))
    shared.add("Zephyrine")
    to = backend("openai")
    inspect(encode(redacted.task, to), redacted.task, to, "", blindfold)
    assert Blindfold(shared).scan(redacted.task.prompt) == ("zephyrine",)


def test_a_tasks_own_terms_are_not_remembered() -> None:
    blindfold = Blindfold(["Timmy"])
    both = blindfold.plus({"Timmy Burr", "Zephyrine"})
    assert both.scan("timmy burr, zephyrine") == ("timmy", "timmy burr", "zephyrine")
    assert blindfold.scan("timmy burr, zephyrine") == ("timmy",)


def test_a_place_is_no_person_and_is_found_whole() -> None:
    blindfold = Blindfold([Place("Kowalska Manor"), "Bob"])
    text = "Bob is at Kowalska Manor; who is Kowalska?"
    assert blindfold.redact(Task(text)).task.prompt == "Person1Q is at Place2Q; who is Kowalska?"


# -- the last look -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "options"),
    [("You are the brain of Timmy.", {}), ("", {"user": "Timmy"}), ("", {"metadata": {"asked by": ["Timmy"]}})],
)
@pytest.mark.parametrize("soul", [True, False])
def test_a_name_that_somebody_planted_is_found(system: str, options: dict[str, object], soul: bool) -> None:
    blindfold = Blindfold(soul=["Timmy"]) if soul else Blindfold()
    task = Task("hello", identity=frozenset() if soul else frozenset({"Timmy"}))
    with pytest.raises(LeakFound):
        check(task, blindfold, system=system, options=options)


def test_another_players_name_in_a_prompt_of_the_operators_stops_nobody() -> None:
    check(Task("hello"), Blindfold(["Zork"]), system="Welcome to Zork.", options={"metadata": {"game": "Zork"}})


@pytest.mark.parametrize(
    "body",
    [
        r'{"a": "\u0054immy"}',
        r'{"a": "b\nTimmy"}',
        r'{"\tTimmy": 1}',
        r'{"arguments": "{\"who\": \"\\u0054immy\"}"}',
        r'{"arguments": "{\"who\": \"\\nTimmy\"}"}',
        '{"a": "%54immy &#84;immy"}',
        "Timmy\ufffd",
        "x" * 30_000 + " Timmy",
        "x " * 15_000 + "Anna " + "y" * 2000,
    ],
)
def test_no_escape_hides_a_name_from_the_scan(body: str) -> None:
    assert Blindfold(["Timmy", "Anna Kowalska"]).scan(body) in (("timmy",), ("anna",))


@pytest.mark.parametrize("name", ["nthe", "nTimmy", "uthe", "tthe"])
def test_the_scan_reads_what_is_said_and_not_how_it_is_written_down(name: str) -> None:
    body = json.dumps({"a": "well,\nthe end\tthe end", "b": "x\nTimmy"})
    assert Blindfold([name]).scan(body) == ()
    check(Task("well,\nthe end\tthe end"), Blindfold([name]))


def test_a_name_is_found_in_the_address_and_in_headers() -> None:
    for where in ({"url": "https://example.com/timmy"}, {"headers": {"x-who": "TIMMY"}}):
        with pytest.raises(LeakFound):
            check(Task("hello"), Blindfold(soul=["Timmy"]), **where)


# -- long texts --------------------------------------------------------------------------------------------------


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(1900, 2100), st.sampled_from(NAMES), st.sampled_from([" ", "", "x", ". ", "\n", "\\n", "%20"]))
def test_a_name_is_found_wherever_a_long_text_is_cut(before: int, name: str, gap: str) -> None:
    text = ("lorem ipsum " * 200)[:before] + gap + " " + name + " " + "dolor sit " * 500
    blindfold = Blindfold([name])
    redacted = blindfold.redact(Task(text))
    assert len(redacted.names) == 1
    assert redacted.restore(redacted.task.prompt) == text
    assert blindfold.scan(text)
    assert blindfold.scan(redacted.task.prompt) == ()


class Turns(Clock):
    """Counts how often the reactor would have had its turn."""

    count = 0

    def callLater(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return super().callLater(*args, **kwargs)


def test_a_long_text_is_gone_through_in_turns_with_the_reactor() -> None:
    text = "Anna said so, and Anna 77 too. " * 20_000
    blindfold = Blindfold(f"Anna {n}" for n in range(100))

    async def work(clock: Turns) -> tuple[str, tuple[str, ...]]:
        redacted = await blindfold.redact_in_slices(Task(text), clock)
        assert clock.count > 3
        return redacted.task.prompt, await blindfold.scan_in_slices(text, clock)

    clock, results = Turns(), []
    Deferred.fromCoroutine(work(clock)).addCallback(results.append)
    while not results:
        clock.advance(0)
    assert clock.count > 6
    assert results == [(blindfold.redact(Task(text)).task.prompt, ("anna", "anna 77"))]
