"""Laying, starting and stopping: the first minutes with Uniwizard."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evennia import settings_default
from hypothesis import given
from hypothesis import strategies as st
from prepared import copied
from wired import CLOSING, newcomer

from uniwizard.server.game import install as installing
from uniwizard.server.game import uninstall as uninstalling
from uniwizard.server.game.addresses import Running
from uniwizard.server.game.install import SECRET_SETTINGS, SETTINGS, install, main, stock_files
from uniwizard.server.game.private import stored_superuser, superuser, superuser_file
from uniwizard.server.game.process import Game, GameFailed
from uniwizard.server.game.scratch import own_game
from uniwizard.server.plugin.settings import SESSION_CMDSET, STARTSTOP_MODULE, extend

Play = Callable[..., "subprocess.CompletedProcess[str]"]

SOURCE = Path(__file__).resolve().parents[2]

#: Settings that the portal alone takes its time over: longer than the ten seconds for which Evennia's launcher waits.
SLOW_PORTAL = """
import sys, time
if any("portal.py" in argument for argument in sys.argv):
    time.sleep(11)
"""


#: Settings as people have them: with and without a last line break, of either kind.
settings_files = st.builds(
    lambda lines, end, last: (end.join(lines) + (end if last else "")).encode(),
    st.lists(st.from_regex(r"[A-Z]{1,9} = '[a-zé #]{0,9}'|# [a-z ]{0,20}|", fullmatch=True), max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Installing

#: What version 0.1 wrote at the end of a game's settings.
FORMER_BLOCK = """

# Uniwizard adds itself to the settings above and replaces none of them. Take these lines out to lift it off again.
from server.conf.uniwizard_settings import extend

