"""Everybody who must not be named, and where they are named in a text.

    names = Names(["Anna Kowalska", Place("Old Mill"), "10.0.0.7"])
    names.add("Łukasz")
    [text[hit.start:hit.end] for hit in names.find(text)]     # "Anna", "Łukasza", "old_mill" ...

Theory of operation
    The names stand in one trie over folded words, so a search costs one pass over the text, however many they are, and
    adding or removing one costs its own length. What a word cannot begin (nearly every word) is remembered as it is
    written, so that most texts are done with after one split and one look at a set.

    A name is found in four ways: as it is; by one of its words alone ("Anna" of "Anna Kowalska"); inflected; and as a
    hump of ``TimmyTheWizard``. A name that is a word of every day is only found where it is used as one
    (:mod:`.vocabulary`), and then neither by parts nor inflected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from ..core.identity import Place
from .letters import fold, humps, readings, word_pattern, words_in
from .vocabulary import SHORTEST, used_as_name, vocabulary

#: Words of a name that are looked at; it is found by the first so many.
_MOST_WORDS = 16
#: Words that are remembered to begin no name.
_MOST_QUIET = 100_000
#: Characters of a word that is remembered.
_LONGEST_QUIET = 40
#: What may stand between the words of a name, beside what its owner has put there.
_BETWEEN = re.compile(r"[\s_.\-'’·‐-―+/]{0,3}")

#: Where a text stands: what a person says, a value in data, a word that a program reads, or JSON with all of them.
PROSE, VALUE, IDENTIFIER, JSON = "prose", "value", "identifier", "json"


@dataclass(slots=True)
class Name:
    """One name.

    words       folded, as they are searched for
    gaps        what stands between them
    kind        ``person``, ``place``, ``email`` or ``address``
    everyday    it has to be used as a name to be one
    glued       there is no blank in it: written exactly so, it is nothing else
    serial      counts up with every name that is added
    """

    text: str
    words: tuple[str, ...]
    gaps: tuple[str, ...]
    kind: str
    everyday: bool
    glued: bool
    serial: int
    soul: bool = False


class Hit(NamedTuple):
    """A name in a text: from where to where, what it is folded, whose kind it is, and since when it is known."""

    start: int
    end: int
    words: tuple[str, ...]
    kind: str
    serial: int
    #: Somebody is named whatever the word may mean elsewhere.
    certain: bool
    soul: bool = False


@dataclass(slots=True)
class _Node:
    below: dict[str, _Node] = field(default_factory=dict)
    names: list[Name] = field(default_factory=list)


Token = tuple[int, int, str]
#: Where a word leads to in the trie, and (from, to, folded words, kind, known since, soul) of those it names by itself.
_Meaning = tuple[_Node | None, tuple[tuple[int, int, tuple[str, ...], str, int, bool], ...]]


class Names:
    """A set of names; the same one may be added several times, and is then known until it is removed as often."""

    def __init__(self, terms: Iterable[str] = (), soul: Iterable[str] = ()):
        self._root = _Node()
        self._known: dict[tuple[str, bool, bool], tuple[int, Name | None]] = {}
        #: Words of persons' names of several words, by how many names have them, and since when.
        self._parts: dict[str, tuple[int, int]] = {}
        self._quiet: set[str] = set()
        self._meanings: dict[str, _Meaning] = {}
        self._soul: set[str] = set()
        self.serial = 0
        for term in terms:
            self.add(term)
        for term in soul:
            self.add(term, soul=True)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, term: str) -> bool:
        place = isinstance(term, Place)
        return (term, place, False) in self._known or (term, place, True) in self._known

    @property
    def soul(self) -> frozenset[str]:
        """The folded words, joined by blanks, of the names that have no place in a prompt of our own either."""
        return frozenset(self._soul)

    def add(self, term: str, *, soul: bool = False) -> None:
        """Know ``term`` from now on. A term without two letters or digits names nobody."""
        key = (term, isinstance(term, Place), soul)
        times, name = self._known.get(key, (0, None))
        if not times:
            name = self._entered(term, soul)
        self._known[key] = times + 1, name

    def discard(self, term: str) -> None:
        """Forget ``term``, if it has been added only once more than it was discarded."""
        key = (term, isinstance(term, Place), False)
        times, name = self._known.get(key, (0, None))
        if times > 1:
            self._known[key] = times - 1, name
        elif times:
            del self._known[key]
            if name is not None:
                self._removed(name)

    def replace(self, terms: Iterable[str]) -> None:
        """Know ``terms``, each once, and the soul's, and no others; costs what has changed."""
        wanted = {(term, isinstance(term, Place), False): term for term in terms}
        for key in [key for key in self._known if not key[2] and key not in wanted]:
            _, name = self._known.pop(key)
            if name is not None:
                self._removed(name)
        for key, term in wanted.items():
            if key not in self._known:
                self.add(term)
            else:
                self._known[key] = 1, self._known[key][1]

    # -- entering ------------------------------------------------------------------------------------------------

    def _entered(self, term: str, soul: bool) -> Name | None:
        matches = list(word_pattern(term).finditer(term))[:_MOST_WORDS]
        if not soul and sum(len(match[0]) for match in matches) < (2 if term.isascii() else 1):
            return None
        if not matches:
            return None
        self.serial += 1
        self._quiet.clear()
        self._meanings.clear()
        words = tuple(fold(match[0]) for match in matches)
        gaps = tuple(term[a.end() : b.start()] for a, b in pairwise(matches))
        kind = _kind(term)
        everyday = not soul and kind not in ("email", "address") and vocabulary().is_everyday(words)
        glued = len(words) > 1 and len(term.strip()) >= SHORTEST and not any(map(str.isspace, "".join(gaps)))
        if glued and all(len(word) == 1 and not word.isascii() for word in words):
            glued = False
        name = Name(term, words, gaps, kind, everyday, glued, self.serial, soul)
        if soul:
            self._soul.add(" ".join(words))
        for path in _spellings(term, words):
            node = self._root
            for word in path:
                node = node.below.setdefault(word, _Node())
            node.names.append(name)
        for part in self._parts_of(name):
            count, since = self._parts.get(part, (0, self.serial))
            self._parts[part] = count + 1, since
        return name

    def _removed(self, name: Name) -> None:
        self._meanings.clear()
        for path in _spellings(name.text, name.words):
            steps = [self._root]
            for word in path:
                steps.append(steps[-1].below[word])
            steps[-1].names.remove(name)
            for above, word in zip(reversed(steps[:-1]), reversed(path), strict=True):
                if above.below[word].below or above.below[word].names:
                    break
                del above.below[word]
        for part in self._parts_of(name):
            count, since = self._parts[part]
            if count > 1:
                self._parts[part] = count - 1, since
            else:
                del self._parts[part]

    @staticmethod
    def _parts_of(name: Name) -> set[str]:
        """The words of a person's name that name them alone."""
        if name.kind != "person" or len(name.words) < 2:
            return set()
        known = vocabulary()
        return {word for word in name.words if len(word) >= SHORTEST and not known.is_everyday((word,))}

    # -- finding -------------------------------------------------------------------------------------------------

    def find(self, text: str, mode: str = PROSE) -> list[Hit]:
        """Where somebody is named in ``text``, in order and apart."""
        if not self._root.below:
            return []
        pattern = word_pattern(text)
        words = pattern.findall(text)
        if self._quiet.issuperset(words):
            return []
        loud = self._loud_among(words)
        if not loud:
            return []
        tokens = [(match.start(), match.end(), match[0]) for match in pattern.finditer(text)]
        hits: list[Hit] = []
        index = 0
        while index < len(tokens):
            start, _, word = tokens[index]
            meant = loud.get(word)
            used = 1
            if meant is not None:
                used = self._whole_name(hits, text, tokens, index, meant[0], mode) if meant[0] is not None else 0
                if not used:
                    used = 1
                    for a, b, words_meant, kind, serial, soul in meant[1]:
                        hits.append(Hit(start + a, start + b, words_meant, kind, serial, True, soul))
            index += used
        return hits

    def _loud_among(self, words: list[str]) -> dict[str, _Meaning]:
        """Those of the words with which a name may begin."""
        loud = {}
        for word in set(words):
            if word in self._quiet:
                continue
            meaning = self._meanings.get(word)
            if meaning is None:
                meaning = self._meaning(word)
                if meaning[0] is None and not meaning[1]:
                    self._hush(word)
                    continue
                if len(self._meanings) >= _MOST_QUIET:
                    self._meanings.clear()
                self._meanings[word] = meaning
            loud[word] = meaning
        return loud

    def _hush(self, word: str) -> None:
        if len(word) <= _LONGEST_QUIET:
            if len(self._quiet) >= _MOST_QUIET:
                self._quiet.clear()
            self._quiet.add(word)

    def _meaning(self, word: str) -> _Meaning:
        """Where in the trie a word leads, and whom it names by itself, each from which letter to which."""
        folded = fold(word)
        node = self._root.below.get(folded)
        single = self._single(folded, word)
        if single is not None:
            return node, ((single[3], len(word), single[0], single[1], single[2], single[4]),)
        inner = ((a, b, self._single(fold(word[a:b]), word[a:b])) for a, b in humps(word))
        return node, tuple((a, b, one[0], one[1], one[2], one[4]) for a, b, one in inner if one is not None)

    def _single(self, folded: str, word: str) -> tuple[tuple[str, ...], str, int, int, bool] | None:
        """Whom a word names by itself: (folded words, kind, known since, letters before, soul)."""
        direct = self._certain(folded)
        if direct is not None:
            return (*direct[:3], 0, direct[3])
        if not word[0].isalpha():
            return None
        known = vocabulary()
        for base in known.bases(folded):
            if (meant := self._certain(base)) is not None:
                return (*meant[:3], 0, meant[3])
        if not word.isascii():
            for prefix in known.prefixes:
                rest = folded[len(prefix) :]
                if folded.startswith(prefix) and len(rest) >= SHORTEST and (meant := self._certain(rest)) is not None:
                    return (*meant[:3], len(prefix) if fold(word[: len(prefix)]) == prefix else 0, meant[3])
        return None

    def _certain(self, folded: str) -> tuple[tuple[str, ...], str, int, bool] | None:
        """Who is named by this one word, whatever stands around it."""
        node = self._root.below.get(folded)
        if node is not None:
            for name in node.names:
                if not name.everyday:
                    return name.words, name.kind, name.serial, name.soul
        part = self._parts.get(folded)
        return None if part is None else ((folded,), "person", part[1], False)

    def _whole_name(self, hits: list[Hit], text: str, tokens: list[Token], index: int, node: _Node, mode: str) -> int:
        """Add the name whose words follow each other from ``index`` on, if there is one; how many words it takes."""
        start = tokens[index][0]
        for name, taken in _longest_first(text, tokens, index, node):
            last = tokens[index + taken - 1][1]
            certain = not name.everyday or (name.glued and _glued_alike(text, tokens, index, name))
            if certain or (mode != IDENTIFIER and _meant(text, start, last, name, mode)):
                hits.append(Hit(start, last, name.words, name.kind, name.serial, certain, name.soul))
                return taken
        return 0


