"""``python -m agent serve``: answer other programs, in OpenAI's protocol."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from ..config.loader import load
from ..gateway.access_log import AccessLog
from ..gateway.kept_state import default_path
from ..gateway.server import KEY_VARIABLE, NotServed, serve
from .base import Command, UsageError
from .running import narrate, narrate_as_json


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="the address to listen on (127.0.0.1)")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="F",
        help="the file that keeps quotas and health over a restart (one for each config, below XDG_STATE_HOME); "
        "/dev/null keeps nothing",
    )
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    parser.add_argument("--json-logs", action="store_true", help="a JSON object a line instead of words")
    parser.add_argument("--port", type=_port, default=8000, metavar="P", help="the port (8000); 0 takes a free one")


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, which is a number from 0 to 65535")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config, os.environ)
    key = os.environ.get(KEY_VARIABLE, "").strip()
    log = None if arguments.quiet else AccessLog(time.time, _write, as_json=arguments.json_logs)
    told = narrate_as_json if arguments.json_logs else narrate
    try:
        return serve(config, arguments.host, arguments.port, key, told, state=_state(arguments), logged=log)
    except NotServed as error:
        raise UsageError(str(error)) from None


def _write(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _state(arguments: argparse.Namespace) -> Path | None:
    chosen: Path = arguments.state or default_path(arguments.config, os.environ)
    return None if str(chosen) == os.devnull else chosen


COMMAND = Command("serve", "answer other programs, in OpenAI's protocol", _declare, _run)
