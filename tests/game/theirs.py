"""Games of other people's, made as their own pages say: a fresh one, and one on each of Evennia's larger contribs.

    game = TheirGame("rpsystem", directory)     # an Evennia game without Uniwizard, with a player in it

They are played over telnet. :func:`contents` is everything that stands in a game's database, without what every login
changes, so that two of them can be compared.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uniwizard.server.game.scratch import _SETTINGS, _free_ports
from uniwizard.server.game.telnet import Telnet

PASSWORD = "tjo-hopp-99"

_RPSYSTEM = {
    "typeclasses/characters.py": "from evennia.contrib.rpg.rpsystem import ContribRPCharacter\n\n\n"
    "class Character(ContribRPCharacter):\n    pass\n",
    "typeclasses/rooms.py": "from evennia.contrib.rpg.rpsystem import ContribRPRoom\n\n\n"
    "class Room(ContribRPRoom):\n    pass\n",
    "typeclasses/objects.py": "from evennia.contrib.rpg.rpsystem import ContribRPObject\n\n\n"
    "class ObjectParent:\n    pass\n\n\nclass Object(ContribRPObject):\n    pass\n",
    "commands/default_cmdsets.py": "from evennia import default_cmds\n"
    "from evennia.contrib.rpg.rpsystem import RPSystemCmdSet\n\n\n"
    "class CharacterCmdSet(default_cmds.CharacterCmdSet):\n"
    "    def at_cmdset_creation(self):\n        super().at_cmdset_creation()\n        self.add(RPSystemCmdSet())\n\n\n"
    "class AccountCmdSet(default_cmds.AccountCmdSet):\n    pass\n\n\n"
    "class UnloggedinCmdSet(default_cmds.UnloggedinCmdSet):\n    pass\n\n\n"
    "class SessionCmdSet(default_cmds.SessionCmdSet):\n    pass\n",
}
_EVADVENTURE = {
    "typeclasses/characters.py": "from evennia.contrib.tutorials.evadventure.characters import EvAdventureCharacter\n"
    "\n\nclass Character(EvAdventureCharacter):\n    pass\n",
    "typeclasses/rooms.py": "from evennia.contrib.tutorials.evadventure.rooms import EvAdventureRoom\n\n\n"
    "class Room(EvAdventureRoom):\n    pass\n",
}
_XYZGRID = (
    'EXTRA_LAUNCHER_COMMANDS["xyzgrid"] = "evennia.contrib.grid.xyzgrid.launchcmd.xyzcommand"\n'
    'PROTOTYPE_MODULES += ["evennia.contrib.grid.xyzgrid.prototypes"]\n'
)
#: By game: files that its owner writes, and what is added to the settings.
GAMES: dict[str, tuple[dict[str, str], str]] = {
    "fresh": ({}, ""),
    "rpsystem": (_RPSYSTEM, ""),
    "evadventure": (_EVADVENTURE, ""),
    "tutorial_world": ({}, ""),
    "xyzgrid": ({}, _XYZGRID),
}
#: What their players type once, as the superuser.
BUILT: dict[str, tuple[str, ...]] = {
    "fresh": ("dig/teleport Cellar = down,up", "desc here = Cool and dark.", "down", "create/drop a barrel"),
    "rpsystem": ("create/drop a barrel",),
    "evadventure": ("create/drop a barrel",),
    "tutorial_world": ("batchcommand tutorial_world.build",),
    "xyzgrid": ("create/drop a barrel",),
}


class TheirGame:
    """A game directory that is somebody else's, and its processes; ``interpreter`` is the Python that runs it."""

    def __init__(self, name: str, directory: Path, interpreter: str = sys.executable):
        self.name, self.directory, self.interpreter = name, directory, interpreter
        self.ports: dict[str, int] = _free_ports()

    def make(self) -> None:
        """As ``evennia --init`` does, and as its owner goes on."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.run("-c", _LAUNCHER, "--init", self.directory.name, cwd=self.directory.parent)
        files, settings = GAMES[self.name]
        for path, text in files.items():
            (self.directory / path).write_text(text)
        with (self.directory / "server/conf/settings.py").open("a") as file:
            file.write(_SETTINGS.format_map(self.ports) + settings)
        self.evennia("migrate")
        environ = {"DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DJANGO_SUPERUSER_USERNAME": "owner"}
        self.python(
            "from evennia.accounts.models import AccountDB; "
            f"AccountDB.objects.create_superuser('owner', '', {environ['DJANGO_SUPERUSER_PASSWORD']!r})"
        )
        if self.name == "xyzgrid":
            # What it spawns has its home in Limbo, which the first start makes.
            self.start()
            self.stop()
            self.evennia("xyzgrid", "init")
            self.evennia("xyzgrid", "add", "evennia.contrib.grid.xyzgrid.example")
            self.evennia("xyzgrid", "spawn", typed="Y\n")

    def evennia(self, *arguments: str, typed: str = "") -> str:
        return self.run("-c", _LAUNCHER, *arguments, typed=typed)

    def python(self, code: str) -> str:
        """Run ``code`` against the game's database."""
        return self.run("-c", _IN_THE_GAME, typed=code)

    def uniwizard(self, command: str, *arguments: str) -> str:
        """``uniwizard COMMAND GAMEDIR``."""
        return self.run("-m", f"uniwizard.server.game.{command}", str(self.directory), *arguments)

    def run(self, *arguments: str, typed: str = "", cwd: Path | None = None) -> str:
        environ = {**os.environ, "PATH": f"{Path(self.interpreter).parent}{os.pathsep}{os.environ['PATH']}"}
        environ.pop("DJANGO_SETTINGS_MODULE", None)
        # To a file: a daemon inherits what is open.
        log = self.directory.parent / f"{self.directory.name}.log"
        with log.open("w+b") as out:
            done = subprocess.run(
                [self.interpreter, *arguments], input=typed.encode(), stdout=out, stderr=subprocess.STDOUT,
                cwd=cwd or self.directory, env=environ, timeout=240, start_new_session=True,
            )  # fmt: skip
            out.seek(0)
            said = out.read().decode(errors="replace")
        assert done.returncode == 0, said[-4000:]
        return said

    def start(self) -> None:
        """Start it and wait until somebody can log in."""
        for again in range(4):
            # On a busy machine the launcher waits for the portal in vain, and leaves the server to a second call.
            self.evennia("start")
            try:
                wait(self._greets, 120 if again == 3 else 60, self.log)
                return
            except AssertionError:
                if again == 3:
                    raise

    def stop(self) -> None:
        self.evennia("stop")
        pid_files = [self.directory / "server" / f"{name}.pid" for name in ("portal", "server")]
        wait(lambda: not any(_alive(file) for file in pid_files), 60, lambda: "it does not stop")

    def _greets(self) -> bool:
        try:
            with Telnet("127.0.0.1", self.ports["telnet"], timeout=3.0) as client:
                client.expect("connect <username> <password>")
                # The first server of a new game ends by itself once it has set the game up, and a second one begins.
                return self._alive()
        except (OSError, AssertionError):
            return False

    def _alive(self) -> bool:
        """Whether the server has begun that stays: a new game's first one sets it up and restarts itself."""
        log = self.directory / "server/logs/server.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "successfully restarted in 'reset' mode" in text

    def log(self) -> str:
        log = self.directory / "server/logs/server.log"
        if not log.exists():
            return "no server was started"
        return (self.directory / "server/logs/server.log").read_text(errors="replace")[-4000:]

    def login(self, name: str) -> Telnet:
        """Somebody who has an account; in the world once this returns."""
        session = Telnet("127.0.0.1", self.ports["telnet"], timeout=20.0)
        session.expect("connect <username> <password>")
        session.send(f"connect {name} {PASSWORD}")
        session.quiet(1.5)
        return session

    def newcomer(self, name: str) -> Telnet:
        """Somebody new."""
        session = Telnet("127.0.0.1", self.ports["telnet"], timeout=20.0)
        session.expect("connect <username> <password>")
        session.create_account(name, PASSWORD)
        session.quiet(1.5)
        return session


