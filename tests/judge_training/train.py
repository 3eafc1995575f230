"""Make ``configs/judge/weights.json`` and ``ngrams.json`` beside it. For development only; needs requirements.txt of
this folder, in its own venv.

    python tests/judge_training/train.py [--also LABELLED.jsonl] [--errors] [--write]

Prints the cross-validation and, with ``--write``, the files. ``--also`` adds labelled answers that are not part of the
project (rows with id, model, prompt, response, label); only the figures measured of them take part, never their words.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from table import NAMES, Table, rounded, vocabulary, weights  # noqa: E402

CORPUS = ROOT / "tests" / "data" / "judge_corpus"
#: The inverse of the regularisation, chosen by cross-validation from 0.25, 0.4, 0.5, 0.7, 1 and 2.
C = 0.7
#: What a long answer of the corpus counts; brief ones are many times as many. Chosen likewise from 1 and 2.5.
LONG = 2.5
#: What an answer that is not brief and complies counts beside one that declines: a false alarm costs a good answer.
CARE = 3.0
LABELS = {"1_full_compliance": "complies", "2_full_refusal": "refuses", "3_partial_refusal": "partial"}


def rows_of(path: Path) -> list[dict]:
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            row["label"] = LABELS.get(row["label"], row["label"])
            row.setdefault("model", path.stem)
            rows.append(row)
    return rows


def corpus() -> list[dict]:
    return [row for path in sorted(CORPUS.glob("*.jsonl")) for row in rows_of(path) if row["label"] in LABELS.values()]


def fold(prompt: str) -> int:
    """One of ten parts, the same for every answer to a prompt."""
    return int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 10


def fit(x: Any, y: np.ndarray, weight: np.ndarray, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, solver="liblinear", intercept_scaling=10, random_state=0).fit(x, y, weight)


def counts(table: Table, is_mine: np.ndarray, declines: np.ndarray) -> np.ndarray:
    """What each answer counts in training."""
    return np.where(is_mine & ~table.brief, LONG, 1.0) * np.where(~table.brief & ~declines, CARE, 1.0)


def scores(y: np.ndarray, p: np.ndarray, at: float = 0.5) -> str:
    hit = p >= at
    tp, fp, fn = (hit & y).sum(), (hit & ~y).sum(), (~hit & y).sum()
    precision, recall = tp / max(tp + fp, 1), tp / max(tp + fn, 1)
    f1 = 2 * tp / max(2 * tp + fp + fn, 1)
    return f"P {precision:.3f} R {recall:.3f} F1 {f1:.3f} FPR {fp / max((~y).sum(), 1):.3f} n {len(y)}"


def curve(name: str, y: np.ndarray, p: np.ndarray) -> None:
    """What each ``refuse_at`` would have given, on scores of answers that were not trained on."""
    for at in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8):
        print(f"  refuse_at {at:.2f}, {name}", scores(y, p, at))


def cross_validate(name: str, rows, x, y, weight, groups: list[str], c: float, show: bool = False) -> np.ndarray:
    p = np.zeros(len(y))
    groups = np.array(groups)
    for group in sorted(set(groups)):
        out = groups == group
        p[out] = fit(x[~out], y[~out], weight[~out], c).predict_proba(x[out])[:, 1]
    return p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--also", type=Path)
    parser.add_argument("--also-weight", type=float, default=1.0, help="what one of those answers counts")
    parser.add_argument("--c", type=float, default=C)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--errors", action="store_true")
    args = parser.parse_args()
    mine = corpus()
    also = rows_of(args.also) if args.also else []
    rows = mine + also
    frames = vocabulary(mine)
    table = Table(rows, frames)
    x = table.x
    y = np.array([row["label"] != "complies" for row in rows])
    is_mine = np.arange(len(rows)) < len(mine)
    weight = counts(table, is_mine, y) * np.where(is_mine, 1.0, args.also_weight)

    by_prompt = [str(fold(row["prompt"])) for row in rows]
    p = cross_validate("prompt", rows, x, y, weight, by_prompt, args.c)
    if mine:
        print("by prompt, own corpus    ", scores(y[is_mine], p[is_mine]))
        curve("own corpus by prompt", y[is_mine], p[is_mine])
    if also:
        print("by prompt, also          ", scores(y[~is_mine], p[~is_mine]))
    by_model = [row["model"] if not m else "own" for row, m in zip(rows, is_mine, strict=True)]
    q = np.zeros(len(y))
    for model in sorted(set(by_model)):
        out = np.array(by_model) == model
        train = ~out
        if train.sum() and model != "own":
            q[out] = fit(x[train], y[train], weight[train], args.c).predict_proba(x[out])[:, 1]
            print(f"left out: {model:15}", scores(y[out], q[out]))
    if also:
        print("by model, also           ", scores(y[~is_mine], q[~is_mine]))
        curve("also by model", y[~is_mine], q[~is_mine])
        if mine:
            r = fit(x[is_mine], y[is_mine], weight[is_mine], args.c).predict_proba(x[~is_mine])[:, 1]
            print("own corpus only -> also  ", scores(y[~is_mine], r))
    declining = y
    part = np.array([row["label"] == "partial" for row in rows])
    if args.errors:
        for i in np.argsort(-np.abs(p - y)):
            if (p[i] >= 0.5) != y[i]:
                row = rows[i]
                print(
                    f"--- {p[i]:.2f} {row['label']} {row['model']} | {row['prompt'][:100]}\n{row['response'][:300]!r}"
                )
                print({name: round(v, 2) for name, v in table.figures[i].values.items() if v})
    final = fit(x, y, weight, args.c)
    # Partial refusals are one in twelve; counted three times, more of them are found than others called partial.
    partly = fit(table.plain[declining], part[declining], 1.0 + 2 * part[declining], args.c)
    if args.write:
        made = {
            "by": "tests/judge_training/train.py",
            "date": datetime.date.today().isoformat(),
            "own_rows": len(mine),
            "own_corpus_sha256": digest(),
            "also": f"figures of {len(also)} answers labelled by people, measured and not copied" if also else "",
            "c": args.c,
        }
        always, few, few_bias, told = weights(final.coef_[0], frames)
        data = {
            "made": made,
            "declines": {"bias": bias(final), "weights": always},
            "brief": {"bias": few_bias, "weights": few},
            "partly": {"bias": bias(partly), "weights": dict(zip(NAMES, rounded(partly.coef_[0]), strict=True))},
        }
        write("weights.json", json.dumps(data, indent=2) + "\n")
        lines = ",\n".join(f"    {json.dumps(k, ensure_ascii=False)}: {v}" for k, v in told.items())
        write("ngrams.json", f'{{\n  "made": {json.dumps(made)},\n  "ngrams": {{\n{lines}\n  }}\n}}\n')


def bias(fitted: LogisticRegression) -> float:
    return round(float(fitted.intercept_[0]), 3)


def write(name: str, text: str) -> None:
    (ROOT / "configs" / "judge" / name).write_text(text, encoding="utf-8")


def digest() -> str:
    hashed = hashlib.sha256()
    for path in sorted(CORPUS.glob("*.jsonl")):
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


if __name__ == "__main__":
    main()
