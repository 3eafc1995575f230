"""Which words name somebody only where they are used as a name, and where that is. Its words are ``configs/names.yaml``
and ``configs/everyday.json``.

    vocabulary().is_everyday(("rose",))                     # True
    used_as_name("prices rose", 7, 11)                      # False
    used_as_name("ask Rose about it", 4, 8)                 # True
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..config import CONFIGS, read_checked
from .letters import fold, words_in

#: Letters that a name must have to be found wherever it stands; with fewer it has to be used as one.
SHORTEST = 3
#: Digits alone name somebody wherever they stand only if there are that many.
SHORTEST_NUMBER = 6

#: Characters around a word that say how it is used.
_AROUND = 80
#: ... and before it, how far the word is at most that introduces a name.
_CUE = 24
#: What "my name is" and the like end in, folded.
_NAME_IS_ENDS = frozenset({"is", "name's", "name’s", "sie", "m'appelle", "m’appelle", "heisse"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The lists of ``configs/names.yaml``, folded."""

    note: str
    placeholders: Mapping[str, tuple[str, ...]]
    everyday: frozenset[str]
    not_names: frozenset[str]
    determiners: frozenset[str]
    verbs: frozenset[str]
    speaking: frozenset[str]
    naming: frozenset[str]
    greetings: frozenset[str]
    titles: frozenset[str]
    honorifics: tuple[str, ...]
    endings: Mapping[str, tuple[str, ...]]
    prefixes: tuple[str, ...]
    longest_ending: int

    def is_everyday(self, words: tuple[str, ...]) -> bool:
        """Whether a name of these folded words names somebody only where it is used as a name."""
        if len(words) == 1:
            return self._is_common(words[0])
        if all(len(word) == 1 and not word.isascii() for word in words):
            # A script without blanks: its words are rows of letters.
            return "".join(words) in self.everyday
        return all(map(self._is_common, words))

    def _is_common(self, word: str) -> bool:
        if word.isdecimal():
            return len(word) < SHORTEST_NUMBER
        return len(word) < SHORTEST or word in self.everyday or (word[-1] == "s" and word[:-1] in self.everyday)

    def is_cue(self, before: str) -> bool:
        """Whether ``before`` ends in a word after which even a word written small may be a name."""
        words = before.split()
        if not words:
            return False
        last = fold(words[-1].strip("\"'“„«,.:;!?()"))
        return last in self.naming or last in self.greetings or last in _NAME_IS_ENDS

    def bases(self, word: str) -> Iterator[str]:
        """What an inflected folded ``word`` may be a form of; none for words of every day."""
        if word in self.everyday:
            return
        for length in range(1, min(self.longest_ending, len(word) - 2) + 1):
            ending = word[-length:]
            stem = word[:-length]
            for before in self.endings.get(ending, ()):
                base = stem + before
                # "Tim" has "Tima" and "Timem"; what else is one letter longer is another word.
                if len(base) > SHORTEST or (len(base) == SHORTEST and (length > 1 or ending in "aus")):
                    yield base


@cache
def vocabulary() -> Vocabulary:
    """The lists, read once. Raises ConfigError."""
    lists = read_checked(CONFIGS / "names.yaml", "names")
    common = read_checked(CONFIGS / "everyday.json", "everyday")["words"]
    functions = {key: _folded([lists[key]]) for key in ("not_names", "determiners", "verbs", "speaking")}
    functions |= {key: _folded([lists[key]]) for key in ("naming", "greetings", "titles")}
    endings = {_fold_ending(ending): tuple(_bases(listed)) for ending, listed in lists["endings"].items()}
    return Vocabulary(
        note=lists["note"],
        placeholders={kind: tuple(words) for kind, words in lists["placeholders"].items()},
        everyday=_folded([*lists["everyday"].values(), *common, lists["not_names"], lists["determiners"]])
        | frozenset(lists["unspaced"].split()),
        honorifics=tuple(lists["honorifics"].split()),
        endings=endings,
        prefixes=tuple(lists["prefixes"].split()),
        longest_ending=max(map(len, endings)),
        **functions,
    )


