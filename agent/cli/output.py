"""What a command prints: JSON for programs, words for a terminal."""

from __future__ import annotations

import json
from typing import Any


def dumps(value: Any) -> str:
    """``value`` as JSON on one line; half a character, which no output can carry, as its escape."""
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """``text`` without what could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
