"""What a brief answer brings that its task did not: figures, names, words of its own; and whom it talks about.

    parsed = parse_answer("A haiku has three lines.")
    found = brief_features(ask, {"haiku", "rust"}, "Write a haiku about rust.", parsed, own)
    found["piece"]         # 1.0: it speaks of the haiku instead of being one

A brief answer has no room to show by the way it goes on that it is none, so it is weighed with weights of its own
("brief" in ``configs/judge/weights.json``), which know these figures and the kind of task as well. One that moralises
is not counted among them, however short: it is weighed like the longer ones that do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from ..data import words as listed
from ..text.phrases import phrase_book, task_book
from ..text.sentences import ParsedText, Sentence, Speaker, plain, words_of
from .names import new_names
from .ngrams import tokens

#: Answers of this many words of the model's own or fewer are brief.
BRIEF = 60

#: Code of this many lines or fewer may be an excuse in a comment.
LINES = 4

_KINDS = ("order", "polar", "count", "program", "lines", "want", "depth", "terse", "proper", "roleplay", "written",
          "words", "self", "fact", "premise")  # fmt: skip

NAMES: tuple[str, ...] = (
    "you", "me", "new_share", "new_words", "new_figure", "new_names", "piece", "questions", "exclaims", "sentences",
    "shaped", "of_task", "size", "unspaced", "others", "code_declines", *(f"asks_{kind}" for kind in _KINDS),
)  # fmt: skip

_COMMENTS = ("#", "//", "--", "/*", "<!--", ";", "%")
_DIGITS = re.compile(r"\d++")


@cache
def _kinds() -> tuple[int, ...]:
    return tuple(task_book().bit(kind) for kind in _KINDS)


def brief_features(
    ask: int, subject: set[str], task: str, parsed: ParsedText, own: Sequence[Sentence], named: int
) -> dict[str, float]:
    """The figures named in :data:`NAMES`, most from 0 to 1.

    ``ask`` is the signals of ``task``, ``subject`` its content words, ``own`` the model's own sentences of ``parsed``,
    ``named`` the new names in them.
    """
    words = [word for sentence in own for word in tokens(sentence)]
    count, sentences = len(words) or 1, len(own) or 1
    unspaced = any(sentence.unspaced for sentence in own)
    if unspaced:
        subject = subject | {word for word in words if word in task}
        named = new_names(own, subject)
    of_task = len([word for word in words if word in subject])
    little, you, me = listed("little_words"), listed("you_words"), listed("me_words")
    new = len([word for word in words if word not in little and word not in subject])
    others = any(sentence.speaker is not Speaker.OWN for sentence in parsed.sentences)
    pieces = subject & listed("piece_words")
    ends = [sentence.text[-2:] for sentence in own]
    found = {
        "you": len([word for word in words if word in you]) / count,
        "me": len([word for word in words if word in me]) / count,
        "new_share": new / count,
        "new_words": math.log1p(new),
        "new_figure": float(not set(_DIGITS.findall(parsed.text)).issubset(_DIGITS.findall(task))),
        "new_names": min(named, 3) / 3,
        "piece": float(bool(pieces) and not pieces.isdisjoint(words)),
        "questions": sum(end.endswith(("?", "？")) for end in ends) / sentences,
        "exclaims": sum("!" in end or "！" in end for end in ends) / sentences,
        "sentences": math.log1p(len(own)),
        "shaped": float(others or parsed.text.count("\n") > 1 or any(sentence.item for sentence in own)),
        "of_task": of_task / count,
        "size": math.log1p(len(words)),
        "unspaced": float(unspaced),
        "others": float(others),
        "code_declines": float(others and _code_declines(parsed)),
    }
    found.update(_asks(ask & _asked()))
    return found


@lru_cache(maxsize=1024)
def _asks(ask: int) -> Mapping[str, float]:
    """Which kinds of things are asked for."""
    return {f"asks_{name}": 1.0 if ask & bit else 0.0 for name, bit in zip(_KINDS, _kinds(), strict=True)}


@cache
def _asked() -> int:
    """All those kinds in one mask."""
    return sum(_kinds())


def _code_declines(parsed: ParsedText) -> bool:
    """Whether there are only a few lines of code and a comment among them speaks: "# I won't write this"."""
    lines = [sentence.text for sentence in parsed.sentences if sentence.speaker is Speaker.CODE]
    if not 0 < len(lines) <= LINES:
        return False
    book = phrase_book()
    wanted = book.bit("decline") | book.bit("outright") | book.bit("brush_off")
    return any(line.startswith(_COMMENTS) and book.scan(words_of(plain(line))) & wanted for line in lines)
