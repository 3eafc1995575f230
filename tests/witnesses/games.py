"""Game by step: what becomes of five games of other people's when Uniwizard comes, is played, upgraded, and goes.

    python tests/witnesses/games.py [--python PYTHON]... [--skip STEP]... [NAME ...]

``--python`` names interpreters that have Evennia and Uniwizard, one for each version of Evennia to be asked about; this
one otherwise. The games are those of tests/game/theirs.py: a fresh one that somebody has built in, and one on each of
rpsystem, EvAdventure, tutorial_world and xyzgrid. All of it is real: processes, telnet, the command line.

    dry run     shows the change and writes nothing
    install     adds the one block; a second time changes nothing
    play        who was there before looks, thinks and lists the backends
    theirs      no row of the game's own database has changed while it was there
    files       after ``uninstall --data``, every file is what it was, to the byte
    database    ... and every row
    look        ... and who was there looks around, and finds no command of ours
    upgrade     version 0.1, laid over the game from this repository's history and played by somebody new, becomes this
                one by ``install``; they play on; after ``uninstall --data`` they look around, no file is left, and
                nothing in the database says uniwizard

Exit status 1 where anything is not ok.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "game"), str(ROOT / "tests")]

#: The last commit of version 0.1.
FORMER = "76927ed~1"
STEPS = ("dry run", "install", "play", "theirs", "files", "database", "look", "upgrade")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="PYTHON")
    parser.add_argument("--skip", action="append", default=[], choices=STEPS, metavar="STEP")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args(arguments)
    if asked.python:
        # In each of them, this program.
        rest = [*(f"--skip={step}" for step in asked.skip), *asked.names]
        runs = [subprocess.run([python, __file__, *rest]) for python in asked.python]
        return max(run.returncode for run in runs)
    import evennia
    from theirs import GAMES

    version = f"Evennia {evennia.__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"
    print(f"{version:<42}" + "".join(f"{step:>10}" for step in STEPS), flush=True)
    faults: list[str] = []
    for name in asked.names or GAMES:
        found = Played(name).all(asked.skip)
        cells = ("" if step in asked.skip else "ok" if found[step] == "ok" else "NO" for step in STEPS)
        print(f"{name:<42}" + "".join(f"{cell:>10}" for cell in cells), flush=True)
        told = [f"  {step}: {fault}" for step, fault in found.items() if fault != "ok"]
        print("".join(f"{line}\n" for line in told), end="", flush=True)
        faults += told
    return 1 if faults else 0


class Played:
    """One game, from before Uniwizard to after it."""

    def __init__(self, name: str):
        from theirs import TheirGame

        self._folder = tempfile.TemporaryDirectory(prefix="games")
        self.game = TheirGame(name, Path(self._folder.name) / "mygame")

    def all(self, skipped: Collection[str]) -> dict[str, str]:
        """Every step with ``ok`` or what went wrong; what a fault keeps from being tried says so."""
        steps = [step for step in STEPS if step not in skipped]
        found = dict.fromkeys(steps, "not tried")
        try:
            self.make()
            for step in steps:
                work: Callable[[], None] = getattr(self, f"step_{step.replace(' ', '_')}")
                try:
                    work()
                    found[step] = "ok"
                except Exception as fault:
                    said = str(fault).strip().splitlines() or [type(fault).__name__]
                    found[step] = " | ".join(said[-3:])[-400:]
                    if self._running():
                        self.game.stop()
        finally:
            if self._running():
                self.game.stop()
            self._folder.cleanup()
        return found

    def _running(self) -> bool:
        from theirs import _alive

        return any(_alive(self.game.directory / "server" / f"{name}.pid") for name in ("portal", "server"))

    def make(self) -> None:
        """A game that somebody has built and played before they heard of Uniwizard; stopped."""
        from theirs import BUILT, contents, files

        game = self.game
        game.make()
        game.start()
        with game.login("owner") as owner:
            for typed in BUILT[game.name]:
                owner.send(typed)
                owner.quiet(8 if "batch" in typed else 1.5)
        with game.newcomer("Veteran") as veteran:
            veteran.send("look")
            veteran.quiet(1.0)
        # What a character's login adds is there before anything is compared.
        self.looks("Veteran")
        game.stop()
        self.rows, self.files = contents(game), files(game)

    def looks(self, name: str) -> None:
        with self.game.login(name) as session:
            session.send("look")
            seen = session.quiet(1.5)
            assert "no ability" not in seen, seen
            session.send("inventory")
            seen = session.quiet(1.5)
            assert "is not available" not in seen, seen

    def thinks(self, name: str) -> None:
        with self.game.login(name) as session:
            session.send("think What is 17*23?")
            assert "391" in session.expect("s, $"), "no answer"
            session.send("backends")
            session.expect("claude")

    def step_dry_run(self) -> None:
        from theirs import files

        assert "+from uniwizard.server.plugin.settings import extend" in self.game.uniwizard("install", "--dry-run")
        assert files(self.game) == self.files, "something was written"

    def step_install(self) -> None:
        from theirs import files

        assert "What to do next" in self.game.uniwizard("install")
        once = files(self.game)
        changed = {name for name in once if once[name] != self.files.get(name)}
        assert changed == {"server/conf/settings.py", ".uniwizard/.gitignore"}, changed
        assert "nothing to do" in self.game.uniwizard("install")
        assert files(self.game) == once, "a second time changed something"

    def step_play(self) -> None:
        self.game.start()
        self.looks("Veteran")
        self.thinks("Veteran")
        self.game.stop()

    def step_theirs(self) -> None:
        from theirs import contents

        lost = [row for row in self.rows - contents(self.game) if "uniwizard" not in repr(row)]
        assert not lost, lost[:3]

    def step_files(self) -> None:
        from theirs import files

        assert "took Uniwizard out" in self.game.uniwizard("uninstall", "--data", "--yes")
        now = files(self.game)
        changed = sorted(name for name in {*now, *self.files} if now.get(name) != self.files.get(name))
        assert not changed, changed

    def step_database(self) -> None:
        from theirs import contents

        now = contents(self.game)
        assert now == self.rows, [*(now - self.rows)][:3] + [*(self.rows - now)][:3]

    def step_look(self) -> None:
        self.game.start()
        self.looks("Veteran")
        with self.game.login("Veteran") as session:
            session.send("think What is 17*23?")
            assert "is not available" in session.quiet(1.5), "our commands are still there"
        self.game.stop()

    def step_upgrade(self) -> None:
        from theirs import contents, files

        former = Path(self._folder.name) / "former"
        taken = subprocess.run(["git", "archive", FORMER], cwd=ROOT, capture_output=True)
        assert taken.returncode == 0, "this checkout has no history"
        with tarfile.open(fileobj=io.BytesIO(taken.stdout)) as packed:
            packed.extractall(former, filter="data")
        game = self.game
        self.game.run("-m", "server.uniwizard.lay", str(game.directory), cwd=former)
        game.evennia("migrate")
        game.start()
        with game.newcomer("Newbie"):
            time.sleep(1)
        game.stop()
        assert "added Uniwizard" in game.uniwizard("install")
        game.start()
        for name in ("Newbie", "Veteran"):
            self.looks(name)
        self.thinks("Newbie")
        game.stop()
        game.uniwizard("uninstall", "--data", "--yes")
        left = [row for row in contents(game) if "uniwizard" in repr(row)]
        assert not left, left[:3]
        extra = sorted({*files(game)} - {*self.files})
        assert not extra, extra
        game.start()
        self.looks("Newbie")
        game.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
