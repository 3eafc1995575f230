"""``python -m agent check``: what it says of the backends in a config, and of the providers in the catalogue.

    rows = backend_rows(config, {"claude": "", "kimi": "auth: HTTP 401"})    # for programs; health as a probe found it
    print("\\n".join(backends_told(rows)))                                   # for people, within 80 columns

No key is ever shown, only the name of the variable that holds it and whether it is set.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config.catalogue import CATALOGUE, catalogue
from ..config.faults import meant, quoted
from ..config.kinds import read_kinds
from ..config.loader import load
from ..config.prices import installed
from ..config.settings import Config
from ..judge.text.phrases import phrase_book
from ..router import Router
from .base import Command
from .output import dumps
from .running import with_router

Row = dict[str, Any]


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probe", action="store_true", help="also ask every backend whether it is there; costs nothing"
    )
    parser.add_argument(
        "--providers", action="store_true", help="list the known providers, and whose keys are set here"
    )


def _run(arguments: argparse.Namespace) -> int:
    return _check_providers(arguments) if arguments.providers else _check_backends(arguments)


def _check_providers(arguments: argparse.Namespace) -> int:
    rows = provider_rows(os.environ)
    if arguments.json:
        print(dumps({"catalogue": str(CATALOGUE), "providers": rows}))
    else:
        print("\n".join(providers_told(rows)))
    return 0


def _check_backends(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, os.environ)
    phrase_book()
    health = _probed(config) if arguments.probe else {}
    rows = backend_rows(config, health)
    if arguments.json:
        print(dumps({"config": str(arguments.config), "backends": rows}))
    else:
        print("\n".join(backends_told(rows)))
        for hint in strength_hints(config):
            print(f"{arguments.config}: {hint}", file=sys.stderr)
        print(f"{arguments.config}: {len(rows)} backends, {len(config.rules)} rules, no faults")
    return 0


def strength_hints(config: Config) -> Iterator[str]:
    """Strengths and weaknesses that no kind of work calls for, and that are much like one that some do."""
    known = {word for words in read_kinds().suits.values() for word in words}
    for backend in config.backends.values():
        for which, words in (("strengths", backend.strengths), ("weaknesses", backend.weaknesses)):
            for word in words:
                if word not in known and (hint := meant(word, known)):
                    yield f"backends.{backend.key}.{which}: no kind of work calls for {quoted(word)}{hint}"


def _probed(config: Config) -> dict[str, str]:
    """What every backend said when it was asked whether it is there; empty for well."""
    health: dict[str, str] = {}

    async def ask(router: Router) -> int:
        health.update(await router.probe_all())
        return 0

    with_router(config, ask, start=False)
    return health


def backend_rows(config: Config, health: Mapping[str, str]) -> list[Row]:
    """One row a backend. ``health`` is what a probe said by backend: empty for well; without it nobody was asked."""
    return [
        {
            "backend": backend.key,
            "provider": backend.provider or None,
            "api": backend.api,
            "model": backend.model,
            "usd_per_1k_in": backend.price.input,
            "usd_per_1k_out": backend.price.output,
            "usd_per_1k_cached": backend.price.cached_input,
            "price_source": backend.price_source,
            "max_context": backend.max_context,
            "state": health.get(backend.key, f"asleep: {backend.unconfigured}" if backend.unconfigured else "awake")
            or "answers",
        }
        for backend in config.backends.values()
    ]


def backends_told(rows: Sequence[Row]) -> Iterator[str]:
    yield from _table(
        ["backend", "provider", "model", "$/1k in/out", "price", "state"],
        [
            [
                row["backend"],
                row["provider"] or f"({row['api']})",
                row["model"],
                "?" if row["price_source"] == "unknown" else f"{row['usd_per_1k_in']:g}/{row['usd_per_1k_out']:g}",
                row["price_source"],
                row["state"].partition(":")[0],
            ]
            for row in rows
        ],
    )
    for row in rows:
        state, colon, why = row["state"].partition(": ")
        if colon:
            yield f"{row['backend']} {'is ' if state == 'asleep' else ''}{state}: {why}"
    if unpriced := [row["backend"] for row in rows if row["price_source"] == "unknown"]:
        why = "" if installed() else " (the price library, genai-prices, is not installed)"
        said = f"price unknown{why}: {', '.join(unpriced)}; their cost counts as $0 until cost_per_1k says it"
        yield from textwrap.wrap(said, 80)


def provider_rows(env: Mapping[str, str]) -> list[Row]:
    """One row a provider of the catalogue, with the variables it needs and those that are missing from ``env``."""
    return [
        {
            "provider": provider.key,
            "name": provider.name,
            "api": provider.defaults["api"],
            "url": provider.defaults["url"],
            "needs": list(provider.variables),
            "missing": [name for name in provider.variables if not env.get(name, "").strip()],
            "note": provider.note,
            "source": provider.source,
            "read": provider.read,
        }
        for provider in catalogue().values()
    ]


def providers_told(rows: Sequence[Row]) -> Iterator[str]:
    yield from _table(
        ["provider", "set here", "what it is", "wants"],
        [
            [
                row["provider"],
                "no" if row["missing"] else "yes" if row["needs"] else "-",
                row["name"].partition(" (")[0],
                row["needs"][0] if row["needs"] else "",
            ]
            for row in rows
        ],
    )
    also = [f"{row['provider']} wants {' and '.join(row['needs'][1:])} too" for row in rows if row["needs"][1:]]
    yield from textwrap.wrap("; ".join(also), 80)
    ready = sum(bool(row["needs"]) and not row["missing"] for row in rows)
    yield f"{len(rows)} providers, {ready} of their keys set here; more in configs/{CATALOGUE.name}"


def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


COMMAND = Command("check", "validate the backends file and list the backends", _declare, _run)
