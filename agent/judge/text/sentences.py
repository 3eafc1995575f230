"""Read an answer the way a person does: sentence by sentence, and who is speaking in each.

    parsed = parse_answer("The guard says: 'I can't let you pass.'")
    [(s.text, s.speaker) for s in parsed.sentences]
    # [("The guard says:", Speaker.OWN), ("I can't let you pass.", Speaker.OTHER)]

A sentence is the model's own, or it is somebody else's: quoted, spoken by a character, part of a letter written for
the user, code. Only the model's own words can be the model's refusal.

A long answer is read at its head and its tail, where refusals stand; the middle is skipped, so a megabyte costs what
twelve thousand characters cost.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ..data import words as listed
from ..schema import strings_in

#: Characters read at the beginning and at the end of a long answer.
HEAD, TAIL = 8_000, 4_000

#: A quotation of this many words or fewer is an emphasis or a name and stays part of the sentence around it.
SHORT_QUOTE = 3

_MARKS = (("*", ""), ("_", ""), ("`", "'"))
_STRAIGHT = str.maketrans(dict.fromkeys("’‘‛ʼ＇´`", "'") | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad*_", ""))
_SPACED = str.maketrans({chr(i): " " for i in range(128) if not chr(i).isalnum() and chr(i) != "'"})
_WORD = re.compile(r"[^\W_][\w']*+")
# Possessive, and only from the start of a run of marks: a thousand exclamation marks are read once. The look back
# stands behind the first mark, as a search for a set of characters is three times as fast.
_SENTENCE_END = re.compile(r"[.!?…。！？](?<![.!?…。！？].)[.!?…。！？]*+[\"”’'»)\]」』*_]*+(?=\s|$|[^\x00-\x7f])",
                           re.DOTALL)  # fmt: skip
_LIST_ITEM = re.compile(r"\s{0,8}(?:[-•*+·–]|\d{1,3}[.)]|[a-zA-Z][.)]|#{1,6}|\|)\s")
_SPEAKER = re.compile(
    r"\s{0,8}\*{0,4}([A-Z][\w.'-]{0,30}(?: [A-Z0-9][\w.'-]{0,30}){0,3})"
    r"(?: ?\([^()\n]{0,60}\))?\*{0,4}:\*{0,4}\s"
)
_LETTER_START = re.compile(
    r"\s{0,8}\*{0,4}(?:dear|subject|betreff|objet|asunto|oggetto|temat|szanown|sehr geehrt|estimad|gentile|cher|chère"
    r"|liebe|hi|hello|hey)\b",
    re.IGNORECASE,
)
_LETTER_END = re.compile(r"\s{0,8}(?:sincerely|(?:kind|best|warm|many)? ?regards|best wishes|best|yours|respectfully|"
                         r"warmly|cheers|thanks|love|with (?:gratitude|thanks|appreciation)|take care)\b.{0,20}$",
                         re.IGNORECASE)  # fmt: skip
_UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
_QUOTES = {'"': '"', "“": "”", "„": '”“"', "«": "»", "»": "«", "「": "」", "『": "』"}
_ANY_QUOTE = re.compile('["“„«»「『]')


class Speaker(Enum):
    """Who speaks."""

    OWN = "own"
    OTHER = "quoted, or a character"
    LETTER = "written for the user to send"
    CODE = "code"


@dataclass(slots=True)
class Sentence:
    """One sentence, its lower-case words, and where it stands."""

    text: str
    words: list[str]
    speaker: Speaker
    item: bool
    unspaced: bool


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A whole answer. ``text`` is what was read of it; ``skipped`` characters between head and tail were not."""

    sentences: list[Sentence]
    text: str
    skipped: int


def words_of(text: str) -> list[str]:
    """The lower-case words of ``text``, apostrophes inside them kept."""
    lower = text.lower()
    # Twice as fast as the expression, and most text is ASCII.
    words: list[str] = lower.translate(_SPACED).split() if lower.isascii() else _WORD.findall(lower)
    if "'" in lower:
        return [bare for word in words if (bare := word.strip("'"))]
    return words


def plain(text: str) -> str:
    """``text`` with one kind of apostrophe, without emphasis marks and invisible characters."""
    if not text.isascii():
        # One sign can stand for eighteen (U+FDFA), so the length is bounded again.
        return unicodedata.normalize("NFKC", text)[: 2 * (HEAD + TAIL)].translate(_STRAIGHT)
    for mark, instead in _MARKS:
        if mark in text:
            text = text.replace(mark, instead)
    return text


def head_and_tail(text: str) -> tuple[str, int]:
    """Head and tail of ``text``, and the number of characters left out between them."""
    if len(text) <= HEAD + TAIL:
        return text, 0
    return f"{text[:HEAD]}\n\n{text[-TAIL:]}", len(text) - HEAD - TAIL


