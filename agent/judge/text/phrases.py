"""Find the phrases of ``configs/judge/phrases.*.yaml`` in a sentence, in one pass, whatever the sentence.

    book = phrase_book()
    mask = book.scan(["sorry", "i", "can't", "help", "with", "that"])
    book.names(mask)                      # ["apology", "decline", "request"]

Theory of operation
    A phrase is words, and four marks::

        i <cant> help|assist you? ..2 that

    ``a|b`` is either word, ``word?`` may be missing, ``..2`` is a gap of up to two words, ``<cant>`` is a list named
    under ``words:`` (whose entries are phrases themselves), ``^`` and ``$`` are the sentence's start and end.
    All phrases of all languages become one non-deterministic automaton over *words*; :meth:`PhraseBook.scan`
    determinises it as it goes and remembers what it found. A word costs one step however many phrases there are, so
    no text can make it slow: there is not one regular expression in the data.

    Chinese and Japanese have no spaces; their phrases are plain substrings, searched with ``in``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ...config.extensions import files_of
from ...config.yaml_files import ConfigError, Fault, read_checked
from ..data import FOLDER, load

#: Deterministic states remembered before the memory is emptied: a bound on memory, met by no ordinary traffic.
MAX_STATES = 20_000

#: The longest gap a phrase may have, in words: each is a position of the automaton.
MAX_GAP = 20

_OTHER = None  # the symbol of every word that no phrase contains
_START, _END = "^", "$"
_ANY: frozenset[str] = frozenset()  # a wildcard edge


class _State:
    """One deterministic state: the positions of the automaton it stands for, and the signals completed here."""

    __slots__ = ("anchored", "mask", "moves", "positions")

    def __init__(self, positions: frozenset[int], mask: int, anchored: bool):
        self.positions = positions
        self.mask = mask
        self.anchored = anchored
        self.moves: dict[int | None, _State] = {}


@dataclass(slots=True)
class _Automaton:
    """The non-deterministic automaton while it is being built. Position 0 is the beginning of every phrase."""

    edges: list[list[tuple[frozenset[str], int]]] = field(default_factory=lambda: [[]])
    masks: list[int] = field(default_factory=lambda: [0])

    def add(self, froms: Iterable[int], words: frozenset[str]) -> int:
        self.edges.append([])
        self.masks.append(0)
        new = len(self.edges) - 1
        for position in froms:
            self.edges[position].append((words, new))
        return new


class PhraseBook:
    """The compiled phrases. ``signals`` are their names, one bit each in the masks that :meth:`scan` returns."""

    def __init__(self, files: Sequence[Mapping[str, Any]]):
        self.signals: list[str] = []
        self.substrings: list[tuple[str, int]] = []
        nfa = _Automaton()
        for data in files:
            words: Mapping[str, Sequence[str]] = data.get("words", {})
            for signal, phrases in data["phrases"].items():
                bit = self.bit(signal)
                for phrase in phrases:
                    if data.get("spaces", True):
                        for position in _compile(nfa, words, phrase, {0}):
                            nfa.masks[position] |= bit
                    else:
                        self.substrings.append((phrase, bit))
        self._masks = nfa.masks
        self._symbols = _equivalent_words(nfa)
        self._edges = [_by_symbol(edges, self._symbols) for edges in nfa.edges]
        self._forget()

    def bit(self, signal: str) -> int:
        """The bit of ``signal`` in a mask."""
        if signal not in self.signals:
            self.signals.append(signal)
        return 1 << self.signals.index(signal)

    @property
    def remembered(self) -> int:
        """The deterministic states in memory, :data:`MAX_STATES` at most."""
        return len(self._states)

    def names(self, mask: int) -> list[str]:
        """The signals in ``mask``."""
        return [name for i, name in enumerate(self.signals) if mask >> i & 1]

    def scan(self, words: Iterable[str]) -> int:
        """The signals found in one sentence, given as lower-case words."""
        mask = 0
        state = self._begin
        for symbol in map(self._symbols.get, words):
            state = state.moves.get(symbol) or self._step(state, symbol)
            # Most words complete nothing, and an "or" of long masks makes a new number.
            if state.mask:
                mask |= state.mask
        symbol = self._symbols.get(_END)
        return mask | (state.moves.get(symbol) or self._step(state, symbol)).mask

    def scan_unspaced(self, sentence: str) -> int:
        """The signals of the languages without spaces in ``sentence``."""
        mask = 0
        for phrase, bit in self.substrings:
            if phrase in sentence:
                mask |= bit
        return mask

    def find(self, words: Sequence[str], wanted: int) -> tuple[int, int] | None:
        """Where the first phrase with one of the ``wanted`` bits stands: the index of its first word and past its last.

        Asked once per answer, for the evidence.
        """
        symbols = [self._symbols.get(word) for word in words]
        symbols.append(self._symbols.get(_END))
        state = self._begin
        for end, symbol in enumerate(symbols):
            state = state.moves.get(symbol) or self._step(state, symbol)
            if state.mask & wanted:
                starts = (s for s in range(end, -1, -1) if self._spans(symbols[s : end + 1], wanted, s == 0))
                return next(starts, 0), min(end + 1, len(words))
        return None

    def _spans(self, symbols: Sequence[int | None], wanted: int, at_start: bool) -> bool:
        """Whether a phrase with a ``wanted`` bit begins at the first of ``symbols`` and ends at the last."""
        state = self._begin if at_start else self._anchor
        for symbol in symbols:
            state = state.moves.get(symbol) or self._step(state, symbol)
            if not state.positions:
                return False
        return bool(state.mask & wanted)

    def _targets(self, position: int, symbol: int | None) -> tuple[int, ...]:
        by_symbol, wildcard = self._edges[position]
        return wildcard if symbol is _OTHER else by_symbol.get(symbol, ()) + wildcard

    def _step(self, state: _State, symbol: int | None) -> _State:
        """The state after ``symbol``, remembered. A phrase may begin at every word, except in an anchored state."""
        froms = state.positions if state.anchored else state.positions | {0}
        positions = frozenset(new for p in froms for new in self._targets(p, symbol))
        known = self._states.get((positions, state.anchored))
        if known is None:
            if len(self._states) >= MAX_STATES:
                self._forget()
            mask = 0
            for position in positions:
                mask |= self._masks[position]
            known = self._states[positions, state.anchored] = _State(positions, mask, state.anchored)
        state.moves[symbol] = known
        return known

    def _forget(self) -> None:
        self._states: dict[tuple[frozenset[int], bool], _State] = {}
        self._anchor = _State(frozenset([0]), 0, True)
        self._begin = self._step(_State(frozenset(), 0, False), self._symbols.get(_START))


def _compile(nfa: _Automaton, lists: Mapping[str, Sequence[str]], phrase: str, froms: set[int]) -> set[int]:
    """Add one phrase after the positions ``froms``; the positions where it ends."""
    for part in phrase.split():
        optional = part.endswith("?") and len(part) > 1
        part = part[:-1] if optional else part
        ends: set[int] = set()
        if part.startswith(".."):
            ends |= froms
            last = froms
            if (gap := int(part[2:])) > MAX_GAP:
                raise ValueError(f"{part[:20]} is a gap of more than {MAX_GAP} words")
            for _ in range(gap):
                last = {nfa.add(last, _ANY)}
                ends |= last
        else:
            single = set()
            for word in part.split("|"):
                if word.startswith("<"):
                    entries = lists[word[1:-1]]
                    single |= {entry for entry in entries if _is_word(entry)}
                    for entry in entries:
                        if not _is_word(entry):
                            ends |= _compile(nfa, lists, entry, froms)
                else:
                    single.add(word)
            if single:
                ends.add(nfa.add(froms, frozenset(single)))
        froms = ends | froms if optional else ends
    return froms


def _is_word(entry: str) -> bool:
    return not any(mark in entry for mark in (" ", "|", "?", "<", ".."))


def _equivalent_words(nfa: _Automaton) -> dict[str, int]:
    """Words that every edge treats alike share one symbol, which keeps the remembered states few."""
    edges_of: dict[str, list[tuple[int, int]]] = {}
    for position, edges in enumerate(nfa.edges):
        for words, new in edges:
            for word in words:
                edges_of.setdefault(word, []).append((position, new))
    symbols: dict[tuple[tuple[int, int], ...], int] = {}
    return {word: symbols.setdefault(tuple(edges), len(symbols) + 1) for word, edges in edges_of.items()}


def _by_symbol(
    edges: Iterable[tuple[frozenset[str], int]], symbols: Mapping[str, int]
) -> tuple[dict[int, tuple[int, ...]], tuple[int, ...]]:
    by_symbol: dict[int, set[int]] = {}
    wildcard = []
    for words, new in edges:
        if not words:
            wildcard.append(new)
        for word in words:
            by_symbol.setdefault(symbols[word], set()).add(new)
    return {symbol: tuple(sorted(news)) for symbol, news in by_symbol.items()}, tuple(wildcard)


def load_phrases(folder: Path = FOLDER) -> Iterator[Mapping[str, Any]]:
    """Every phrase file in ``folder``, checked against its schema.

    Raises ValueError naming the file and the place of the fault.
    """
    for path in sorted(folder.glob("phrases.*.yaml")):
        yield load(path.name, "phrases", folder)


@cache
def phrase_book() -> PhraseBook:
    """The shipped phrases and those of extensions, compiled at first use.

    Raises ConfigError for a file of an extension that breaks the schema or names a list that it has not.
    """
    shipped = list(load_phrases())
    signals = {signal for data in shipped for signal in data["phrases"]}
    return PhraseBook([*shipped, *(_added(path, signals) for path in files_of("phrases"))])


def _added(path: Path, signals: Container[str]) -> Mapping[str, Any]:
    data: Mapping[str, Any] = read_checked(path, "judge/phrases")
    lists = data.get("words", {})
    for signal, phrases in data["phrases"].items():
        if signal not in signals:
            raise ConfigError([Fault(str(path), 0, f"phrases.{signal}", "is no signal that the judge knows")])
        for number, phrase in enumerate(phrases):
            where = f"phrases.{signal}[{number}]"
            try:
                _compile(_Automaton(), lists, phrase, {0})
            except KeyError as error:
                known = ", ".join(f"<{name}>" for name in lists) or "a list under words"
                what = f"<{error.args[0]}> is no list of this file"
                raise ConfigError([Fault(str(path), 0, where, what, known)]) from None
            except (ValueError, IndexError) as error:
                raise ConfigError([Fault(str(path), 0, where, str(error) or "is no phrase")]) from None
    return data


@cache
def task_book() -> PhraseBook:
    """The phrases by which a task shows what kind of words it asks for, compiled at first use."""
    return PhraseBook([load(name, "phrases") for name in ("tasks.yaml", "tasks.unspaced.yaml")])
