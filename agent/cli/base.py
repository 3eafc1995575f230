"""What a command is, and how it says that it cannot do what it was told::

COMMAND = Command("route", "say who would be asked", declare, run)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command: ``declare`` adds its arguments to a parser, ``run`` does it and returns the exit status."""

    name: str
    help: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    #: More than ``help`` says, for its own ``--help``.
    description: str | None = None


class UsageError(Exception):
    """The command cannot do what it was told; the message says why, in one line."""
