"""``ledger``: what was asked and what it cost, in tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from evennia.utils import logger

from uniwizard.commands.base import UniwizardCommand
from uniwizard.world.harmless import line, whole
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.budgets import Standing, Who
from uniwizard.world.ledger.report import Tally, tally
from uniwizard.world.ledger.storage import day_of
from uniwizard.world.routers import GameRouter

#: What ``ledger/by`` can go by, and the column of the ledger for it.
_BY = {"day": "day", "backend": "backend", "kind": "kind", "player": "asker"}
_DAYS = 30
_ROWS = 40
_BAR = 18


class CmdLedger(UniwizardCommand):
    """
    see what your thoughts have cost

    Usage:
      ledger
      ledger/by day [= <days>]
      ledger/by backend [= <days>]
      ledger/by kind [= <days>]
      ledger/by player [= <days>]

    You see your own thoughts and budgets; Builders see
    everyone's. The tables go back 30 days where you give no
    other number. 'well' is the share of attempts that gave an
    answer; bars show the share of the cost, or, where nothing
    was paid for, of the attempts.

    Examples:
      ledger
      ledger/by backend = 7
    """

    key = "ledger"
    known_switches = ("by",)
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        who = Who.of(self.caller)
        everyone = self.caller.check_permstring("Builder")
        only: dict[str, Any] = {} if everyone else {"account_id": who.account_id}
        if not everyone and who.account_id is None:
            self.say("Nothing is written in your name.")
        elif not self.switches:
            self._read(lambda: self._summary(only, everyone, recorder.the().budgets.standings(who)))
        else:
            self._table(only, everyone)

    def _table(self, only: dict[str, Any], everyone: bool) -> None:
        by = (self.lhs or self.task).strip().lower()
        days = (self.rhs or str(_DAYS)).strip()
        if by not in _BY or not 0 < whole(days) <= 36_500:
            self.say(f"Usage: ledger/by <{', '.join(_BY)}> [= <days>]")
        elif by == "player" and not everyone:
            self.say("Only Builders and above see who else has asked.")
        else:
            self._read(lambda: self._by(by, int(days), only))

    def _read(self, question: Callable[[], list[str]]) -> None:
        """Ask the ledger in its reading thread, and show what it says."""
        told = recorder.the().writer.read(question)
        told.addCallback(lambda lines: self.say("\n".join(lines)))
        told.addErrback(self._unreadable)

    def _unreadable(self, why: Any) -> None:
        logger.log_err(f"Uniwizard: the ledger cannot be read: {why}")
        self.say("The ledger cannot be read just now; the server's log says why.")

    # -- in the reading thread -----------------------------------------------------------------------------------

    def _summary(self, only: dict[str, Any], everyone: bool, standings: list[Standing]) -> list[str]:
        today = day_of(time.time())
        periods = {
            "today": today,
            "this week": today - timedelta(days=today.weekday()),
            "this month": today.replace(day=1),
            "in all": None,
        }
        found = {name: tally(since=since, **only)[()] for name, since in periods.items()}
        lines = [f"|wThe ledger|n, {'everyone' if everyone else 'your own thoughts'}", *_rows(found, bars=False)]
        if (whole := found["in all"]).remembered:
            month = found["this month"]
            lines.append(
                f"|wRemembered|n {whole.remembered} times instead of asking: ${whole.saved_usd:.4f} saved, "
                f"${month.saved_usd:.4f} of it this month"
            )
        for standing in standings:
            lines += _budget(standing)
        trouble = recorder.the().writer.trouble
        if everyone and trouble:
            lines.append(f"|rIt cannot be written now:|n {line(trouble, 120)}")
        return lines

    def _by(self, by: str, days: int, only: dict[str, Any]) -> list[str]:
        since = day_of(time.time()) - timedelta(days=days - 1)
        found = {str(key[0] or "-"): sums for key, sums in tally((_BY[by],), since=since, **only).items()}
        if not found:
            return [f"Nothing was asked in the last {days} days."]
        if by == "day":
            shown = dict(sorted(found.items(), reverse=True))
        else:
            shown = dict(sorted(found.items(), key=lambda item: (-item[1].cost_usd, -item[1].attempts, item[0])))
        lines = [f"|wThe ledger|n by {by}, last {days} days", *_rows(dict(list(shown.items())[:_ROWS]), bars=True)]
        if len(shown) > _ROWS:
            lines.append(f"... and {len(shown) - _ROWS} more")
        whole = Tally()
        for sums in found.values():
            whole.cost_usd += sums.cost_usd
            whole.attempts += sums.attempts
            whole.remembered += sums.remembered
            whole.saved_usd += sums.saved_usd
        lines.append(f"|wIn all|n {whole.attempts} attempts, ${whole.cost_usd:.4f}")
        if whole.remembered:
            lines.append(f"|wRemembered|n {whole.remembered} times, ${whole.saved_usd:.4f} saved")
        return lines


def _rows(found: dict[str, Tally], *, bars: bool) -> list[str]:
    """A table of 78 columns at most."""
    paid = any(sums.cost_usd for sums in found.values())
    most = max((sums.cost_usd if paid else sums.attempts for sums in found.values()), default=0) or 1
    lines = [f"|w{'':<16}{'asked':>7}{'well':>6}{'latency':>9}{'tokens':>10}{'cost':>11}|n"]
    for name, sums in found.items():
        rate, latency = sums.success_rate, sums.mean_latency_ms
        well = "-" if rate is None else f"{rate:.0%}"
        took = "-" if latency is None else f"{latency / 1000:.1f} s"
        # Cut before it is made harmless, and padded by what is seen.
        seen = name if len(name) <= 15 else f"{name[:14]}."
        head = line(seen, 15) + " " * (16 - len(" ".join(seen.split())))
        row = f"{head}{sums.attempts:>7}{well:>6}{took:>9}{_short(sums.tokens):>10}{f'${sums.cost_usd:.4f}':>11}"
        lines.append(f"{row} {_bar((sums.cost_usd if paid else sums.attempts) / most)}" if bars else row)
    return lines


def _bar(share: float) -> str:
    return f"|g{'#' * max(1 if share > 0 else 0, round(share * _BAR))}|n"


def _short(tokens: int) -> str:
    if tokens < 100_000:
        return str(tokens)
    return f"{tokens / 1000:.0f}k" if tokens < 10_000_000 else f"{tokens / 1e6:.1f}M"


def _budget(standing: Standing) -> list[str]:
    """How a budget stands, in two lines."""
    limit = standing.limit
    share = min(1.0, standing.spent / limit.usd) if limit.usd else 1.0
    colour = "|r" if share >= 1 else "|y" if share > 0.8 else "|g"
    filled = round(share * 20)
    whose = "the game's" if standing.scope == "game" else f"your {standing.scope}'s"
    head = f"|wBudget|n {whose}: ${standing.spent:.4f} of ${limit.usd:g} a {limit.per}"
    return [
        f"{head}{f', ${standing.reserved:.4f} reserved' if standing.reserved else ''}",
        f"  [{colour}{'#' * filled}|n{'.' * (20 - filled)}] {share:.0%}, resets {standing.resets:%d %b %Y, %H:%M %Z}",
    ]
