"""A command of the plugin's: ``uniwizard NAME`` where it is installed, and a module of its own where it is not.

The brain's command line finds them by the entry points of the group ``uniwizard.commands``, so that it need not know
them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PluginCommand:
    """One command: ``declare`` adds its arguments to a parser, ``run`` does it and returns the exit status."""

    name: str
    help: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    #: More than ``help`` says, for its own ``--help``.
    description: str | None = None

    def main(self, program: str, arguments: list[str]) -> int:
        """Run it by itself; returns the exit status, 2 for arguments that it does not take."""
        parser = argparse.ArgumentParser(prog=program, description=self.description or self.help)
        self.declare(parser)
        try:
            parsed = parser.parse_args(arguments)
        except SystemExit as left:
            return int(left.code or 0)
        return self.run(parsed)
