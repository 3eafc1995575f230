"""Whoever is created, renamed or deleted in a game is known to the next thought; what they are called stops nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from awkward import run
from fake_llm import FakeLLMThread
from wired import address, all_said, config, newcomer, think, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    with wired(tmp_path_factory.mktemp("names") / "game", config(), UPSTREAM=address(provider)) as running:
        yield running


@pytest.fixture
def asked(wizard: Telnet, upstream: FakeLLMThread) -> Asked:
    return Asked(wizard, upstream)


class Asked:
    """What of a question reaches the provider; and how the superuser changes the game."""

    def __init__(self, wizard: Telnet, upstream: FakeLLMThread):
        self.wizard = wizard
        self.upstream = upstream

    def __call__(self, question: str) -> str:
        think(self.wizard, question)
        return self.upstream.log[-1].text

    def do(self, code: str) -> None:
        self.wizard.send(f"py {code}; print('do' + 'ne')")
        self.wizard.expect("done\n")


def test_a_new_character_a_renamed_one_and_a_former_name_are_known_at_once(game: Game, asked: Asked) -> None:
    assert asked("Who is Quillon, and who Brambor?") == "Who is Quillon, and who Brambor?"
    with newcomer(game, "Quillon"):
        assert asked("Who is Quillon, and who Brambor?") == "Who is Person1Q, and who Brambor?"
        asked.do("q = evennia.search_object('Quillon')[0]; q.key = 'Brambor'; q.account.username = 'Brambor'")
        assert asked("Who is Quillon, and who Brambor?") == "Who is Person1Q, and who Person2Q?"
        asked.do("q = evennia.search_object('Brambor')[0]; q.aliases.add('Zottel'); q.account.email = 'q@example.org'")
        asked.do("q = evennia.search_object('Brambor')[0].account; q.save()")
        assert asked("Write to zottel at q@example.org.") == "Write to Person1Q at Email2Q."


def test_former_names_survive_a_reload(game: Game, asked: Asked) -> None:
    with newcomer(game, "Wimbert"):
        asked.do("q = evennia.search_object('Wimbert')[0]; q.key = 'Gralf'")
    asked.wizard.close()
    game.reload()
    with game.telnet() as wizard:
        wizard.login(game.superuser.name, game.superuser.password)
        all_said(wizard)
        assert Asked(wizard, asked.upstream)("Gralf or Wimbert?") == "Person1Q or Person2Q?"


def test_who_is_deleted_is_nobody_any_more(game: Game, asked: Asked) -> None:
    with newcomer(game, "Ozzlin"):
        assert asked("Is Ozzlin in?") == "Is Person1Q in?"
        asked.do("q = evennia.search_object('Ozzlin')[0]; a = q.account; q.delete(); a.delete()")
    assert asked("Is Ozzlin in?") == "Is Ozzlin in?"


def test_other_rooms_are_places_and_a_cook_is_no_player(game: Game, asked: Asked) -> None:
    asked.do("evennia.create_object('typeclasses.rooms.Room', key='Krumholz Hollow')")
    for key in ("Quark", "Zubrow"):
        asked.do(f"evennia.create_object('typeclasses.characters.Character', key='{key}')")
    assert asked("Does quark grow in Krumholz Hollow, Zubrow?") == "Does quark grow in Place1Q, Zubrow?"


def test_a_cook_who_becomes_somebodys_character_is_one(game: Game, asked: Asked) -> None:
    asked.do("evennia.create_object('typeclasses.characters.Character', key='Puzzolan')")
    assert asked("Is Puzzolan in?") == "Is Puzzolan in?"
    asked.do("self.account.characters.add(evennia.search_object('Puzzolan')[0])")
    assert asked("Is Puzzolan in?") == "Is Person1Q in?"


def test_a_cook_whom_a_builder_creates_is_one_until_somebody_plays_it(game: Game, asked: Asked) -> None:
    for key in ("Tide", "Rat"):
        asked.wizard.send(f"create/drop {key}:typeclasses.characters.Character")
        asked.wizard.expect(f"You create a new Character: {key}")
    question = "Does a rat swim with the tide, Tide?"
    assert asked(question) == question
    asked.wizard.send("ic Tide")
    asked.wizard.expect("You become Tide")
    assert asked("Is Tide in, Rat?") == "Is Person1Q in, Rat?"
    asked.wizard.send(f"ic {game.superuser.name}")
    asked.wizard.expect(f"You become {game.superuser.name}")
    # What was once a player's name stays one, and what was not is not read for one at the next start either.
    asked.wizard.close()
    game.reload()
    with game.telnet() as wizard:
        wizard.login(game.superuser.name, game.superuser.password)
        all_said(wizard)
        assert Asked(wizard, asked.upstream)("Is Tide in, Rat?") == "Is Person1Q in, Rat?"


def test_characters_with_awkward_names_think_of_each_other(game: Game, upstream: FakeLLMThread) -> None:
    report = run(game, upstream, thoughts=60, players=4)
    assert report.faults == []
    assert report.answered == report.asked == 60
    assert report.sent >= 60