def parse_answer(text: str) -> ParsedText:
    """Split ``text`` into sentences with their voices. Takes any string, lone surrogates included."""
    seen, skipped = head_and_tail(texts_in_json(text))
    return ParsedText(list(_sentences(seen)), seen, skipped)


def texts_in_json(text: str) -> str:
    """The texts inside a JSON answer, one to a line; any other answer as it is."""
    bare = text.strip()
    if not bare or len(bare) > HEAD + TAIL:
        return text
    if bare.startswith("```") and bare.endswith("```") and len(bare) > 6:
        bare = bare[3:-3].removeprefix("json").strip()
    if not bare or bare[0] + bare[-1] not in ("{}", "[]"):
        return text
    try:
        value = json.loads(bare)
    except (ValueError, RecursionError):
        return text
    return "\n\n".join(strings_in(value)) or text


def _sentences(text: str) -> Iterator[Sentence]:
    fence = letter = False
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped:
            continue
        if stripped.startswith(("```", "~~~")):
            fence = not fence
            continue
        if fence:
            yield Sentence(stripped, [], Speaker.CODE, False, False)
            continue
        if _LETTER_START.match(line) and (letter or stripped.endswith((",", ":", "!")) or ":" in stripped[:10]):
            letter = True
        voice = Speaker.LETTER if letter else Speaker.OWN
        if letter and _LETTER_END.match(line):
            letter = False
        if stripped[0] == ">" or (stripped[0] in "—–" and stripped[1:2].isalpha()):
            voice = Speaker.OTHER
        speaker = _SPEAKER.match(line)
        if speaker and speaker[1].split()[0].lower() not in listed("own_labels") and len(stripped) > speaker.end():
            voice = Speaker.OTHER
        item = _LIST_ITEM.match(line) is not None
        for part, spoken in _quotations(plain(stripped)):
            yield from _split(part, Speaker.OTHER if spoken and voice is Speaker.OWN else voice, item)


def _quotations(line: str) -> Iterator[tuple[str, bool]]:
    """The line in pieces: (what is said outside quotation marks, False), (what is quoted, True)."""
    if not _ANY_QUOTE.search(line) and " '" not in line and not line.startswith("'"):
        yield line, False
        return
    outside: list[str] = []
    quoted: list[str] = []
    at = 0
    while (opening := _next_quote(line, at)) is not None:
        start, closers = opening
        end = _closing(line, start + 1, closers)
        if end < 0:
            break
        inner = line[start + 1 : end]
        outside.append(line[at:start])
        speech = inner.endswith((".", "!", "?", ",", "。")) or inner.startswith(("I ", "I'", "No", "Sorry"))
        if len(inner.split()) > SHORT_QUOTE or len(inner) > 40 or speech:
            quoted.append(inner)
        else:
            outside.append(inner)
        at = end + 1
    outside.append(line[at:])
    yield " ".join(outside), False
    for inner in quoted:
        yield inner, True


def _next_quote(line: str, at: int) -> tuple[int, str] | None:
    mark = _ANY_QUOTE.search(line, at)
    best = (mark.start(), _QUOTES[mark[0]]) if mark else None
    single = 0 if at == 0 and line.startswith("'") else line.find(" '", at) + 1
    if (single > 0 or (at == 0 and line.startswith("'"))) and (best is None or single < best[0]):
        return single, "'"
    return best


def _closing(line: str, at: int, closers: str) -> int:
    """Where the quotation that began before ``at`` ends, or -1."""
    if closers != "'":
        return min((found for mark in closers if (found := line.find(mark, at)) >= 0), default=-1)
    while (at := line.find("'", at)) >= 0:
        if at + 1 == len(line) or not line[at + 1].isalnum():
            return at
        at += 1
    return -1


def _split(text: str, voice: Speaker, item: bool) -> Iterator[Sentence]:
    if text.isascii():
        # Lower-cased and spaced in one go; it keeps its length, so that it can be cut where the text is.
        unspaced, spaced = False, text.lower().translate(_SPACED)
    else:
        unspaced, spaced = _UNSPACED.search(text) is not None, ""
    at = 0
    for mark in _SENTENCE_END.finditer(text):
        end = mark.end()
        words = _bare(spaced[at:end]) if spaced else words_of(text[at:end])
        yield Sentence(text[at:end].strip(), words, voice, item, unspaced)
        at = end
    rest = text[at:].strip()
    if rest:
        yield Sentence(rest, words_of(rest), voice, item, unspaced)


def _bare(spaced: str) -> list[str]:
    """The words of a lower-cased and spaced sentence, without apostrophes around them."""
    words = spaced.split()
    if "'" in spaced and (" '" in spaced or "' " in spaced or spaced[0] == "'" or spaced[-1] == "'"):
        return [bare for word in words if (bare := word.strip("'"))]
    return words
