"""What every test is marked with, and that the quick ones start no process.

``game``: a test that uses a game's fixture, or says so itself. ``witness`` and ``slow``: a test in one of FOLDERS, or
that says so itself. Whatever has none of them is run by ``make quick``, where to start a process is an error.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import ssl
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import examples
import pytest

# Before numpy is imported: for small matrices a thread costs more than it brings, and every core has a worker already.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1"))

# What the tests' tools read anew each time although it stays the same: pytest asks for Twisted's version at every test
# (1 ms), and every HTTP client reads the certificates of all authorities (20 ms).
importlib.metadata.version = cache(importlib.metadata.version)
ssl.create_default_context = cache(ssl.create_default_context)

#: What every test of a folder is.
FOLDERS = {"witnesses": "witness", "install": "slow"}
#: Fixtures that bring a game with them.
GAMES = frozenset({"first_play", "game", "play"})
#: Whose tests may start processes.
UNHURRIED = ("game", "slow", "witness")

assert examples  # which sets how properties are tried

_quick_test: str | None = None


def pytest_itemcollected(item: pytest.Item) -> None:
    if marker := FOLDERS.get(item.path.parent.name):
        item.add_marker(marker)
    if GAMES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("game")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Games come first: their files take minutes each, and the many short ones then fill what is left of the time."""
    items.sort(key=lambda item: item.get_closest_marker("game") is None)


def pytest_collection_finish() -> None:
    """The tests themselves are a million objects that live to the end; the garbage collector need not walk them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _quick_test
    _quick_test = None if any(item.get_closest_marker(name) for name in UNHURRIED) else item.nodeid
    try:
        return (yield)
    finally:
        _quick_test = None


def _no_process_in_a_quick_test(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _quick_test is not None:
        raise RuntimeError(f"{_quick_test} starts a process ({arguments[0]}); mark it slow, game or witness")


sys.addaudithook(_no_process_in_a_quick_test)
