"""The files a command is given; every fault in reading or writing one is told here, in one way.

    with lines_of("tasks.jsonl") as lines:          # or "-", standard input
        for line in lines: ...
    schema = text_of(Path("schema.json"))

All of them raise UsageError.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from ..config.yaml_files import why_unreadable
from .base import UsageError


def bytes_of(path: Path) -> bytes:
    """The content of a file."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {why_unreadable(error)}") from None


def text_of(path: Path) -> str:
    """The content of a file of text."""
    try:
        return bytes_of(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {why_unreadable(error)}") from None


def write(path: Path, text: str) -> None:
    """Make ``text`` the content of a file."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def standard_input() -> TextIO:
    """Standard input as UTF-8, whatever it holds."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return sys.stdin


@contextmanager
def lines_of(source: str) -> Iterator[Iterator[str]]:
    """The lines of a file, or of standard input for ``-``. That there are none is told on standard error."""
    filled = False

    def noticed(lines: Iterable[str]) -> Iterator[str]:
        nonlocal filled
        for line in lines:
            filled = filled or not line.isspace()
            yield line

    with _opened(source) as file:
        yield noticed(file)
    if not filled:
        print(f"{'standard input' if source == '-' else source}: is empty", file=sys.stderr)


def _opened(source: str) -> TextIO:
    if source == "-":
        return standard_input()
    try:
        return Path(source).open(encoding="utf-8", errors="replace")
    except (OSError, ValueError) as error:
        raise UsageError(f"{source}: {why_unreadable(error)}") from None
