"""Anybody's game: Uniwizard comes in, is played, and goes again, and nothing is left of it.

The fresh game is always played; the others with ``make witness``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from theirs import BUILT, GAMES, TheirGame, contents, files

CLOSING = re.compile(r"\[[a-z]+, [\d.]+ s, \$[\d.]+\]\n")


pytestmark = pytest.mark.slow
PLAYED = [name if name == "fresh" else pytest.param(name, marks=pytest.mark.witness) for name in GAMES]


@pytest.fixture(scope="module", params=PLAYED)
def game(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TheirGame]:
    """A game that somebody has built and played before they heard of Uniwizard; stopped."""
    theirs = TheirGame(request.param, tmp_path_factory.mktemp("theirs") / "mygame")
    theirs.make()
    try:
        theirs.start()
        with theirs.login("owner") as owner:
            for typed in BUILT[theirs.name]:
                owner.send(typed)
                owner.quiet(1.5 if "batch" not in typed else 8)
        with theirs.newcomer("Veteran"):
            pass
        with theirs.login("Veteran") as veteran:
            veteran.send("look")
            veteran.quiet(0.5)
        theirs.stop()
        yield theirs
    finally:
        theirs.stop()


def test_a_game_takes_it_in_plays_and_lets_it_go_without_a_trace(game: TheirGame) -> None:
    rows, kept = contents(game), files(game)

    # Shown first, and nothing written.
    assert "+from uniwizard.server.plugin.settings import extend" in game.uniwizard("install", "--dry-run")
    assert files(game) == kept
    assert "What to do next" in game.uniwizard("install")
    installed = files(game)
    assert "nothing to do" in game.uniwizard("install")
    assert files(game) == installed
    changed = {name for name in installed if installed[name] != kept.get(name)}
    assert changed == {"server/conf/settings.py", ".uniwizard/.gitignore"}

    # Played by somebody who was there before.
    game.start()
    with game.login("Veteran") as veteran:
        veteran.send("look")
        seen = veteran.quiet(1.0)
        assert "You currently have no ability" not in seen
        veteran.send("think What is 17*23?")
        assert "391" in veteran.expect(CLOSING)
        veteran.send("backends")
        veteran.expect("claude")
    game.stop()
    # Everything of theirs is as it was; what is new is ours.
    assert not {row for row in rows - contents(game) if "uniwizard" not in repr(row)}

    # And gone.
    assert "took Uniwizard out" in game.uniwizard("uninstall", "--data", "--yes")
    assert files(game) == kept
    left = contents(game)
    assert left - rows == rows - left == type(rows)()
    game.start()
    with game.login("Veteran") as veteran:
        veteran.send("look")
        seen = veteran.quiet(1.0)
        assert "no ability" not in seen
        veteran.send("think What is 17*23?")
        assert "is not available" in veteran.quiet(1.0)
    game.stop()
    assert "uniwizard" not in game.log().lower()


def test_who_came_while_it_was_there_can_still_look_when_it_has_gone(game: TheirGame) -> None:
    game.uniwizard("install")
    game.start()
    with game.newcomer("Newbie") as newbie:
        newbie.send("route review this diff")
        newbie.expect("Would ask:")
        newbie.send("token")
        newbie.expect("no tokens")
    game.stop()
    game.uniwizard("uninstall")
    game.start()
    with game.login("Newbie") as newbie:
        newbie.send("look")
        seen = newbie.quiet(1.0)
        assert "no ability" not in seen
        newbie.send("inventory")
        assert "is not available" not in newbie.quiet(1.0)
    game.stop()
    assert "Traceback" not in game.log().rpartition("Server Shut Down")[0].rpartition("Server Shut Down")[2]
    # And back again, the Workshop and all.
    game.uniwizard("install")
    game.start()
    with game.login("Newbie") as newbie:
        newbie.send("backends")
        newbie.expect("claude")
    game.stop()


def test_what_earlier_versions_stored_in_characters_is_brought_over(game: TheirGame, tmp_path: Path) -> None:
    game.python(
        "from evennia.objects.models import ObjectDB\n"
        "ObjectDB.objects.filter(db_key='Veteran').update("
        "db_cmdset_storage='uniwizard.commands.cmdsets.CharacterCmdSet')\n"
        "from evennia.server.models import ServerConfig\n"
        "ServerConfig.objects.conf('uniwizard_paths', delete=True)"
    )
    game.uniwizard("uninstall", "--data", "--yes")
    said = game.python(
        "from evennia.objects.models import ObjectDB\nprint(ObjectDB.objects.get(db_key='Veteran').db_cmdset_storage)"
    )
    assert "uniwizard" not in said
