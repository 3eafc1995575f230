"""Labelled answers as a table of figures: what train.py fits and what measure.py cross-validates. For development only.

    table = Table(rows, vocabulary(own_rows))
    table.x             # a sparse matrix, a row for each answer

An answer's columns are its figures, the same again where it is brief, and its frames at five places. NgramWeights are scaled
down, so that a weight on a pair of little words costs more than one on a figure that a person thought of.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import scipy.sparse as sp  # noqa: E402

from uniwizard.agent.judge.data import words as listed  # noqa: E402
from uniwizard.agent.judge.data import words_by_language  # noqa: E402
from uniwizard.agent.judge.features import brief  # noqa: E402
from uniwizard.agent.judge.features.extract import NAMES, extract_features  # noqa: E402
from uniwizard.agent.judge.features.ngrams import SENTENCES, ngrams_of, parts, tokens  # noqa: E402
from uniwizard.agent.judge.text.sentences import plain, parse_answer, words_of  # noqa: E402

Row = dict[str, str]

#: A word is a frame word if answers to this many tasks use it ...
TASKS = 5
#: ... and no more than this share of them took it from the task.
TAKEN = 0.1
#: A frame is weighed if this many of the corpus' answers have it.
ANSWERS = 4
#: How much a frame counts for beside a figure; chosen by cross-validation from 0.15, 0.3, 0.5 and 0.6.
SCALE = 0.5
#: The weights of a frame.
PLACES = 5

_WORD = re.compile(r"[^\W\d_][\w'-]*")


class Table:
    """The figures of ``rows``; ``vocabulary`` is the frames that have columns."""

    def __init__(self, rows: list[Row], vocabulary: list[str]):
        self.figures = [extract_features(row["prompt"], parse_answer(row["response"])) for row in rows]
        known = {frame: i for i, frame in enumerate(vocabulary)}
        self.plain = np.array([[f.values[name] for name in NAMES] for f in self.figures])
        is_brief = np.array([[float(bool(f.brief))] for f in self.figures])
        self.brief = is_brief[:, 0] > 0
        beside = np.array([[f.brief.get(name, 0.0) for name in brief.NAMES] for f in self.figures])
        told: dict[tuple[int, int], float] = defaultdict(float)
        for i, figures in enumerate(self.figures):
            for place, (sentences, weight) in enumerate(parts(figures.ngram_sentences, bool(figures.brief))):
                for frame in (frame for sentence in sentences for frame in ngrams_of(sentence)):
                    if frame in known:
                        told[i, PLACES * known[frame] + place] += weight * SCALE
        rows_at, columns_at = zip(*told, strict=True) if told else ((), ())
        shape = len(rows), PLACES * len(vocabulary)
        frames = sp.csr_matrix((list(told.values()), (rows_at, columns_at)), shape=shape)
        self.x = sp.csr_matrix(sp.hstack([self.plain, self.plain * is_brief, beside, is_brief, frames]))


def vocabulary(rows: list[Row]) -> list[str]:
    """The frames of the project's own ``rows`` that may have a weight."""
    tasks, taken, seen = defaultdict(set), Counter(), Counter()
    answers = []
    for row in rows:
        own = extract_features(row["prompt"], parse_answer(row["response"])).ngram_sentences[:SENTENCES]
        asked = set(words_of(plain(row["prompt"]))).difference(listed("little_words"), words_by_language("common"))
        for word in {word for sentence in own for word in tokens(sentence)}:
            tasks[word].add(row["prompt"])
            taken[word] += word in asked
        answers.append({frame for sentence in own for frame in ngrams_of(sentence)})
    spoken = {w for w, asked in tasks.items() if len(asked) >= TASKS and taken[w] <= TAKEN * len(asked)}
    spoken = {word for word in spoken if _WORD.fullmatch(word)} | {"^", "$"}
    for frames in answers:
        seen.update(frame for frame in frames if spoken.issuperset(frame.split()))
    return sorted(frame for frame, times in seen.items() if times >= ANSWERS)


def weights(coefficients: np.ndarray, vocabulary: list[str]) -> tuple[dict, dict, float, dict]:
    """The coefficients by name: of every answer, of a brief one, the latter's bias, and of the frames."""
    n, b = len(NAMES), len(brief.NAMES)
    always = dict(zip(NAMES, rounded(coefficients[:n]), strict=True))
    few = dict(zip((*NAMES, *brief.NAMES), rounded(coefficients[n : 2 * n + b]), strict=True))
    told = coefficients[2 * n + b + 1 :].reshape(-1, PLACES) * SCALE
    frames = {frame: rounded(row) for frame, row in zip(vocabulary, told, strict=True) if np.abs(row).max() >= 0.01}
    return always, few, round(float(coefficients[2 * n + b]), 3), frames


def rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) + 0.0 for value in values]
