"""What installed packages add: their entry points of the groups ``uniwizard.NAME``.

    for command in added("commands"): ...

One that cannot be loaded is told on standard error and left out: a broken package must not take the others with it.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any


def declared(name: str) -> tuple[EntryPoint, ...]:
    """The entry points of the group, not loaded yet, in the order of their names."""
    found = {point.name: point for point in entry_points(group=f"uniwizard.{name}")}
    return tuple(found[key] for key in sorted(found))


def added(name: str) -> list[Any]:
    """What the entry points of the group stand for."""
    loaded = []
    for point in declared(name):
        try:
            loaded.append(point.load())
        except Exception as error:
            print(f"{point.group}: {point.name} ({point.value}) cannot be loaded: {error}", file=sys.stderr)
    return loaded
