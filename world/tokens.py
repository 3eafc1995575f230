"""Tokens: the keys with which programs of an account come in through ``/v1``.

    made, secret = tokens.create(account, "my editor", Allowance(60, 5.0), days=90)   # the secret is shown this once
    tokens.check(secret)             # a Caller, or the reason why not
    tokens.of(account), tokens.revoke(account, made.id)

They are rows beside the ledger's, which every process reads once and holds in memory: a request costs no query. Where
several processes can be, they look every :data:`REFRESH` seconds for what the others have made, revoked and spent; with
Redis (:mod:`world.cluster`) a revocation is there at once. Only the SHA-256 of a token is kept; of 256 random bits that
is enough. What is spent goes to the database with the ledger's next batch, a token's last use within
:data:`WRITE_DELAY` seconds.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from evennia.accounts.models import AccountDB
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from uniwizard.agent import Cluster
from uniwizard.agent.gateway import Allowance, Caller, hashed, month_of
from uniwizard.world.ledger import recorder, responses, token_rows
from uniwizard.world.ledger.owners import several
from uniwizard.world.ledger.token_rows import Known, Row
from uniwizard.world.reactor import reactor

_log = Logger()

PREFIX = "uwz"
#: Seconds between a token's use and its writing down.
WRITE_DELAY = 10.0
#: Seconds for which an account that was found in good standing is not looked at again.
STANDING = 30.0
#: Seconds between two looks at what other processes have changed.
REFRESH = 1.0


@dataclass(slots=True)
class Token:
    """One token, as its owner sees it. Times are seconds since the epoch; ``expires`` and ``last_used`` 0 mean never.

    ``spent_usd`` in ``month``, such as ``2026-11``.
    """

    id: str
    label: str
    created: float
    expires: float
    last_used: float
    requests_per_minute: int | None
    usd_per_month: float | None
    spent_usd: float
    month: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a token is."""

    id: int
    username: str
    email: str = ""
    welcome: bool = True


@dataclass(slots=True)
class _Held:
    """A token in memory, with whose it is and who comes with it."""

    row: Row
    holder: Holder
    caller: Caller
    last_used: float = 0.0
    looked: float = 0.0


@dataclass(slots=True)
class _Mine:
    """What this process has spent of a token in a month."""

    account_id: int
    month: str
    usd: float = 0.0


