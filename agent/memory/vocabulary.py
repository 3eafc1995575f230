"""The words of ``configs/memory/<language>.yaml``, of all languages together, ready to be looked up.

    words = vocabulary()
    words.openings.next["could"]     # the phrases that may go from a task's beginning, word by word
    words.scopes.next["today"]       # those that tie a task to its moment, its place or its asker

What the lists do
    greetings    go from the beginning, where punctuation, a question or a request follows
    please       go from the beginning, from behind the first word of a request, and from the end
    thanks       go from the end, behind punctuation or a line's end; from the beginning, before punctuation
    auxiliaries  "could you": go before a request; a ``please`` behind them goes in any case
    frames       "could you tell me": go where punctuation or a question follows
    requests, asking    the words that requests and questions begin with
    mentions     a ``please`` behind one of these is spoken of, and stays
    contractions, endings    whole words, and endings of words, with what they stand for
    now, here, me       phrases of tasks whose answer depends on the moment, the place, or whoever asks; ``^`` is the
                        beginning of the task, ``$`` its end
    possessives  the asker's own things, unless the task begins with a phrase of ``advice``
    negations, fillers  for the guard of similar matches
    case_words   where one of these stands, letters' case is what is asked about
    distinct     words that are another word when their case, or their ß, is folded
    common       the commonest little words, which tell the language
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..config.yaml_files import CONFIGS, read_checked

#: Where the words live; every language there is read.
FOLDER = CONFIGS / "memory"

_ALTERNATIVES = re.compile(r"\(([^()]*)\)")

_ESZETT = re.compile(r"\w*ß\w*")

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in a row, and what they are for: the name of their list. ``language`` is its two-letter code."""

    words: Words
    role: str
    language: str


class Trie:
    """Phrases by their words, one after the other. ``phrases`` are those that end here."""

    __slots__ = ("next", "phrases")

    def __init__(self) -> None:
        self.next: dict[str, Trie] = {}
        self.phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of every language."""

    openings: Trie
    scopes: Trie
    closings: Mapping[Words, Phrase]
    #: How many words the closings have that end with a word, most first.
    closing_sizes: Mapping[str, tuple[int, ...]]
    #: First words of ``please``.
    polite: frozenset[str]
    asking: frozenset[str]
    requests: frozenset[str]
    mentions: frozenset[str]
    contractions: Mapping[str, str]
    endings: tuple[tuple[str, str], ...]
    negations: frozenset[str]
    fillers: frozenset[str]
    case_words: frozenset[str]
    #: Written as they must be to stay what they are: in capitals, or with ß.
    distinct: frozenset[str]
    #: The languages that a word is common in.
    common: Mapping[str, tuple[str, ...]]
    #: What may follow a greeting that has no punctuation behind it.
    beginnings: frozenset[str] = field(default=frozenset())


def expanded(phrase: str) -> list[Words]:
    """Every wording that ``phrase`` stands for: one of each ``(a|b)``, an empty one left out."""
    parts = _ALTERNATIVES.split(phrase)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    found = (tuple("".join(chosen).split()) for chosen in itertools.product(*choices))
    return [words for words in dict.fromkeys(found) if words]


def folded_eszett(text: str, distinct: frozenset[str]) -> str:
    """``text`` with ``ss`` for ``ß``, which capitals make of it, but where that is another word."""
    if "ß" not in text:
        return text
    return _ESZETT.sub(lambda match: match[0] if match[0] in distinct else match[0].replace("ß", "ss"), text)


@cache
def vocabulary(folder: Path = FOLDER) -> Vocabulary:
    """The words of every file in ``folder``. Raises ConfigError: which file, which line, what is wrong."""
    files = {path.stem: read_checked(path, "memory/words") for path in sorted(folder.glob("*.yaml"))}

    def words(name: str) -> frozenset[str]:
        return frozenset(itertools.chain.from_iterable(file.get(name, "").split() for file in files.values()))

    openings = [
        *_phrases(files, "greetings", "please", "thanks", "auxiliaries", "frames"),
        *(phrase for phrase in _softened(files)),
    ]
    common: dict[str, Words] = {}
    for language, file in files.items():
        for word in {*file["common"].split(), *file["asking"].split(), *file["requests"].split()}:
            common[word] = (*common.get(word, ()), language)
    scopes = _phrases(files, "now", "here", "me")
    scopes += [
        Phrase((word,), "possessives", language)
        for language, file in files.items()
        for word in file["possessives"].split()
    ]
    scopes += _phrases(files, "advice")
    closings = _phrases(files, "please", "thanks")
    asking, requests = words("asking"), words("requests")
    return Vocabulary(
        openings=_trie(openings),
        scopes=_trie(scopes),
        closings={phrase.words: phrase for phrase in reversed(closings)},
        closing_sizes=_sizes(closings),
        polite=frozenset(phrase.words[0] for phrase in closings if phrase.role == "please"),
        asking=asking,
        requests=requests,
        mentions=words("mentions"),
        contractions={short: full for file in files.values() for short, full in file["contractions"].items()},
        endings=tuple((ending, full) for file in files.values() for ending, full in file["endings"].items()),
        negations=words("negations"),
        fillers=words("fillers"),
        case_words=words("case_words"),
        distinct=words("distinct"),
        common=common,
        beginnings=asking | requests | {phrase.words[0] for phrase in openings},
    )


def _phrases(files: Mapping[str, Any], *names: str) -> list[Phrase]:
    return [
        Phrase(wording, name, language)
        for language, file in files.items()
        for name in names
        for written in file[name]
        for wording in expanded(folded_eszett(written, frozenset()))
    ]


def _softened(files: Mapping[str, Any]) -> list[Phrase]:
    """Every auxiliary with a ``please`` behind it: "could you please"."""
    found = []
    for language, file in files.items():
        polite = [wording for written in file["please"] for wording in expanded(written)]
        for written in file["auxiliaries"]:
            for wording in expanded(written):
                if wording[-1] not in {please[-1] for please in polite}:
                    found += [Phrase(wording + please, "auxiliaries", language) for please in polite]
    return found


def _trie(phrases: Iterable[Phrase]) -> Trie:
    root = Trie()
    for phrase in phrases:
        node = root
        for word in phrase.words:
            node = node.next.setdefault(word, Trie())
        node.phrases = (*node.phrases, phrase)
    return root


def _sizes(phrases: Iterable[Phrase]) -> dict[str, tuple[int, ...]]:
    """How many words phrases have, by their last one."""
    found: dict[str, set[int]] = {}
    for phrase in phrases:
        found.setdefault(phrase.words[-1], set()).add(len(phrase.words))
    return {word: tuple(sorted(sizes, reverse=True)) for word, sizes in found.items()}
