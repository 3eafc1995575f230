"""What an address asks of the overview, and what its viewer may see: ``?from=2026-11-01&to=2026-11-20&backend=claude``.

    asked = Asked.of(request.GET, today, viewer=None)      # None sees all; an account's id only what is its own
    asked.query(practice="1")                              # the address's query with something else in it

What cannot be understood is left out, so every address shows something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

STEPS = ("hour", "day", "week")
#: Days that are shown where the address names none, and at most.
USUAL, LONGEST = 7, 800
#: Days for which a picture by the hour can be drawn.
BY_HOUR = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """Days are inclusive and of the game's time zone; empty filters let everything through.

    account   the id of the account that everything is of; None for all
    """

    since: date
    until: date
    step: str
    backend: str = ""
    kind: str = ""
    player: str = ""
    token: str = ""
    practice: bool = False
    account: int | None = None
    own: bool = False

    @classmethod
    def of(
        cls, query: Mapping[str, str], today: date, viewer: int | None, account_of: Callable[[str], int | None]
    ) -> Asked:
        """Read an address. ``account_of`` finds the account of a player's name; ``viewer`` sees its own alone."""
        # No ledger is older, and a span before it must still be a date.
        until = max(min(_day(query.get("to"), today), today), date(2000, 1, 1))
        since = _day(query.get("from"), until - timedelta(days=USUAL - 1))
        since = max(min(since, until), until - timedelta(days=LONGEST))
        days = (until - since).days + 1
        step = query.get("step", "")
        if step not in STEPS or (step == "hour" and days > BY_HOUR):
            step = "hour" if days <= 2 else "day" if days <= 62 else "week"
        player = query.get("player", "").strip()[:150] if viewer is None else ""
        account = viewer if viewer is not None else _known(account_of, player)
        return cls(
            since,
            until,
            step,
            query.get("backend", "").strip()[:64],
            query.get("kind", "").strip()[:32],
            player,
            query.get("token", "").strip()[:100],
            query.get("practice") == "1",
            account,
            viewer is not None,
        )

    @property
    def of_somebody(self) -> bool:
        """Whether it is about one asker."""
        return self.account is not None or bool(self.token)

    @property
    def of_some_work(self) -> bool:
        """Whether it is about one backend or kind."""
        return bool(self.backend or self.kind)

    def query(self, **other: str) -> str:
        """The query of this page's address, with ``other`` values in it; an empty one takes it out."""
        asked = {
            "from": str(self.since),
            "to": str(self.until),
            "step": self.step,
            "backend": self.backend,
            "kind": self.kind,
            "player": self.player,
            "token": self.token,
            "practice": "1" if self.practice else "",
        }
        return urlencode({name: value for name, value in (asked | other).items() if value})


def _known(account_of: Callable[[str], int | None], player: str) -> int | None:
    """The player's account; one that nobody has where there is no such player."""
    if not player:
        return None
    found = account_of(player)
    return -1 if found is None else found


def _day(text: str | None, otherwise: date) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return otherwise
