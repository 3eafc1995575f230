"""``python -m agent goal``: say what done looks like; it is planned backwards, priced, and done, with live progress."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from ..config.loader import load
from ..goals import REACHED, Desk, Goal, InvalidGoal, NotKept, Record, SqliteStore, explained, price, state_of
from ..router import Router
from .base import Command, UsageError
from .files import standard_input, text_of
from .output import dumps, printable
from .running import with_router


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("goal", metavar="TEXT", nargs="?", help="what done looks like; - reads it from standard input")
    parser.add_argument("--plan", action="store_true", help="show the plan and its price, and do nothing")
    parser.add_argument("--check", action="append", default=[], metavar="QUESTION", help="a yes or no that must be yes")
    parser.add_argument("--pattern", action="append", default=[], metavar="REGEX", help="must be found in the result")
    parser.add_argument("--schema", type=Path, metavar="F", help="a JSON Schema that the result must fit")
    parser.add_argument(
        "--want", action="append", default=[], metavar="FACT", help="a fact that must be true: translated ..."
    )
    parser.add_argument("--option", action="append", default=[], metavar="NAME=TEXT", help="such as language=German")
    parser.add_argument("--budget", type=float, metavar="USD", help="the most that it may cost")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="give up after this long")
    parser.add_argument(
        "--resume", action="store_true", help="take up every goal that an earlier run left, and do them"
    )
    parser.add_argument(
        "--store", type=Path, metavar="F", help="where goals are written down (default: the state folder)"
    )


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, os.environ)
    try:
        store = SqliteStore(arguments.store or state_file())
    except NotKept as why:
        raise UsageError(f"goals cannot be kept: {why}") from None

    async def work(router: Router) -> int:
        desk = Desk(router, store)
        goal = None if arguments.resume else _goal(arguments, router.clock.seconds())
        if goal is not None and arguments.plan:
            return _offer(await desk.add(goal, start=False), desk, as_json=arguments.json)
        ended: dict[str, Deferred[None]] = {}
        _listen(desk, ended, quiet=arguments.json)
        try:
            if goal is None:
                await desk.start()
                wanted = [record for record in desk if not record.over and record.state != "offered"]
            else:
                wanted = [await desk.add(goal)]
            for record in wanted:
                if not record.over:
                    await ended.setdefault(record.id, Deferred())
        finally:
            await desk.close()
        for record in wanted:
            print(dumps(state_of(record)) if arguments.json else _told(record))
        return 0 if all(record.state == REACHED for record in wanted) else 1

    try:
        return with_router(config, work)
    except NotKept as why:
        raise UsageError(f"the goal cannot be written down: {why}") from None
    finally:
        store.close()


def state_file() -> Path:
    """Where goals of the command line are kept: the user's state folder, as the XDG specification has it."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "uniwizard" / "goals.db3"


def _goal(arguments: argparse.Namespace, now: float) -> Goal:
    """What was asked for. Raises UsageError."""
    if not arguments.goal:
        raise UsageError("goal takes a TEXT, or --resume")
    words = standard_input().read() if arguments.goal == "-" else arguments.goal
    checks: list[Any] = [{"question": question} for question in arguments.check]
    checks += [{"pattern": pattern} for pattern in arguments.pattern]
    said: dict[str, Any] = {"goal": words, "options": {}}
    if arguments.schema:
        from json import loads

        try:
            said["schema"] = loads(text_of(arguments.schema))
        except (ValueError, RecursionError):
            raise UsageError(f"{arguments.schema}: is not JSON") from None
        checks.append({"schema": said["schema"], "of": "extracted"})
        arguments.want = [*arguments.want, "extracted"]
    for option in arguments.option:
        name, _, text = option.partition("=")
        said["options"][name] = text
    if arguments.want:
        said["wants"] = ["answered", *arguments.want]
    if arguments.budget is not None:
        said["budget"] = {"usd": arguments.budget}
    if arguments.deadline is not None:
        said["deadline"] = now + arguments.deadline
    try:
        return Goal.from_dict({**said, "checks": checks})
    except InvalidGoal as invalid:
        raise UsageError(str(invalid)) from None


def _offer(record: Record, desk: Desk, *, as_json: bool) -> int:
    """The plan and what it will cost; nothing is kept of it."""
    if as_json:
        print(dumps(state_of(record)))
    else:
        print("\n".join(printable(line) for line in explained(record)))
        total = price(record)
        print(f"In all about ${total['usd']:.4f}, {total['seconds']:.0f} s." if not record.over else _told(record))
    status = 1 if record.over else 0
    desk.forget(record.id)
    return status


def _listen(desk: Desk, ended: dict[str, Deferred[None]], *, quiet: bool) -> None:
    def listener(record: Record, event: dict[str, Any]) -> None:
        if not quiet and (line := progress(record, event)):
            print(printable(line), file=sys.stderr, flush=True)
        if event["what"] == "ended" and not (done := ended.setdefault(record.id, Deferred())).called:
            done.callback(None)

    desk.subscribe(listener)


def progress(record: Record, event: dict[str, Any]) -> str:
    """A line for a terminal of what happened; empty for what need not be told."""
    match event["what"]:
        case "planned":
            names = ", ".join(step.action for step in record.steps if step.plan == event["plan"] and step.open)
            total = price(record)
            return f"plan {event['plan']}: {names} (about ${total['usd']:.4f}, {total['seconds']:.0f} s)"
        case "done":
            by = f", {event['backend']}" if event["backend"] else ""
            return f"  {event['action']} is done{by}; ${record.cost_usd:.4f} by now"
        case "failed":
            return f"  {event['action']} failed: {event['why'][:200]}"
        case "turned down":
            return f"  {event['action']} of {event['backend'] or 'nobody'} is turned down: {event['why'][:200]}"
        case "asks for steps":
            return f"  no way to {event['fact']} ({event['why']}): a brain is asked for steps"
        case "steps proposed":
            return f"  proposed: {', '.join(event['steps']) or 'nothing that can be used'}"
    return ""


def _told(record: Record) -> str:
    seconds = record.ended - record.began
    if record.state == REACHED:
        return f"{printable(record.result)}\n[done, {seconds:.1f} s, ${record.cost_usd:.4f}]"
    fact = f"{record.fact}: " if record.fact else ""
    return f"[{record.state}: {fact}{printable(record.why)}; {seconds:.1f} s, ${record.cost_usd:.4f}]"


COMMAND = Command(
    "goal",
    "say what done looks like; plan backwards, and do it",
    _declare,
    _run,
    description="Plan backwards from what done looks like, do every step that is ready at once, check the result, and "
    "plan anew around what failed. Everything is written down before it happens: after a kill, --resume goes on.",
)
