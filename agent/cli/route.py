"""``python -m agent route``: who would be asked, and why."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..config.loader import load
from ..core.decision import Decision
from ..core.jsonlines import objects
from ..core.task import Task
from ..router import Router
from .arguments import check_strategy, declare_strategy, declare_task, task_of
from .base import Command, UsageError
from .files import lines_of
from .output import dumps
from .running import with_router


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_task(parser)
    declare_strategy(parser)
    parser.add_argument("--input", metavar="F.jsonl", help='one {"task": ...} a line; - reads standard input')


def _run(arguments: argparse.Namespace) -> int:
    if (arguments.task is None) == (arguments.input is None):
        raise UsageError("route takes either TASK or --input F.jsonl")

    async def decide(router: Router) -> int:
        check_strategy(router, arguments)
        return _decide_one(router, arguments) if arguments.input is None else _decide_each(router, arguments)

    return with_router(load(arguments.config, os.environ), decide)


def _decide_one(router: Router, arguments: argparse.Namespace) -> int:
    decision = router.explain(task_of(arguments), arguments.strategy)
    print(dumps(_for_programs(decision)) if arguments.json else _told(decision))
    return 0 if decision.backend else 1


def _decide_each(router: Router, arguments: argparse.Namespace) -> int:
    bad = 0
    for number, row, fault in _rows(arguments.input):
        try:
            if fault:
                raise ValueError(fault)
            decision = router.explain(Task(row["task"], kind=row.get("kind") or arguments.kind), arguments.strategy)
        except ValueError as error:
            bad += 1
            print(f"{arguments.input}:{number}: {error}", file=sys.stderr)
            print(dumps({"error": f"line {number}: {error}"}))
        else:
            print(dumps(_for_programs(decision)) if arguments.json else f"{decision.backend}\t{row['task'][:60]}")
    return 1 if bad else 0


def _rows(source: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Every line of a file of tasks: its number, its object, and what is wrong with it (else empty)."""
    with lines_of(source) as lines:
        for number, row, fault in objects(lines):
            if not fault and not isinstance(row.get("task"), str):
                fault = 'has no "task" of text'
            yield number, row, fault


def _for_programs(decision: Decision) -> dict[str, Any]:
    row = decision.as_dict()
    row["because"] = list(row.pop("kind_reasons"))
    row["path"] = list(row["path"])
    return row


def _told(decision: Decision) -> str:
    who = decision.backend or "nobody"
    if decision.memory is not None:
        who = f"memory of {decision.memory.backend}, saving ${decision.memory.saved_usd:.4f}"
    lines = [f"Would ask: {who} ({decision.kind}, {decision.confidence:.0%} sure)"]
    lines += [f"  {step}" for step in decision.path]
    lines += [f"  {r.backend:<8} {r.score:.2f}  {', '.join(r.reasons)}" for r in decision.ranking]
    lines += [f"  {s.backend:<8} skipped: {s.reason}" for s in decision.skipped]
    return "\n".join(lines)


COMMAND = Command("route", "say who would be asked, and why; asks nobody", _declare, _run)
