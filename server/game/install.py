"""Add the installed plugin to a game directory::

    python -m uniwizard.server.game.install GAME_DIR

Where GAME_DIR is no Evennia game yet, it becomes one: the installed Evennia's game template is copied into it, as
``evennia --init`` does. The game's settings get one marked block that composes Uniwizard with whatever they say;
nothing else of the game's is touched, and no file of the plugin is copied. Running it again changes nothing.

Version 0.1 copied the plugin's files into the game. Those are taken out again, except the ones that somebody has edited
since; what was copied is known by its hash in ``.uniwizard/laid.json``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import secrets
import shutil
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from uniwizard.server.game.private import private_dir, write_private

#: Stock files that only some versions of Evennia have.
_STOCK_IN_SOME_VERSIONS = frozenset({"world/batch_cmds.ev", "server/conf/inlinefuncs.py"})
#: What the plugin needs: module to package. pyproject.toml has the versions.
_NEEDED = {
    "httpx": "httpx",
    "yaml": "pyyaml",
    "jsonschema": "jsonschema",
    "json_repair": "json-repair",
    "OpenSSL": "twisted[tls]",
    "markdown_it": "markdown-it-py",
}

SETTINGS = Path("server/conf/settings.py")
SECRET_SETTINGS = Path("server/conf/secret_settings.py")
_BEGIN, _END = "# >>> uniwizard >>>", "# <<< uniwizard <<<"
_COMPOSE = f"""

{_BEGIN}
# Uniwizard adds itself to the settings above and replaces none of them. Take this block out to lift it off again.
from uniwizard.server.plugin.settings import extend

extend(globals())
{_END}
"""
#: What version 0.1 wrote there.
_FORMER = re.compile(
    r"\n*# Uniwizard adds itself to the settings above and replaces none of them\.[^\n]*\n"
    r"from server\.conf\.uniwizard_settings import extend\n\nextend\(globals\(\)\)\n"
)


@dataclass(slots=True)
class Report:
    """What :func:`install` did; paths are relative to the game directory."""

    game_dir: Path
    new_game: bool = False
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    settings_extended: bool = False

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

    Raises FileNotFoundError if Evennia is not installed.
    """
    game_dir = game_dir.resolve()
    report = Report(game_dir)
    if not (game_dir / SETTINGS).exists():
        _make_game(game_dir, "Uniwizard" if _is_checkout(game_dir) else game_dir.name)
        report.new_game = True
    (game_dir / "server" / "logs").mkdir(parents=True, exist_ok=True)
    private_dir(game_dir)
    if not _is_checkout(game_dir):
        _remove_copies(game_dir, report)
    report.settings_extended = _extend_settings(game_dir / SETTINGS)
    return report


def _is_checkout(game_dir: Path) -> bool:
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
        if _is_checkout(game_dir) and (target.name == "README.md" or "/" not in relative):
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


def _extend_settings(settings: Path) -> bool:
    text = settings.read_text(encoding="utf-8")
    current = _FORMER.sub("\n", text)
    # The name alone is looked for, so that lines which somebody commented out are not added again.
    if "uniwizard.server.plugin.settings" in current or "server.conf.uniwizard_settings" in current:
        return False
    settings.write_text(
        current.rstrip("\n") + "\n" + _COMPOSE if current != text else text + _COMPOSE, encoding="utf-8"
    )
    return True


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m uniwizard.server.game.install GAME_DIR", file=sys.stderr)
        return 2
    game_dir = Path(arguments[0])
    try:
        lines = list(install(game_dir).lines())
    except OSError as error:
        print(f"Uniwizard could not be added to {game_dir}: {error}", file=sys.stderr)
        return 1
    for line in lines or ["nothing to do, all is in place"]:
        print(f"{game_dir}: {line}")
    if missing := [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]:
        print(f"{sys.executable} still needs: pip install {' '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
