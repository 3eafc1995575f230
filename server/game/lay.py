"""Lay the plugin over a game directory::

    python -m uniwizard.server.game.lay GAME_DIR

Where GAME_DIR is no Evennia game yet, it becomes one: the installed Evennia's game template is copied into it, as
``evennia --init`` does. Then the plugin's files are copied, and the game's settings get two lines that compose
Uniwizard with whatever they say. Running it again brings an older plugin up to date.

No file that somebody else wrote or edited is ever written over. What was laid is remembered by its hash in
``.uniwizard/laid.json``; a file that no longer matches is its owner's, is kept, and is named in the report.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import secrets
import shutil
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from uniwizard.server.game.private import private_dir, write_private

#: The directory that this package was started from: the repository, or a game that the plugin was laid over.
SOURCE = Path(__file__).resolve().parents[2]

#: The folders in which the plugin has files.
ROOMS = ("agent", "configs", "commands", "typeclasses", "world", "server")

#: Stock files that only some versions of Evennia have.
_STOCK_IN_SOME_VERSIONS = frozenset({"world/batch_cmds.ev", "server/conf/inlinefuncs.py"})
_MADE_BY_A_RUNNING_GAME = (".pyc", ".pyo", ".log", ".pid", ".restart", ".db3", ".prof")

#: What the plugin needs beside Evennia: module to package. pyproject.toml has the versions.
_NEEDED = {"httpx": "httpx", "yaml": "pyyaml", "jsonschema": "jsonschema", "OpenSSL": "twisted[tls]"}

SETTINGS = Path("server/conf/settings.py")
SECRET_SETTINGS = Path("server/conf/secret_settings.py")
_COMPOSE = """

# Uniwizard adds itself to the settings above and replaces none of them. Take these lines out to lift it off again.
from server.conf.uniwizard_settings import extend

extend(globals())
"""


@dataclass(slots=True)
class Report:
    """What :func:`lay` did; paths are relative to the game directory."""

    game_dir: Path
    new_game: bool = False
    laid: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    settings_extended: bool = False

    def lines(self) -> Iterator[str]:
        """The report for people, a line each."""
        if self.new_game:
            yield "made a new Evennia game (settings, secret key, stock files)"
        if self.laid:
            yield f"laid {len(self.laid)} files"
        if self.updated:
            yield f"brought {len(self.updated)} files up to date"
        for path in self.kept:
            yield f"kept your own {path}"
        if self.settings_extended:
            yield f"added Uniwizard to {SETTINGS}"


def lay(game_dir: Path, source: Path = SOURCE) -> Report:
    """Make ``game_dir`` a game with Uniwizard in it; safe to repeat.

    Raises FileNotFoundError if Evennia is not installed.
    """
    game_dir = game_dir.resolve()
    report = Report(game_dir)
    if not (game_dir / SETTINGS).exists():
        name = "Uniwizard" if game_dir == source else game_dir.name
        _make_game(game_dir, name)
        report.new_game = True
    (game_dir / "server" / "logs").mkdir(parents=True, exist_ok=True)
    if game_dir != source:
        _copy_plugin(source, game_dir, report)
    report.settings_extended = _extend_settings(game_dir / SETTINGS)
    return report


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


def plugin_files(source: Path = SOURCE) -> Iterator[str]:
    """The paths of the plugin's own files: all in its rooms that is neither stock nor made by a running game."""
    stock = stock_files()
    for room in ROOMS:
        for path in sorted((source / room).rglob("*")):
            relative = path.relative_to(source)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            made = path.suffix in _MADE_BY_A_RUNNING_GAME or relative.parts[:2] == ("server", "logs")
            if path.is_file() and not hidden and not made and relative.as_posix() not in stock:
                yield relative.as_posix()


def _make_game(game_dir: Path, name: str) -> None:
    root = template()
    for relative in sorted(stock_files()):
        target = game_dir / relative
        if game_dir == SOURCE and "/" not in relative:
            # At its top level the repository has a README of its own.
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


def _copy_plugin(source: Path, game_dir: Path, report: Report) -> None:
    record = private_dir(game_dir) / "laid.json"
    hashes: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for relative in plugin_files(source):
        target, wanted = game_dir / relative, _hash(source / relative)
        if target.exists():
            present = _hash(target)
            if present == wanted:
                hashes[relative] = wanted
                continue
            if present != hashes.get(relative):
                report.kept.append(relative)
                continue
            report.updated.append(relative)
        else:
            report.laid.append(relative)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / relative, target)
        hashes[relative] = wanted
    record.write_text(json.dumps(hashes, indent=1, sort_keys=True))


def _extend_settings(settings: Path) -> bool:
    # The name alone is looked for, so that lines which somebody commented out are not added again.
    if "uniwizard.server.plugin.settings" in settings.read_text(encoding="utf-8"):
        return False
    with settings.open("a", encoding="utf-8") as file:
        file.write(_COMPOSE)
    return True


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m uniwizard.server.game.lay GAME_DIR", file=sys.stderr)
        return 2
    game_dir = Path(arguments[0])
    try:
        lines = list(lay(game_dir).lines())
    except OSError as error:
        print(f"Uniwizard could not be laid over {game_dir}: {error}", file=sys.stderr)
        return 1
    for line in lines or ["nothing to do, all is in place"]:
        print(f"{game_dir}: {line}")
    if missing := [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]:
        print(f"{sys.executable} still needs: pip install {' '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
