"""Nothing that names anyone leaves: whatever the name, wherever it stands, whichever api carries it."""

from __future__ import annotations

import json
import string
import unicodedata
from dataclasses import replace

import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uniwizard.agent.cloud_caller import LeakFound, _inspect
from uniwizard.agent.core.backend import APIS, Backend
from uniwizard.agent.core.task import Image, Message, Task, Tool, ToolCall
from uniwizard.agent.privacy.blindfold import Blindfold, outbound_text
from uniwizard.agent.wire import WireRequest, encode

NAMES = (
    "Timmy",
    "Anna Kowalska",
    "Łukasz",
    "名前",
    "O'Brien",
    'a\\b "the" Bold',
    "İstanbul",
    "José",
    "10.0.0.7",
    "x_y",
)


def backend(api: str) -> Backend:
    return Backend("key", api, "https://example.com/v1", "model-1", api_key="k", capabilities=frozenset({"json"}))


def check(task: Task, blindfold: Blindfold, system: str = "Answer plainly.", **settings: object) -> None:
    """Veil, encode and scan the task for every api. Raises LeakFound."""
    veiled = blindfold.redact(task).task
    for api in APIS:
        to = replace(backend(api), **settings)  # type: ignore[arg-type]
        _inspect(encode(veiled, to, system), veiled, to, system, blindfold)


def sent(task: Task, blindfold: Blindfold, api: str = "openai") -> str:
    request: WireRequest = encode(blindfold.redact(task).task, backend(api))
    return outbound_text(request.url, request.headers, request.body)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("api", APIS)
def test_a_name_in_any_part_of_a_task_is_veiled_and_comes_back(name: str, api: str) -> None:
    task = Task(
        f"What does {name} want?\nAsk “{name}”, or {name.upper()}!",
        messages=(
            Message("user", f"I am {name}."),
            Message("assistant", "", tool_calls=(ToolCall("1", "look", json.dumps({"who": name, name: [name]})),)),
            Message("tool", f'{{"seen": {json.dumps(name)}}}', tool_call_id="1"),
        ),
        tools=(Tool("look", f"looks at {name}", {"type": "object", "properties": {"who": {"enum": [name]}}}),),
        schema={"type": "object", "properties": {"who": {"type": "string", "description": f"{name} or not"}}},
        identity=frozenset({name}),
    )
    blindfold = Blindfold(task.identity)
    assert blindfold.scan(sent(task, blindfold, api)) == ()
    check(task, blindfold)
    veiled = blindfold.redact(task)
    # A name comes back as it stood where it was found last, which may be in capitals.
    assert veiled.restore(veiled.task.prompt).casefold() == task.prompt.casefold()


names = st.one_of(st.sampled_from(NAMES), st.text(min_size=2, max_size=20))
texts = st.one_of(st.text(max_size=200), st.text(alphabet=string.printable, max_size=200))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(names, min_size=1, max_size=5), st.lists(texts, min_size=2, max_size=6), st.sampled_from(APIS))
@example(["ß"], ["ss ẞ", "SS"], "openai")
@example(["name_1", "NAME"], ["[NAME_1] name 1", "NAME_2"], "openai")
@example(["\u0130\u0130"], ["\u0130\u0130 i\u0307i\u0307", ""], "ollama")
def test_no_name_leaves_whatever_it_is_and_whatever_stands_around_it(
    terms: list[str], parts: list[str], api: str
) -> None:
    words = " ".join(part + " " + term for part, term in zip(parts, terms * len(parts), strict=False))
    task = Task(words, messages=(Message("assistant", parts[0]), Message("user", words[::2])))
    blindfold = Blindfold(terms)
    veiled = blindfold.redact(task)
    to = backend(api)
    # Raises LeakFound where a name is left that the envelope itself does not hold.
    _inspect(encode(veiled.task, to), veiled.task, to, "", blindfold)
    assert blindfold.scan(veiled.task.prompt) in ((), *((folded,) for folded in blindfold.scan("NAME name_1")))


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(names, min_size=1, max_size=4), texts)
def test_what_is_veiled_can_be_unveiled(terms: list[str], text: str) -> None:
    veiled = Blindfold(terms).redact(Task(f"{text} {terms[0]}"))
    back = veiled.restore(veiled.task.prompt)
    assert (
        unicodedata.normalize("NFC", back).casefold() == unicodedata.normalize("NFC", f"{text} {terms[0]}").casefold()
    )


@pytest.mark.parametrize("word", ["user", "content", "model", "role", "messages", "json", "application", "Bearer"])
def test_a_player_who_is_called_like_a_word_of_the_envelope_neither_stops_nor_leaks(word: str) -> None:
    blindfold = Blindfold([word])
    task = Task(f"{word.title()} asks about tides", schema={"type": "object", "description": f"for {word}"})
    check(task, blindfold)
    prompt = blindfold.redact(task).task.prompt
    assert word not in prompt.casefold().split()


