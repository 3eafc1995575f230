"""A line for every request that a server has answered, for people or as JSON. Nothing in it says who asked.

2026-11-21T19:55:01Z POST /v1/chat/completions 200 0.812 s claude chat 2 attempts $0.0012 req_4f1c...

GatewaySite(..., told=AccessLog(clock.seconds, print))
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

#: What an answer's headers tell of it: the column, the header, and how it is read.
_TOLD: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("backend", "x-uniwizard-backend", str),
    ("kind", "x-uniwizard-kind", str),
    ("attempts", "x-uniwizard-attempts", int),
    ("cost_usd", "x-uniwizard-cost-usd", float),
    ("request", "x-request-id", str),
)

#: Characters of a path that are shown; what stands behind a ``?`` may be a key, and is not.
_LONGEST = 200


class AccessLog:
    """Writes one line a request. ``now`` is in seconds since the epoch."""

    def __init__(self, now: Callable[[], float], write: Callable[[str], None], *, as_json: bool = False):
        self._now = now
        self._write = write
        self._as_json = as_json

    def __call__(self, request: Any, began: float) -> None:
        """``request`` is answered; it was whole at ``began``."""
        row = self.row(request, began)
        self._write(json.dumps(row) if self._as_json else _told(row))

    def row(self, request: Any, began: float) -> dict[str, Any]:
        """What is known of the request, as plain data; seconds and USD."""
        now = self._now()
        path = (request.path or b"").decode("utf-8", "replace")[:_LONGEST]
        if " " in path or not path.isprintable():
            path = "".join(char if char.isprintable() and char != " " else "?" for char in path)
        row: dict[str, Any] = {
            "time": _second(int(now)),
            "method": (request.method or b"?").decode("ascii", "replace")[:20],
            "path": path,
            "status": int(request.code),
            "seconds": round(max(0.0, now - began), 3),
        }
        headers = request.responseHeaders
        for name, header, read in _TOLD:
            if told := headers.getRawHeaders(header):
                row[name] = read(told[0])
        return row


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    """A second since the epoch as the log says it; many requests share one."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(row: dict[str, Any]) -> str:
    words = [row["time"], row["method"], row["path"], str(row["status"]), f"{row['seconds']:.3f} s"]
    words += [row[name] for name in ("backend", "kind") if name in row]
    if "attempts" in row:
        words.append(f"{row['attempts']} attempt{'' if row['attempts'] == 1 else 's'}")
    if "cost_usd" in row:
        words.append(f"${row['cost_usd']:.4f}")
    return " ".join([*words, *([row["request"]] if "request" in row else [])])