def _folded(lists: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(word) for listed in lists for word in listed.split())


def _fold_ending(ending: str) -> str:
    return fold(ending)


def _bases(listed: str) -> Iterator[str]:
    for before in listed.split():
        yield "" if before == "-" else fold(before)


# -- how a word is used ------------------------------------------------------------------------------------------

_WORD_BEFORE = re.compile(r"([^\W\d_]+)(\W*)\Z")
_WORD_AFTER = re.compile(r"[ \t]+([^\W\d_]+)")
_OPENS = re.compile(r"[.!?…。！？\n\r:;|•\"“”„«»()\[\]{}<>=*#/\\]")
_POSSESSIVE = re.compile(r"['’]s\b", re.IGNORECASE)
_PAUSE = re.compile(r"\s*(?:[,.!?:;)\"”»]|\n|\Z)")
_NAME_IS = re.compile(r"\b(?:name(?:['’]s| is)|nazywam się|nazywa się|m['’]appelle|heiße)\s+[\"“']?\Z", re.IGNORECASE)


def used_as_name(text: str, start: int, end: int) -> bool:
    """Whether the everyday words between ``start`` and ``end`` are used as a name there.

    They are after an @, a title or "called", between a greeting and a pause, and where they are capitalised within a
    sentence, or begin one as whoever does something. They are not after an article, as a part of another name, nor all
    in capitals.
    """
    known, said = vocabulary(), text[start:end]
    if text[start - 1 : start] == "@" and start:
        return True
    if not said[0].isupper() and not known.is_cue(text[max(0, start - _CUE) : start]):
        # Scripts without capitals leave only what follows to tell.
        return not said[0].islower() and text.startswith(known.honorifics, end) and not said.isdecimal()
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    found = _WORD_BEFORE.search(before)
    previous, gap = (found[1], found[2]) if found else ("", before)
    folded = fold(previous)
    function = _is_function(known, said)
    if _introduced(known, folded, gap, before, after, said, function):
        return True
    if not said[0].isupper() or len(said) == 1 or said.isupper() or not _all_capitalised(known, said):
        return False
    if folded in known.determiners and gap.isspace():
        return False
    following = _WORD_AFTER.match(after)
    next_word = following[1] if following else ""
    if previous and not _OPENS.search(gap):
        return _within_sentence(known, previous, gap, next_word, function)
    return _at_start(known, fold(said), fold(next_word), next_word, after, function)


def _is_function(known: Vocabulary, said: str) -> bool:
    folded = fold(said)
    return folded in known.not_names or folded in known.determiners


def _all_capitalised(known: Vocabulary, said: str) -> bool:
    return all(not word[0].islower() or _is_function(known, word) for word in words_in(said))


def _introduced(known: Vocabulary, previous: str, gap: str, before: str, after: str, said: str, function: bool) -> bool:
    """Whether the words before say that a name comes."""
    if previous in known.titles and gap.strip(".").isspace() and said[0].isupper():
        return True
    if (previous in known.naming and gap.strip("\"'“„«").isspace()) or _NAME_IS.search(before):
        return not function or bool(_PAUSE.match(after))
    return previous in known.greetings and gap.strip(",").isspace() and bool(_PAUSE.match(after)) and not function


def _within_sentence(known: Vocabulary, previous: str, gap: str, next_word: str, function: bool) -> bool:
    """Whether a capitalised word in mid-sentence is a name of its own, and no part of a heading or a longer name."""
    beside = next_word[:1].isupper() and len(next_word) > 1
    if function:
        return not (beside and previous[0].isupper())
    longer = previous[0].isupper() and gap == " " and fold(previous) not in known.everyday
    return not longer and not (beside and fold(next_word) not in known.verbs)


def _at_start(known: Vocabulary, said: str, following: str, next_word: str, after: str, function: bool) -> bool:
    """Whether a word that would be capitalised anyway is somebody who does something, or is spoken to."""
    if said in known.not_names:
        return False
    if function:
        return following in known.speaking
    if following in known.verbs or _POSSESSIVE.match(after):
        return True
    return after.startswith(", ") or (following == "and" and after.lstrip()[4:5].isupper())
