"""Texts as a searcher of names reads them: words, what they are whatever their dress, and what stands behind escapes.

    words_in("Bob2 and T\\u200bimmy")            # "Bob", "2", "and", "T\\u200bimmy"
    fold("Łukasz") == fold("ＬUKASZ") == "lukasz"
    [reading.text for reading in readings("%54immy")]      # "%54immy", "Timmy"

A word is a run of letters with the marks and invisible characters inside it, or a run of digits; in scripts that put no
blanks between words, every character is one. So a name stands out although it is glued to an underscore or a figure.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

#: Letters that follow each other without blanks: Thai to Khmer, kana, ideographs, and Hangul with its particles.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
#: The last code point before the scripts above that has marks of its own, but for those listed after it.
_MARKS_UP_TO = 0x3040
_LATE_MARKS = "\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef"


def _marks() -> str:
    """Combining marks and invisible characters, as the inside of a character class."""
    listed = (chr(n) for n in range(0x80, _MARKS_UP_TO))
    return "".join(c for c in listed if unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf")) + _LATE_MARKS


_LETTER = rf"[^\W\d_{_UNSPACED}]"
_MARK = f"[{_marks()}]"
#: Letters in circles, which Unicode counts among the signs.
_CIRCLED = "\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"
_ANY_WORD = re.compile(
    rf"[{_UNSPACED}](?:{_MARK}|[\u3099\u309a])*|(?:{_LETTER}|[{_CIRCLED}])+(?:{_MARK}+(?:{_LETTER}|[{_CIRCLED}])*)*|\d+(?:{_MARK}+\d+)*"
)
_ASCII_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_INVISIBLE = re.compile(f"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f{_LATE_MARKS}]")

#: Letters that no decomposition takes apart.
_PLAIN = str.maketrans(
    {"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th", "ŋ": "n"}
)
#: Cyrillic and Greek letters that pass for Latin ones, where a word has both.
_LOOKALIKES = str.maketrans("аеорсухіјѕԁһкмтвнгԛԝορανικτυχ", "aeopcyxijsdhkmtbhrqwopaviktux")
_LATIN = re.compile("[a-z]")
_NOT_LATIN = re.compile("[\u0370-\u052f]")


def word_pattern(text: str) -> re.Pattern[str]:
    """What finds the words of ``text``; its ``findall`` and ``finditer`` take a place to begin and one to end."""
    return _ASCII_WORD if text.isascii() else _ANY_WORD


def words_in(text: str) -> list[str]:
    """The words of ``text`` as they are written."""
    found: list[str] = word_pattern(text).findall(text)
    return found


def fold(word: str) -> str:
    """``word`` without case, accents, invisible characters, width and decoration."""
    return word.lower() if word.isascii() else _fold(word)


@lru_cache(maxsize=20_000)
def _fold(word: str) -> str:
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    plain = "".join(map(_letter, apart)).translate(_PLAIN)
    if _NOT_LATIN.search(plain) and _LATIN.search(plain):
        plain = plain.translate(_LOOKALIKES)
    return plain


def _letter(char: str) -> str:
    """One character of a decomposed word; a mark that only adorns its letter is nothing, in Indic scripts it is one."""
    category = unicodedata.category(char)
    if category in ("Cf", "Me"):
        return ""
    if category == "Mn":
        return char if 0x0900 <= ord(char) < 0x1AB0 or 0x3000 <= ord(char) < 0x3100 else ""
    return str(unicodedata.decimal(char)) if category == "Nd" else char


def humps(word: str) -> list[tuple[int, int]]:
    """Where the parts of ``TimmyTheWizard`` begin and end, or those between invisible characters; [] for one part."""
    if word.isascii() and word[1:].islower():
        return []
    edges = [0]
    for place in range(1, len(word)):
        if (word[place].isupper() and word[place - 1].islower()) or _INVISIBLE.match(word, place):
            edges.append(place)
    return [] if len(edges) == 1 else list(zip(edges, [*edges[1:], len(word)], strict=True))


# -- behind escapes ----------------------------------------------------------------------------------------------

#: How often text may be escaped and escaped again.
_LEVELS = 3

_ESCAPE = re.compile(
    r"(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}|\\[nrtbfv0]"
    r"|(?:%[0-9a-fA-F]{2})+|&#[0-9]{1,7};?|&#[xX][0-9a-fA-F]{1,6};?|&[A-Za-z]{2,24}[0-9]{0,2};"
)
_JSON_ESCAPE = re.compile(r'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]')
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


class Reading:
    """A text as it is once its escapes are undone, and where in the original everything stands."""

    __slots__ = ("_ends", "_outer", "_places", "_starts", "text")

    def __init__(self, text: str, escape: re.Pattern[str] | None = None, outer: Reading | None = None):
        self._outer = outer
        #: Of every letter that was escaped: its place here, where its escape begins, and where it ends.
        self._places: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.text = text if escape is None else self._undo(text, escape)

    def _undo(self, text: str, escape: re.Pattern[str]) -> str:
        pieces: list[str] = []
        length = shown = 0
        for match in escape.finditer(text):
            letters = _meant(match[0])
            if letters is None:
                continue
            pieces.append(text[shown : match.start()])
            length += match.start() - shown
            start = match.start()
            for letter, width in letters:
                self._places.append(length)
                self._starts.append(start)
                start += width
                self._ends.append(start)
                pieces.append(letter)
                length += 1
            shown = match.end()
        return "".join((*pieces, text[shown:])) if pieces else text

    @property
    def changed(self) -> bool:
        """Whether anything was escaped."""
        return bool(self._places)

    @property
    def escaped(self) -> bool:
        """Whether anything stands elsewhere here than in the original."""
        return bool(self._places) or (self._outer is not None and self._outer.escaped)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original the characters from ``start`` to ``end`` stand."""
        if self._places:
            at = bisect_right(self._places, start) - 1
            last = bisect_right(self._places, end - 1) - 1
            if last >= 0:
                end = self._ends[last] + (end - 1 - self._places[last])
            if at >= 0:
                inside = start - self._places[at]
                start = self._starts[at] if inside == 0 else self._ends[at] + inside - 1
        return (start, end) if self._outer is None else self._outer.original(start, end)


