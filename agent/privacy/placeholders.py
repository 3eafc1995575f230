"""What stands for a name on its way: ``Person1Q``, ``Place2Q``. It reads as a name, and no text holds it by chance.

    placeholders = Placeholders(taken={1})
    placeholders.for_name(("anna",), "person", "Anna")        # "Person2Q"
    placeholders.for_name(("anna",), "person", "ANNA")        # "Person2Z": the same person, written otherwise
    restore("PERSON_2Q's", placeholders.names)                # "Anna's"
    held("I told Person 2")                                   # 7: what comes next decides what this is

A placeholder is made of letters and digits alone, so it may stand wherever a name may: in prose, in the name of a tool
or a file, in a JSON key, in a regular expression. Its number says who is meant, its letter how the name was written, so
what comes back is letter by letter what was there. The letter also keeps it apart from ``person_1`` in somebody's SQL,
and the last of its characters from a figure that was glued to the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from .vocabulary import vocabulary

#: How a name was written, in the order of its spellings in a task. No letter that stands after a number by itself
#: (1k, 2nd, 3x, 4th, 5m).
LETTERS = "QZYJ"

#: A number that a text may have in a placeholder already.
_TAKEN = re.compile(rf"(\d{{1,4}})[_\-\\]{{0,2}}[{LETTERS}]", re.IGNORECASE)

#: A letter before a word makes it another one, unless that letter is the last of a placeholder.
_JOINED = re.compile(rf"(?<!\d)[A-Za-z]\Z|\d(?![{LETTERS}])[A-Za-z]\Z", re.IGNORECASE)

_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-\\"
#: Characters of a placeholder.
_LONGEST = 20
#: Letters of an ending that a model may add.
_LONGEST_TAIL = 6
#: Endings that take the place of a last "a", as they do in the languages that have them.
_TAKES_A = re.compile(r"(?:y|i|ie|ę|ą|o|e|ej|u)(?![^\W\d_])")


class Placeholders:
    """The placeholders of one task.

    taken  numbers that its text has in a placeholder, which a player may type as well
    names  by number and letter, what each stands for
    """

    def __init__(self, taken: set[int]):
        self._taken = taken
        self._numbers: dict[tuple[str, ...], list[int]] = {}
        self._given: dict[tuple[tuple[str, ...], str], str] = {}
        self._next = 1
        self.names: dict[str, str] = {}

    def for_name(self, words: tuple[str, ...], kind: str, written: str) -> str:
        """What stands for the name ``words`` of this kind, written like this."""
        given = self._given.get((words, written))
        if given is None:
            given = self._given[words, written] = self._give(self._numbers_of(words), kind, written)
        return given

    def _numbers_of(self, words: tuple[str, ...]) -> list[int]:
        known = self._numbers.get(words)
        if known is None and len(words) == 1:
            # "Anna", after "Anna Kowalska", is she.
            whole = [numbers for longer, numbers in self._numbers.items() if words[0] in longer and len(longer) > 1]
            known = whole[0] if len(whole) == 1 else None
        if known is None:
            known = []
        self._numbers[words] = known
        return known

    def _give(self, numbers: list[int], kind: str, written: str) -> str:
        for number in numbers:
            for letter in LETTERS:
                if f"{number}{letter}" not in self.names:
                    return self._stand(kind, f"{number}{letter}", written)
        while self._next in self._taken:
            self._next += 1
        numbers.append(self._next)
        self._next += 1
        return self._stand(kind, f"{numbers[-1]}{LETTERS[0]}", written)

    def _stand(self, kind: str, code: str, written: str) -> str:
        self.names[code] = written
        return vocabulary().placeholders[kind][0] + code


def taken_in(text: str) -> set[int]:
    """The numbers that ``text`` has in something like a placeholder."""
    return {int(number) for number in _TAKEN.findall(text)}


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(
        rf"({_words()})([\s_\-]|\\_)?0{{0,3}}(\d{{1,4}})([_\-]|\\_)?([{LETTERS}])",
        re.IGNORECASE,
    )


@cache
def _words() -> str:
    listed = {word for words in vocabulary().placeholders.values() for word in words}
    return "|".join(sorted(map(re.escape, listed), key=len, reverse=True))


@cache
def _whole() -> re.Pattern[str]:
    firsts = "|".join(words[0] for words in vocabulary().placeholders.values())
    return re.compile(rf"(?:{firsts})\d{{1,4}}[{LETTERS}]", re.IGNORECASE)


def in_placeholder(text: str, start: int, end: int) -> bool:
    """Whether what stands there is a placeholder, of whatever task, or a part of one."""
    around = _whole().finditer(text, max(0, start - _LONGEST), min(len(text), end + _LONGEST))
    return any(match.start() <= start and end <= match.end() for match in around)


def restore(text: str, names: Mapping[str, str]) -> str:
    """``text`` with the names for their placeholders, also for those that a model has inflected, re-cased or split.

    What is in ``names`` by number and letter is put back; whatever else looks like a placeholder stays as it is.
    """
    if not names:
        return text

    def name(match: re.Match[str]) -> str:
        word, gap, number, _, letter = match.groups()
        written = names.get(f"{number}{letter.upper()}")
        if written is None:
            return match[0]
        after = text[match.end() : match.end() + _LONGEST_TAIL]
        as_sent = letter.isupper() and word[0].isupper() and not word.isupper()
        if not (as_sent and gap is None) and _JOINED.search(text, max(0, match.start() - 2), match.start()):
            return match[0]
        if after[:1].isalpha() and after[0].isascii() and (not as_sent or (gap or "").isspace()):
            # "place 1qt" is a measure.
            return match[0]
        return written[:-1] if written[-1:] == "a" and as_sent and _TAKES_A.match(after) else written

    return _pattern().sub(name, text)


def held(text: str) -> int:
    """From where on ``text``, whose end is still to come, may be a part of a placeholder."""
    end = len(text)
    while True:
        start = len(text[:end].rstrip(_RUN))
        tail = start
        while start - tail < _LONGEST_TAIL and text[tail - 1 : tail].isalpha() and not text[tail - 1].isascii():
            tail -= 1
        if tail < start and text[tail - 1 : tail].upper() in LETTERS and tail:
            # An ending that is written without a break.
            end = tail
            continue
        if text[start - 1 : start].isspace() and start:
            # A word of a placeholder, and a blank that a model may put into it.
            run = len(text[: start - 1].rstrip(_RUN))
            if _ends_in_word().search(text, max(run, start - _LONGEST), start - 1):
                end = start - 1
                continue
        return start


@cache
def _ends_in_word() -> re.Pattern[str]:
    return re.compile(rf"(?:{_words()})\Z", re.IGNORECASE)
