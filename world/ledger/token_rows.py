"""The tokens' rows: what every process reads of them. Everything here blocks.

held = read("2026-11")               # all tokens, with what is spent of each and of each account
version()                            # changes when a token is made or revoked
move_attributes()                    # tokens of versions before 0.2, which were Attributes of their accounts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Sum

from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.models import Token, TokenUse
from uniwizard.world.ledger.storage import moment

#: The categories of the Attributes that tokens once were.
CATEGORY, OWNER_CATEGORY = "uniwizard_tokens", "uniwizard_token_owner"
#: Who has spent what was counted before processes were told apart.
BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Row:
    """One token as it is written down. Times are seconds since the epoch; ``expires`` 0 means never."""

    id: str
    account_id: int
    label: str
    hash: str
    created: float
    expires: float
    requests_per_minute: int | None
    usd_per_month: float | None


@dataclass(slots=True)
class Known:
    """Every token, and what is spent of them in the month in USD, by whom.

    uses      by token and process
    accounts  by account and process; revoked tokens' included
    last      by token, when it was used last
    """

    rows: dict[str, Row] = field(default_factory=dict)
    uses: dict[str, dict[str, float]] = field(default_factory=dict)
    accounts: dict[int, dict[str, float]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)


def read(month: str) -> Known:
    """All there is, with what was spent in ``month``."""
    known = Known()
    for token in Token.objects.all():
        expires = token.expires.timestamp() if token.expires else 0.0
        limits = token.requests_per_minute, token.usd_per_month
        known.rows[token.id] = Row(
            token.id, token.account_id, token.label, token.hash, token.created.timestamp(), expires, *limits
        )
    for key, last in TokenUse.objects.order_by().values_list("token").annotate(Max("last_used")):
        if last is not None:
            known.last[key] = last.timestamp()
    spent = TokenUse.objects.filter(month=month).order_by()
    for key, account, owner, usd in spent.values_list("token", "account_id", "owner", "usd"):
        known.uses.setdefault(key, {})[owner] = usd
        of_account = known.accounts.setdefault(account, {})
        of_account[owner] = of_account.get(owner, 0.0) + usd
    return known


def version() -> tuple[Any, ...]:
    """Another one whenever a token was made or revoked, or something was spent."""
    made = Token.objects.aggregate(Count("id"), Max("created"))
    spent = TokenUse.objects.aggregate(Max("last_used"), Sum("usd"))
    return (*made.values(), *spent.values())


def holders() -> set[int]:
    """The ids of the accounts that have tokens."""
    return set(Token.objects.order_by().values_list("account_id", flat=True))


def add(row: Row) -> None:
    """Write a token down. Raises DatabaseError."""
    Token.objects.create(
        id=row.id,
        account_id=row.account_id,
        label=row.label[:100],
        hash=row.hash,
        created=moment(row.created),
        expires=moment(row.expires) if row.expires else None,
        requests_per_minute=row.requests_per_minute,
        usd_per_month=row.usd_per_month,
    )


def remove(identifier: str) -> None:
    """Revoke a token for every process. Raises DatabaseError."""
    Token.objects.filter(id=identifier).delete()


# -- what was, before 0.2 ------------------------------------------------------------------------------------------


def move_attributes() -> int:
    """Make rows of tokens that are still Attributes of their accounts; how many."""
    from evennia.accounts.models import AccountDB

    moved = 0
    for account in AccountDB.objects.filter(db_attributes__db_category=CATEGORY).distinct():
        moved += _move(account)
    return moved


def _move(account: Any) -> int:
    from evennia.utils.dbserialize import deserialize

    attributes = account.attributes.get(category=CATEGORY, return_obj=True, return_list=True)
    kept = {each.key: deserialize(each.value) for each in attributes if each is not None}
    with transaction.atomic(using=alias()):
        for identifier, token in kept.items():
            if not isinstance(token, dict) or not isinstance(token.get("hash"), str) or len(token["hash"]) != 64:
                continue
            if not Token.objects.filter(id=identifier).exists():
                add(_former(identifier, account.id, token))
            if _number(token.get("spent_usd")) and token.get("month"):
                _spent_before(identifier, account.id, token)
        together = deserialize(account.attributes.get("spent", category=OWNER_CATEGORY)) or {}
        mine = sum(_number(token.get("spent_usd")) for token in kept.values() if isinstance(token, dict))
        if isinstance(together, dict) and (rest := _number(together.get("usd")) - mine) > 0 and together.get("month"):
            # By tokens that were revoked since.
            _spent_before("", account.id, {"spent_usd": rest, "month": together["month"]})
    account.attributes.clear(category=CATEGORY)
    account.attributes.clear(category=OWNER_CATEGORY)
    return len(kept)


def _former(identifier: str, account_id: int, token: dict[str, Any]) -> Row:
    rate = token.get("requests_per_minute")
    budget = token.get("usd_per_month")
    return Row(
        identifier[:16],
        account_id,
        str(token.get("label") or "")[:100],
        token["hash"],
        _number(token.get("created")),
        _number(token.get("expires")),
        int(_number(rate)) or None,
        _number(budget) if budget is not None else None,
    )


def _spent_before(identifier: str, account_id: int, token: dict[str, Any]) -> None:
    used = _number(token.get("last_used"))
    figures = {
        "account_id": account_id,
        "usd": _number(token["spent_usd"]),
        "last_used": datetime.fromtimestamp(used, UTC) if used else None,
    }
    which = {"token": identifier or f"#{account_id}", "owner": BEFORE, "month": str(token["month"])[:7]}
    TokenUse.objects.update_or_create(**which, defaults=figures)


def _number(value: Any) -> float:
    """``value`` where it is an amount or a moment; else 0."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return float(value) if good else 0.0
