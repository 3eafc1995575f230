"""Answers as a terminal shows them: laid out, within the screen, and as harmless as plain text is."""

from __future__ import annotations

import re

import alone  # noqa: F401 - Django's settings
import pytest
from evennia.utils.ansi import parse_ansi
from evennia.utils.text2html import parse_html
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uniwizard.world.mark import MARK
from uniwizard.world.markdown import Screen, render

TABLE = "| Name | What it is |\n|---|---|\n| Lamp | burns oil through the long evenings |\n| Axe | chops |\n"

#: Pieces of markdown and of Evennia's markup, in any order.
_PIECES = st.sampled_from(
    ["|r", "|lc", "look", "|lt", "x", "|le", "**", "*", "_", "`", "```\n", "\n", "\n\n", "# ", "- ", "1. ",
    "> ", "|", "||",
     "{r", "{", "$eval(1)", "\\", "\\|", "[a](", "http://e.org/", "javascript:alert(1)", ")", "![", "<b>",
     "<script>", "&#124;",
     "&#x202e;", "&#x25C6;", MARK, "\x1b[31m", "\x1b]0;t\x07", "\u202e", "|-|-|\n", "é", "語", " "]
)  # fmt: skip
_HOSTILE = st.lists(_PIECES, max_size=60).map("".join)
_SCREENS = st.builds(Screen, width=st.integers(30, 100), reader=st.booleans(), flows=st.booleans())


def shown(text: str, **screen: object) -> list[str]:
    """The lines without their colours, as they stand on a terminal."""
    return [parse_ansi(line, strip_ansi=True) for line in render(text, Screen(**screen))]  # type: ignore[arg-type]


@settings(deadline=None, max_examples=examples(300))
@given(_HOSTILE, _SCREENS)
@example("|**lclook|ltclick|le**", Screen())
@example("**|**lclook**|**ltclick**|**le", Screen())
@example("&#124;lclook&#124;ltclick&#124;le", Screen())
@example("**$**eval(1)", Screen())
def test_no_answer_brings_a_link_a_colour_or_the_games_mark_alive(text: str, screen: Screen) -> None:
    told = "\n".join(render(text, screen))
    assert MARK not in told
    assert "\x1b" not in told and "\u202e" not in told
    for stripped in (False, True):
        page = parse_html(told, strip_ansi=stripped)
        assert "<script" not in page
        assert all(found.startswith(("http://", "https://")) for found in re.findall(r'<a [^>]*href="([^"]*)', page))
        assert not re.search(r"<a [^>]*onclick", page)
        assert "<SEND" not in parse_ansi(told, strip_ansi=stripped, mxp=True)
    # Bold, underlined and code's own colour are all the colour there is.
    assert not {"[31m", "[32m", "[33m", "[35m"} & {code + "m" for code in parse_ansi(told).split("m") if code}


@settings(deadline=None, max_examples=examples(200))
@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=300), st.integers(30, 100))
def test_prose_fits_the_screen(text: str, width: int) -> None:
    from uniwizard.world.markdown import _cells

    assert all(_cells(line) <= width for line in shown(text, width=width))


@pytest.mark.parametrize("width", [30, 44, 60, 78])
def test_a_table_fits_or_becomes_records(width: int) -> None:
    lines = shown(TABLE, width=width)
    assert max(map(len, lines)) <= width
    assert any("Lamp" in line for line in lines) and any("chops" in line for line in lines)


def test_a_screen_reader_gets_words_for_what_others_see() -> None:
    lines = shown(TABLE + "\n```python\nx = 1\n```\n", reader=True)
    assert lines[0] == "Name: Lamp"
    assert "(code, python)" in lines and "(end of code)" in lines
    assert not any("---" in line for line in lines)


def test_code_is_left_as_it_is_and_set_apart() -> None:
    long = "value = " + " + ".join(map(str, range(60)))
    lines = shown(f"So:\n```\nif x:\n    {long}\n```\nDone.", width=40)
    assert lines == ["So:", "", "  if x:", f"      {long}", "", "Done."]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("**bold** and *so*", "bold and so"),
        ("[a page](https://e.org/x)", "a page <https://e.org/x>"),
        ("<https://e.org/x>", "https://e.org/x"),
        ("[click](javascript:alert(1))", "[click](javascript:alert(1))"),
        ("[click](file:///etc/passwd)", "[click](file:///etc/passwd)"),
        ("[mail](mailto:a@e.org)", "mail"),
        ("![cat](https://e.org/cat.png)", "(picture: cat) <https://e.org/cat.png>"),
        ("a<br>b", "a<br>b"),
        ("one\ntwo", "one\ntwo"),
        ("3. x\n4. y", "3. x\n4. y"),
        ("- a\n  - b", "- a\n  - b"),
        ("    indented", "indented"),
        ("snake_case_name * 2", "snake_case_name * 2"),
    ],
)
def test_markdown_reads_as_it_is_meant(written: str, read: str) -> None:
    assert "\n".join(shown(written)) == read