extend(globals())
"""


def test_installing_makes_a_game_of_an_empty_directory(tmp_path: Path) -> None:
    report = install(tmp_path / "new game")
    assert report.new_game
    assert (tmp_path / "new game" / "typeclasses" / "characters.py").exists()
    assert "SERVERNAME = 'new game'" in (tmp_path / "new game" / SETTINGS).read_text()


def test_no_file_of_the_plugin_is_copied_into_a_game(tmp_path: Path) -> None:
    install(tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert found <= stock_files() | {".gitignore", ".uniwizard/.gitignore", "server/conf/secret_settings.py"}


def test_every_new_game_has_a_secret_key_of_its_own_that_only_its_owner_can_read(tmp_path: Path) -> None:
    install(tmp_path / "one")
    install(tmp_path / "two")
    assert mode(tmp_path / "one" / SECRET_SETTINGS) == 0o600
    assert (tmp_path / "one" / SECRET_SETTINGS).read_text() != (tmp_path / "two" / SECRET_SETTINGS).read_text()


def test_installing_twice_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    before = snapshot(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert snapshot(tmp_path) == before
    assert "nothing to do" in capsys.readouterr().out


def test_a_game_that_was_there_before_keeps_every_edited_file(tmp_path: Path) -> None:
    mine = {
        "server/conf/settings.py": "from evennia.settings_default import *\nSERVERNAME = 'Mine'",
        "typeclasses/characters.py": "# my characters\n",
        "world/build.py": "# a file of mine that happens to have a plugin file's name\n",
        ".gitignore": "mine\n",
    }
    for name, text in mine.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    report = install(tmp_path)
    assert not report.new_game
    assert not (tmp_path / "web").exists()
    settings = (tmp_path / "server/conf/settings.py").read_text()
    assert settings.startswith(mine.pop("server/conf/settings.py"))
    assert settings.endswith("extend(globals())\n# <<< uniwizard <<<\n")
    assert {name: (tmp_path / name).read_text() for name in mine} == mine


def test_settings_that_somebody_lifted_uniwizard_off_again_stay_so(tmp_path: Path) -> None:
    install(tmp_path)
    text = (tmp_path / SETTINGS).read_text().replace("\nfrom uniwizard.server", "\n# from uniwizard.server")
    (tmp_path / SETTINGS).write_text(text)
    assert not install(tmp_path).settings_extended
    assert (tmp_path / SETTINGS).read_text() == text


def test_a_game_of_version_0_1_loses_the_copies_and_keeps_what_was_edited(tmp_path: Path) -> None:
    (tmp_path / "server/conf").mkdir(parents=True)
    (tmp_path / SETTINGS).write_text("MINE = 1\n" + FORMER_BLOCK)
    copied = {"agent/task.py": "# copied", "agent/wire/openai.py": "# copied", "configs/backends.yaml": "# copied"}
    record = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in copied.items()}
    for name, text in {**copied, "configs/backends.yaml": "# edited", "world/mine.py": "# mine"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".uniwizard").mkdir()
    (tmp_path / ".uniwizard/laid.json").write_text(json.dumps(record))
    report = install(tmp_path)
    assert (report.removed, report.kept) == (["agent/task.py", "agent/wire/openai.py"], ["configs/backends.yaml"])
    assert not (tmp_path / "agent").exists()
    assert (tmp_path / "world/mine.py").read_text() == "# mine"
    settings = (tmp_path / SETTINGS).read_text()
    assert settings.startswith("MINE = 1\n")
    assert "server.conf.uniwizard_settings" not in settings
    assert settings.count("extend(globals())") == 1
    assert not install(tmp_path).settings_extended


@pytest.mark.slow
def test_a_game_of_version_0_1_is_loaded_without_what_that_version_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path)
    assert uninstalling.uninstall(tmp_path)
    with (tmp_path / SETTINGS).open("a") as settings:
        settings.write(FORMER_BLOCK)
    (tmp_path / "server/conf/uniwizard_settings.py").write_text(
        "def extend(settings):\n    settings['INSTALLED_APPS'] = [*settings['INSTALLED_APPS'], 'world.ledger']\n"
    )
    (tmp_path / "world/ledger").mkdir()
    (tmp_path / "world/ledger/__init__.py").touch()
    assert main([str(tmp_path), "--dry-run"]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_a_dry_run_shows_the_block_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(tmp_path)
    assert uninstalling.uninstall(tmp_path)
    before = snapshot(tmp_path)
    assert main([str(tmp_path), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "+from uniwizard.server.plugin.settings import extend" in said
    assert "nothing was changed" in said
    assert snapshot(tmp_path) == before


def theirs(game_dir: Path, settings: str) -> None:
    """A game of somebody else's, of which only the settings matter."""
    (game_dir / "server/conf").mkdir(parents=True)
    for package in ("server", "server/conf"):
        (game_dir / package / "__init__.py").write_text("")
    stock = "from evennia.settings_default import *\nSERVERNAME = 'theirs'\nSECRET_KEY = 'x' * 50\n"
    # It has no typeclasses of its own.
    for kind in ("Object", "Character", "Room", "Exit"):
        stock += f"BASE_{kind.upper()}_TYPECLASS = 'evennia.objects.objects.Default{kind}'\n"
    stock += "BASE_ACCOUNT_TYPECLASS = 'evennia.accounts.accounts.DefaultAccount'\n"
    stock += "BASE_SCRIPT_TYPECLASS = 'evennia.scripts.scripts.DefaultScript'\n"
    stock += "BASE_CHANNEL_TYPECLASS = 'evennia.comms.comms.DefaultChannel'\n"
    (game_dir / SETTINGS).write_text(stock + settings)


@pytest.mark.parametrize("lacking", ["json_repair", "httpx"])
def test_nothing_is_written_while_something_that_is_needed_cannot_be_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    theirs(tmp_path, "")
    before = snapshot(tmp_path)
    found = installing.importlib.util.find_spec
    monkeypatch.setattr(installing.importlib.util, "find_spec", lambda name: None if name == lacking else found(name))
    assert main([str(tmp_path)]) == 1
    assert f"pip install {lacking.replace('_', '-')}" in capsys.readouterr().err
    assert snapshot(tmp_path) == before


@pytest.mark.slow
def test_nothing_is_written_where_the_game_would_not_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs(tmp_path, "CMDSET_SESSION = 'commands.nowhere.SessionCmdSet'\n")
    before = snapshot(tmp_path)
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "commands.nowhere" in said
    assert "Nothing was changed" in said
    assert snapshot(tmp_path) == before


