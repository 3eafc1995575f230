"""The character's and the account's commands: whatever the game had, and the Workshop's on top of it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.commands.default.general import CmdGet as EvenniaGet
from evennia.utils.utils import class_from_module

from uniwizard.commands.backends import CmdBackends
from uniwizard.commands.ledger import CmdLedger
from uniwizard.commands.practice import CmdPractice
from uniwizard.commands.route import CmdRoute
from uniwizard.commands.think import CmdThink
from uniwizard.commands.token import CmdToken
from uniwizard.commands.workshop import CmdAsk, CmdCall, CmdFeel, CmdGet, CmdRecall

_Base: Any = class_from_module(settings.UNIWIZARD_BASE_CHARACTER_CMDSET)
_AccountBase: Any = class_from_module(settings.UNIWIZARD_BASE_ACCOUNT_CMDSET)


class CharacterCmdSet(_Base):
    """The game's own character cmdset with think, route, backends, practice and ledger added."""

    key = _Base.key

    def at_cmdset_creation(self) -> None:
        super().at_cmdset_creation()
        for command in (CmdThink, CmdRoute, CmdBackends, CmdPractice, CmdLedger, CmdRecall):
            self.add(command())
        own = {command.key: command for command in self.commands}
        if type(own.get(CmdGet.key)) is EvenniaGet:
            self.add(CmdGet())
        for command in (CmdAsk, CmdCall, CmdFeel):
            # A game that has such a command keeps it.
            if (made := command()).key not in own:
                self.add(made)


class AccountCmdSet(_AccountBase):
    """The game's own account cmdset with token added."""

    key = _AccountBase.key

    def at_cmdset_creation(self) -> None:
        super().at_cmdset_creation()
        self.add(CmdToken())
