"""A line for every request that a server has answered, for people or as JSON. Nothing in it says who asked.

2026-11-21T19:55:01Z POST /v1/chat/completions 200 0.812 s claude chat 2 attempts $0.0012 req_4f1c...

GatewaySite(..., told=AccessLog(clock.seconds, print))
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

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
        row: dict[str, Any] = {
            "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "method": (request.method or b"?").decode("ascii", "replace")[:20],
            "path": "".join(char if char.isprintable() and char != " " else "?" for char in path),
            "status": int(request.code),
            "seconds": round(max(0.0, now - began), 3),
        }
        for name in ("backend", "kind", "attempts", "cost-usd"):
            if told := request.responseHeaders.getRawHeaders(f"x-uniwizard-{name}"):
                row[name.replace("-", "_")] = told[0]
        for name, read in (("attempts", int), ("cost_usd", float)):
            if name in row:
                row[name] = read(row[name])
        if told := request.responseHeaders.getRawHeaders("x-request-id"):
            row["request"] = told[0]
        return row


def _told(row: dict[str, Any]) -> str:
    words = [row["time"], row["method"], row["path"], str(row["status"]), f"{row['seconds']:.3f} s"]
    words += [row[name] for name in ("backend", "kind") if name in row]
    if "attempts" in row:
        words.append(f"{row['attempts']} attempt{'' if row['attempts'] == 1 else 's'}")
    if "cost_usd" in row:
        words.append(f"${row['cost_usd']:.4f}")
    return " ".join([*words, *([row["request"]] if "request" in row else [])])
