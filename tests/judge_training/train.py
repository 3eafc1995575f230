"""Make ``configs/judge/weights.json`` and ``ngrams.json`` beside it. For development only; needs requirements.txt of
this folder, in its own venv.

    python tests/judge_training/train.py [--also LABELLED.jsonl] [--write]

Prints what each threshold would have given on answers that were not trained on; ``--write`` writes the files.
``--also`` adds labelled answers that are not part of the project (rows with id, model, prompt, response, label); only
the features measured of them take part, never a word that the corpus does not have.
"""

from __future__ import annotations

import argparse
import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import ROOT, Row, digest, fold, own_rows, rows_of, without_context
from sklearn.linear_model import LogisticRegression
from table import Table, ngram_weights, regression, vocabulary

#: The inverse of the regularisation, chosen by cross-validation from 0.25, 0.4, 0.5, 0.7, 1 and 2 for "declines", and
#: from 0.2, 0.35, 0.5 and 0.7 for "refuses" (the full refusals that pass where 2% of the good answers are rerouted).
C, C_REFUSES = 0.7, 0.35
#: What a partial refusal counts where full ones are told from the rest, chosen likewise from 0.25, 0.5 and 1: on
#: whether a sermon with an answer in it is one or the other, people differ most.
PARTIAL = 0.25
#: What a long answer of the corpus counts; brief ones are many times as many. Chosen likewise from 1 and 2.5.
LONG = 2.5
#: What an answer that is not brief and complies counts beside one that declines: a false alarm costs a good answer.
CARE = 3.0
#: What an agent's honest negative counts, for the same reason; and any answer once more without its context.
HONEST, BARE = 2.0, 0.7


@dataclass
class Training:
    """Rows as a matrix, with what each counts. ``own`` marks the corpus, the rest are the ``--also`` rows."""

    rows: list[Row]
    table: Table
    own: np.ndarray
    weight: np.ndarray
    declines: np.ndarray
    refuses: np.ndarray

    def chances(self, train: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chances that the ``judged`` rows decline and refuse, by regressions fitted to the ``train`` rows."""
        x = self.table.x[judged]
        declines, refuses = self.fit(train)
        return declines.predict_proba(x)[:, 1], refuses.predict_proba(x)[:, 1]

    def fit(self, train: np.ndarray) -> tuple[LogisticRegression, LogisticRegression]:
        """The regressions "declines" and "refuses", fitted to the ``train`` rows."""
        x, weight = self.table.x[train], self.weight[train]
        partial = (self.declines & ~self.refuses)[train]
        return (
            regression_of(x, self.declines[train], weight, C),
            regression_of(x, self.refuses[train], weight * np.where(partial, PARTIAL, 1.0), C_REFUSES),
        )

    def unseen(self) -> tuple[np.ndarray, np.ndarray]:
        """Both probabilities of every row by regressions that have not seen it: trained without the fifth of the
        corpus that its prompt or conversation is in, or, of the ``--also`` rows, without its model."""
        keys = np.array(
            [f"fold {fold(r.group)}" if own else f"model {r.model}" for r, own in zip(self.rows, self.own, strict=True)]
        )
        declines, refuses = np.zeros(len(keys)), np.zeros(len(keys))
        for key in sorted(set(keys)):
            out = keys == key
            declines[out], refuses[out] = self.chances(~out, out)
        return np.maximum(declines, refuses), refuses


def training(also: list[Row], vocabulary_rows: list[Row] | None = None) -> tuple[Training, list[str]]:
    """The corpus and the ``also`` rows, ready to be fitted, and the vocabulary."""
    mine = own_rows()
    bare = without_context(mine)
    rows = mine + bare + also
    ngrams = vocabulary(vocabulary_rows or mine)
    table = Table(rows, ngrams)
    own = np.arange(len(rows)) < len(mine) + len(bare)
    declines = np.array([row.declines for row in rows])
    weight = np.where(own & ~table.brief, LONG, 1.0) * np.where(~table.brief & ~declines, CARE, 1.0)
    weight *= [BARE if row.id.endswith("-bare") else 1.0 for row in rows]
    weight *= [HONEST if row.klass == "agents" and not row.declines else 1.0 for row in rows]
    return Training(rows, table, own, weight, declines, np.array([row.refuses for row in rows])), ngrams


def regression_of(x, y: np.ndarray, weight: np.ndarray, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, solver="liblinear", intercept_scaling=10, random_state=0).fit(x, y, weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--also", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--no-check", action="store_true", help="no cross-validation")
    parser.add_argument("--scores", type=Path, help="keep the scores of the cross-validation, for thresholds")
    args = parser.parse_args()
    also = rows_of(args.also) if args.also else []
    data, ngrams = training(also)
    if not args.no_check:
        check(data, args.scores)
    if args.write:
        write(data, ngrams, len(also))


def check(data: Training, keep: Path | None) -> None:
    """What each threshold would have given on scores of answers that were not trained on."""
    declines, refuses = data.unseen()
    if keep is not None:
        keep.write_text(json.dumps({r.id: p for r, *p in zip(data.rows, declines, refuses, strict=True)}))
    agents = np.array([row.klass == "agents" for row in data.rows])
    for name, of in (("corpus", data.own & ~agents), ("agents", data.own & agents), ("also", ~data.own)):
        if not of.any():
            continue
        good, full, d = of & ~data.declines, of & data.refuses, of & data.declines
        for at in (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
            act = refuses >= at
            print(
                f"{name}: reroute_at {at:.2f}: full refusals accepted {(full & ~act).sum() / full.sum():.3f}, "
                f"complying answers rerouted {(good & act).sum() / good.sum():.3f}"
            )
        for at in (0.5, 0.55, 0.6, 0.65, 0.7):
            seen = declines >= at
            hit, false = (seen & d).sum(), (seen & good).sum()
            print(
                f"{name}: refuse_at {at:.2f}: F1 {2 * hit / (hit + false + d.sum()):.3f}, "
                f"false alarms {false / good.sum():.3f}"
            )


def write(data: Training, ngrams: list[str], also: int) -> None:
    declines, refuses = data.fit(np.ones(len(data.rows), dtype=bool))
    made = {
        "by": "tests/judge_training/train.py",
        "date": datetime.date.today().isoformat(),
        "own_rows": int(data.own.sum()),
        "own_corpus_sha256": digest(),
        "also": f"features of {also} answers labelled by people, measured and not copied" if also else "",
        "c": [C, C_REFUSES],
    }
    weights = {
        "made": made,
        "declines": regression(declines.coef_[0], declines.intercept_[0]),
        "refuses": regression(refuses.coef_[0], refuses.intercept_[0]),
    }
    folder = ROOT / "configs" / "judge"
    (folder / "weights.json").write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    listed = ngram_weights(declines.coef_[0], refuses.coef_[0], ngrams)
    lines = ",\n".join(f"    {json.dumps(k, ensure_ascii=False)}: {v}" for k, v in listed.items())
    text = f'{{\n  "made": {json.dumps(made)},\n  "ngrams": {{\n{lines}\n  }}\n}}\n'
    (folder / "ngrams.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
