"""A game that version 0.1 was played in: its stored paths are brought over, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prepared import copied

from uniwizard.server.game.process import Game

pytestmark = pytest.mark.game

#: Turns every path that this version stores into the one that version 0.1 stored.
AS_VERSION_0_1 = """
from django.db.models import F, Value
from django.db.models.functions import Replace
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.scripts.models import ScriptDB
from evennia.server.models import ServerConfig

for table in (ObjectDB, ScriptDB):
    former = Replace(F("db_typeclass_path"), Value("uniwizard.typeclasses."), Value("typeclasses."))
    table.objects.filter(db_typeclass_path__startswith="uniwizard.").update(db_typeclass_path=former)
for table in (ObjectDB, AccountDB):
    former = Replace(
        F("db_cmdset_storage"), Value("commands.default_cmdsets."), Value("commands.uniwizard_cmdsets.")
    )
    table.objects.filter(db_cmdset_storage__contains="commands.default_cmdsets.").update(db_cmdset_storage=former)
ServerConfig.objects.conf("uniwizard_paths", delete=True)
print(ObjectDB.objects.filter(db_typeclass_path="typeclasses.workshop.Workshop").count(),
      ObjectDB.objects.filter(db_cmdset_storage__contains="commands.uniwizard_cmdsets.").count())
"""


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Game]:
    """A game with a player in it, stopped, whose database says what version 0.1 wrote."""
    game = copied(tmp_path_factory.mktemp("former"))
    game.start()
    try:
        with game.telnet() as player:
            player.create_account("veteran", "tjo-hopp-99")
        game.stop()
        workshops, characters = game.python(AS_VERSION_0_1).split()
        assert workshops == "1"
        assert int(characters) >= 1
        yield game
    finally:
        game.kill9()


def test_rooms_and_commands_of_a_game_of_version_0_1_work_on(former: Game) -> None:
    former.start()
    with former.telnet() as player:
        player.login("veteran", "tjo-hopp-99")
        player.send("look")
        player.expect("On the shelf:")
        player.send("think What is 17*23?")
        player.expect("391")
    former.stop()
    stored = former.python("""
from evennia.objects.models import ObjectDB
from evennia.scripts.models import ScriptDB
for table in (ObjectDB, ScriptDB):
    print(*table.objects.values_list("db_typeclass_path", flat=True))
print(*ObjectDB.objects.values_list("db_cmdset_storage", flat=True))
""")
    assert "uniwizard.typeclasses.workshop.Workshop" in stored
    assert "uniwizard.typeclasses.backend_router.BackendRouter" in stored
    assert "uniwizard_cmdsets" not in stored
    assert "uniwizard.commands" not in stored
    assert "commands.default_cmdsets.CharacterCmdSet" in stored
