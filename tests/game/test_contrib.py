"""Evennia's LLM contrib against ours: its table row by row, and its own tests. In a game, with no server."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uniwizard.server.game.scratch import own_game

# Evennia makes a database for it, which takes a minute.
pytestmark = [pytest.mark.slow, pytest.mark.witness]


def test_what_holds_of_the_contribs_character_holds_of_ours_and_its_own_tests_pass(tmp_path: Path) -> None:
    game = own_game(tmp_path / "game")
    shutil.copy(Path(__file__).with_name("contrib_rows.py"), game.directory / "world" / "contrib_rows.py")
    launcher = "from evennia.server.evennia_launcher import main; main()"
    command = [sys.executable, "-c", launcher, "test", "--settings", "settings.py", "world.contrib_rows"]
    done = subprocess.run(command, cwd=game.directory, capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    ran = re.search(r"Ran (\d+) tests", said)
    assert ran is not None and int(ran[1]) >= 21
