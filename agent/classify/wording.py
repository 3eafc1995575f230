"""What the wording of a task says of its kind beside the rules: weights of words, pieces of words and pairs of words.

::

    wording = Wording.load()
    wording.points(["how", "come", "ice", "floats"])     # one number a kind, in the order of ``wording.kinds``; or None

The rules of ``configs/kinds.yaml`` know what somebody wrote down. People say the same in many more ways, and most of
these share words, stems (``übersetz``, ``tradu``) and beginnings (``how come``) with others of their kind. How much
each of these speaks for a kind was learned by ``tests/wording_training/train.py`` (multinomial logistic regression)
from many wordings in six languages, and is kept in ``configs/wording.json``. A text in which nothing is known gets no
points, so the rules decide alone.

A word's pieces stay within the word, so a word's weights are summed once and remembered: a text costs one lookup a word
and one a pair, some microseconds.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..config.kinds import MANY, fold
from ..config.yaml_files import CONFIGS, ConfigError, Fault, read_checked

#: Where the weights are.
FILE: Final = CONFIGS / "wording.json"

#: Words read from the start and from the end of a text; what lies between is most likely pasted matter.
HEAD, TAIL = 16, 12

#: What the words of such a text count, as some of its ends may be pasted matter too.
CUT: Final = 0.4

#: What one word and two words alone count: too little to be like anything.
FEW: Final = {1: 0.3, 2: 0.6}

#: The lengths of a word's pieces, ``<`` and ``>`` at its ends counted.
SHORTEST, LONGEST = 3, 5

#: A weight is a character: this one is 0, the next one 1, the one before it -1.
ZERO: Final = ord("O")

#: Bytes of a sum: of the pieces of some dozen words, each a byte, none needs more.
LANE: Final = array("I").itemsize

#: Words remembered with their weights; a full memory is emptied.
REMEMBERED: Final = 8192

#: What stands before the first word, for its pair.
START: Final = "^"

_SILENT = frozenset(".!:\n")
_DIGITS = re.compile(r"\d+")


class Wording:
    """The weights of one file. Immutable but for a memory of words."""

    def __init__(self, data: Mapping[str, Any], extensions: Mapping[str, str]) -> None:
        #: The kinds that have weights.
        self.kinds: tuple[str, ...] = tuple(data["kinds"])
        self._extensions = extensions
        self._step = float(data["step"])
        self._index = {feature: place for place, feature in enumerate(data["features"])}
        #: A feature's weights, one lane a kind, make one long number; to add two such numbers is to add all lanes.
        self._lanes = _spread(data["weights"].encode("latin-1"))
        self._width = LANE * len(self.kinds)
        self._memory: dict[str, tuple[str, int, int]] = {}

    @classmethod
    def load(cls, extensions: Mapping[str, str], path: Path = FILE) -> Wording:
        """The project's own weights, or those of a file. Raises ConfigError when it has a fault.

        ``extensions`` are the classes of file names' endings (``Kinds.extensions``).
        """
        data = read_checked(path, "wording")
        if len(data["weights"]) != len(data["features"]) * len(data["kinds"]):
            wanted = "one character for each kind and feature"
            raise ConfigError([Fault(str(path), 0, "weights", f"has {len(data['weights'])} characters", wanted)])
        return cls(data, extensions)

    def points(self, words: Sequence[str]) -> list[float] | None:
        """What ``words`` (lower case, with marks of punctuation among them) speak for; None if nothing is known."""
        cut = len(words) > HEAD + TAIL
        if cut:
            words = (*words[:HEAD], *words[-TAIL:])
        memory, index = self._memory, self._index
        total = found = read = 0
        last = START
        for word in words:
            if word in _SILENT:
                continue
            known = memory.get(word)
            symbol, own, pieces_found = self._remember(word) if known is None else known
            if pieces_found:
                total += own
                found += pieces_found
            place = index.get(f"{last} {symbol}")
            if place is not None:
                total += self._row(place)
                found += 1
            last = symbol
            read += 1
        if not found:
            return None
        zero, scale = ZERO * found, self._step * length_scale(read) * (CUT if cut else FEW.get(read, 1.0))
        return [(sum_ - zero) * scale for sum_ in memoryview(total.to_bytes(self._width, sys.byteorder)).cast("I")]

    def _row(self, place: int) -> int:
        """The weights of one feature."""
        return int.from_bytes(self._lanes[place * self._width : (place + 1) * self._width], sys.byteorder)

    def _remember(self, word: str) -> tuple[str, int, int]:
        """The symbol of a word, the sum of its pieces' weights, and how many of them are known."""
        symbol = symbol_of(word, self._extensions)
        places = [place for piece in pieces(symbol) if (place := self._index.get(piece)) is not None]
        if len(self._memory) >= REMEMBERED:
            self._memory.clear()
        self._memory[word] = known = symbol, sum(map(self._row, places)), len(places)
        return known


def _spread(weights: bytes) -> bytes:
    """Weights of a byte each as lanes of :data:`LANE` bytes each."""
    return array("I", list(weights)).tobytes()


def length_scale(words: int) -> float:
    """What a text's sum is multiplied by, so that a long text does not shout."""
    return 1.0 / math.sqrt(words + 3)


def symbol_of(word: str, extensions: Mapping[str, str]) -> str:
    """What a word counts as: folded, a number as ``#n`` or ``#many``, a file name as the class of its ending."""
    folded = fold(word[:40])
    if folded[0].isdigit():
        digits = _DIGITS.match(folded)
        return "#many" if digits and int(digits[0][:9]) >= MANY else "#n"
    if "." in folded:
        return extensions.get(folded.rpartition(".")[2], folded)
    return folded


def pieces(symbol: str) -> list[str]:
    """The word itself in ``<>``, and its pieces."""
    if not symbol[0].isalpha():
        return [symbol]
    bounded = f"<{symbol}>"
    return [bounded] + [
        bounded[start : start + length]
        for length in range(SHORTEST, LONGEST + 1)
        if length < len(bounded)
        for start in range(len(bounded) - length + 1)
    ]


def pairs(symbols: Sequence[str]) -> list[str]:
    """The words two by two, the first one with :data:`START`."""
    return [f"{before} {after}" for before, after in zip((START, *symbols), symbols, strict=False)]
