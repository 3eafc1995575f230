"""Who must never be named outside: the terms that the blindfold veils in the text and looks for in the bytes.

Every account and character of the game belong to every task, as the soul does; who asks, where and from which address
belong to theirs.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB

from uniwizard.world import soul


def of_game() -> frozenset[str]:
    """The names of every account and player character, whether here or away."""
    accounts = AccountDB.objects.values_list("username", flat=True)
    characters = ObjectDB.objects.filter(db_typeclass_path=settings.BASE_CHARACTER_TYPECLASS)
    owned = ObjectDB.objects.filter(db_account__isnull=False)
    names = (characters | owned).values_list("db_key", flat=True)
    return frozenset((*accounts, *names)) - {*soul.the().names}


def of_thinker(thinker: Any, text: str) -> frozenset[str]:
    """What would give ``thinker`` away: names, account, mail, addresses, whereabouts.

    A place with an everyday word for a name ("Library") is hidden only where ``text`` spells it as a name, so that
    asking about libraries stays possible in one.
    """
    terms: set[str] = {thinker.key, *thinker.aliases.all()}
    account = getattr(thinker, "account", None)
    if account is not None:
        terms.update((account.username, account.email or ""))
    sessions = getattr(thinker, "sessions", None)
    for session in sessions.all() if sessions is not None else ():
        address = session.address
        terms.add(str(address[0] if isinstance(address, tuple | list) else address))
    for place in (thinker.location, thinker.home):
        if place is not None and (" " in place.key.strip() or place.key in text):
            terms.add(place.key)
    # The machine's own loopback address names nobody, and stands in every task about networking.
    return frozenset(term for term in terms if term and term not in ("127.0.0.1", "::1", "localhost"))
