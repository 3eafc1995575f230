"""What a game keeps to itself, in ``.uniwizard/``: the superuser's password, what was laid, where it answers.

The directory is mode 700 and ignores itself in git, so it stays private in any game it is made in.

    chosen = superuser(game_dir, os.environ)
    chosen.name, chosen.password
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The superuser's name where the environment names no other.
DEFAULT_SUPERUSER = "wizard"


@dataclass(frozen=True, slots=True)
class Superuser:
    """The account that owns the game. ``password`` is empty where only its owner knows it."""

    name: str
    password: str = field(default="", repr=False)


def private_dir(game_dir: Path) -> Path:
    """``game_dir/.uniwizard``, made if it is missing."""
    directory = game_dir / ".uniwizard"
    directory.mkdir(mode=0o700, exist_ok=True)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return directory


def write_private(path: Path, text: str) -> None:
    """Write a new file that is never readable by anyone else, not even while it is being written.

    Raises FileExistsError rather than write over a file.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def keep_private(paths: Iterable[str | Path]) -> None:
    """Let nobody but their owner read these files, of those that there are.

    SQLite gives the files that it keeps beside a database the mode of the database.
    """
    for path in paths:
        for file in (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")):
            with suppress(FileNotFoundError):
                file.chmod(0o600)


def databases(settings: Any) -> Iterator[str]:
    """The SQLite files of a game with these Django settings: who asked what stands in them."""
    for database in settings.DATABASES.values():
        if database["ENGINE"].endswith("sqlite3"):
            yield str(database["NAME"])


def superuser_file(game_dir: Path) -> Path:
    """Where the superuser's name and password are kept."""
    return game_dir / ".uniwizard" / "superuser"


def stored_superuser(game_dir: Path) -> Superuser | None:
    """The superuser whose password was chosen by :func:`superuser`, or None."""
    path = superuser_file(game_dir)
    if not path.exists():
        return None
    lines = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line)
    return Superuser(lines["username"], lines["password"])


def superuser(game_dir: Path, environ: Mapping[str, str]) -> Superuser:
    """The superuser to create.

    ``EVENNIA_SUPERUSER_USERNAME`` and ``EVENNIA_SUPERUSER_PASSWORD`` come first; a password that came from there is
    not written down. Otherwise the stored one, otherwise a random one (144 bits), which is stored before it is used.
    """
    name = environ.get("EVENNIA_SUPERUSER_USERNAME")
    password = environ.get("EVENNIA_SUPERUSER_PASSWORD")
    if password:
        return Superuser(name or DEFAULT_SUPERUSER, password)
    if (stored := stored_superuser(game_dir)) is not None:
        return stored
    chosen = Superuser(name or DEFAULT_SUPERUSER, secrets.token_urlsafe(18))
    private_dir(game_dir)
    write_private(superuser_file(game_dir), f"username={chosen.name}\npassword={chosen.password}\n")
    return chosen