def _longest_first(text: str, tokens: list[Token], index: int, node: _Node | None) -> list[tuple[Name, int]]:
    """The names whose words follow each other from ``index`` on, each with the number of its words."""
    found: list[tuple[Name, int]] = []
    at = index
    while node is not None:
        for name in node.names:
            if at == index or _joined(text, tokens, index, name, at - index + 1):
                found.append((name, at - index + 1))
        at += 1
        if not node.below or at >= len(tokens):
            break
        node = node.below.get(fold(tokens[at][2]))
    if len(found) > 1:
        # Of the same length, who is certain comes first.
        found.sort(key=lambda entry: (-entry[1], entry[0].everyday))
    return found


def _kind(term: str) -> str:
    if isinstance(term, Place):
        return "place"
    if "@" in term.strip("@"):
        return "email"
    try:
        ipaddress.ip_address(term.strip().strip("[]"))
    except ValueError:
        return "person"
    return "address"


_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa"})


def _spellings(term: str, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The ways in which a name is spelled, folded: as it is, and with ``ue`` for ``ü``."""
    other = tuple(map(fold, words_in(term.translate(_GERMAN))[:_MOST_WORDS])) if not term.isascii() else words
    spellings = [words] if other == words or len(other) != len(words) else [words, other]
    if len(words) > 1 and all(_is_syllable(word) for word in words):
        # Taken apart into single letters, Korean syllables are a word.
        spellings.append(("".join(words),))
    return spellings


def _is_syllable(word: str) -> bool:
    return "\u1100" <= word[0] <= "\u11ff"


def _joined(text: str, tokens: list[Token], index: int, name: Name, count: int) -> bool:
    """Whether what stands between the words may stand within the name."""
    for step in range(count - 1):
        gap = text[tokens[index + step][1] : tokens[index + step + 1][0]]
        if gap == name.gaps[step]:
            continue
        figures = name.words[step].isdecimal() and name.words[step + 1].isdecimal()
        if figures or _BETWEEN.fullmatch(gap) is None:
            return False
    return True


def _glued_alike(text: str, tokens: list[Token], index: int, name: Name) -> bool:
    return all(text[tokens[index + step][1] : tokens[index + step + 1][0]] == gap for step, gap in enumerate(name.gaps))


def _meant(text: str, start: int, end: int, name: Name, mode: str) -> bool:
    """Whether an everyday name is used as one."""
    said = text[start:end]
    alone = (mode == VALUE and said == text.strip()) or (mode == JSON and _is_value(text, start, end))
    if alone and said == name.text and said[:1].isupper() and not said.isupper():
        return fold(said) not in vocabulary().not_names and fold(said) not in vocabulary().determiners
    return used_as_name(text, start, end)


def _is_value(text: str, start: int, end: int) -> bool:
    """Whether what stands there in JSON is a whole string, and no key."""
    return text[start - 1 : start] == '"' == text[end : end + 1] and text[end + 1 : end + 5].lstrip()[:1] != ":"


# -- disguises ---------------------------------------------------------------------------------------------------


def find_everywhere(tables: Iterable[Names], text: str, mode: str = PROSE, *, json: bool = False) -> list[Hit]:
    """Where ``tables`` find somebody in ``text``, also behind escapes; in order, apart, the longest first.

    json  the text is JSON, and its strings are searched as what they say
    """
    tables = tuple(tables)
    hits: list[Hit] = []
    for reading in readings(text, json=json):
        for names in tables:
            for hit in names.find(reading.text, mode):
                if reading.escaped:
                    start, end = reading.original(hit.start, hit.end)
                    hits.append(hit._replace(start=start, end=end))
                else:
                    hits.append(hit)
    return apart(hits) if len(hits) > 1 else hits


def apart(hits: list[Hit]) -> list[Hit]:
    """``hits`` in order, those that overlap made one that covers both."""
    if len(hits) < 2:
        return hits
    hits.sort(key=lambda hit: (hit.start, -hit.end))
    result = [hits[0]]
    for hit in hits[1:]:
        last = result[-1]
        if hit.start >= last.end:
            result.append(hit)
        elif hit.end > last.end:
            result[-1] = Hit(
                last.start, hit.end, last.words, last.kind, last.serial, last.certain or hit.certain, last.soul
            )
    return result
