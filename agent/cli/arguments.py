"""The task that ``route`` and ``think`` are given: TASK, ``--kind`` and ``--image``."""

from __future__ import annotations

import argparse
import mimetypes
from pathlib import Path
from typing import Any

from ..core.task import Image, Task
from ..router import Router
from .base import UsageError
from .files import bytes_of, standard_input


def declare_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", metavar="TASK", help="what is to be done; - reads it from standard input")
    parser.add_argument("--kind", metavar="KIND", help="the kind of work, instead of classifying it")
    parser.add_argument("--image", action="append", type=Path, default=[], metavar="FILE", help="a picture or sound")


def declare_strategy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", default="", metavar="NAME", help="a strategy to decide instead of the route")


def check_strategy(router: Router, arguments: argparse.Namespace) -> None:
    """Raises UsageError where the strategy asked for is none."""
    if arguments.strategy and not router.has_strategy(arguments.strategy):
        known = ", ".join(router.strategies())
        raise UsageError(f"--strategy: no strategy {arguments.strategy!r}; allowed: {known}")


def task_of(arguments: argparse.Namespace, **more: Any) -> Task:
    """The task, with ``more`` of its fields; once the config is loaded, which may add kinds. Raises UsageError."""
    prompt = standard_input().read() if arguments.task == "-" else arguments.task
    if not prompt.strip() and not arguments.image:
        raise UsageError("the task is empty")
    images = tuple(map(_image, arguments.image))
    try:
        return Task(prompt, kind=arguments.kind, images=images, **more)
    except ValueError as error:
        raise UsageError(f"--kind: {error}") from None


def _image(path: Path) -> Image:
    media_type, _ = mimetypes.guess_type(path.name)
    if not media_type or media_type.split("/")[0] not in ("image", "audio"):
        raise UsageError(f"{path}: is neither a picture nor a sound by its name")
    return Image(media_type, bytes_of(path))
