"""The data files of the judge, ``configs/judge/``, each checked against the schema beside it.

    load("words.yaml", "words")["roleplay_tasks"]

Raises ConfigError: which file, where in it, what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..config.yaml_files import CONFIGS, read_checked

#: Where phrases, words and weights live.
FOLDER = CONFIGS / "judge"


def load(name: str, schema: str, folder: Path = FOLDER) -> Mapping[str, Any]:
    """The file ``name``, valid by ``configs/judge/<schema>.schema.json``. Raises ConfigError."""
    data: Mapping[str, Any] = read_checked(folder / name, f"judge/{schema}")
    return data


@cache
def words(key: str) -> frozenset[str]:
    """One list of ``words.yaml``."""
    return frozenset(_words()[key].split())


@cache
def words_by_language(key: str) -> Mapping[str, tuple[str, ...]]:
    """Word -> the languages it is listed under, for one of the lists by language in ``words.yaml``."""
    found: dict[str, tuple[str, ...]] = {}
    for language, listed in _words()[key].items():
        for word in listed.split():
            found[word] = (*found.get(word, ()), language)
    return found


@cache
def _words() -> Mapping[str, Any]:
    return load("words.yaml", "words")