def readings(text: str, *, json: bool = False) -> Iterator[Reading]:
    """``text`` as it stands, then with its escapes undone, up to three times.

    json  the text is JSON: it is read only with JSON's own escapes undone first, so that no letter of an escape is
          taken for one of a word
    """
    reading = Reading(text, _JSON_ESCAPE if json and "\\" in text else None)
    yield reading
    for _ in range(_LEVELS):
        if not ("\\" in reading.text or "%" in reading.text or "&" in reading.text):
            return
        reading = Reading(reading.text, _ESCAPE, reading)
        if not reading.changed:
            return
        yield reading


def unescaped_json(text: str) -> str:
    """JSON text with the escapes in its strings undone; what else it holds stays."""
    return Reading(text, _JSON_ESCAPE).text if "\\" in text else text


def _meant(escape: str) -> list[tuple[str, int]] | None:
    """The letters that an escape stands for, each with the characters it takes; None where it stands for none."""
    if escape[0] == "&":
        meant = html.unescape(escape)
        return [(meant, len(escape))] if len(meant) == 1 else None
    if escape[0] == "%":
        return _of_bytes(bytes.fromhex(escape.replace("%", "")))
    kind = escape[1]
    if kind == "u" and escape[2:3] != "{":
        return _of_units(escape)
    if kind in "xuU" and len(escape) > 2:
        number = int(escape[2:].strip("{}"), 16)
        return [(chr(number), len(escape))] if number < 0x110000 else None
    return [(_CONTROLS.get(kind, kind), 2)]


def _of_bytes(data: bytes) -> list[tuple[str, int]]:
    """Percent-encoded bytes: three characters of the original each."""
    said = data.decode("utf-8", "surrogateescape")
    return [(char, 3 * len(char.encode("utf-8", "surrogateescape"))) for char in said]


def _of_units(escape: str) -> list[tuple[str, int]]:
    """``\\uXXXX`` in a row, of which two may make one character."""
    data = bytes.fromhex(escape.replace("\\u", ""))
    said = data.decode("utf-16-be", "surrogatepass")
    return [(char, 12 if ord(char) > 0xFFFF else 6) for char in said]
