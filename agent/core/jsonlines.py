"""JSON Lines as people hand them over: an object a line, blank lines between, and here and there a line that is none.

for number, row, fault in objects(open("tasks.jsonl")): ...
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def objects(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Every line that is not blank: its number from 1, its object, and what is wrong with it; one of these is empty."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, {}, "is not JSON"
            continue
        if isinstance(row, dict):
            yield number, row, ""
        else:
            yield number, {}, "is not an object"
