"""Tokens: the keys with which programs of an account come in through ``/v1``.

    made, secret = tokens.create(account, "my editor", Allowance(60, 5.0), days=90)   # the secret is shown this once
    tokens.check(secret)             # a Caller, or the reason why not
    tokens.of(account), tokens.revoke(account, made.id)

Each is an Attribute of its account (category :data:`CATEGORY`), so an admin sees them, and they go when it goes. Only
the SHA-256 of a token is kept; of 256 random bits that is enough. What changes with every request (last use, what was
spent) is held in memory and written :data:`WRITE_DELAY` seconds after it changed, and when the server stops: a request
costs no Attribute write.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from django.conf import settings
from evennia.accounts.models import AccountDB
from evennia.utils import logger
from evennia.utils.dbserialize import deserialize

from uniwizard.agent.gateway import Allowance, Caller, hashed
from uniwizard.world.ledger import responses
from uniwizard.world.reactor import reactor

CATEGORY = "uniwizard_tokens"
#: The category of the Attribute that keeps what all tokens of an account have spent together.
OWNER_CATEGORY = "uniwizard_token_owner"
PREFIX = "uwz"
#: Seconds between a change and its writing down.
WRITE_DELAY = 10.0
#: Seconds for which an account that was found in good standing is not looked at again.
STANDING = 30.0


@dataclass(slots=True)
class Token:
    """One token. Times are seconds since the epoch; ``expires`` and ``last_used`` 0 mean never."""

    id: str
    label: str
    hash: str
    created: float
    expires: float = 0.0
    last_used: float = 0.0
    requests_per_minute: int | None = None
    usd_per_month: float | None = None
    spent_usd: float = 0.0
    month: str = ""


@dataclass(slots=True)
class _Held:
    """A token in memory, with whose it is and who comes with it."""

    token: Token
    account: Any
    caller: Caller
    looked: float = field(default=0.0)


class Tokens:
    """All tokens of the game, by id. Read from the database when they are first asked for."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] | None = None
        self._changed: set[str] = set()
        #: By account, what all of its tokens have used together.
        self._owners: dict[int, Caller] = {}
        self._changed_owners: dict[int, Any] = {}
        self._writing: Any = None

    def check(self, presented: str) -> Caller | str:
        """Who comes with the key ``presented``: a Caller, or why they may not come in."""
        if not presented:
            return "no token was presented; make one in the game with `token/create`"
        prefix, _, rest = presented.partition("-")
        held = self._all().get(rest.partition("-")[0]) if prefix == PREFIX else None
        # The hash is compared even where there is none to compare with, so that time tells nothing of ids.
        known = hmac.compare_digest(hashed(presented), held.token.hash if held is not None else "0" * 64)
        if held is None or not known:
            return "this token is not known, or it was revoked"
        now = time.time()
        if held.token.expires and now >= held.token.expires:
            return "this token has expired"
        if now - held.looked > STANDING:
            if not _in_good_standing(held.account):
                return "the account of this token may not come in"
            held.looked = now
        held.token.last_used = now
        self._note(held.token.id)
        return held.caller

    def create(self, account: Any, label: str, allowance: Allowance, days: float = 0.0) -> tuple[Token, str]:
        """Make a token for ``account``; it and its secret, which is not kept. ``days`` 0 is for ever."""
        everyone = self._all()
        identifier = secrets.token_hex(4)
        while identifier in everyone:
            identifier = secrets.token_hex(4)
        secret = f"{PREFIX}-{identifier}-{secrets.token_hex(32)}"
        now = time.time()
        token = Token(
            identifier,
            label,
            hashed(secret),
            now,
            now + days * 86400.0 if days else 0.0,
            requests_per_minute=allowance.requests_per_minute,
            usd_per_month=allowance.usd_per_month,
        )
        everyone[identifier] = self._hold(token, account)
        self._write_one(identifier)
        return token, secret

    def revoke(self, account: Any, identifier: str) -> bool:
        """End a token of ``account`` at once; False when it has none of that id."""
        held = self._all().get(identifier)
        if held is None or held.account != account:
            return False
        del self._all()[identifier]
        self._changed.discard(identifier)
        account.attributes.remove(identifier, category=CATEGORY)
        responses.disown(identifier)
        return True

    def of(self, account: Any) -> list[Token]:
        """The tokens of ``account``, oldest first."""
        found = [held.token for held in self._all().values() if held.account == account]
        return sorted(found, key=lambda token: token.created)

    def owner(self, caller: Caller) -> Any:
        """The account whose token let ``caller`` in; None when it has been revoked since."""
        return next((held.account for held in self._all().values() if held.caller is caller), None)

    def write(self) -> None:
        """Write down now what has changed."""
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._writing = None
        for identifier in tuple(self._changed):
            self._write_one(identifier)
        self._changed.clear()
        for number, account in tuple(self._changed_owners.items()):
            _write_owner(account, self._owners[number])
        self._changed_owners.clear()

    # -- how it is kept ------------------------------------------------------------------------------------------

    def _all(self) -> dict[str, _Held]:
        if self._held is None:
            self._held = {}
            for account in AccountDB.objects.filter(db_attributes__db_category=CATEGORY).distinct():
                for attribute in account.attributes.get(category=CATEGORY, return_obj=True, return_list=True):
                    if attribute is not None and (token := _read(attribute.key, deserialize(attribute.value))):
                        self._held[token.id] = self._hold(token, account)
        return self._held

    def _hold(self, token: Token, account: Any) -> _Held:
        terms = frozenset(term for term in (account.username, account.email) if term)
        allowance = Allowance(token.requests_per_minute, token.usd_per_month)
        owner = self._owner(account)
        caller = Caller(token.label, allowance, terms, token.spent_usd, token.month, owner=owner, id=token.id)

        def spent(caller: Caller) -> None:
            token.spent_usd, token.month = caller.spent_usd, caller.month
            self._note(token.id)

        caller.changed = spent
        return _Held(token, account, caller)

    def _owner(self, account: Any) -> Caller:
        """What all tokens of an account may use together, those that are revoked by now included."""
        owner = self._owners.get(account.id)
        if owner is None:
            kept = deserialize(account.attributes.get("spent", category=OWNER_CATEGORY)) or {}
            spent, month = kept.get("usd", 0.0), kept.get("month", "")
            good = isinstance(spent, int | float) and not isinstance(spent, bool) and isinstance(month, str)
            owner = self._owners[account.id] = Caller(
                "all tokens of an account",
                Allowance(**settings.UNIWIZARD_TOKEN_LIMITS),
                spent_usd=float(spent) if good else 0.0,
                month=month if good else "",
            )

            def spent_by_account(owner: Caller) -> None:
                self._changed_owners[account.id] = account
                self._write_soon()

            owner.changed = spent_by_account
        return owner

    def _note(self, identifier: str) -> None:
        self._changed.add(identifier)
        self._write_soon()

    def _write_soon(self) -> None:
        if self._writing is None or not self._writing.active():
            self._writing = reactor.callLater(WRITE_DELAY, self.write)

    def _write_one(self, identifier: str) -> None:
        held = self._all().get(identifier)
        if held is None or held.account.pk is None:
            return
        try:
            held.account.attributes.add(identifier, asdict(held.token), category=CATEGORY)
        except Exception:
            logger.log_trace("Uniwizard: a token's figures could not be written down.")


def _write_owner(account: Any, owner: Caller) -> None:
    if account.pk is not None:
        kept = {"usd": owner.spent_usd, "month": owner.month}
        try:
            account.attributes.add("spent", kept, category=OWNER_CATEGORY)
        except Exception:
            logger.log_trace("Uniwizard: what an account's tokens have spent could not be written down.")


def _in_good_standing(account: Any) -> bool:
    return account.pk is not None and account.is_active and not account.is_banned(username=account.username)


def _read(identifier: str, kept: Any) -> Token | None:
    """A token as it was written down; None for what somebody has edited beyond recognition."""
    if not isinstance(kept, dict) or not isinstance(kept.get("hash"), str) or len(kept["hash"]) != 64:
        return None
    known = {each.name for each in fields(Token)}
    try:
        # Evennia keeps an Attribute's key in lower case, which hexadecimal digits are.
        return Token(**{name: value for name, value in kept.items() if name in known} | {"id": identifier})
    except TypeError:
        return None


#: The game's tokens. There is one server process, and so one book of them.
tokens = Tokens()
