"""``python -m agent import``: another gateway's configuration as ours."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..config.foreign import Unknown, read_foreign
from .base import Command, UsageError
from .files import standard_input, text_of, write
from .output import dumps


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the configuration, or a command line in a file; - reads it here")
    parser.add_argument(
        "--output", type=Path, metavar="F", help="write the backends file here and not to standard output"
    )


def _run(arguments: argparse.Namespace) -> int:
    text = standard_input().read() if arguments.file == "-" else text_of(Path(arguments.file))
    try:
        draft = read_foreign(text)
    except Unknown as unknown:
        raise UsageError(f"{arguments.file}: {unknown}") from None
    if arguments.json:
        lost = [
            *draft.lost,
            *((f"{key}: {where}", why) for key, kept in draft.by_backend.items() for where, why in kept),
        ]
        told = [{"where": where, "why": why} for where, why in lost]
        print(dumps({"backends": draft.document, "not_carried_over": told}))
        return 0
    if arguments.output is None:
        print(draft.written(), end="")
        return 0
    if arguments.output.exists():
        raise UsageError(f"{arguments.output}: is there already")
    write(arguments.output, draft.written())
    left = len(draft.lost) + sum(map(len, draft.by_backend.values()))
    print(f"{arguments.output}: {len(draft.backends)} backends; {left} lines not carried over", file=sys.stderr)
    return 0


COMMAND = Command(
    "import",
    "another gateway's configuration as ours",
    _declare,
    _run,
    "Reads a LiteLLM config.yaml, a Portkey config, a RouteLLM config or command line, or OpenRouter's models and "
    "provider preferences, and prints a backends.yaml, with a comment on each line that could not be carried over.",
)
