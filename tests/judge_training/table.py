"""Labelled answers as a matrix: what train.py fits and measure.py cross-validates. For development only.

    table = Table(rows, vocabulary(own_rows()))
    table.x             # a sparse matrix, a row for each answer

An answer's columns are its features, the same again where it is brief, those that only a brief answer has, and its
n-grams at five places. N-grams are scaled down, so that a weight on a pair of common words costs more than one on a
feature that a person thought of.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
import scipy.sparse as sp
from corpus import Row

from uniwizard.agent.judge.data import words as listed
from uniwizard.agent.judge.data import words_by_language
from uniwizard.agent.judge.features.extract import BRIEF_NAMES, NAMES, extract_features
from uniwizard.agent.judge.features.ngrams import PLACES, SENTENCES, ngrams_of, places, tokens
from uniwizard.agent.judge.text.sentences import parse_answer, plain, words_of

#: A word may stand in n-grams if answers to this many tasks use it ...
TASKS = 5
#: ... and no more than this share of them took it from the task.
TAKEN = 0.1
#: An n-gram is weighed if this many of the corpus' answers have it.
ANSWERS = 4
#: How much an n-gram counts for beside a feature; chosen by cross-validation from 0.15, 0.3, 0.5 and 0.6.
SCALE = 0.5

_WORD = re.compile(r"[^\W\d_][\w'-]*")


class Table:
    """The features of ``rows``; ``vocabulary`` is the n-grams that have columns."""

    def __init__(self, rows: list[Row], vocabulary: list[str]):
        self.features = [extract_features(row.asked, parse_answer(row.response), row.context) for row in rows]
        column = {ngram: i for i, ngram in enumerate(vocabulary)}
        always = np.array([features.row for features in self.features])
        is_brief = np.array([[float(bool(features.brief))] for features in self.features])
        self.brief = is_brief[:, 0] > 0
        brief_only = np.array([[f.brief.get(name, 0.0) for name in BRIEF_NAMES] for f in self.features])
        counted: dict[tuple[int, int], float] = defaultdict(float)
        for i, features in enumerate(self.features):
            for place, (sentences, weight) in enumerate(places(features.ngram_sentences, bool(features.brief))):
                for ngram in (ngram for sentence in sentences for ngram in ngrams_of(sentence)):
                    if ngram in column:
                        counted[i, PLACES * column[ngram] + place] += weight * SCALE
        rows_at, columns_at = zip(*counted, strict=True) if counted else ((), ())
        shape = len(rows), PLACES * len(vocabulary)
        ngrams = sp.csr_matrix((list(counted.values()), (rows_at, columns_at)), shape=shape)
        self.x = sp.csr_matrix(sp.hstack([always, always * is_brief, brief_only, is_brief, ngrams]))


def vocabulary(rows: list[Row]) -> list[str]:
    """The n-grams of the project's own ``rows`` that may have a weight."""
    tasks, taken, seen = defaultdict(set), Counter(), Counter()
    answers = []
    for row in rows:
        own = extract_features(row.asked, parse_answer(row.response)).ngram_sentences[:SENTENCES]
        asked = set(words_of(plain(row.asked))).difference(listed("little_words"), words_by_language("common"))
        for word in {word for sentence in own for word in tokens(sentence)}:
            tasks[word].add(row.asked)
            taken[word] += word in asked
        answers.append({ngram for sentence in own for ngram in ngrams_of(sentence)})
    common = {w for w, asked in tasks.items() if len(asked) >= TASKS and taken[w] <= TAKEN * len(asked)}
    common = {word for word in common if _WORD.fullmatch(word)} | {"^", "$"}
    for ngrams in answers:
        seen.update(ngram for ngram in ngrams if common.issuperset(ngram.split()))
    return sorted(ngram for ngram, times in seen.items() if times >= ANSWERS)


def regression(coefficients: np.ndarray, bias: float) -> dict:
    """A fitted regression as ``configs/judge/weights.json`` has it, without its n-grams."""
    n, b = len(NAMES), len(BRIEF_NAMES)
    return {
        "bias": round(float(bias), 3),
        "weights": dict(zip(NAMES, rounded(coefficients[:n]), strict=True)),
        "brief_bias": round(float(coefficients[2 * n + b]), 3),
        "brief": dict(zip((*NAMES, *BRIEF_NAMES), rounded(coefficients[n : 2 * n + b]), strict=True)),
    }


def ngram_weights(declines: np.ndarray, refuses: np.ndarray, vocabulary: list[str]) -> dict[str, list[float]]:
    """The n-grams with their weights in both regressions, without those that weigh next to nothing in either."""
    start = 2 * len(NAMES) + len(BRIEF_NAMES) + 1
    both = np.hstack([c[start:].reshape(-1, PLACES) * SCALE for c in (declines, refuses)])
    return {ngram: rounded(row) for ngram, row in zip(vocabulary, both, strict=True) if np.abs(row).max() >= 0.01}


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) + 0.0 for value in values]
