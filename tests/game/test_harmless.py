"""Whatever a backend says, the game shows letters: judged by Evennia's own parsers."""

from __future__ import annotations

import unicodedata

import alone
import pytest
from django.test import override_settings
from evennia.server.portal.mxp import mxp_parse
from evennia.utils.ansi import parse_ansi
from evennia.utils.funcparser import FUNCPARSER_CALLABLES, FuncParser
from evennia.utils.text2html import parse_html
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.world.harmless import LIMIT, escape, line, plain, show, whole

assert alone  # Evennia reads its settings as it is imported

#: Pieces that mean something to Evennia, so that random text hits markup and cuts it in odd places.
_COLOURS = ["|", "||", "|r", "|lc", "|lclook|ltclick|le", "|lt", "|le", "|lu", "{", "{{", "|n", "|[300", "|=a", "|500"]
_CONTROLS = ["$", "$eval(1+1)", "\\", "\x1b[31m", "\x1b]0;owned\x07", "\x1b", "\x9b31m", "\r", "\0", "\u202e", "\ud800"]
_MARKUP = st.sampled_from([*_COLOURS, *_CONTROLS, "|*", " "])
_HOSTILE = st.lists(st.one_of(_MARKUP, st.text(max_size=6)), max_size=60).map("".join)


@given(_HOSTILE)
def test_no_colour_link_or_escape_survives_telnet(text: str) -> None:
    shown = mxp_parse(parse_ansi("\n".join(show(text)), xterm256=True, truecolor=True, mxp=True))
    assert "\x1b" not in shown
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" or c in "\u200c\u200d" for c in shown)


@given(_HOSTILE)
def test_nothing_becomes_a_clickable_command_or_a_colour_in_the_web_client(text: str) -> None:
    shown = parse_html("\n".join(show(text)))
    assert "Evennia.msg" not in shown
    assert "<span" not in shown


@given(_HOSTILE)
def test_inline_functions_stay_letters_where_a_game_parses_them(text: str) -> None:
    with override_settings(FUNCPARSER_PARSE_OUTGOING_MESSAGES_ENABLED=True):
        shown = FuncParser(FUNCPARSER_CALLABLES).parse(escape(plain(text)))
    with override_settings(FUNCPARSER_PARSE_OUTGOING_MESSAGES_ENABLED=False):
        assert shown == escape(plain(text))


@given(st.text(alphabet=st.characters(exclude_characters="|{}$\\", categories=("L", "N", "P", "S")), max_size=300))
def test_ordinary_letters_are_left_as_they_are(text: str) -> None:
    assert escape(plain(text)) == text


@given(st.text(max_size=400), st.integers(40, 100))
def test_no_line_is_wider_than_the_screen(text: str, width: int) -> None:
    for shown in show(text, width):
        assert len(parse_ansi(shown, strip_ansi=True)) <= width


def test_an_escaped_link_would_come_alive_again_in_evennia_so_it_is_broken() -> None:
    link = "|lclook|ltclick me|le"
    assert "<SEND" in mxp_parse(parse_ansi(link.replace("|", "||"), mxp=True))
    assert "<SEND" not in mxp_parse(parse_ansi(escape(link), mxp=True))


def test_code_keeps_its_indentation() -> None:
    assert show("def f():\n    return {1: 2}") == ["def f():", "    return {{1: 2}"]
    assert parse_ansi(show("    return {1: 2}")[0]) == "    return {1: 2}"


def test_a_tower_of_accents_is_taken_down() -> None:
    assert len(plain("e" + "\u0301" * 500)) < 10


def test_an_absurdly_long_text_is_cut_and_says_so() -> None:
    told = plain("x" * (LIMIT + 5))
    assert len(told) < LIMIT + 40
    assert told.endswith("(... 5 characters more)")


@pytest.mark.parametrize("hostile", ["a\nb\r\nc", "x" * 1000, "|r\x1b[2J\n"])
def test_a_quotation_is_one_short_line(hostile: str) -> None:
    told = line(hostile, 50)
    assert "\n" not in told
    assert len(told) <= 52


@given(st.text(alphabet="0123456789-+. ²٣a", max_size=12) | st.integers(0, 10**9).map(str))
def test_a_typed_number_is_read_or_is_none(typed: str) -> None:
    read = whole(typed)
    assert read == (int(typed) if typed.isdecimal() and len(typed) <= 9 else -1)
    assert whole("9" * 5000) == -1
