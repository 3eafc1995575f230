"""The command line: ``python -m agent COMMAND``; see :data:`COMMANDS`.

Packages add commands with an entry point of the group ``uniwizard.commands``: an object with a ``name``, a ``help``, a
``description``, ``declare(parser)`` and ``run(arguments)``. The plugin's own, ``install`` and ``uninstall``, are such.

Exit status: 0 done; 1 nobody gave a usable answer, or a row of the input could not be used; 2 the command or the
config is at fault. What a program reads goes to standard output, what a person should know to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .cli import calibrate, check, evaluate, goal, import_config, judge, learn, route, serve, simulate, think
from .cli.base import UsageError
from .cli.version import version
from .config.entry_points import added
from .config.yaml_files import CONFIGS, ConfigError

DEFAULT_CONFIG = CONFIGS / "backends.yaml"
COMMANDS = tuple(
    module.COMMAND
    for module in (check, route, think, goal, judge, simulate, serve, learn, calibrate, evaluate, import_config)
)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read us has heard enough; keep Python from complaining again while it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent",
        description="Uniwizard's brain on the command line: choose a backend for a task, ask it, judge the answer.",
    )
    parser.add_argument("--version", action="version", version=f"uniwizard {version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        taken = commands.add_parser(command.name, help=command.help, description=command.description)
        taken.add_argument(
            "--config",
            type=Path,
            default=Path(os.environ.get("UNIWIZARD_CONFIG") or DEFAULT_CONFIG),
            metavar="FILE",
            help="the backends file (default: UNIWIZARD_CONFIG, else configs/backends.yaml)",
        )
        taken.add_argument("--json", action="store_true", help="print JSON, for programs")
        command.declare(taken)
        taken.set_defaults(run=command.run)
    for more in added("commands"):
        taken = commands.add_parser(more.name, help=more.help, description=more.description or more.help)
        more.declare(taken)
        taken.set_defaults(run=more.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
