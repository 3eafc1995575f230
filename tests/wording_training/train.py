"""Make ``configs/wording.json``. For development only; needs scikit-learn (tests/judge_training/requirements.txt).

    python tests/wording_training/train.py [--check] [--write]

``--check`` prints what rules, trained weights and both together get right on wordings whose *family* (template) was not
trained on, and on a language that was not trained on. The rules have seen none of the made wordings; the rows of
``tests/data/routing_tasks.jsonl`` that are not held out are trained on, but the rules were written by them. Right is
what leads to the backend of the wording's rule.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse
from sklearn.linear_model import LogisticRegression
from wordings import FOLDER, LANGUAGES, Wording, wordings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from uniwizard.agent.classify.classifier import _WORDS, Classifier  # noqa: E402
from uniwizard.agent.classify.wording import (  # noqa: E402
    FILE,
    HEAD,
    TAIL,
    ZERO,
    length_scale,
    pairs,
    pieces,
    symbol_of,
)
from uniwizard.agent.config.kinds import read_kinds  # noqa: E402
from uniwizard.agent.core.task import Task  # noqa: E402

SEED, EACH = 0, 32

#: The inverse of the regularisation, and how many points of the rules a trained one is worth: chosen from 3, 10, 30 and
#: from 0.5, 1, 2, 4 by ``--check``.
C, WORTH = 10.0, 1.5

#: A feature that fewer families have says nothing of the others.
FAMILIES = 2

#: Steps between nothing and the strongest weight, and from how many steps on a feature is kept.
STEPS, KEPT = 44, 6

ROWS = ROOT / "tests" / "data" / "routing_tasks.jsonl"

_EXTENSIONS = read_kinds().extensions
_BACKENDS = {
    **dict.fromkeys(("read", "write", "status"), "local"),
    **dict.fromkeys(("reasoning", "analysis", "code_review", "architecture"), "claude"),
    **dict.fromkeys(("long_document", "bulk_code"), "kimi"),
    **dict.fromkeys(("knowledge", "summarize"), "gpt"),
}
KINDS = (*_BACKENDS, "multimodal", "quick_answer", "chat")
BACKEND = np.array([_BACKENDS.get(kind, kind) for kind in KINDS])


def rows() -> list[Wording]:
    """The project's rows, each a family of its own."""
    read = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    return [Wording(r["task"], r["kind"], r["lang"], f"row/{r['task']}") for r in read if not r.get("held_out")]


def features(text: str) -> tuple[Counter[str], int]:
    """How often a text has which feature, and how many words it has, as the classifier reads it."""
    words = list(_WORDS.findall(text.casefold()))
    words = words if len(words) <= HEAD + TAIL else [*words[:HEAD], *words[-TAIL:]]
    symbols = [symbol_of(word, _EXTENSIONS) for word in words if word not in ".!:\n"]
    return Counter([*(piece for symbol in symbols for piece in pieces(symbol)), *pairs(symbols)]), len(symbols)


class Table:
    """The wordings as a matrix."""

    def __init__(self, given: Sequence[Wording]) -> None:
        counted = [features(one.text) for one in given]
        families: dict[str, set[str]] = defaultdict(set)
        for one, (count, _) in zip(given, counted, strict=True):
            for feature in count:
                families[feature].add(one.family)
        self.features = sorted(feature for feature, of in families.items() if len(of) >= FAMILIES)
        place = {feature: number for number, feature in enumerate(self.features)}
        cells = [
            (row, place[feature], times * length_scale(words))
            for row, (count, words) in enumerate(counted)
            for feature, times in count.items()
            if feature in place
        ]
        row, column, value = zip(*cells, strict=True)
        self.x = scipy.sparse.csr_matrix((value, (row, column)), shape=(len(given), len(self.features)))
        self.kinds = np.array([KINDS.index(one.kind) for one in given])
        self.share = np.array([one.share for one in given])

    def fit(self, part: np.ndarray) -> LogisticRegression:
        """The regression on a part of the rows. Without a constant: where nothing is known, nothing is said."""
        model = LogisticRegression(C=C, max_iter=200, fit_intercept=False)
        return model.fit(self.x[part], self.kinds[part], self.share[part])


def check(given: Sequence[Wording], table: Table) -> None:
    """Print what is right by family and by language left out."""
    classifier = Classifier(read_kinds())
    rules = np.array([[dict(classifier.classify(Task(one.text)).scores)[kind] for kind in KINDS] for one in given])
    made = np.array([not one.family.startswith("row/") for one in given])
    folds = np.array([int(hashlib.sha256(one.family.encode()).hexdigest(), 16) % 5 for one in given])
    languages = np.array([LANGUAGES.index(one.language) for one in given])
    for name, groups in (("family", folds), ("language", languages)):
        trained = np.zeros_like(rules)
        for group in sorted(set(groups)):
            out = groups == group
            trained[out] = table.fit(~out).decision_function(table.x[out])
        for worth in (0.0, 0.5, 1.0, 2.0, 4.0):
            right = BACKEND[(rules + worth * trained).argmax(axis=1)] == BACKEND[table.kinds]
            told = [f"{np.average(right[part], weights=table.share[part]):.3f}" for part in (made, ~made)]
            by_language = " ".join(
                f"{language} {np.average(right[part], weights=table.share[part]):.3f}"
                for number, language in enumerate(LANGUAGES)
                if (part := made & (languages == number)).any()
            )
            print(f"{name} left out, worth {worth}: made wordings {told[0]} ({by_language}), rows {told[1]}")


def write(given: Sequence[Wording], table: Table) -> None:
    """Fit all and write the file."""
    weights = table.fit(np.ones(len(given), dtype=bool)).coef_.T * WORTH
    step = float(np.abs(weights).max()) / STEPS
    step = min(step, float(np.quantile(np.abs(weights).max(axis=1), 0.999)) / STEPS)
    steps = np.clip(np.rint(weights / step), -STEPS, STEPS).astype(int)
    kept = np.abs(steps).max(axis=1) >= KEPT
    sha = hashlib.sha256(ROWS.read_bytes())
    for path in sorted(FOLDER.glob("*.txt")):
        sha.update(path.read_bytes())
    made = {
        "by": "tests/wording_training/train.py",
        "seed": SEED,
        "wordings": len(given),
        "families": len({one.family for one in given}),
        "sha256": sha.hexdigest(),
        "c": C,
        "worth": WORTH,
    }
    data = {
        "made": made,
        "kinds": list(KINDS),
        "step": round(step, 6),
        "features": [feature for feature, keep in zip(table.features, kept, strict=True) if keep],
        "weights": "".join(chr(ZERO + weight) for row in steps[kept] for weight in row),
    }
    FILE.write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{kept.sum()} of {len(kept)} features, {FILE.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    given = [*wordings(SEED, EACH), *rows()]
    table = Table(given)
    if args.check:
        check(given, table)
    if args.write:
        write(given, table)


if __name__ == "__main__":
    main()
