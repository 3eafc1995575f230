"""``python -m agent evaluate``: how well ways of choosing do on tasks that they were not trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .base import Command, UsageError
from .charts import write_curves
from .outcomes import read_outcomes, with_packages
from .output import dumps


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, metavar="T", help="rows of outcomes to learn from")
    parser.add_argument("--test", type=Path, required=True, metavar="E", help="rows of outcomes to choose for")
    parser.add_argument("--use", action="append", metavar="NAME", help="one way of choosing; repeatable (default: all)")
    parser.add_argument("--hide-kinds", action="store_true", help="the kinds of the test rows are to be found out")
    parser.add_argument("--online", action="store_true", help="also learn while working, from the asked one's outcome")
    parser.add_argument(
        "--rules", default="good", metavar="R", help="what is known before, online: good, stale, half, none"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the order of the tasks, online")
    parser.add_argument("--warm", type=int, default=0, metavar="K", help="tasks before the first, all outcomes known")
    parser.add_argument("--turned", action="store_true", help="online, the best one becomes worse in mid-stream")
    parser.add_argument("--plot", type=Path, metavar="F.svg", help="draw cost and quality; .svg or .png")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.plot is not None and arguments.plot.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--plot: {arguments.plot}: name a file that ends in .svg or .png")
    if arguments.warm < 0:
        raise UsageError("--warm: a number from 0")
    return with_packages(lambda: _evaluated(arguments))


def _evaluated(arguments: argparse.Namespace) -> int:
    from ..strategies.learning.dataset import Unusable
    from ..strategies.learning.evaluation import evaluate
    from ..strategies.learning.models import USES
    from ..strategies.learning.online import RULES, online

    uses = arguments.use or list(USES)
    for use in uses:
        if use not in USES:
            raise UsageError(f"--use: {use!r} is unknown; allowed: {', '.join(USES)}")
    if arguments.rules not in RULES:
        raise UsageError(f"--rules: {arguments.rules!r} is unknown; allowed: {', '.join(RULES)}")
    train, bad = read_outcomes(arguments.train)
    test, more = read_outcomes(arguments.test)
    missing = [model for model in train.models if model not in test.models]
    if missing:
        raise UsageError(f"{arguments.test}: has no outcomes of {', '.join(missing)}")
    try:
        report = evaluate(train, test, uses, hide_kinds=arguments.hide_kinds)
    except Unusable as error:
        raise UsageError(f"{arguments.train}: {error}") from None
    if arguments.online:
        test = test.of(train.models)
        report["online"] = online(
            test, rules=arguments.rules, seed=arguments.seed, warm=arguments.warm, turned=arguments.turned, known=train
        )
    print(dumps(report) if arguments.json else "\n".join(_told(report)))
    if arguments.plot is not None:
        curves = {name: [(c, q) for c, q in said["curve"]] for name, said in report["strategies"].items()}
        single = report["best_single_cost_usd"], report["best_single"]
        write_curves(arguments.plot, curves, {"best single": single})
    return 1 if bad or more else 0


def _told(report: dict[str, Any]) -> list[str]:
    lines = [
        f"{report['rows']} tasks, {len(report['models'])} models; always {report['best_model']}: "
        f"{report['best_single']:.4f}, the best of each: {report['oracle']:.4f}, any: {report['random']:.4f}",
        f"{'':<12}{'quality':>9}{'gap closed':>12}{'cost at 99%':>13}{'aiq':>8}{'apgr':>8}{'us':>8}",
    ]
    for name, said in report["strategies"].items():
        cost = "-" if said["cost_at_99"] is None else f"{said['cost_at_99']:.1%}"
        apgr = "-" if said["apgr"] is None else f"{said['apgr']:.3f}"
        lines.append(
            f"{name:<12}{said['quality']:>9.4f}{said['gap_closed']:>12.1%}{cost:>13}{said['aiq']:>8.4f}{apgr:>8}"
            f"{said['us_per_decision']:>8.0f}"
        )
    if "online" in report:
        gaps = ", ".join(f"{gap:.1%} at {mark}" for mark, gap in report["online"]["gap"].items())
        lines.append(
            f"online ({report['online']['rules']} rules): gap closed {gaps}; regret {report['online']['regret']}"
        )
    return lines


COMMAND = Command(
    "evaluate",
    "measure ways of choosing on rows of outcomes; asks nobody",
    _declare,
    _run,
    description="Train every way of choosing on the rows of --train and choose for those of --test. A row is "
    '{"id", "task", "kind" (optional), "outcomes": {model: {"score": 0..1, "cost_usd": x}}}.',
)
