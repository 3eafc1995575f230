"""What the commands about learning share: rows of outcomes, and the packages that not everybody has installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..config.yaml_files import why_unreadable
from .base import UsageError

if TYPE_CHECKING:
    from ..strategies.learning.dataset import Dataset

T = TypeVar("T")


def read_outcomes(path: Path) -> tuple[Dataset, int]:
    """The rows of a file and how many cannot be used, which are told on standard error. Raises UsageError."""
    from ..strategies.learning.dataset import Unusable, read_dataset

    try:
        data, faults = read_dataset(path)
    except Unusable as error:
        raise UsageError(str(error)) from None
    except (OSError, ValueError, EOFError) as error:
        why = why_unreadable(error) if isinstance(error, OSError | ValueError) else "ends in mid-file"
        raise UsageError(f"{path}: {why}") from None
    for fault in faults:
        print(f"{path}: {fault}", file=sys.stderr)
    return data, len(faults)


def with_packages(work: Callable[[], T]) -> T:
    """What ``work`` returns; a package that is missing for it is told with the way to get it. Raises UsageError."""
    try:
        return work()
    except ImportError as error:
        raise UsageError(f"{error.name or error} is needed here: python -m pip install 'uniwizard[learn]'") from None
