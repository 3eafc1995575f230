"""``python -m agent learn``: train what ``learned``, ``trained`` and ``strong_weak`` go by, and write it to a file."""

from __future__ import annotations

import argparse
import os
import sqlite3
from pathlib import Path
from typing import Any

from ..classify.classifier import Classifier
from ..config.loader import load
from ..core.backend import Backend
from ..core.decision import Work
from ..strategies.learning.table import WEIGHTS, Table
from ..strategies.ranked import expected_quality, fit_of, preferred
from .base import Command, UsageError
from .files import write
from .outcomes import read_outcomes, with_packages
from .output import dumps

#: Where a game keeps its ledger, from the game's folder.
LEDGER = "server/ledger.db3"
#: What a failure in the ledger says of an answer, and by which check.
_LESSONS = {
    "": "verdict",
    "refused": "refusal",
    "empty": "verdict",
    "low_confidence": "verdict",
    "invalid_output": "schema",
}


def _declare(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--ledger",
        nargs="?",
        const=LEDGER,
        type=Path,
        metavar="FILE",
        help=f"a game's own attempts (default: {LEDGER})",
    )
    source.add_argument("--input", type=Path, metavar="F", help="rows of outcomes, .jsonl or .jsonl.gz")
    parser.add_argument("--use", default="learned", metavar="NAME", help="what to train of --input (default: learned)")
    parser.add_argument("--output", type=Path, required=True, metavar="M", help="the file to write")
    parser.add_argument("--force", action="store_true", help="write it although it is not surely better")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.ledger is not None:
        return _of_ledger(arguments)
    return with_packages(lambda: _of_outcomes(arguments))


def _of_outcomes(arguments: argparse.Namespace) -> int:
    from ..strategies.learning.dataset import Unusable
    from ..strategies.learning.evaluation import lower_bound
    from ..strategies.learning.files import save_model
    from ..strategies.learning.models import USES, TrainedModel

    if arguments.use not in USES:
        raise UsageError(f"--use: {arguments.use!r} is unknown; allowed: {', '.join(USES)}")
    data, bad = read_outcomes(arguments.input)
    try:
        gain, bound = lower_bound(data, arguments.use)
        about = {"rows": len(data), "gain": round(gain, 4), "lower_bound": round(bound, 4)}
        kept = bound > 0 or arguments.force
        if kept:
            save_model(TrainedModel.train(data, arguments.use), arguments.output, about)
    except Unusable as error:
        raise UsageError(f"{arguments.input}: {error}") from None
    except OSError as error:
        raise UsageError(f"{arguments.output}: cannot be written ({error.strerror})") from None
    told = {"use": arguments.use, "models": data.models, **about, "output": str(arguments.output) if kept else None}
    if arguments.json:
        print(dumps(told))
    else:
        print(
            f"{arguments.use}: {gain:+.2%} against always asking the best, at least {bound:+.2%}, of {len(data)} rows"
        )
        if not kept:
            print("Not written: it is not surely better than the best one alone (--force writes it all the same).")
    return 1 if bad or not kept else 0


def _of_ledger(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, os.environ)
    suits = Classifier.load().suits
    table, used = Table(), 0
    for kind, key, outcome, failure in _attempts(arguments.ledger):
        if key not in config.backends or outcome not in ("answered", "refused", "failed") or failure not in _LESSONS:
            continue
        source = _LESSONS[failure]
        prior = _prior(config.backends[key], kind, config.rules, suits)
        table.observe(kind, key, float(not failure), weight=WEIGHTS[source], prior=prior)
        used += 1
    write(arguments.output, dumps({"format": "uniwizard-table-1", "table": table.snapshot()}))
    if arguments.json:
        print(dumps({"use": "learned", "rows": used, "cells": len(table.cells), "output": str(arguments.output)}))
    else:
        for row in table.rows():
            print(f"{row.kind:<14}{row.backend:<10}{row.mean:>6.0%}  ({row.low:.0%} to {row.high:.0%}, {row.seen:.0f})")
        print(f"{used} attempts, {len(table.cells)} cells: {arguments.output}")
    return 0


def _prior(backend: Backend, kind: str, rules: Any, suits: Any) -> float:
    return expected_quality(fit_of(backend, Work(kind, 0), preferred(kind, rules), suits.get(kind, frozenset()))[0])


def _attempts(path: Path) -> list[tuple[str, str, str, str]]:
    """Kind, backend, outcome and failure of every real attempt, oldest first. Raises UsageError."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    query = "SELECT kind, backend, outcome, failure FROM ledger_attempt WHERE NOT practice ORDER BY started, id"
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error as error:
        raise UsageError(f"{path}: is no ledger ({error})") from None


COMMAND = Command(
    "learn",
    "train what learned strategies go by; asks nobody",
    _declare,
    _run,
    description="Train a model of rows of outcomes, or the table of a game's own ledger, and write it to a file that a "
    "strategy's `model` names. A model that is not surely better than its best backend alone, on rows it has not seen, "
    "is not written. Needs numpy and scikit-learn for --input: python -m pip install 'uniwizard[learn]'.",
)