@given(text=settings_files)
def test_uninstalling_gives_the_settings_back_to_the_byte(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        game_dir = Path(directory)
        (game_dir / "server/conf").mkdir(parents=True)
        (game_dir / SETTINGS).write_bytes(text)
        assert install(game_dir).settings_extended
        assert not install(game_dir).settings_extended
        assert uninstalling.uninstall(game_dir)
        assert (game_dir / SETTINGS).read_bytes() == text
        assert not uninstalling.uninstall(game_dir)


@pytest.mark.skipif(not (SOURCE / ".git").exists() or shutil.which("git") is None, reason="needs the git clone")
@pytest.mark.slow
def test_the_repository_tracks_no_stock_file_and_ignores_all_that_are_laid() -> None:
    def git(*arguments: str, typed: str = "") -> set[str]:
        command = ["git", "-C", str(SOURCE), *arguments]
        return set(subprocess.run(command, input=typed, capture_output=True, text=True).stdout.split("\n")) - {""}

    ours = {name for name in stock_files() if "/" in name and not name.endswith("README.md")}
    assert git("ls-files") & ours == set()
    assert git("check-ignore", "--no-index", "--stdin", typed="\n".join(ours)) == ours


def test_a_path_that_cannot_be_a_game_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert "could not be added" in capsys.readouterr().err


# Settings


def stock_settings(**more: Any) -> dict[str, Any]:
    stock = {
        **{name: value for name, value in vars(settings_default).items() if name.isupper()},
        "GAME_DIR": "/games/mine",
        "CMDSET_CHARACTER": "commands.default_cmdsets.CharacterCmdSet",
        "CMDSET_ACCOUNT": "commands.default_cmdsets.AccountCmdSet",
        "CMDSET_SESSION": "commands.default_cmdsets.SessionCmdSet",
        "CMDSET_FALLBACKS": {"a.b": "c.d"},
        "WEB_PLUGINS_MODULE": "server.conf.web_plugins",
        "AT_SERVER_STARTSTOP_MODULE": "server.conf.at_server_startstop",
        "INSTALLED_APPS": ["mine.app"],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/games/mine/server/evennia.db3"}},
    }
    return {**stock, **more}


def test_settings_are_added_to_and_nothing_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIWIZARD_CONFIG", raising=False)
    settings = stock_settings(AT_SERVER_STARTSTOP_MODULE=["mine.one", "mine.two"], UNIWIZARD_THINK_COOLDOWN=9)
    extend(settings)
    assert settings["AT_SERVER_STARTSTOP_MODULE"] == ["mine.one", "mine.two", STARTSTOP_MODULE]
    assert settings["UNIWIZARD_BASE_SESSION_CMDSET"] == "commands.default_cmdsets.SessionCmdSet"
    assert settings["CMDSET_SESSION"] == SESSION_CMDSET
    # What Evennia stores in objects is the game's own.
    assert settings["CMDSET_CHARACTER"] == "commands.default_cmdsets.CharacterCmdSet"
    assert settings["CMDSET_FALLBACKS"]["a.b"] == "c.d"
    assert settings["UNIWIZARD_THINK_COOLDOWN"] == 9
    assert settings["UNIWIZARD_CONFIG"] == str(SOURCE / "configs/backends.yaml")


def test_extending_settings_twice_is_extending_them_once() -> None:
    once = stock_settings()
    extend(once)
    twice = dict(once)
    extend(twice)
    assert twice == once


def test_the_environment_names_another_backends_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIWIZARD_CONFIG", "/etc/backends.yaml")
    settings = stock_settings(UNIWIZARD_CONFIG="mine.yaml")
    extend(settings)
    assert settings["UNIWIZARD_CONFIG"] == "/etc/backends.yaml"


# The superuser


def test_the_superusers_password_is_random_kept_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        chosen = superuser(tmp_path, {})
    finally:
        os.umask(before)
    assert len(chosen.password) >= 20
    assert superuser(tmp_path, {}) == stored_superuser(tmp_path) == chosen
    assert mode(superuser_file(tmp_path)) == 0o600
    assert mode(tmp_path / ".uniwizard") == 0o700
    assert chosen.password not in repr(chosen)


def test_a_superuser_from_the_environment_is_not_written_down(tmp_path: Path) -> None:
    chosen = superuser(tmp_path, {"EVENNIA_SUPERUSER_USERNAME": "ada", "EVENNIA_SUPERUSER_PASSWORD": "her-own"})
    assert (chosen.name, chosen.password) == ("ada", "her-own")
    assert stored_superuser(tmp_path) is None


# Starting and stopping, for real


def test_play_brings_a_game_up_from_nothing_and_says_how_to_get_in(first_play: tuple[Game, str]) -> None:
    game, said = first_play
    running = game.running()
    assert running is not None
    owner = game.superuser
    assert f"telnet {running.host} {running.telnet}" in said
    assert f"{running.web}/admin/" in said
    assert said.count(owner.password) == 1
    assert "\x1b" not in said
    with game.telnet() as player:
        player.login(owner.name, owner.password)


def test_who_asked_what_can_be_read_by_the_owner_of_the_game_alone(game: Game) -> None:
    files = sorted((game.directory / "server").glob("*.db3*"))
    assert {file.name for file in files} >= {"evennia.db3", "ledger.db3"}
    assert {file.name: mode(file) for file in files} == {file.name: 0o600 for file in files}


def test_play_twice_says_that_it_runs_and_changes_nothing(game: Game, play: Play) -> None:
    before = game.processes()
    said = play(game)
    assert said.returncode == 0
    assert "running already" in said.stdout
    assert game.superuser.password not in said.stdout
    assert game.processes() == before


def test_a_reload_keeps_players_connected(game: Game) -> None:
    with game.telnet() as player:
        player.create_account("reloader", "tjo-hopp-99")
        before = game.processes()
        game.reload()
        assert game.processes()["portal"] == before["portal"]
        assert game.processes()["server"] != before["server"]
        player.send("say still here")
        player.expect('You say, "still here"')


def test_play_recovers_from_a_kill_9(game: Game, play: Play) -> None:
    game.kill9()
    assert (game.directory / "server" / "server.pid").exists()
    assert Running.read(game.directory) is not None
    assert game.running() is None
    said = play(game)
    assert (said.returncode, said.stderr) == (0, "")
    assert game.superuser.password not in said.stdout
    game.telnet().close()


def test_play_recovers_when_only_the_server_died(game: Game, play: Play) -> None:
    portal = game.processes()["portal"]
    with newcomer(game, "Steadfast") as player:
        os.kill(game.processes()["server"], signal.SIGKILL)
        player.expect("The lights go out:")
        said = play(game)
        assert (said.returncode, said.stderr) == (0, "")
        player.expect("The lights come on again:")
        player.expect("ic takes you back in")
        player.send("ic")
        player.expect("You become")
        player.send("think What is 17*23?")
        assert "391" in player.expect(CLOSING)
        player.send("look")
        player.expect("Workshop")
    assert game.processes()["portal"] == portal


@pytest.mark.game
def test_a_portal_that_takes_longer_than_the_launcher_waits_gets_its_server_all_the_same(tmp_path: Path) -> None:
    slow = copied(tmp_path / "game", settings=SLOW_PORTAL)
    try:
        slow.start()
        assert slow.running() is not None
    finally:
        slow.kill9()


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path, play: Play) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        crowded = own_game(tmp_path, settings=f"TELNET_PORTS = [{port}]\n")
        said = play(crowded)
    assert said.returncode == 1
    assert f"Port {port} is taken" in said.stderr
    assert "TELNET_PORTS" in said.stderr
    assert crowded.processes() == {}
    assert not (tmp_path / "server" / "evennia.db3").exists()


def test_a_process_id_that_now_belongs_to_somebody_else_is_not_taken_for_the_game(tmp_path: Path) -> None:
    stranger = own_game(tmp_path)
    (tmp_path / "server" / "server.pid").write_text(str(os.getpid()))
    assert stranger.processes() == {}
    assert stranger.stop() is False


@pytest.mark.game
def test_a_start_that_fails_says_what_the_launcher_said(tmp_path: Path) -> None:
    unprepared = own_game(tmp_path)
    with pytest.raises(GameFailed, match="evennia migrate"):
        unprepared.start()
    assert unprepared.processes() == {}


def test_asking_a_game_that_is_not_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(GameFailed, match="not running"):
        own_game(tmp_path).telnet()


def test_stop_waits_until_the_game_is_gone_and_does_nothing_twice(game: Game, play: Play) -> None:
    said = play(game, "stop")
    assert (said.returncode, said.stderr) == (0, "")
    assert "stopped" in said.stdout
    assert game.processes() == {}
    again = play(game, "stop")
    assert again.returncode == 0
    assert "not running" in again.stdout
