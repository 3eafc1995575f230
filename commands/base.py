"""What the Workshop's commands share: finding the BackendRouter, and saying plainly when there is none."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from textwrap import wrap
from typing import Any

from evennia.commands.default.muxcommand import MuxCommand
from evennia.utils.ansi import ANSIString

from uniwizard.commands.strict_switches import StrictSwitches
from uniwizard.world import routers
from uniwizard.world.harmless import line, plain
from uniwizard.world.routers import Closed, GameRouter

_CommandMeta: Any = type(MuxCommand)


class _AbstractCommandMeta(_CommandMeta, ABCMeta):
    """What makes Evennia's commands, for commands that are not whole yet."""


class UniwizardCommand(StrictSwitches, MuxCommand, metaclass=_AbstractCommandMeta):
    """A command that needs a BackendRouter. Subclasses write ``do(router)``."""

    help_category = "Workshop"

    def access(self, srcobj: Any, access_type: str = "cmd", default: bool = False, **more: Any) -> bool:
        """Whoever is in the world may use it: the cmdset is the session's, and so there before a character is.

        Evennia 6 says in ``more`` which session asks.
        """
        in_world = hasattr(srcobj, "location")
        return in_world and super().access(srcobj, access_type, default=default, **more)

    def func(self) -> None:
        router = routers.find(self.caller.location)
        if router is None:
            self.caller.msg("There is no Workshop in this world: nobody here can lend a brain.")
            return
        if fault := self.fault_in_switches():
            self.say(fault)
            return
        try:
            router.brain  # noqa: B018 - wakes it
            self.do(router)
        except Closed as why:
            self.say(f"|rThe Workshop is closed:|n its configuration has faults.\n{line(str(why), 1000)}")

    @abstractmethod
    def do(self, router: GameRouter) -> None:
        """What the command does, with a router that is awake."""

    def say(self, text: str) -> None:
        """Tell the caller, within the width of their screen."""
        width = self.client_width()
        lines: list[str] = []
        for whole in text.split("\n"):
            indent = " " * (len(whole) - len(whole.lstrip(" ")) + 2)
            # Only at blanks: a piece of markup must not be cut in two.
            fits = len(whole) <= width or len(ANSIString(whole)) <= width
            lines += [whole] if fits else wrap(whole, width, subsequent_indent=indent, break_long_words=False)
        self.caller.msg(text=("\n".join(lines), {"type": "uniwizard"}))

    @property
    def task(self) -> str:
        """What was typed as a task, without control characters and outer blanks."""
        return plain(self.args, limit=10**6).strip()

    def is_builder(self) -> bool:
        """Whether the caller may change things; tells them where not."""
        if self.caller.check_permstring("Builder"):
            return True
        self.say("Only Builders and above may do that.")
        return False

    def is_backend(self, router: GameRouter, key: str) -> bool:
        """Whether ``key`` names a backend; tells the caller which there are where not."""
        keys = router.brain.backend_keys()
        if key in keys:
            return True
        self.say(f"No brain called '{line(key, 40)}' stands on the shelf; there are: {', '.join(keys)}.")
        return False
