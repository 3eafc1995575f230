"""Similar questions: the cosine of their letters' trigrams, among those that the guard lets through.

    index.add(key, "knowledge", text)
    index.find("knowledge", text, above=0.97)      # (key, cosine) of the most similar, or None

Questions that the guard takes for the same share one signature, so a search looks at those few and never at all.
"""

from __future__ import annotations

import math
from collections import Counter

from .guard import disagreement, parts

Signature = tuple[str, str, tuple[str, ...]]


def trigrams(text: str) -> Counter[str]:
    """How often every three letters in a row stand in ``text``, its ends counted as blanks."""
    padded = f" {text} "
    return Counter(padded[place : place + 3] for place in range(len(padded) - 2))


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """0 where they share nothing, 1 where they are the same."""
    dot = sum(count * other[gram] for gram, count in one.items() if gram in other)
    norms = math.sqrt(sum(count * count for count in one.values()) * sum(count * count for count in other.values()))
    return dot / norms if norms else 0.0


class SimilarIndex:
    """The questions of the kinds whose similar ones may be matched."""

    def __init__(self) -> None:
        self._by_signature: dict[Signature, dict[str, str]] = {}
        self._signatures: dict[str, Signature] = {}

    def __len__(self) -> int:
        return len(self._signatures)

    def add(self, key: str, kind: str, settings: str, text: str) -> None:
        """Know the question ``text`` of a kind under ``key``; tasks with other ``settings`` never match it."""
        self.discard(key)
        signature = kind, settings, parts(text)
        self._signatures[key] = signature
        self._by_signature.setdefault(signature, {})[key] = text

    def discard(self, key: str) -> None:
        """Know it no more."""
        signature = self._signatures.pop(key, None)
        if signature is not None:
            several = self._by_signature[signature]
            del several[key]
            if not several:
                del self._by_signature[signature]

    def find(self, kind: str, settings: str, text: str, above: float) -> list[tuple[str, float]]:
        """The keys of the questions that ask the same in similar words, the most similar first."""
        several = self._by_signature.get((kind, settings, parts(text)))
        if not several:
            return []
        ours = trigrams(text)
        found = [
            (key, likeness)
            for key, other in several.items()
            if (likeness := cosine(ours, trigrams(other))) > above and not disagreement(text, other)
        ]
        return sorted(found, key=lambda pair: -pair[1])