def test_a_player_who_is_called_like_a_word_of_the_system_prompt_can_think() -> None:
    check(Task("hello"), Blindfold(["Give", "Reason", "plainly"]), system="Give a reason, plainly.")


@pytest.mark.parametrize(
    ("system", "options"),
    [("You are the brain of Timmy.", {}), ("", {"user": "Timmy"}), ("", {"metadata": {"asked by": ["Timmy"]}})],
)
def test_a_name_that_somebody_planted_is_found(system: str, options: dict[str, object]) -> None:
    with pytest.raises(LeakFound):
        check(Task("hello"), Blindfold(soul=["Timmy"]), system=system, options=options)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"a": "\u0054immy"}',
        rb'{"a": "b\nTimmy"}',
        rb'{"\tTimmy": 1}',
        rb'{"arguments": "{\"who\": \"\\u0054immy\"}"}',
        rb'{"arguments": "{\"who\": \"\\nTimmy\"}"}',
        b"Timmy" + b"\xff",
    ],
)
def test_no_escape_hides_a_name_from_the_scan(body: bytes) -> None:
    assert Blindfold(["Timmy"]).scan(outbound_text("https://example.com", {}, body)) == ("timmy",)


def test_a_line_break_in_json_hides_no_name() -> None:
    text = json.dumps({"seen": "nobody\nŁukasz\tAnna"})
    veiled = Blindfold(["Łukasz", "Anna"]).redact(Task(messages=(Message("tool", text, tool_call_id="1"),)))
    assert json.loads(veiled.task.messages[0].text) == {"seen": "nobody\n[NAME_1]\t[NAME_2]"}


def test_a_name_is_found_in_the_address_and_in_headers() -> None:
    blindfold = Blindfold(["Timmy"])
    assert blindfold.scan(outbound_text("https://example.com/timmy", {}, b""))
    assert blindfold.scan(outbound_text("https://example.com", {"x-who": "TIMMY"}, b""))


def test_an_accent_that_is_typed_apart_hides_nothing() -> None:
    blindfold = Blindfold(["José"])
    veiled = blindfold.redact(Task("Ask Jose\u0301 now"))
    assert veiled.task.prompt == "Ask [NAME_1] now"
    assert blindfold.scan("Jose\u0301")


def test_a_name_is_found_where_no_blanks_stand_around_it() -> None:
    assert Blindfold(["名前"]).redact(Task("私は名前さんに聞いた")).task.prompt == "私は[NAME_1]さんに聞いた"
    assert Blindfold(["철수"]).redact(Task("철수가 왔다")).task.prompt == "[NAME_1]가 왔다"


def test_a_picture_is_not_searched_for_letters() -> None:
    # Every two-letter name turns up somewhere in this.
    picture = Image("image/png", bytes(range(256)) * 200)
    check(Task("what is this?", images=(picture,)), Blindfold(["aB", "Kx", "Timmy", "xy", "AAEC"]))


def test_arguments_of_a_tool_stay_json_whatever_the_name() -> None:
    name = 'Anna "the\\Bold" O\'Brien'
    veiled = Blindfold([name]).redact(
        Task(messages=(Message("assistant", tool_calls=(ToolCall("1", "look", json.dumps({"who": name})),)),))
    )
    (call,) = veiled.restore_calls(veiled.task.messages[0].tool_calls)
    assert json.loads(call.arguments) == {"who": name}


def test_parsed_content_is_unveiled_in_values_and_keys() -> None:
    veiled = Blindfold(["Anna"]).redact(Task("Anna?"))
    assert veiled.restore_content({"[NAME_1]": ["name_1", 3, None]}) == {"Anna": ["Anna", 3, None]}


def test_a_placeholder_that_the_task_already_holds_is_not_given_to_a_name() -> None:
    veiled = Blindfold(["Anna"]).redact(Task("Anna wrote [NAME_1] and name_2 on the wall"))
    assert veiled.task.prompt == "[NAME_3] wrote [NAME_1] and name_2 on the wall"
    assert veiled.restore("[NAME_1] [NAME_3]") == "[NAME_1] Anna"


def test_the_longest_name_is_veiled_as_one() -> None:
    assert Blindfold(["Anna", "Anna Kowalska"]).redact(Task("Anna Kowalska?")).task.prompt == "[NAME_1]?"


def test_parts_of_other_words_are_left_alone() -> None:
    assert Blindfold(["Ann"]).redact(Task("Annual planning")).task.prompt == "Annual planning"


def test_a_tasks_own_terms_are_not_remembered() -> None:
    blindfold = Blindfold(["Timmy"])
    both = blindfold.plus({"Timmy Burr", "Anna"})
    assert both.scan("timmy burr, anna") == ("anna", "timmy burr")
    assert blindfold.scan("timmy burr, anna") == ("timmy",)
