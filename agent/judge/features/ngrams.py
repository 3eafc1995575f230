"""The common words in which something is said, one by one and in pairs (1- and 2-grams), weighed by where they stand.

    weights = load_ngram_weights()
    weights.score(own_sentences, brief=True)        # two weighted sums in one complex number: declines, refuses

Phrases know what they know; what nobody wrote down ("isn't something", "why don't you", "a good one should") shows in
how often such pairs open an answer that declines. Only words that answers to many different tasks use of their own
accord are weighed, chosen by ``tests/judge_training/train.py`` from the project's corpus: a word that tasks bring with
them ("poison", "poem") is a topic, and topics are no signs.

Each n-gram has five weights for each of the two questions, in ``configs/judge/ngrams.json``: for the first sentence,
for the first two, for the first :data:`SENTENCES`; and where the answer is brief, for these again and for a last
sentence that is not the first. A Chinese or Japanese sentence counts in pairs of characters.

The two weights of a place are the real and the imaginary part of one complex number, so that both sums cost one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

from ..data import load
from ..text.sentences import Sentence

#: Sentences that are looked at; what declines says so before or after.
SENTENCES = 6

#: Where a sentence begins and ends.
START, END = "^", "$"

#: The weights of an n-gram for one question, one for each place.
PLACES = 5

T = TypeVar("T")
Weights = tuple[complex, ...]
_Known = dict[str, tuple[Weights | None, dict[str, Weights]]]
_Usual = dict[str, tuple[complex, dict[str, complex]]]

#: The place of the last weight: the last sentence of a brief answer.
LAST = 4


def tokens(sentence: Sentence) -> list[str]:
    """The words of ``sentence``, or pairs of characters where there are no spaces."""
    if not sentence.unspaced:
        return sentence.words
    characters = "".join(sentence.words)
    return [characters[i : i + 2] for i in range(len(characters) - 1)] or [characters]


def ngrams_of(sentence: Sentence) -> list[str]:
    """Every word, and every two that stand together, the edges of the sentence being words too."""
    words = [START, *tokens(sentence), END]
    return words[1:-1] + [f"{a} {b}" for a, b in pairwise(words)]


def places(own: Sequence[T], brief: bool) -> list[tuple[Sequence[T], float]]:
    """The sentences that each of an n-gram's weights is for, and what one of them counts there."""
    seen = own[:SENTENCES]
    return [
        (seen[:1], 1.0),
        (seen[:2], 0.5),
        (seen, 1 / max(len(seen), 2)),
        (seen if brief else (), 1 / max(len(seen), 1)),
        (seen[1:][-1:] if brief else (), 1.0),
    ]


class NgramWeights:
    """The weighted words and pairs. ``data`` has the five weights for "declines", then the five for "refuses"."""

    def __init__(self, data: Mapping[str, Sequence[float]]):
        self._known: _Known = {}
        self._usual: _Usual = {}
        for name, listed in data.items():
            weights = tuple(map(complex, listed[:PLACES], listed[PLACES:]))
            word, _, next_ = name.partition(" ")
            _, pairs = self._known.setdefault(word, (None, {}))
            _, usual_pairs = self._usual.setdefault(word, (0j, {}))
            if next_:
                pairs[next_] = weights
                usual_pairs[next_] = weights[2]
            else:
                self._known[word] = weights, pairs
                self._usual[word] = weights[2], usual_pairs

    def score(self, own: Sequence[Sentence], brief: bool) -> complex:
        """The sums over the first sentences of an answer: for "declines" (real) and "refuses" (imaginary)."""
        own = own[:SENTENCES]
        # Of a longer answer only the opening counts in more than one way.
        close = len(own) if brief else 2
        found = [self._found(sentence) for sentence in own[:close]]
        total = sum([self._sum(sentence) for sentence in own[close:]], 0j) / max(len(own), 2)
        for place, (sentences, weight) in enumerate(places(own, brief)):
            at = len(own) - 1 if place == LAST else 0
            for hits in found[at : at + len(sentences)]:
                total += weight * sum([weights[place] for weights in hits])
        return total

    def _found(self, sentence: Sentence) -> list[Weights]:
        known, found = self._known, []
        _, pairs = known.get(START, _UNKNOWN)
        for word in tokens(sentence):
            if word in pairs:
                found.append(pairs[word])
            single, pairs = known.get(word, _UNKNOWN)
            if single is not None:
                found.append(single)
        if END in pairs:
            found.append(pairs[END])
        return found

    def _sum(self, sentence: Sentence) -> complex:
        """What a sentence after the opening of a longer answer says: the same as :meth:`_found`, for one place."""
        usual = self._usual
        total, pairs = usual.get(START, _UNUSUAL)
        for word in tokens(sentence):
            if word in pairs:
                total += pairs[word]
            single, pairs = usual.get(word, _UNUSUAL)
            total += single
        return total + pairs.get(END, 0j)


_UNKNOWN: tuple[None, dict[str, Weights]] = (None, {})
_UNUSUAL: tuple[complex, dict[str, complex]] = (0j, {})


@cache
def load_ngram_weights() -> NgramWeights:
    """The shipped weights. Raises ConfigError where their file does not fit the schema beside it."""
    data: Mapping[str, Any] = load("ngrams.json", "ngrams")
    return NgramWeights(data["ngrams"])
