"""The ledger's command line; run it in the game directory::

    python -m uniwizard.world.ledger export --format csv [--since DATE] [--until DATE] [-o FILE]
    python -m uniwizard.world.ledger export --format jsonl

A row per attempt, oldest first, streamed. DATE is a day (2026-11-20) of the game's time zone; both ends are included. A
file that is written with ``-o`` can be read by its owner alone: it says who asked.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, TextIO


def columns() -> list[str]:
    """The columns of an export, in order."""
    from uniwizard.world.ledger.models import Attempt

    return [field.name for field in Attempt._meta.local_fields if field.name not in ("id", "owner")]


def rows(since: date | None, until: date | None) -> Iterator[dict[str, Any]]:
    """Every attempt of those days as plain data; times are ISO 8601 in UTC."""
    from uniwizard.world.ledger.models import Attempt

    found = Attempt.objects.order_by("started", "id")
    if since is not None:
        found = found.filter(day__gte=since)
    if until is not None:
        found = found.filter(day__lte=until)
    names = columns()
    for values in found.values_list(*names).iterator(2000):
        yield {
            name: value.isoformat() if isinstance(value, date | datetime) else value
            for name, value in zip(names, values, strict=True)
        }


def export(form: str, since: date | None, until: date | None, out: TextIO) -> int:
    """Write the rows to ``out`` as ``csv`` or ``jsonl``; how many they were."""
    found = rows(since, until)
    count = 0
    if form == "csv":
        table = csv.DictWriter(out, columns())
        table.writeheader()
        for row in found:
            table.writerow({name: cell(value) for name, value in row.items()})
            count += 1
    else:
        for row in found:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def cell(value: Any) -> Any:
    """A spreadsheet takes text that begins like this for a formula, and runs it; a provider or a player wrote it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m uniwizard.world.ledger", description="Read the ledger.")
    commands = parser.add_subparsers(dest="command", required=True)
    exporting = commands.add_parser("export", help="a row per attempt, oldest first")
    exporting.add_argument("--format", choices=("csv", "jsonl"), default="csv")
    exporting.add_argument("--since", type=date.fromisoformat, metavar="DATE")
    exporting.add_argument("--until", type=date.fromisoformat, metavar="DATE")
    exporting.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
    asked = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.conf.settings")
    sys.path.insert(0, os.getcwd())
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError

    try:
        django.setup()
    except (ImportError, ImproperlyConfigured) as error:
        print(f"This is no game directory, or its settings are broken: {error}", file=sys.stderr)
        return 2
    try:
        if asked.output is None:
            export(asked.format, asked.since, asked.until, sys.stdout)
            sys.stdout.flush()
        else:
            handle = os.open(asked.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
                count = export(asked.format, asked.since, asked.until, out)
            print(f"{count} attempts written to {asked.output}", file=sys.stderr)
    except BrokenPipeError:
        # Whoever reads, such as `head`, has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, DatabaseError) as error:
        print(f"The ledger cannot be exported: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
