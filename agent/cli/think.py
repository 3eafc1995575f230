"""``python -m agent think``: have a task done."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..config.loader import load
from ..core.result import AllBackendsFailed, RouteResult
from ..router import Router
from .arguments import check_strategy, declare_strategy, declare_task, task_of
from .base import Command, UsageError
from .files import text_of
from .output import dumps, printable
from .running import with_router


def _declare(parser: argparse.ArgumentParser) -> None:
    declare_task(parser)
    parser.add_argument("--schema", type=Path, metavar="F", help="a JSON Schema that the answer must satisfy")
    parser.add_argument("--with", dest="pin", metavar="BACKEND", help="ask this backend first")
    declare_strategy(parser)
    parser.add_argument("--fresh", action="store_true", help="ask anew, even where the answer is remembered")
    parser.add_argument("--deadline", type=_seconds, metavar="SECONDS", help="give up after this long")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _run(arguments: argparse.Namespace) -> int:
    if arguments.task is None:
        raise UsageError("think takes a TASK")
    schema = _schema(arguments.schema) if arguments.schema else None
    config = load(arguments.config, os.environ)
    task = task_of(arguments, schema=schema, deadline=arguments.deadline)

    async def ask(router: Router) -> int:
        if arguments.pin is not None and arguments.pin not in router.registry:
            known = ", ".join(health.backend.key for health in router.registry)
            raise UsageError(f"--with: no backend {arguments.pin!r}; allowed: {known}")
        check_strategy(router, arguments)
        try:
            memory = "fresh" if arguments.fresh else "use"
            result = await router.call_with_fallback(task, arguments.pin, memory=memory, strategy=arguments.strategy)
        except AllBackendsFailed as failed:
            if arguments.json:
                print(dumps({"error": str(failed), "attempts": [asdict(a) for a in failed.attempts]}))
            else:
                print(printable(str(failed)), file=sys.stderr)
            return 1
        print(dumps(result.as_dict()) if arguments.json else _told(result))
        return 0

    return with_router(config, ask)


def _schema(path: Path) -> dict[str, Any]:
    try:
        schema = json.loads(text_of(path))
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: is not JSON") from None
    if not isinstance(schema, dict):
        raise UsageError(f"{path}: a JSON Schema is an object")
    return schema


def _told(result: RouteResult) -> str:
    seconds = result.latency_ms / 1000.0
    who = result.backend if result.memory is None else f"memory of {result.backend}"
    return f"{printable(result.text)}\n[{who}, {seconds:.1f} s, ${result.cost_usd:.4f}]"


COMMAND = Command("think", "have a task done", _declare, _run)
