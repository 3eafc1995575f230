"""Weighs an answer against what was asked: Timmy's own check, without any brain, after the judge's.

    shortcomings("Name three rivers in one sentence.", answer)      # ["takes 4 sentences where you asked for 1"]

The judge says whether an answer is one; this, whether it heeds what the task says of its form, and whether a sum is
right. A complaint costs a second question, so where a wish can be read in two ways it is none: every rule here needs
the wish in plain words, and the answer to miss it by more than a matter of counting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from uniwizard.agent import sum_in
from uniwizard.world.soul import voice

#: The characters of a task and of an answer that are looked at.
_ASKED, _ANSWERED = 2000, 20_000

_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10,    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100,
}  # fmt: skip
_N = rf"(\d{{1,3}}|{'|'.join(_NUMBERS)})"
_SENTENCES = re.compile(
    rf"\b(?:in|within|using|with)\s+(?:just |only |exactly |at most |"
    rf"no more than )?{_N}\s+(?:short |simple )?sentences?\b"
)
_WORDS = re.compile(
    rf"\b(?:in|within|using|with|under|below)\s+(?:just |only |exactly |"
    rf"at most |no more than |under |fewer than |less than |max(?:imum)?(?: of)? )?"
    rf"{_N}\s+words?\b"
)
_ITEMS = re.compile(
    rf"^(?:\W*(?:please|timmy|can you|could you)\W+)*(?:give|list|name|"
    rf"suggest|find|show|tell|propose|think of|come up with)\s+(?:me\s+|us\s+)?"
    rf"{_N}\s+(?:\w+\s+){{0,2}}?(\w+s|people|men|women|children)\b"
)
_TABLE = re.compile(r"\b(?:as|in|make|draw|into) an? (?:\w+ )?table\b(?! of contents)")
_LIST = re.compile(r"\bas an? (?:bulleted |numbered |bullet |short )?list\b|\bin bullet points\b")
_YES_OR_NO = re.compile(r"\b(?:yes or no|ja oder nein|tak (?:czy|lub|albo) nie|oui ou non|sí o no|si o no|sì o no)\b")
_YES_NO = re.compile(r"\b(?:yes|no|ja|nein|tak|nie|oui|non|sí|si|sì)\b")
_ITEM_LINE = re.compile(r"^(?:[-*+•]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LABEL = re.compile(r"^\[practice\]\s*")

#: Words that a language cannot do without and the others do not have, enough to tell six of them apart.
_COMMON = {
    "English": "the and is are was with that this for you have not it they from which",
    "Polish": "jest się nie że dla oraz są był jak przez tylko może ten która które",
    "German": "der die das und ist nicht ein eine mit für auf sind wird den dem auch",
    "French": "le les des est une dans pour qui sur avec pas nous vous sont mais aux",
    "Spanish": "el los las una que por con para es está como más pero son del muy",
    "Italian": "il gli che di una per con non sono della nel più anche è del questo",
}
_TELLING = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_IN_LANGUAGE = re.compile(
    r"\b(?:(?:answer|reply|respond|write|say it|explain|put it)(?: \w+){0,4} in|translate .{1,1500}? (?:in)?to)\s+"
    r"(english|polish|german|french|spanish|italian)\b",
    re.DOTALL,
)


def shortcomings(asked: str, answer: str) -> list[str]:
    """What ``answer`` did not heed of ``asked``, in words that follow "it"; empty where nothing is wrong."""
    return list(_found(asked[:_ASKED].casefold(), _LABEL.sub("", answer[:_ANSWERED])))


def _found(asked: str, answer: str) -> Iterator[str]:
    prose = _FENCE.sub(" ", answer)
    if wanted := _number(_SENTENCES, asked):
        got = sum(len(piece.split()) >= 2 for piece in re.split(r"[.!?]+(?:\s|$)", prose))
        if got > wanted:
            yield voice.shortcoming("sentences", want=wanted, got=got)
    if wanted := _number(_WORDS, asked):
        got = len(prose.split())
        if got > wanted * 1.2 + 2:
            yield voice.shortcoming("words", want=wanted, got=got)
    if (wanted := _number(_ITEMS, asked)) and wanted > 1:
        got = len(_ITEM_LINE.findall(prose))
        if 1 < got < wanted:
            yield voice.shortcoming("items", want=wanted, got=got)
    if (named := _IN_LANGUAGE.search(asked)) and (spoken := language(prose)) and spoken.casefold() != named[1]:
        yield voice.shortcoming("language", want=named[1].capitalize())
    if _TABLE.search(asked) and not re.search(r"^\|?\s*:?-{2,}", answer, re.MULTILINE):
        yield voice.shortcoming("table")
    if _LIST.search(asked) and len(prose.split()) > 12 and not _ITEM_LINE.search(prose):
        yield voice.shortcoming("list")
    if _YES_OR_NO.search(asked) and not _YES_NO.search(prose.casefold()[:200]):
        yield voice.shortcoming("yes_or_no")
    if worked := sum_in(asked):
        value = worked.rpartition("= ")[2].rstrip(".")
        if (
            value not in re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"(?<=\d)[, ](?=\d{3})", "", answer))
            and "." not in value
        ):
            yield voice.shortcoming("sum", want=worked.rstrip("."))
    said, words = _bare(answer), _bare(asked)
    if len(words) > 20 and said == words:
        yield voice.shortcoming("echo")


def _number(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return 0 if found is None else int(found[1]) if found[1].isdigit() else _NUMBERS[found[1]]


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def language(text: str) -> str:
    """The language of ``text``, one of six, where it is plain to see; else empty."""
    words = re.findall(r"\w+", text.casefold())
    if len(words) < 8:
        return ""
    points = sorted(
        ((sum(word in telling for word in words), name) for name, telling in _TELLING.items()), reverse=True
    )
    (most, best), (next_most, _) = points[0], points[1]
    return best if most >= 3 and most >= 2 * next_most else ""
