"""Take the plugin out of a game directory again::

    uniwizard uninstall GAME_DIR [--data] [--yes]      # or python -m uniwizard.server.game.uninstall

The marked block goes out of the settings, which are then what they were, to the byte. Nothing that the game stored
refers to Uniwizard: its commands are in no object's cmdset. What is Uniwizard's own stays in the database, for another
time: the Workshop and what stands in it, the ledger, the players' tokens. ``--data`` takes all of that out as well,
after asking: whoever stands in the Workshop goes home, and a Limbo that had become the Workshop is Limbo again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from uniwizard.server.game import settings_block
from uniwizard.server.game.install import is_checkout
from uniwizard.server.game.plugin_command import PluginCommand
from uniwizard.server.game.process import Game
from uniwizard.server.game.settings_block import SETTINGS


class NotTakenOut(Exception):
    """It cannot be done; the message says why, in one line."""


def uninstall(game_dir: Path) -> bool:
    """Take the block out of the settings; False when there was none. Raises OSError."""
    before = settings_block.read(game_dir / SETTINGS)
    after = settings_block.without_block(before)
    if before == after:
        return False
    settings_block.write(game_dir / SETTINGS, after)
    return True


def data_in(game_dir: Path, task: str) -> list[str]:
    """What ``clear_data.py`` says of the game's database, one line each. ``task``: ``count``, ``rest`` or ``clear``.

    Raises NotTakenOut.
    """
    command = [sys.executable, "-m", "uniwizard.server.game.clear_data", task]
    done = subprocess.run(command, cwd=game_dir, capture_output=True, text=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise NotTakenOut(f"the game's database cannot be changed: {said[-1] if said else done.returncode}")
    lines: list[str] = json.loads(done.stdout.splitlines()[-1])
    return lines


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", type=Path, metavar="GAMEDIR", help="the game's directory")
    parser.add_argument("--data", action="store_true", help="also drop what Uniwizard keeps in the game's database")
    parser.add_argument("--yes", action="store_true", help="do not ask before data is dropped")


def _run(arguments: argparse.Namespace) -> int:
    game_dir: Path = arguments.game
    try:
        _uninstall(game_dir.resolve(), data=arguments.data, yes=arguments.yes)
    except (OSError, ValueError, NotTakenOut) as error:
        print(f"Uniwizard could not be taken out of {game_dir}: {error}", file=sys.stderr)
        return 1
    return 0


def _uninstall(game_dir: Path, *, data: bool, yes: bool) -> None:
    if not (game_dir / SETTINGS).exists():
        raise NotTakenOut(f"there is no {SETTINGS}")
    if Game(game_dir).processes():
        raise NotTakenOut("the game is running, and would write again what is taken out; `evennia stop` first")
    left: list[str] = []
    if data:
        lines = data_in(game_dir, "count")
        print("\n".join(("This goes, for good:", *(f"  {line}" for line in lines or ["nothing"]))))
        if not yes and not _agreed():
            raise NotTakenOut("nothing was changed")
        data_in(game_dir, "clear")
    else:
        left = data_in(game_dir, "rest")
    taken_out = uninstall(game_dir)
    if data and not is_checkout(game_dir):
        shutil.rmtree(game_dir / ".uniwizard", ignore_errors=True)
    print(f"{game_dir}: {f'took Uniwizard out of {SETTINGS}' if taken_out else 'it was not in the settings'}")
    if left:
        print(f"{game_dir}: left in the database ({'; '.join(left)}); --data takes that out, too")
    print("What to do next: evennia start; where nothing is left, also pip uninstall uniwizard")


def _agreed() -> bool:
    try:
        return input("Type yes to go on: ").strip().lower() == "yes"
    except EOFError:
        return False


COMMAND = PluginCommand("uninstall", "take Uniwizard out of an Evennia game", _declare, _run)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    return COMMAND.main("python -m uniwizard.server.game.uninstall", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
