"""Whether two answers say the same: for votes, for samples of one backend, for comparisons in the shadow.

alike("The answer is 42.", "I get 42")           # True
alike("Yes, it can.", "No.")                     # False

By what can be compared without asking anybody: parsed content must be equal; else the last number, a yes or a no, a
letter of multiple choice must be the same; and prose must share most of its words.
"""

from __future__ import annotations

import re

from ..core.answer import Answer
from ..core.verdict import Verdict

_NUMBER = re.compile(r"[-+]?\d++(?:[.,]\d++)*+")
_WORD = re.compile(r"\w++")
_LETTER = re.compile(r"\b(?:answer|option|choice)\b\W{0,5}(?:is\b)?\W{0,5}([A-J])\b|^\W*+([A-J])\W*+$", re.I)
_YES, _NO = frozenset({"yes", "true", "correct"}), frozenset({"no", "false", "incorrect"})
#: Words of an answer that is little else than its figure, letter or word.
SHORT = 30
#: The share of their words that two pieces of prose must have in common (Dice's coefficient).
SHARED = 0.5


def same(a: Answer, b: Answer, of_a: Verdict | None = None, of_b: Verdict | None = None) -> bool:
    """Whether two answers with their verdicts say the same."""
    if of_a is not None and of_b is not None and (of_a.content is not None or of_b.content is not None):
        return of_a.content == of_b.content
    if a.tool_calls or b.tool_calls:
        return [(c.name, c.arguments) for c in a.tool_calls] == [(c.name, c.arguments) for c in b.tool_calls]
    return alike(a.text, b.text)


def alike(a: str, b: str) -> bool:
    """Whether two texts say the same."""
    words_a, words_b = _WORD.findall(a.casefold()), _WORD.findall(b.casefold())
    if words_a == words_b:
        return True
    for point in (_letter, _stance):
        mine, theirs = point(a, words_a), point(b, words_b)
        if mine and theirs:
            return mine == theirs
    numbers = _NUMBER.findall(a), _NUMBER.findall(b)
    if min(len(words_a), len(words_b)) <= SHORT and numbers[0] and numbers[1]:
        return _value(numbers[0][-1]) == _value(numbers[1][-1])
    common = len(set(words_a) & set(words_b))
    return 2 * common >= SHARED * (len(set(words_a)) + len(set(words_b))) and bool(common)


def _letter(text: str, words: list[str]) -> str:
    found = _LETTER.findall(text)
    return "".join(found[-1]).upper() if found else ""


def _stance(text: str, words: list[str]) -> str:
    first = words[0] if words else ""
    return "yes" if first in _YES else "no" if first in _NO else ""


def _value(number: str) -> float:
    plain = number.replace(",", "") if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", number) else number
    try:
        return float(plain.replace(",", "."))
    except ValueError:
        # Two points, as in a version: compared by what it spells.
        return float(int.from_bytes(plain.encode()[-6:], "big"))
