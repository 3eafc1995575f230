"""``token``: keys with which a player's own programs come in through ``/v1``."""

from __future__ import annotations

import re
import time
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from evennia.commands.default.muxcommand import MuxAccountCommand

from uniwizard.agent.gateway import Allowance
from uniwizard.commands.strict_switches import StrictSwitches
from uniwizard.server.game.addresses import Running
from uniwizard.world.harmless import line
from uniwizard.world.tokens import Token, tokens

_USAGE = "token/create <label> [= <requests a minute>, <USD a month>, <days>]"
_NOT_NOW = "The tokens cannot be written just now; try again in a moment."
_DECIMAL = r"\d{1,9}(\.\d{1,6})?"
#: A hundred years; Python's calendar goes not much further.
_MOST_DAYS = 36_500


class CmdToken(StrictSwitches, MuxAccountCommand):
    """
    let programs of yours ask the Workshop's brains

    Usage:
      token
      token/create <label>
                   [= <requests a minute>, <USD a month>, <days>]
      token/revoke <id>

    Switches:
      create - make a token; it is shown once and never again
      revoke - end one at once

    Without figures a token has the highest limits that this
    game allows, and does not expire. Any program that speaks
    OpenAI's protocol works: give it the address and the token
    that 'token/create' shows.

    Examples:
      token/create my editor
      token/create a test = 10, 0.50, 7
      token/revoke 1f0c22ab
    """

    key = "token"
    aliases = ["tokens"]
    known_switches = ("create", "revoke")
    locks = "cmd:pperm(Player)"
    help_category = "Workshop"

    def func(self) -> None:
        if not settings.UNIWIZARD_WEB_API:
            self._say("This game has no door for programs.")
        elif fault := self.fault_in_switches():
            self._say(fault)
        elif self.switches == ["create"]:
            self._create()
        elif self.switches == ["revoke"]:
            self._revoke()
        elif self.switches or self.args.strip():
            self._say("Usage: token, token/create <label>, or token/revoke <id>; see 'help token'.")
        else:
            self._list()

    def _list(self) -> None:
        held = tokens.of(self.account)
        if not held:
            self._say("You have no tokens. Make one: token/create <label>")
            return
        head = f"|w{'id':<10}{'label':<20}{'last used':<18}{'expires':<12}{'a month':>16}|n"
        self._say("\n".join((head, *(_row(token) for token in held))))

    def _create(self) -> None:
        try:
            label, (allowance, days) = self._label(), _limits(self.rhs or "")
            if len(tokens.of(self.account)) >= settings.UNIWIZARD_TOKENS_PER_ACCOUNT:
                raise ValueError(f"You have {settings.UNIWIZARD_TOKENS_PER_ACCOUNT} tokens already; revoke one first.")
        except ValueError as fault:
            self._say(str(fault))
            return
        try:
            made, secret = tokens.create(self.account, label, allowance, days)
        except DatabaseError:
            self._say(_NOT_NOW)
            return
        running = Running.read(Path(settings.GAME_DIR))
        address = f"{running.web if running else 'the web address of this game'}/v1"
        self._say(
            f"Token |w{made.id}|n for '{label}'. It is shown this once:\n  |w{secret}|n\n"
            f"Address: {address}   Model: auto, or a backend's key"
        )

    def _label(self) -> str:
        """The label asked for, harmless. Raises ValueError where there is none."""
        if label := line((self.lhs or "").strip(), 40):
            return label
        raise ValueError(f"Which label? Usage: {_USAGE}")

    def _revoke(self) -> None:
        wanted = self.args.strip().lower()
        try:
            revoked = tokens.revoke(self.account, wanted)
        except DatabaseError:
            self._say(_NOT_NOW)
            return
        if revoked:
            self._say(f"Token {line(wanted, 20)} is revoked; nobody comes in with it any more.")
        else:
            self._say(f"You have no token '{line(wanted, 20)}'; 'token' lists them.")

    def _say(self, text: str) -> None:
        # To this session alone: a secret is not for the other windows of the account.
        self.account.msg(text=(text, {"type": "uniwizard"}), session=self.session)


def _limits(given: str) -> tuple[Allowance, float]:
    """The limits and the days (0 for ever) that ``given`` asks for. Raises ValueError, saying which cannot be had."""
    pieces = [piece.strip() for piece in given.split(",")]
    if len(pieces) > 3:
        raise ValueError(f"A token takes three figures at the most. Usage: {_USAGE}")
    most = settings.UNIWIZARD_TOKEN_LIMITS
    rate, usd, days = [*pieces, "", ""][:3]
    return (
        Allowance(
            int(_figure(rate, r"\d{1,9}", "requests a minute", "a whole number", most["requests_per_minute"])),
            _figure(usd, _DECIMAL, "USD a month", "a number", most["usd_per_month"]),
        ),
        _figure(days, _DECIMAL, "days", "a number", _MOST_DAYS) if days else 0.0,
    )


def _figure(given: str, shape: str, what: str, kind: str, most: float) -> float:
    """The number above 0 in ``given``, or ``most`` where nothing is. Raises ValueError, saying what is allowed."""
    if not given:
        return most
    number = float(given) if re.fullmatch(shape, given) else 0.0
    if not 0 < number <= most:
        raise ValueError(f"'{line(given, 20)}' {what} cannot be had; allowed: {kind} above 0, {most:g} at the most.")
    return number


def _row(token: Token) -> str:
    month = time.strftime("%Y-%m", time.gmtime())
    spent = token.spent_usd if token.month == month else 0.0
    budget = f"${spent:.2f} of ${token.usd_per_month:.2f}" if token.usd_per_month is not None else f"${spent:.2f}"
    expires = time.strftime("%Y-%m-%d", time.gmtime(token.expires)) if token.expires else "never"
    return f"{token.id:<10}{line(token.label, 18):<20}{_ago(token.last_used):<18}{expires:<12}{budget:>16}"


def _ago(moment: float) -> str:
    if not moment:
        return "never"
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment))
