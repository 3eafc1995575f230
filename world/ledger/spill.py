"""Where what cannot be written to the database waits: a file of JSON lines that only its owner can read.

spill.append(operations)      # durable when it returns; raises OSError
spill.read()                  # all of them, oldest first; what a crash tore off is left out
spill.clear()                 # once they are in the database
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: What happened: its name, then plain data. See :mod:`world.ledger.storage`.
Operation = tuple[Any, ...]


class Spill:
    """One file; it exists only while something waits in it."""

    def __init__(self, path: Path):
        self.path = path

    def __bool__(self) -> bool:
        return self.path.exists()

    def append(self, operations: Iterable[Operation]) -> None:
        """Add to the file and see it onto the disk."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            text = "".join(json.dumps(operation) + "\n" for operation in operations)
            if size and os.pread(handle, 1, size - 1) != b"\n":
                # A crash, or a full disk, cut the last line.
                text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(handle)

    def read(self) -> list[Operation]:
        """Everything that waits."""
        if not self:
            return []
        operations = []
        for line in self.path.read_bytes().splitlines():
            try:
                operations.append(tuple(json.loads(line)))
            except (ValueError, TypeError):
                continue
        return operations

    def rows(self) -> int:
        """How many operations wait, by the file's lines."""
        try:
            with self.path.open("rb") as file:
                return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        except OSError:
            return 0

    def clear(self) -> None:
        """Nothing waits any more."""
        self.path.unlink(missing_ok=True)
