"""Which version this is: of the checkout that runs, else of the package that is installed."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path


def version() -> str:
    """Such as ``0.2.0``; ``unknown`` where neither is there."""
    try:
        text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
        project = tomllib.loads(text)["project"]
        if project["name"] == "uniwizard":
            return str(project["version"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return importlib.metadata.version("uniwizard")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
