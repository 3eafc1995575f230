"""Add the installed plugin to a game directory::

    uniwizard install GAME_DIR [--dry-run]      # or python -m uniwizard.server.game.install

Where GAME_DIR is no Evennia game yet, it becomes one: the installed Evennia's game template is copied into it, as
``evennia --init`` does. The game's settings get one marked block that composes Uniwizard with whatever they say;
nothing else of the game's is touched, and no file of the plugin is copied. Before anything is written it is shown, and
the game is loaded with Uniwizard in a process of its own, so that nothing is missing when it starts. Running it again
changes nothing; :mod:`uniwizard.server.game.uninstall` is the way back.

Version 0.1 copied the plugin's files into the game. Those are taken out again, except the ones that somebody has edited
since; what was copied is known by its hash in ``.uniwizard/laid.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import secrets
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from uniwizard.server.game import settings_block
from uniwizard.server.game.plugin_command import PluginCommand
from uniwizard.server.game.private import private_dir, write_private
from uniwizard.server.game.settings_block import SETTINGS

#: Stock files that only some versions of Evennia have.
_STOCK_IN_SOME_VERSIONS = frozenset({"world/batch_cmds.ev", "server/conf/inlinefuncs.py"})
#: What the plugin needs: module to package. pyproject.toml has the versions.
_NEEDED = {
    "evennia": "evennia",
    "httpx": "httpx",
    "yaml": "pyyaml",
    "jsonschema": "jsonschema",
    "json_repair": "json-repair",
    "re2": "google-re2",
    "genai_prices": "genai-prices",
    "prometheus_client": "prometheus-client",
    "OpenSSL": "twisted[tls]",
    "markdown_it": "markdown-it-py",
}

SECRET_SETTINGS = Path("server/conf/secret_settings.py")


@dataclass(slots=True)
class Report:
    """What :func:`install` did; paths are relative to the game directory."""

    game_dir: Path
    new_game: bool = False
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    settings_extended: bool = False
    #: What changes in the settings, as a unified diff.
    diff: str = ""

    def lines(self) -> Iterator[str]:
        """The report for people, a line each."""
        if self.new_game:
            yield "made a new Evennia game (settings, secret key, stock files)"
        if self.removed:
            yield f"removed {len(self.removed)} files that version 0.1 had copied here"
        for path in self.kept:
            yield f"kept {path}, which somebody has edited"
        if self.settings_extended:
            yield f"added Uniwizard to {SETTINGS}"


def install(game_dir: Path) -> Report:
    """Make ``game_dir`` a game with Uniwizard in it; safe to repeat.

    Raises OSError, and FileNotFoundError if Evennia is not installed.
    """
    game_dir = game_dir.resolve()
    report = Report(game_dir)
    if not (game_dir / SETTINGS).exists():
        _make_game(game_dir, "Uniwizard" if is_checkout(game_dir) else game_dir.name)
        report.new_game = True
    (game_dir / "server" / "logs").mkdir(parents=True, exist_ok=True)
    private_dir(game_dir)
    if not is_checkout(game_dir):
        _remove_copies(game_dir, report)
    before, after = planned(game_dir)
    if before != after:
        settings_block.write(game_dir / SETTINGS, after)
        report.settings_extended, report.diff = True, settings_block.diff(before, after)
    return report


def planned(game_dir: Path) -> tuple[str, str]:
    """The game's settings as they are and as they will be; both empty where there is no game yet. Raises OSError."""
    if not (game_dir / SETTINGS).exists():
        return "", ""
    before = settings_block.read(game_dir / SETTINGS)
    return before, settings_block.with_block(before)


def missing() -> list[str]:
    """The packages that this Python still needs before a game can run with Uniwizard in it."""
    return [package for module, package in _NEEDED.items() if not _importable(module)]


def _importable(module: str) -> bool:
    """Whether it is there, and can be found without running it; half an installation shows in the rehearsal."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def rehearse(game_dir: Path) -> str:
    """Why the game cannot be loaded with Uniwizard in it; empty when it can."""
    command = [sys.executable, "-m", "uniwizard.server.game.rehearse"]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=game_dir, capture_output=True, text=True, env=environ)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else f"status {done.returncode}")


def is_checkout(game_dir: Path) -> bool:
    """Whether the game is played in the plugin's own repository, whose files are no copies."""
    return game_dir == Path(__file__).resolve().parents[2]


def template() -> Path:
    """The installed Evennia's game template. Raises FileNotFoundError if Evennia is not installed."""
    spec = importlib.util.find_spec("evennia")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("Evennia is not installed here; `make setup` installs it")
    return Path(spec.submodule_search_locations[0]) / "game_template"


