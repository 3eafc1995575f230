"""Games that need not be prepared again: copies of one whose database is migrated and whose world stands.

    game = copied(directory, settings="UNIWIZARD_THINK_COOLDOWN = 0", environ={"UPSTREAM": url})
    game.start()

The first that is asked for makes the original, for all workers of a run; a copy takes a second where a new game takes
fifteen. The original's superuser is every copy's.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from uniwizard.server.game.process import Game
from uniwizard.server.game.scratch import own_game

#: Names the folder that all workers of a run share; without it a process has one of its own.
FOLDER = "UNIWIZARD_PREPARED_GAMES"
#: Django's own hash is made to take half a second, at every creation of an account and every login.
CHEAP_PASSWORDS = 'PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]\n'


def copied(directory: Path, *, settings: str = "", environ: Mapping[str, str] | None = None) -> Game:
    """A game in ``directory`` as :func:`own_game` makes it, ready to be started."""
    shutil.copytree(_original(), directory, dirs_exist_ok=True)
    return own_game(directory, settings=settings, environ=environ)


@cache
def _original() -> Path:
    folder = Path(os.environ.get(FOLDER) or _folder_of_this_process())
    folder.mkdir(exist_ok=True)
    made = folder / "game"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            game = own_game(folder / "unfinished", settings=CHEAP_PASSWORDS)
            try:
                game.prepare()
                # Evennia's first start of a new game takes two, and then the world is built.
                game.start()
            finally:
                game.stop()
            game.directory.rename(made)
    return made


def _folder_of_this_process() -> str:
    folder = tempfile.mkdtemp(prefix="uniwizard-games-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
