"""The commands of the Workshop, for whoever is connected: beside the game's own, and stored in nobody.

They stand in the cmdset of the session (``CMDSET_SESSION``), which Evennia merges below those of the account, the
character and the room and never writes to the database. So every character has them, whatever cmdsets it keeps of its
own; a command of the game's with the same name wins, whoever may use ours; and a game without Uniwizard has nobody in
it who refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from evennia.commands.cmdset import CmdSet
from evennia.commands.command import Command
from evennia.commands.default.general import CmdGet as EvenniaGet
from evennia.utils import logger
from evennia.utils.utils import class_from_module

from uniwizard.commands.backends import CmdBackends
from uniwizard.commands.goal import CmdGoal, CmdGoals
from uniwizard.commands.ledger import CmdLedger
from uniwizard.commands.practice import CmdPractice
from uniwizard.commands.route import CmdRoute
from uniwizard.commands.talk import CmdTalk
from uniwizard.commands.think import CmdThink
from uniwizard.commands.token import CmdToken
from uniwizard.commands.workshop import CmdAsk, CmdCall, CmdFeel, CmdGet, CmdRecall

COMMANDS = (
    *(CmdThink, CmdRoute, CmdBackends, CmdPractice, CmdLedger, CmdRecall, CmdAsk, CmdCall, CmdFeel),
    *(CmdTalk, CmdToken, CmdGoal, CmdGoals),
)

# A session that was connected before Uniwizard was taken out of the settings still asks for this module.
_Base: Any = class_from_module(getattr(settings, "UNIWIZARD_BASE_SESSION_CMDSET", settings.CMDSET_SESSION))


def commands(renamed: Any = None) -> Iterator[Command]:
    """The Workshop's commands under the names that ``UNIWIZARD_COMMANDS`` gives them.

    An alias is a command of its own, so that a game's command of that name replaces the alias and nothing more.
    """
    renamed = renamed or {}
    for command in COMMANDS:
        name = renamed.get(command.key, command.key)
        if not name:
            continue
        yield command(key=str(name), aliases=[])
        for alias in command.aliases:
            if shown := renamed.get(alias, alias):
                yield command(key=str(shown), aliases=[], auto_help=False)


def faults(renamed: Any) -> Iterator[str]:
    """What is wrong with a ``UNIWIZARD_COMMANDS`` setting, one line each."""
    if not isinstance(renamed, dict):
        allowed = "a dict of names, such as {'think': 'ponder'}"
        yield f"UNIWIZARD_COMMANDS: is {type(renamed).__name__}; allowed: {allowed}"
        return
    known = [name for command in COMMANDS for name in (command.key, *command.aliases)]
    for name, wanted in renamed.items():
        if name not in known:
            yield f"UNIWIZARD_COMMANDS: {name!r} is no command; allowed: {', '.join(known)}"
        elif wanted and (not isinstance(wanted, str) or wanted != wanted.strip() or "/" in wanted):
            yield f"UNIWIZARD_COMMANDS[{name!r}]: {wanted!r} is no name; allowed: a word, or None to leave it out"


for _fault in faults(getattr(settings, "UNIWIZARD_COMMANDS", {})):
    logger.log_err(f"Uniwizard: {_fault}")


class SessionCmdSet(_Base):
    """The game's own session cmdset with the Workshop's commands added."""

    key = _Base.key

    def at_cmdset_creation(self) -> None:
        super().at_cmdset_creation()
        if hasattr(settings, "UNIWIZARD_BASE_SESSION_CMDSET"):
            renamed = settings.UNIWIZARD_COMMANDS
            for command in commands(renamed if isinstance(renamed, dict) else None):
                if command not in self.commands:
                    self.add(command)


class WorkshopCmdSet(CmdSet):
    """What is different in the Workshop itself; the room adds it when it wakes, and it is stored nowhere.

    ``get`` takes jars off the shelf where the game's own ``get`` is Evennia's; a game that has one of its own keeps it.
    """

    key = "uniwizard_workshop"
    priority = 1

    def at_cmdset_creation(self) -> None:
        of_game = class_from_module(settings.CMDSET_CHARACTER)()
        if any(type(command) is EvenniaGet for command in of_game.commands if command.key == CmdGet.key):
            self.add(CmdGet())
