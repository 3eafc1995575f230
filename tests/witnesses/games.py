"""Game by step: what becomes of five games of other people's when Uniwizard comes, is played, upgraded, and goes.

    python tests/witnesses/games.py [--evennia VERSION]... [--skip STEP]... [NAME ...]

For each version of Evennia (5.0.1 and 6.1.0 unless named) an environment is made in ``.venv/games/``, with that Evennia
and what Uniwizard needs from PyPI, and Uniwizard itself as a wheel of this checkout: nothing in it is a link to here.
The games are those of tests/game/theirs.py: a fresh one that somebody has built in, and one on each of rpsystem,
EvAdventure, tutorial_world and xyzgrid. All of it is real: processes, telnet, pip, the command line.

    dry run     shows the change and writes nothing
    install     adds the one block; a second time changes nothing
    play        who was there before looks, thinks and lists the backends
    theirs      no row of the game's own database has changed while it was there
    files       after ``uninstall --data``, every file is what it was, to the byte
    database    ... and every row
    look        ... and who was there looks around, and finds no command of ours
    upgrade     an older wheel is installed and played; pip brings this one, the game goes on, and the answer of before
                is still there; after ``uninstall --data`` every file and row is what it was
    stay        somebody new comes; after ``uninstall`` without --data they look around; after a second ``install`` they
                find the Workshop again
    from 0.1    version 0.1, laid over the game from this repository's history and played by somebody new, becomes this
                one by ``install``; they play on; after ``uninstall --data`` they look around, no file is left, and
                nothing in the database says uniwizard

Exit status 1 where anything is not ok. The Evennias are asked side by side; each takes about half an hour.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "game"), str(ROOT / "tests")]

from theirs import BUILT, GAMES, TheirGame, _alive, contents, files  # noqa: E402

EVENNIAS = ("5.0.1", "6.1.0")
#: The Pythons to look for, by the first number of an Evennia's version; Evennia 6 needs 3.12.
PYTHONS = {"5": ("python3.11", "python3.12", "python3.13"), "6": ("python3.13", "python3.12")}
#: The last commit of version 0.1, and one of 0.2 whose wheel is the older one.
FORMER, OLDER = "76927ed~1", "7b118cc"
STEPS = ("dry run", "install", "play", "theirs", "files", "database", "look", "upgrade", "stay", "from 0.1")
_printing = threading.Lock()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evennia", action="append", default=[], metavar="VERSION")
    parser.add_argument("--skip", action="append", default=[], choices=STEPS, metavar="STEP")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="wheels") as folder:
        wheels = Wheels(Path(folder))
        environments = [Environment(version, wheels) for version in asked.evennia or EVENNIAS]
        print(f"{'':<34}" + "".join(f"{step:>10}" for step in STEPS), flush=True)
        with ThreadPoolExecutor(len(environments)) as pool:
            runs = [pool.submit(_played, each, asked.names or list(GAMES), asked.skip) for each in environments]
            return max(int(run.result()) for run in runs)


def _played(environment: Environment, names: list[str], skipped: Collection[str]) -> bool:
    """Whether anything went wrong in one environment; a line a game."""
    wrong = False
    for name in names:
        environment.has(environment.wheels.now)
        found = Played(name, environment).all(skipped)
        cells = ("" if step in skipped else "ok" if found[step] == "ok" else "NO" for step in STEPS)
        faults = [f"  {step}: {fault}" for step, fault in found.items() if fault != "ok"]
        with _printing:
            title = f"{name}, {environment}"
            print("\n".join((f"{title:<34}" + "".join(f"{cell:>10}" for cell in cells), *faults)), flush=True)
        wrong = wrong or bool(faults)
    return wrong


class Wheels:
    """Uniwizard as distributions: of this checkout, and of an older commit."""

    def __init__(self, folder: Path):
        self._folder = folder
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("tests/"):
                (folder / "now" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / "now" / name)
        self.now = self._built(folder / "now")
        older = extracted(OLDER, folder / "older")
        # It has the version that is not out yet, too; pip is to see which of them is the newer.
        settings = (older / "pyproject.toml").read_text()
        (older / "pyproject.toml").write_text(re.sub(r'(?m)^version = ".*"$', 'version = "0.2.0.dev1"', settings))
        self.older = self._built(older)

    def _built(self, source: Path) -> Path:
        out = self._folder / f"{source.name}.wheel"
        pip(sys.executable, "wheel", "--no-deps", "-w", str(out), str(source))
        (wheel,) = out.glob("*.whl")
        return wheel


class Environment:
    """A Python with one version of Evennia, kept for the next time."""

    def __init__(self, evennia: str, wheels: Wheels):
        self.evennia, self.wheels = evennia, wheels
        place = ROOT / ".venv" / "games" / evennia
        self.python = str(place / "bin" / "python")
        if not (place / "made").exists():
            run([_python(PYTHONS[evennia[0]]), "-m", "venv", "--clear", str(place)])
            # SciPy is what xyzgrid asks for.
            pip(self.python, "install", f"evennia=={evennia}", "scipy", f"{wheels.now}[game]")
            (place / "made").touch()
        self.version = run([self.python, "-c", "import platform; print(platform.python_version())"]).strip()

    def __str__(self) -> str:
        return f"{self.evennia}, Python {self.version}"

    def has(self, wheel: Path) -> None:
        """Install this wheel, whatever was there, as ``pip install`` of a file does."""
        pip(self.python, "install", "--force-reinstall", "--no-deps", str(wheel))

    def upgrade(self, wheel: Path) -> None:
        """As its owner does it."""
        said = pip(self.python, "install", "--upgrade", f"{wheel}[game]")
        assert "Successfully installed uniwizard" in said, said


def _python(names: tuple[str, ...]) -> str:
    """The first of these that can be run; a name may be found that leads nowhere."""
    for found in filter(None, map(shutil.which, names)):
        if subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    return sys.executable


def pip(python: str, *arguments: str) -> str:
    return run([python, "-m", "pip", "--disable-pip-version-check", *arguments])


def run(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def told(rows: Iterable[tuple[str, str]]) -> str:
    """The first few of these, short enough for a line."""
    return ", ".join(f"{table} {row[:100]}" for table, row in [*rows][:3])


def extracted(commit: str, folder: Path) -> Path:
    """The tree of a commit of this repository."""
    taken = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    assert taken.returncode == 0, "this checkout has no history"
    with tarfile.open(fileobj=io.BytesIO(taken.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder


class Played:
    """One game, from before Uniwizard to after it."""

    def __init__(self, name: str, environment: Environment):
        self.environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="games")
        self.game = TheirGame(name, Path(self._folder.name) / "mygame", environment.python)

    def all(self, skipped: Collection[str]) -> dict[str, str]:
        """Every step with ``ok`` or what went wrong; what a fault keeps from being tried says so."""
        steps = [step for step in STEPS if step not in skipped]
        found = dict.fromkeys(steps, "not tried")
        try:
            self.make()
            for step in steps:
                work: Callable[[], None] = getattr(self, f"step_{step.replace(' ', '_').replace('.', '_')}")
                try:
                    work()
                    found[step] = "ok"
                except Exception as fault:
                    said = str(fault).strip().splitlines() or [type(fault).__name__]
                    found[step] = " | ".join(said[-3:])[-400:]
                    self._tidied()
        except Exception as fault:
            found[steps[0]] = f"the game could not be made: {str(fault)[-400:]}"
        finally:
            self._stopped()
            self._folder.cleanup()
        return found

    def _tidied(self) -> None:
        """Let the next step begin as if this one had ended well."""
        self._stopped()
        with suppress(AssertionError):
            self.game.uniwizard("uninstall", "--data", "--yes")

    def _stopped(self) -> None:
        if any(_alive(self.game.directory / "server" / f"{name}.pid") for name in ("portal", "server")):
            self.game.stop()

    def make(self) -> None:
        """A game that somebody has built and played before they heard of Uniwizard; stopped."""
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

    def thinks(self, name: str, again: bool = False) -> None:
        """``again``: there is an answer of theirs from before."""
        with self.game.login(name) as session:
            if again:
                session.send("think/again")
                assert "391" in session.expect("s, $"), "the answer of before is gone"
                session.quiet(1.0)
            session.send("think What is 17*23?")
            assert "391" in session.expect("s, $"), "no answer"
            session.send("backends")
            session.expect("claude")

    def step_dry_run(self) -> None:
        assert "+from uniwizard.server.plugin.settings import extend" in self.game.uniwizard("install", "--dry-run")
        assert files(self.game) == self.files, "something was written"

    def step_install(self) -> None:
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
        lost = [row for row in self.rows - contents(self.game) if "uniwizard" not in repr(row)]
        assert not lost, told(lost)

    def step_files(self) -> None:
        assert "took Uniwizard out" in self.game.uniwizard("uninstall", "--data", "--yes")
        now = files(self.game)
        changed = sorted(name for name in {*now, *self.files} if now.get(name) != self.files.get(name))
        assert not changed, changed

    def step_database(self) -> None:
        now = contents(self.game)
        assert now == self.rows, f"new: {told(now - self.rows)}; lost: {told(self.rows - now)}"

    def step_look(self) -> None:
        self.game.start()
        self.looks("Veteran")
        with self.game.login("Veteran") as session:
            session.send("think What is 17*23?")
            assert "is not available" in session.quiet(1.5), "our commands are still there"
        self.game.stop()

    def step_upgrade(self) -> None:
        game = self.game
        self.environment.has(self.environment.wheels.older)
        try:
            game.uniwizard("install")
            game.start()
            self.thinks("Veteran")
            game.stop()
        finally:
            self._stopped()
            self.environment.upgrade(self.environment.wheels.now)
        game.start()
        self.looks("Veteran")
        self.thinks("Veteran", again=True)
        game.stop()
        game.uniwizard("uninstall", "--data", "--yes")
        assert files(game) == self.files, "a file is not what it was"
        self.step_database()

    def step_stay(self) -> None:
        game = self.game
        game.uniwizard("install")
        game.start()
        with game.newcomer("Guest"):
            time.sleep(1)
        self.thinks("Guest")
        game.stop()
        assert "left in the database" in game.uniwizard("uninstall")
        game.start()
        self.looks("Guest")
        game.stop()
        game.uniwizard("install")
        game.start()
        self.thinks("Guest", again=True)
        game.stop()
        game.uniwizard("uninstall", "--data", "--yes")
        self.nothing_left()

    def step_from_0_1(self) -> None:
        game = self.game
        former = extracted(FORMER, Path(self._folder.name) / "former")
        game.run("-m", "server.uniwizard.lay", str(game.directory), cwd=former)
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
        self.nothing_left()
        game.start()
        self.looks("Newbie")
        game.stop()

    def nothing_left(self) -> None:
        left = [row for row in contents(self.game) if "uniwizard" in repr(row)]
        assert not left, told(left)
        lost = [*(self.rows - contents(self.game))]
        assert not lost, told(lost)
        extra = sorted({*files(self.game)} - {*self.files})
        assert not extra, extra


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
