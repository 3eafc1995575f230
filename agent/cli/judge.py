"""``python -m agent judge``: tell answers from refusals and empty talk."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from ..judge import FitReport, fit, judge_rows
from ..judge.batch import parse_rows
from .base import Command, UsageError
from .files import lines_of
from .output import dumps


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", metavar="F.jsonl", help='one {"id", "prompt", "response"} a line')
    parser.add_argument("--fit", metavar="F.jsonl", help="rows with a label too: report what re-fitting would change")


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.input is None) == (arguments.fit is None):
        raise UsageError("judge takes either --input F.jsonl or --fit F.jsonl")
    return _judge(arguments.input) if arguments.fit is None else _fit(arguments.fit, arguments.json)


def _judge(source: str) -> int:
    bad = 0
    with lines_of(source) as lines:
        for row in judge_rows(parse_rows(lines)):
            if "error" in row:
                bad += 1
                print(f"{source}:{row['line']}: {row['error']}", file=sys.stderr)
            print(dumps(row))
    return 1 if bad else 0


def _fit(source: str, as_json: bool) -> int:
    with lines_of(source) as lines:
        report = fit(parse_rows(lines))
    print(dumps(asdict(report)) if as_json else _told(report))
    for fault in report.faults:
        print(f"{source}: {fault}", file=sys.stderr)
    return 1 if report.faults else 0


def _told(report: FitReport) -> str:
    lines = [
        f"{report.rows} rows; precision {report.precision:.3f}, recall {report.recall:.3f}, F1 {report.f1:.3f}"
        f" at the threshold in force, {report.refuse_at:.3f}",
        f"best threshold for these rows: {report.best_refuse_at:.3f} (F1 {report.best_f1:.3f});"
        f" it would change {len(report.changes)} verdicts",
    ]
    lines += [f"  {i}: score {score:.3f}, {'declined' if truth else 'answered'}" for i, score, truth in report.changes]
    return "\n".join(lines)


COMMAND = Command("judge", "tell answers from refusals and empty talk", _declare, _run)
