"""``python -m agent simulate``: what the routing would have made of a month of traffic."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..classify.classifier import Classifier
from ..config.loader import load
from ..simulation import (
    GoalRow,
    Row,
    Unsolvable,
    burn_down,
    figures,
    optimum_of,
    read_goals,
    read_traffic,
    simulate,
    table,
)
from .base import Command, UsageError
from .files import lines_of, write
from .output import dumps
from .progress import Progress


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--traffic",
        required=True,
        metavar="F.jsonl",
        help='one {"time", "kind", "input_tokens", "output_tokens"} a line, the time ISO 8601 with a zone',
    )
    parser.add_argument(
        "--goals",
        metavar="G.jsonl",
        help='a backlog worked beside it: one {"id", "priority", "deadline", "steps": [{"kind", "input_tokens", '
        '"output_tokens", "after"}]} a line',
    )
    parser.add_argument(
        "--plot", type=Path, metavar="F.svg", help="draw what is left of each backend's quota; SVG only, no PNG"
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".svg":
        raise UsageError(f"--plot: {arguments.plot}: only SVG can be drawn; name a file that ends in .svg")
    config = load(arguments.config, os.environ)
    with lines_of(arguments.traffic) as lines:
        rows, faults = read_traffic(lines)
    for fault in faults:
        print(f"{arguments.traffic}: {fault}", file=sys.stderr)
    if faults and not rows:
        raise UsageError(f"{arguments.traffic}: not one of its rows can be used")
    goals: list[GoalRow] = []
    if arguments.goals is not None:
        with lines_of(arguments.goals) as lines:
            goals, wrong = read_goals(lines)
        for fault in wrong:
            print(f"{arguments.goals}: {fault}", file=sys.stderr)
        faults += wrong
    suits = Classifier.load().suits
    outcomes = simulate(rows, config, suits, goals, _shown)
    try:
        outcomes |= optimum_of(rows, config, suits, goals)
    except Unsolvable as error:
        print(error, file=sys.stderr)
    print(dumps(figures(outcomes)) if arguments.json else "\n".join(table(outcomes)))
    if arguments.plot is not None:
        write(arguments.plot, burn_down({name: outcome.burn for name, outcome in outcomes.items()}))
    return 1 if faults else 0


def _shown(policy: str, rows: Sequence[Row]) -> Iterator[Row]:
    """The rows that a policy is sent, with a bar on a terminal."""
    with Progress(f"{policy:<17}", len(rows)) as progress:
        yield from progress.over(rows)


COMMAND = Command(
    "simulate",
    "replay traffic through the routing and its rivals; asks nobody",
    _declare,
    _run,
    description="Replay a month of traffic on a virtual clock through the real ranking and quotas, through the "
    "policies of other routers, and through the optimum in hindsight, which needs scipy. API keys need not be set.",
)
