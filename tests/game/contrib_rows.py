"""Evennia's LLM contrib, row by row: what holds of its LLMNPC holds of ours. Run by test_contrib.py, in a game.

Every row is tried with the contrib's own character as well, so that it says what the contrib does, and not what
somebody thought it does. The contrib's own tests come last, with our character in the place of theirs.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock, patch

from django.test import override_settings
from evennia.contrib.rpg.llm import llm_npc
from evennia.contrib.rpg.llm import tests as theirs
from evennia.utils.create import create_object
from evennia.utils.test_resources import BaseEvenniaTest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from uniwizard.commands.talk import CmdTalk
from uniwizard.typeclasses import thinking_npc
from uniwizard.typeclasses.thinking_npc import ThinkingNPC


class Rows:
    """The rows of the table in world/README.md."""

    npc_class: Any
    module: Any
    talk: Any

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.clock = Clock()
        self.patched = patch.object(self.module, "reactor", self.clock)
        self.patched.start()
        self.npc = create_object(self.npc_class, key="Mira", location=self.room1)
        self.client = Mock()
        self.client.get_response.side_effect = lambda prompt: succeed("Bread and ale.")
        self.npc.ndb.llm_client = self.client
        self.char1.msg = Mock()
        self.char2.msg = Mock()

    def tearDown(self) -> None:
        self.patched.stop()
        self.npc.delete()
        super().tearDown()  # type: ignore[misc]

    def heard(self, character: Any) -> str:
        told = []
        for call in character.msg.call_args_list:
            text = call.kwargs.get("text") or (call.args[0] if call.args else "")
            told.append(text[0] if isinstance(text, tuple) else text)
        return "\n".join(map(str, told))

    def prompt(self) -> str:
        return self.client.get_response.call_args[0][0]

    def test_the_prefix_is_the_objects_then_the_settings_then_the_class_s_then_the_usual(self) -> None:
        assert self.npc.llm_prompt_prefix == llm_npc.DEFAULT_PROMPT_PREFIX
        with patch.object(self.npc_class, "prompt_prefix", "of the class"):
            assert self.npc.llm_prompt_prefix == "of the class"
            with override_settings(LLM_PROMPT_PREFIX="of the settings"):
                assert self.npc.llm_prompt_prefix == "of the settings"
                self.npc.attributes.add("prompt_prefix", "of the object")
                assert self.npc.llm_prompt_prefix == "of the object"

    def test_the_words_in_braces_are_filled_in(self) -> None:
        self.npc.db.desc = "cook"
        self.npc.attributes.add("prompt_prefix", "{name}, {desc}, {location}, {character}")
        self.npc.at_talked_to("Hello", self.char1)
        name, place = self.char1.get_display_name(self.npc), self.room1.key
        assert self.prompt().splitlines()[0].startswith(f"Mira, cook, {place}, Char")
        assert self.prompt().splitlines()[1] == f"{name}: Hello"

    def test_what_was_said_is_in_the_next_prompt_and_the_room_hears_the_answer(self) -> None:
        self.npc.at_talked_to("What is there?", self.char1)
        self.npc.at_talked_to("And to drink?", self.char1)
        assert self.prompt().splitlines()[-3:] == [
            "Char: What is there?",
            "Mira: Bread and ale.",
            "Char: And to drink?",
        ]
        assert "Mira says (to You): Bread and ale." in self.heard(self.char1).replace('"', "")
        assert "Bread and ale." in self.heard(self.char2)

    def test_memories_of_two_are_two(self) -> None:
        self.npc.at_talked_to("A secret.", self.char1)
        self.npc.at_talked_to("Hello", self.char2)
        assert "secret" not in self.prompt()
        assert len(self.npc.chat_memory[self.char1]) == len(self.npc.chat_memory[self.char2]) == 2

    def test_the_memory_has_a_limit(self) -> None:
        self.npc.max_chat_memory_size = 6
        for number in range(20):
            self.npc.at_talked_to(f"number {number}", self.char1)
            assert len(self.npc.chat_memory[self.char1]) <= 6
        assert "number 19" in self.prompt()
        assert "number 2\n" not in self.prompt()

    def test_a_template_of_its_own(self) -> None:
        self.npc.response_template = "{name} mumbles: {response}"
        self.npc.at_talked_to("Hello", self.char1)
        assert "Mira mumbles: Bread and ale." in self.heard(self.char2)

    def test_a_slow_answer_is_bridged_after_the_timeout_and_a_quick_one_is_not(self) -> None:
        self.npc.at_talked_to("Hello", self.char1)
        self.clock.advance(60)
        assert "ponders" not in self.heard(self.char1)
        slow: Deferred[str] = Deferred()
        self.client.get_response.side_effect = lambda prompt: slow
        self.npc.thinking_timeout = 5
        self.npc.db.thinking_messages = ["{name} ponders the question"]
        self.npc.at_talked_to("Hello?", self.char1)
        self.clock.advance(4.9)
        assert "ponders" not in self.heard(self.char1)
        self.clock.advance(0.2)
        assert "ponders the question" in self.heard(self.char1)
        assert "ponders the question" in self.heard(self.char2)
        slow.callback("At last.")
        assert "At last." in self.heard(self.char1)

    def test_an_empty_answer_becomes_a_line_in_character(self) -> None:
        self.client.get_response.side_effect = lambda prompt: succeed("")
        self.npc.at_talked_to("Hello", self.char1)
        assert "... I'm sorry, I was distracted. Can you repeat?" in self.heard(self.char1)

    def test_who_is_nowhere_hears_alone(self) -> None:
        self.char1.location = None
        self.npc.at_talked_to("Hello", self.char1)
        assert "Bread and ale." in self.heard(self.char1)
        assert "Bread" not in self.heard(self.char2)

    def test_talk_takes_a_name_and_a_name_with_blanks(self) -> None:
        smith = create_object(self.npc_class, key="the old smiths", location=self.room1)
        smith.at_talked_to, self.npc.at_talked_to = Mock(), Mock()
        for typed, who in (("Mira Hello there", self.npc), ("the old smiths=Hello there", smith)):
            self._typed(typed)
            assert who.at_talked_to.call_args[0] == ("Hello there", self.char1), typed
        self._typed("Obj Hello")
        assert "doesn't seem to want to talk to you" in self.heard(self.char1)

    def _typed(self, words: str) -> None:
        command = self.talk()
        command.caller, command.args, command.cmdstring = self.char1, f" {words}", "talk"
        command.raw_string, command.session = f"talk {words}", self.session
        command.parse()
        command.func()


class TheContrib(Rows, BaseEvenniaTest):
    """The contrib's character."""

    npc_class, module, talk = llm_npc.LLMNPC, llm_npc, llm_npc.CmdLLMTalk


class Ours(Rows, BaseEvenniaTest):
    """Ours."""

    npc_class, module, talk = ThinkingNPC, thinking_npc, CmdTalk


class TheContribsOwnTests(theirs.TestLLMClient):
    """As they stand in the contrib, with our character in the place of theirs."""

    def setUp(self) -> None:
        self.replaced = patch.object(theirs, "LLMNPC", ThinkingNPC)
        self.replaced.start()
        super().setUp()
        assert isinstance(self.npc, ThinkingNPC)

    def tearDown(self) -> None:
        super().tearDown()
        self.replaced.stop()
