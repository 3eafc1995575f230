"""The canonical text of a task: the same for two texts that ask the same thing in the same words.

    canonical("Hi, what's 17*23?")             # "what is 17*23"
    canonical("Please: WHAT IS 17*23")          # "what is 17*23"
    canonical("What is 17*24?")                # "what is 17*24"

What goes: letters' case, blanks in excess, greetings, politeness, thanks, contractions, marks at the end; in the
languages of ``configs/memory/``. What stays: every other word and sign in its order, so digits, operators, names and
negations.

Where something of this carries meaning, it stays as well:

    code        in back quotes, fences and indented or bracketed lines stays to the letter, line breaks too; a word with
                brackets or an equals sign in it keeps its case
    quotations  whose capitals are more than a sentence's or a title's keep them; what stands in quotation marks is
                neither politeness nor a contraction
    case        of single letters and of words in capitals that stand in the same text in small letters, too (X and x,
                US and us), of units that another unit differs from in case alone (mW and MW), and of everything where
                the task is about capitals. A text in capitals throughout tells nothing by them
    5!          the mark behind a digit, a letter alone or a bracket is a factorial
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from .vocabulary import Phrase, Vocabulary, folded_eszett, vocabulary

#: Typographic marks and the plain ones that people type instead; blanks of every kind; Spanish marks of the beginning.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200d\u2060\ufeff\u00ad\u00bf\u00a1", None),
        "\u2212": "-",
    }
)
#: Marks that end a sentence, and those that set a phrase off.
_END: Final = "?!.\u2026"
_SET_OFF: Final = ",.:;!?\u2026-\u2013\u2014"
_PAUSE: Final = ",;?!.\u2026\u2013\u2014"
EDGES: Final = _SET_OFF + "\"'()"

#: Stand for what is kept as it is, for the end of a line, and for a veiled name.
_KEPT_FROM, _KEPT_TO, _LINE, _NAME = "\x01", "\x02", "\x03", "\x04"
_MARK = re.compile("\x01(\\d+)\x02")

_VEILED = re.compile(r"\b[A-Z][a-z]+\d{1,4}[QZYJ]\b")
_FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_QUOTED = re.compile(r'"[^"\n]{1,500}"')
#: A line whose shape matters: indented, bulleted, numbered, a table's, or ending as code does.
_SHAPED = re.compile(
    r"^(?:[ \t]{2,}|\t)\S|[{};]\s*$|^\s*(?:[-*+>|#]|\d+[.)])\s|^\s*(?:def|class|import|return|SELECT)\b"
)
#: A word that is code: a bracket behind a letter, an equals sign, an underscore, an arrow.
_CODE = re.compile(r"\w[(\[{]|[\]}=<>_\\]|\w;\w|::|->|&&|\|\|")
_BRACKETS = re.compile(r"[()\[\]{}=<>_\\;:|&-]")
_IN_CAPITALS = re.compile(r"(?<![\w'])[A-Z]{2,6}(?![\w'])")
_ALONE = re.compile(r"(?<=[\w,;)=+*/^-] )[A-Za-z](?![\w'])")
_CAPITALS_INSIDE = re.compile(r"\w[A-Z]")
#: Units that are another unit in other letters: milli and mega, pico and peta, bits and bytes.
_UNIT = re.compile(
    r"(?<=\d) ?(?:m(?:W|Hz|Pa|J|V|A|N|S|Ω|eV)|p(?:W|J|V|A|F)|M[gsm]|P[gsm]|[MGT]b(?:it)?(?:/s|ps)?)(?!\w)"
)
_SPACED = re.compile(r"(?<=\d) ([*/×÷+^]) (?=\d)")
_SIGNS = re.compile(" [*/×÷+^?!:;]")
_BEFORE_MARK = re.compile(r"(?<=\w) (?=[?!:;]+(?:\s|\Z))")

#: Phrases in a row that go from one end; nobody is politer than that.
_MOST_PHRASES: Final = 6


def canonical(text: str, words: Vocabulary | None = None) -> str:
    """The canonical form of ``text``: the empty text only where ``text`` has nothing in it."""
    words = words or vocabulary()
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"{_KEPT_FROM}{len(kept) - 1}{_KEPT_TO}"

    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_PLAIN)
    if _VEILED.search(text):
        # A veiled name ("Person1Q") has no case, whatever the text around it is written in.
        text = _VEILED.sub(lambda match: f"{_NAME}{'.'.join(str(ord(char)) for char in match[0])}{_NAME}", text)
    if "`" in text:
        text = _FENCED.sub(lambda match: keep(match[0]), text)
    if "\n" in text:
        text = _lines(text.strip(), keep)
    shouted = text.isupper()
    if '"' in text:
        text = _QUOTED.sub(lambda match: keep(_quotation(match[0], words, shouted=shouted)), text)
    folded = _folded(text, words, shouted=shouted)
    tokens = folded.split()
    if _SIGNS.search(folded):
        folded = _BEFORE_MARK.sub("", _SPACED.sub(r"\1", " ".join(tokens)))
        tokens = folded.split()
    if "'" in folded or not words.contractions.keys().isdisjoint(tokens):
        tokens = [part for token in tokens for part in _spelled_out(token, words).split()]
    tokens = _unmarked(_bare(tokens, words)) or tokens
    result = " ".join(tokens)
    if _LINE in result:
        result = " ".join(result.replace(_LINE, " ").split())
    return _MARK.sub(lambda match: kept[int(match[1])], result) if kept else result


# -- what is kept ----------------------------------------------------------------------------------------------------


def _lines(text: str, keep: Callable[[str], str]) -> str:
    """``text`` in one line: what has a shape is kept, the other ends of lines become marks."""
    lines = text.split("\n")
    shaped = [number for number, line in enumerate(lines) if _SHAPED.search(line)]
    if shaped:
        first, last = shaped[0], shaped[-1]
        block = keep("\n".join(line.rstrip() for line in lines[first : last + 1]))
        lines = [*lines[:first], block, *lines[last + 1 :]]
    return f" {_LINE} ".join(lines)


def _quotation(text: str, words: Vocabulary, *, shouted: bool) -> str:
    """What stands in quotation marks, its blanks in order, in small letters where its capitals tell nothing."""
    text = " ".join(text.split())
    telling = not shouted and (_CAPITALS_INSIDE.search(text) is not None)
    return text if telling else _small(text, words)


# -- case ------------------------------------------------------------------------------------------------------------


def _small(text: str, words: Vocabulary) -> str:
    """``text`` in small letters, ``ß`` as ``ss``, which capitals make of it, but where that is another word."""
    return folded_eszett(text.lower(), words.distinct)


def _folded(text: str, words: Vocabulary, *, shouted: bool) -> str:
    """``text`` in small letters, but for those whose case carries meaning."""
    small = _small(text, words)
    if shouted or small == text:
        return small
    if (
        not words.case_words.isdisjoint(small.split())
        or "capital letter" in small
        or "upper case" in small
        or "lower case" in small
    ):
        return text
    if not _BRACKETS.search(text) and all(token.islower() or token[1:].islower() for token in text.split()):
        # No capitals but at the beginnings of words, and no figures: as most are.
        return small
    telling = _telling(text, words)
    units = {unit.strip() for unit in _UNIT.findall(text)}
    if not telling and not units and not _CODE.search(text):
        return small
    found = []
    for token in text.split():
        bare = token.strip(EDGES)
        counted = bool(units) and bare.lstrip("0123456789.,") in units
        found.append(token if counted or bare in telling or _CODE.search(token) else _small(token, words))
    return " ".join(found)


def _telling(text: str, words: Vocabulary) -> set[str]:
    """The words of ``text`` whose case tells them from other words of it, or from another word altogether."""
    letters = set(_ALONE.findall(text))
    telling = {letter for letter in letters if letter.swapcase() in letters}
    capitals = _IN_CAPITALS.findall(text)
    if capitals:
        written = {token.strip(EDGES) for token in text.split()}
        telling |= {word for word in capitals if word.lower() in written or word in words.distinct}
    return telling


# -- contractions ----------------------------------------------------------------------------------------------------


def _spelled_out(token: str, words: Vocabulary) -> str:
    """``token`` in full, where it is a contraction."""
    full = words.contractions.get(token)
    if full is not None:
        return full
    core = token.rstrip(_SET_OFF)
    rest = token[len(core) :]
    full = words.contractions.get(core)
    if full is not None:
        return full + rest
    for ending, meaning in words.endings:
        if core.endswith(ending) and len(core) > len(ending):
            return f"{core[: -len(ending)]} {meaning}{rest}"
    return token


# -- politeness ------------------------------------------------------------------------------------------------------


def _bare(tokens: list[str], words: Vocabulary) -> list[str]:
    """``tokens`` without what is only polite; all of them where nothing else is there."""
    rest = tokens
    for _ in range(_MOST_PHRASES):
        gone = _opening(rest, words)
        if not gone:
            break
        rest = rest[gone:]
    rest = _without_please(rest, words)
    for _ in range(_MOST_PHRASES):
        gone = _closing(rest, words)
        if not gone:
            break
        rest = rest[:-gone]
        # What set it off from the rest goes with it.
        rest = [*rest[:-1], rest[-1].rstrip(",;-\u2013\u2014") or rest[-1]]
    return rest or tokens


def _opening(tokens: list[str], words: Vocabulary) -> int:
    """How many tokens at the beginning are only polite."""
    if not tokens:
        return 0
    if tokens[0] == _LINE:
        return 1
    for size, phrase, set_off in reversed(_beginnings(tokens, words)):
        after = size
        while after < len(tokens) and not tokens[after].strip(_SET_OFF + _LINE):
            set_off = True
            after += 1
        if after < len(tokens) and _goes(phrase, tokens[after].rstrip(_SET_OFF), words, set_off=set_off):
            return after
    return 0


def _beginnings(tokens: list[str], words: Vocabulary) -> list[tuple[int, Phrase, bool]]:
    """The phrases that ``tokens`` begin with: how many words, and whether a mark stands behind the last."""
    found: list[tuple[int, Phrase, bool]] = []
    node = words.openings
    for size, token in enumerate(tokens, 1):
        inner = node.next.get(token)
        if inner is None:
            bare = token.rstrip(_SET_OFF)
            inner = node.next.get(bare) if bare != token else None
            found += [(size, phrase, True) for phrase in inner.phrases] if inner is not None else ()
            break
        found += [(size, phrase, False) for phrase in inner.phrases]
        node = inner
    return found


def _goes(phrase: Phrase, after: str, words: Vocabulary, *, set_off: bool) -> bool:
    """Whether a phrase at the beginning says nothing of the task, seen what comes ``after`` it."""
    match phrase.role:
        case "please":
            return True
        case "greetings":
            return set_off or after in words.beginnings
        case "auxiliaries":
            return after in words.requests
        case "frames":
            return set_off or after in words.asking
        case _:
            return set_off


def _without_please(tokens: list[str], words: Vocabulary) -> list[str]:
    """``tokens`` without a "please" behind the first word of a request, or behind its auxiliaries."""
    if words.polite.isdisjoint(tokens[1:5]):
        return tokens
    begins = {1} if tokens[0] in words.requests else set()
    for size, phrase, set_off in _beginnings(tokens, words):
        if phrase.role == "auxiliaries" and not set_off:
            # The longest of them has the "please" in it.
            begins |= set(range(1, size + 1))
    for begin in sorted(begins):
        for size in (3, 2, 1):
            closing = words.closings.get(tuple(tokens[begin : begin + size]))
            if closing is not None and closing.role == "please" and begin + size < len(tokens):
                return [*tokens[:begin], *tokens[begin + size :]]
    return tokens


def _closing(tokens: list[str], words: Vocabulary) -> int:
    """How many tokens at the end are only polite."""
    if len(tokens) < 2:
        return 0
    if tokens[-1] == _LINE:
        return 1
    last = tokens[-1].rstrip(_SET_OFF)
    for size in words.closing_sizes.get(last, ()):
        phrase = words.closings.get((*tokens[-size:-1], last)) if size < len(tokens) else None
        if phrase is None:
            continue
        before = tokens[-size - 1]
        if before == _LINE or (phrase.role == "thanks" and before[-1] in _END):
            return size
        # Behind a colon stands what the task is about, a list of words maybe: "translate: hello, please".
        given = any(token[-1] == ":" for token in tokens[:-size])
        if not given and (before[-1] in _PAUSE or (phrase.role == "please" and _bare_please(tokens, size, words))):
            return size
    return 0


def _bare_please(tokens: list[str], size: int, words: Vocabulary) -> bool:
    """Whether a "please" without a mark before it is politeness, and not the word that is spoken of."""
    return len(tokens) > size + 2 and tokens[-size - 1] not in words.mentions


# -- the end ---------------------------------------------------------------------------------------------------------


def _unmarked(tokens: list[str]) -> list[str]:
    """``tokens`` without the marks at their end, but for those that are signs."""
    if not tokens:
        return tokens
    last = tokens[-1]
    if last == "?" and len(tokens) > 1:
        return _unmarked(tokens[:-1])
    core = last.rstrip(_END)
    marks = last[len(core) :]
    if not marks or not core:
        return tokens
    if "!" in marks and (core[-1].isdigit() or core[-1] in ")]" or len(core) == 1):
        core += "!" * marks.count("!")
    elif (".." in marks or "…" in marks) and ("," in marks or core[-1].isdigit()):
        core += "..."
    return [*tokens[:-1], core]