def stock_files() -> frozenset[str]:
    """The paths of Evennia's own files in a game directory."""
    root = template()
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return frozenset(path.as_posix() for path in found if path.name != "gitignore") | _STOCK_IN_SOME_VERSIONS


def _make_game(game_dir: Path, name: str) -> None:
    root = template()
    for relative in sorted(stock_files()):
        target = game_dir / relative
        if is_checkout(game_dir) and (target.name == "README.md" or "/" not in relative):
            # The repository has READMEs of its own.
            continue
        rendered = Path(relative) in (SETTINGS, SECRET_SETTINGS)
        if rendered or target.exists() or not (root / relative).exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / relative, target)
    if not (game_dir / ".gitignore").exists():
        shutil.copyfile(root / "gitignore", game_dir / ".gitignore")
    if not (game_dir / SECRET_SETTINGS).exists():
        alphabet = string.ascii_letters + string.digits
        key = "".join(secrets.choice(alphabet) for _ in range(50))
        secret_text = (root / SECRET_SETTINGS).read_text(encoding="utf-8").format_map({"secret_key": repr(key)})
        write_private(game_dir / SECRET_SETTINGS, secret_text)
    # The settings come last: their presence is what says that this is a game.
    text = (root / SETTINGS).read_text(encoding="utf-8").format_map({"servername": repr(name)})
    (game_dir / SETTINGS).write_text(text, encoding="utf-8")


def _remove_copies(game_dir: Path, report: Report) -> None:
    """Take out what version 0.1 copied, unless it is somebody's work by now."""
    record = private_dir(game_dir) / "laid.json"
    if not record.exists():
        return
    hashes: dict[str, str] = json.loads(record.read_text())
    for relative, wanted in sorted(hashes.items()):
        copy = game_dir / relative
        if not copy.is_file():
            continue
        if _hash(copy) != wanted:
            report.kept.append(relative)
            continue
        copy.unlink()
        report.removed.append(relative)
        for folder in copy.relative_to(game_dir).parents[:-1]:
            _remove_if_empty(game_dir / folder)
    record.unlink()


def _remove_if_empty(folder: Path) -> None:
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", type=Path, metavar="GAMEDIR", help="the game's directory; an empty one becomes a game")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")


def _run(arguments: argparse.Namespace) -> int:
    game_dir: Path = arguments.game
    try:
        return _install(game_dir, dry_run=arguments.dry_run)
    except (OSError, ValueError) as error:
        print(f"Uniwizard could not be added to {game_dir}: {error}", file=sys.stderr)
        return 1


def _install(game_dir: Path, *, dry_run: bool) -> int:
    if lacking := missing():
        print(f"{sys.executable} still needs: pip install {' '.join(lacking)}", file=sys.stderr)
        print("Nothing was changed.", file=sys.stderr)
        return 1
    before, after = planned(game_dir)
    fresh = not (game_dir / SETTINGS).exists()
    if before != after:
        print(settings_block.diff(before, after))
        if why := rehearse(game_dir):
            print(f"{game_dir} cannot be loaded with Uniwizard in it: {why}", file=sys.stderr)
            print("Nothing was changed.", file=sys.stderr)
            return 1
    if dry_run:
        said = "an Evennia game would be made here" if fresh else "nothing to do, all is in place"
        print(f"{game_dir}: {'the above would be added' if before != after else said}; nothing was changed.")
        return 0
    report = install(game_dir)
    for line in list(report.lines()) or ["nothing to do, all is in place"]:
        print(f"{game_dir}: {line}")
    if report.settings_extended:
        print(_next(game_dir, report.new_game))
    return 0


def _next(game_dir: Path, new_game: bool) -> str:
    """What a person does now."""
    steps = ["evennia migrate", "evennia start" if new_game else "evennia reboot    (or start, where it is stopped)"]
    return "\n".join(
        (
            "What to do next:",
            f"  cd {game_dir}",
            *(f"  {step}" for step in steps),
            "  in the game: `think What is 17*23?`, `backends`, `help practice`",
            "  keys: ANTHROPIC_API_KEY, OPENAI_API_KEY ... in the environment; `uniwizard check` says which are seen",
            f"  away again: uniwizard uninstall {game_dir}",
        )
    )


COMMAND = PluginCommand("install", "add Uniwizard to an Evennia game", _declare, _run)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    return COMMAND.main("python -m uniwizard.server.game.install", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