_LAUNCHER = "from evennia.server.evennia_launcher import main; main()"
_IN_THE_GAME = """
import os, sys
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "server.conf.settings"
import django
django.setup()
import evennia
evennia._init()
exec(compile(sys.stdin.read(), "<game>", "exec"), {"__name__": "__game__"})
"""


def _alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def wait(done: Callable[[], bool], seconds: float, said: Callable[[], str]) -> None:
    import time

    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, said()
        time.sleep(0.2)


#: Rows that every start and login writes anew, by table.
_VOLATILE_TABLES = {"sqlite_sequence", "django_session", "django_admin_log"}
_VOLATILE_COLUMNS = {"last_login", "id", "db_date_created"}
_VOLATILE_KEYS = {
    *("server_epoch", "runtime", "server_restart_mode", "last_initial_setup_step", "server_starting_mode"),
    # What is to be called when; with the times of the present run.
    "ticker_storage",
}


#: Typeclasses of what moves by itself: tutorial_world's apparition walks wherever nobody stops it.
_ALIVE = ("evennia.contrib.tutorials.tutorial_world.mob.Mob",)


def contents(game: TheirGame) -> Counter[Any]:
    """Every row of the game's database, told apart by table and content; ids count where something points at them."""
    found: Counter[Any] = Counter()
    with sqlite3.connect(game.directory / "server" / "evennia.db3") as database:
        database.row_factory = sqlite3.Row
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        attributes = {row["id"]: _plain(row) for row in database.execute("SELECT * FROM typeclasses_attribute")}
        tags = {row["id"]: _plain(row) for row in database.execute("SELECT * FROM typeclasses_tag")}
        typed = database.execute("SELECT id, db_typeclass_path FROM objects_objectdb")
        alive = {row["id"] for row in typed if row["db_typeclass_path"] in _ALIVE}
        for table in tables:
            if table in _VOLATILE_TABLES or table in ("typeclasses_attribute", "typeclasses_tag"):
                continue
            for row in database.execute(f"SELECT * FROM {table}"):
                said = dict(row)
                if table == "server_serverconfig" and said["db_key"] in _VOLATILE_KEYS:
                    continue
                if (said["id"] if table == "objects_objectdb" else said.get("objectdb_id")) in alive:
                    continue
                own_id = said["id"] if table.endswith(("objectdb", "scriptdb", "accountdb", "channeldb")) else None
                said["own"] = own_id
                if "attribute_id" in said:
                    said["attribute_id"] = attributes[said["attribute_id"]]
                if "tag_id" in said:
                    said["tag_id"] = tags[said["tag_id"]]
                found[table, _plain(said)] += 1
        found.update({("typeclasses_attribute", each): 0 for each in ()})
    return found


def _plain(row: Any) -> str:
    said = {key: value for key, value in dict(row).items() if key not in _VOLATILE_COLUMNS}
    return repr(sorted(said.items(), key=lambda pair: pair[0]))


def files(game: TheirGame) -> dict[str, bytes]:
    """Every file of the game but for what Evennia writes as it runs."""
    return {
        path.relative_to(game.directory).as_posix(): path.read_bytes()
        for path in game.directory.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(game.directory).parts[:2] not in (("server", "logs"), ("server", ".static"))
        and not path.name.startswith("evennia.db3")
        and path.suffix != ".pid"
    }
