"""``python -m agent serve``: answer other programs, in OpenAI's protocol."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ..config.loader import load
from ..gateway.kept_state import default_path
from ..gateway.server import KEY_VARIABLE, NotServed, serve
from .base import Command, UsageError
from .running import narrate


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to listen on (127.0.0.1)")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="F",
        help="the file that keeps quotas and health over a restart (one for each config, below XDG_STATE_HOME); "
        "/dev/null keeps nothing",
    )
    parser.add_argument("--port", type=_port, default=8000, metavar="P", help="the port (8000); 0 takes a free one")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, which is a number from 0 to 65535")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, os.environ)
    key = os.environ.get(KEY_VARIABLE, "").strip()
    try:
        return serve(config, arguments.host, arguments.port, key, narrate, state=_state(arguments))
    except NotServed as error:
        raise UsageError(str(error)) from None


def _state(arguments: argparse.Namespace) -> Path | None:
    chosen: Path = arguments.state or default_path(arguments.config, os.environ)
    return None if str(chosen) == os.devnull else chosen


COMMAND = Command("serve", "answer other programs, in OpenAI's protocol", _declare, _run)