class Tokens:
    """All tokens of the game, by id. Read from the database when they are first asked for.

    Everything belongs to the reactor's thread. ``revoked`` is called with the id of each that is revoked here.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] | None = None
        #: By account, what all of its tokens have used together.
        self._owners: dict[int, Caller] = {}
        self._mine: dict[str, _Mine] = {}
        self._changed: set[str] = set()
        self._writing: Any = None
        self._version: tuple[Any, ...] = ()
        self._refreshing: LoopingCall | None = None
        self._looked = 0.0
        self.revoked: Callable[[str], None] = lambda identifier: None
        self._cluster: Cluster | None = None

    def check(self, presented: str) -> Caller | str:
        """Who comes with the key ``presented``: a Caller, or why they may not come in."""
        if not presented:
            return "no token was presented; make one in the game with `token/create`"
        prefix, _, rest = presented.partition("-")
        held = self._all().get(rest.partition("-")[0]) if prefix == PREFIX else None
        # The hash is compared even where there is none to compare with, so that time tells nothing of ids.
        known = hmac.compare_digest(hashed(presented), held.row.hash if held is not None else "0" * 64)
        if held is None or not known:
            return "this token is not known, or it was revoked"
        now = time.time()
        if held.row.expires and now >= held.row.expires:
            return "this token has expired"
        if self._refreshing is None and now - held.looked > STANDING:
            held.holder = _holder(held.row.account_id)
            held.looked = now
        if not held.holder.welcome:
            return "the account of this token may not come in"
        held.last_used = now
        self._write_soon(held.row.id)
        return held.caller

    def create(self, account: Any, label: str, allowance: Allowance, days: float = 0.0) -> tuple[Token, str]:
        """Make a token for ``account``; it and its secret, which is not kept. ``days`` 0 is for ever.

        Raises DatabaseError.
        """
        everyone = self._all()
        identifier = secrets.token_hex(4)
        while identifier in everyone:
            identifier = secrets.token_hex(4)
        secret = f"{PREFIX}-{identifier}-{secrets.token_hex(32)}"
        now = time.time()
        expires = now + days * 86400.0 if days else 0.0
        limits = allowance.requests_per_minute, allowance.usd_per_month
        row = Row(identifier, account.id, label, hashed(secret), now, expires, *limits)
        token_rows.add(row)
        held = everyone[identifier] = self._hold(row, _holder(account.id), Known())
        if self._cluster is not None:
            self._cluster.tell("made")
        return _shown(held), secret

    def revoke(self, account: Any, identifier: str) -> bool:
        """End a token of ``account`` at once; False when it has none of that id. Raises DatabaseError."""
        held = self._all().get(identifier)
        if held is None or held.row.account_id != account.id:
            return False
        token_rows.remove(identifier)
        self.forget(identifier)
        self.revoked(identifier)
        responses.disown(identifier)
        return True

    def forget(self, identifier: str) -> None:
        """Let nobody come in with this token any more: somebody has revoked it."""
        self._all().pop(identifier, None)

    def of(self, account: Any) -> list[Token]:
        """The tokens of ``account``, oldest first."""
        found = [_shown(held) for held in self._all().values() if held.row.account_id == account.id]
        return sorted(found, key=lambda token: token.created)

    def owner(self, caller: Caller) -> Holder | None:
        """The account whose token let ``caller`` in; None when it has been revoked since."""
        return next((held.holder for held in self._all().values() if held.caller is caller), None)

    def join(self, cluster: Cluster) -> None:
        """Keep rates and budgets together with the other processes, and hear of revocations at once."""
        if self._cluster is cluster:
            return
        self._cluster = cluster
        cluster.on("revoked", lambda said: self.forget(str(said.get("id"))))
        cluster.on("made", lambda _: self._look_now())
        self.revoked = lambda identifier: cluster.tell("revoked", id=identifier)
        for held in (self._held or {}).values():
            held.caller.cluster = cluster
        for owner in self._owners.values():
            owner.cluster = cluster

    def open(self) -> None:
        """Read all tokens now, so that the first request need not wait for it."""
        self._all()

    def write(self) -> None:
        """Have written down now what has changed."""
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._writing = None
        for identifier in tuple(self._changed):
            if (held := (self._held or {}).get(identifier)) is not None:
                self._put(held)
        self._changed.clear()

    # -- how it is kept ------------------------------------------------------------------------------------------

    def _all(self) -> dict[str, _Held]:
        if self._held is None:
            ledger = recorder.the()
            ledger.open()
            moved = token_rows.move_attributes()
            if moved:
                _log.info("{count} tokens stand in a table now, and no more in Attributes", count=moved)
            known = token_rows.read(month_of(time.time()))
            self._held = {}
            for row in known.rows.values():
                self._held[row.id] = self._hold(row, _holder(row.account_id), known)
            if several():
                self._refreshing = LoopingCall(self._refresh)
                self._refreshing.clock = reactor
                self._refreshing.start(REFRESH, now=False)
        return self._held

    def _hold(self, row: Row, holder: Holder, known: Known) -> _Held:
        now = time.time()
        terms = frozenset(term for term in (holder.username, holder.email) if term)
        allowance = Allowance(row.requests_per_minute, row.usd_per_month)
        spent = sum(known.uses.get(row.id, {}).values())
        owner = self._owner(row.account_id, known)
        caller = Caller(row.label, allowance, terms, spent, month_of(now), owner=owner, id=row.id)
        caller.cluster = self._cluster
        held = _Held(row, holder, caller, known.last.get(row.id, 0.0), now)

        def spent_more(caller: Caller) -> None:
            mine = self._mine.get(row.id)
            if mine is None or mine.month != caller.month:
                mine = self._mine[row.id] = _Mine(row.account_id, caller.month)
            mine.usd += caller.last_charge
            self._put(held)

        caller.changed = spent_more
        return held

    def _owner(self, account_id: int, known: Known) -> Caller:
        """What all tokens of an account may use together, those that are revoked by now included."""
        owner = self._owners.get(account_id)
        if owner is None:
            spent = sum(known.accounts.get(account_id, {}).values())
            allowance = Allowance(**settings.UNIWIZARD_TOKEN_LIMITS)
            month = month_of(time.time())
            owner = Caller(
                "all tokens of an account", allowance, spent_usd=spent, month=month, id=f"account {account_id}"
            )
            owner.cluster = self._cluster
            self._owners[account_id] = owner
        return owner

    def _put(self, held: _Held) -> None:
        """Have it written with the ledger's next batch: the sum, so that writing it twice counts once."""
        month = month_of(time.time())
        mine = self._mine.get(held.row.id)
        row = {
            "token": held.row.id,
            "account_id": held.row.account_id,
            "owner": recorder.the().owner,
            "month": mine.month if mine is not None else month,
            "usd": mine.usd if mine is not None else 0.0,
            "last_used": held.last_used or time.time(),
        }
        recorder.the().writer.put("use", row)

    def _write_soon(self, identifier: str) -> None:
        self._changed.add(identifier)
        if self._writing is None or not self._writing.active():
            self._writing = reactor.callLater(WRITE_DELAY, self.write)

    # -- other processes -----------------------------------------------------------------------------------------

    def _look_now(self) -> None:
        """Another process has made a token."""
        if self._refreshing is not None:
            Deferred.fromCoroutine(self._refresh())

    async def _refresh(self) -> None:
        """Take over what other processes have made, revoked and spent."""
        read = recorder.the().writer.read
        try:
            version = await read(token_rows.version)
            now = time.time()
            due = now - self._looked > STANDING
            if version == self._version and not due:
                return
            known = await read(token_rows.read, month_of(now))
            holders = await read(_holders, {row.account_id for row in known.rows.values()})
        except Exception as error:
            # What is known holds until the database is there again.
            _log.debug("tokens cannot be read: {why}", why=error)
            return
        self._version, self._looked = version, now
        self._take_over(known, holders, now)

    def _take_over(self, known: Known, holders: dict[int, Holder], now: float) -> None:
        everyone, me = self._all(), recorder.the().owner
        for identifier in everyone.keys() - known.rows.keys():
            # One that was made here a moment ago is in the next reading.
            if now - everyone[identifier].row.created > 2 * REFRESH:
                del everyone[identifier]
        for identifier, row in known.rows.items():
            holder = holders.get(row.account_id, Holder(row.account_id, "", welcome=False))
            held = everyone.get(identifier)
            if held is None:
                everyone[identifier] = self._hold(row, holder, known)
                continue
            held.holder, held.looked = holder, now
            held.last_used = max(held.last_used, known.last.get(identifier, 0.0))
            mine = self._mine.get(identifier)
            own = mine.usd if mine is not None and mine.month == month_of(now) else 0.0
            others = sum(usd for owner, usd in known.uses.get(identifier, {}).items() if owner != me)
            held.caller.recount(others + own, now)
        for account_id, owner in self._owners.items():
            of_account = known.accounts.get(account_id, {})
            own = sum(m.usd for m in self._mine.values() if m.account_id == account_id and m.month == month_of(now))
            owner.recount(sum(usd for who, usd in of_account.items() if who != me) + own, now)


def _shown(held: _Held) -> Token:
    row, caller = held.row, held.caller
    return Token(
        row.id,
        row.label,
        row.created,
        row.expires,
        held.last_used,
        row.requests_per_minute,
        row.usd_per_month,
        caller.spent_usd,
        caller.month,
    )


def _holder(account_id: int) -> Holder:
    return _holders({account_id}).get(account_id, Holder(account_id, "", welcome=False))


def _holders(accounts: set[int]) -> dict[int, Holder]:
    """Those of ``accounts`` that there are, and whether they may come in. Blocks."""
    from evennia.accounts.accounts import DefaultAccount

    found = {}
    rows = AccountDB.objects.filter(id__in=accounts).order_by()
    for number, username, email, active in rows.values_list("id", "username", "email", "is_active"):
        welcome = active and not DefaultAccount.is_banned(username=username)
        found[number] = Holder(number, username, email, welcome)
    return found


#: The tokens, as this process holds them.
tokens = Tokens()
