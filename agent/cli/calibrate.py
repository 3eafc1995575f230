"""``python -m agent calibrate``: the threshold at which a wanted share of the tasks goes to the strong backend."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..config.loader import load
from ..strategies.strong_weak import StrongWeak
from ..strategies.tree import Tree
from .base import Command, UsageError
from .outcomes import read_outcomes, with_packages
from .output import dumps


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", required=True, metavar="S", help="a strong_weak of the backends file")
    parser.add_argument(
        "--strong-share", type=float, required=True, metavar="X", help="wanted for the strong one, 0 to 1"
    )
    parser.add_argument("--input", type=Path, required=True, metavar="F", help="rows of outcomes of both, as for learn")
    parser.add_argument("--model", type=Path, metavar="M", help="what learn has written (default: the strategy's own)")


def _run(arguments: argparse.Namespace) -> int:
    if not 0.0 <= arguments.strong_share <= 1.0:
        raise UsageError("--strong-share: a number from 0 to 1")
    return with_packages(lambda: _calibrated(arguments))


def _calibrated(arguments: argparse.Namespace) -> int:
    from ..strategies.learning.dataset import Unusable
    from ..strategies.learning.evaluation import thresholds
    from ..strategies.learning.files import load_model
    from ..strategies.learning.models import TrainedModel

    config = load(arguments.config, os.environ)
    spec: Any = config.strategies.get(arguments.strategy)
    try:
        strategy = Tree(config).named(arguments.strategy)
    except KeyError:
        strategy = None
    if not isinstance(strategy, StrongWeak) or not isinstance(spec, dict):
        known = [
            name for name, said in config.strategies.items() if isinstance(said, dict) and said["use"] == "strong_weak"
        ]
        raise UsageError(
            f"--strategy: {arguments.strategy!r} is no strong_weak; there are: {', '.join(known) or 'none'}"
        )
    strong, weak = (str(spec[side]) for side in ("strong", "weak"))
    data, bad = read_outcomes(arguments.input)
    for key in (strong, weak):
        if key not in data.models:
            raise UsageError(f"{arguments.input}: has no outcomes of {key}")
    named = arguments.model or ("model" in spec and Path(config.source).parent / spec["model"])
    try:
        model = load_model(named) if named else TrainedModel.train(data.of([strong, weak]), "learned")
        missing = [key for key in (strong, weak) if key not in model.models]
        if missing:
            raise UsageError(f"{named}: does not know {', '.join(missing)}")
        found = thresholds(model, data, strong, weak, arguments.strong_share)
    except (Unusable, ValueError, OSError) as error:
        raise UsageError(str(error)) from None
    if arguments.json:
        print(dumps({"strategy": arguments.strategy, "strong": strong, "weak": weak, **found}))
    else:
        print(f"threshold: {found['threshold']}")
        print(
            f"{found['strong_share']:.1%} of {len(data)} tasks to {strong}: quality {found['quality']:.4f}, "
            f"between {found['quality_weak']:.4f} ({weak}) and {found['quality_strong']:.4f} ({strong})"
        )
        print(f"As a model's name: router-{arguments.strategy}-{found['threshold']}")
    return 1 if bad else 0


COMMAND = Command(
    "calibrate",
    "find the threshold of a strong_weak for a share of strong calls; asks nobody",
    _declare,
    _run,
)
