"""Who must never be named outside: every account and player character with what tells who they are, and every place.

    brain.hide(identity.of_game(), SOUL_NAMES)          # once: the set is kept up to date, and all Routers share it
    task = Task(text, identity=identity.of_thinker(character, text))

Names of players are their accounts' and their characters', with aliases, e-mail, the addresses they play from, and what
they were called before. Who is no account's character is not a player: a cook of the same typeclass stays a cook.
Whatever changes is known when the next task begins: Django says what is saved and deleted, and Evennia who logs in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db.models.signals import m2m_changed, post_save, pre_delete
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB
from evennia.objects.objects import DefaultRoom
from evennia.server.models import ServerConfig
from evennia.server.signals import SIGNAL_ACCOUNT_POST_LOGIN, SIGNAL_ACCOUNT_POST_LOGOUT
from evennia.typeclasses.attributes import Attribute
from evennia.utils import logger
from evennia.utils.utils import class_from_module

from uniwizard.agent import Names, Place

#: In the server's own store, what accounts and characters were called before they were renamed.
FORMER = "uniwizard_former_names"
#: Former names that are remembered of one account or character.
MOST_FORMER = 20
#: Where Evennia keeps the characters of an account, and the address that somebody was created from.
_CHARACTERS, _ADDRESS = "_playable_characters", "creator_ip"
#: What Evennia notes of a character that an account has made, and of one that somebody has played.
_MADE, _PLAYED, _LATEST = "creator_id", "prelogout_location", "_last_puppet"
#: The machine's own address names nobody, and stands in every task about networking.
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

#: Whose terms these are: a table, and an id in it.
_Owner = tuple[str, int]


class GameIdentity:
    """The names of one game, by whose they are; it listens to what becomes of them."""

    def __init__(self) -> None:
        self.names = Names()
        self._terms: dict[_Owner, frozenset[str]] = {}
        self._characters: set[int] = set()
        self._former: dict[str, list[str]] = {}
        #: What accounts and characters are called, to tell what they were called before.
        self._called: dict[_Owner, str] = {}
        self._room_paths: dict[str, bool] = {}

    def begin(self) -> None:
        """Read everybody's names, and hear of every change from now on."""
        self._former = dict(ServerConfig.objects.conf(FORMER) or {})
        self._read()
        post_save.connect(self._saved, dispatch_uid="uniwizard_identity")
        pre_delete.connect(self._deleted, dispatch_uid="uniwizard_identity")
        m2m_changed.connect(self._tagged, dispatch_uid="uniwizard_identity")
        SIGNAL_ACCOUNT_POST_LOGIN.connect(self._came, dispatch_uid="uniwizard_identity")
        SIGNAL_ACCOUNT_POST_LOGOUT.connect(self._went, dispatch_uid="uniwizard_identity")

    def refresh_former(self) -> None:
        """Read anew what accounts and characters were called before."""
        self._former = dict(ServerConfig.objects.conf(FORMER) or {})

    def is_character(self, thing: Any) -> bool:
        """Whether ``thing`` is some account's character."""
        return thing.id in self._characters

    # -- reading everything --------------------------------------------------------------------------------------

    def _read(self) -> None:
        for whose, known in self.gather().items():
            self._know(whose, known)

    def take(self, terms: dict[_Owner, set[str]]) -> None:
        """Take over what :meth:`gather` has found; for a process that hears of no changes."""
        for gone in self._terms.keys() - terms.keys():
            self._know(gone, ())
        for whose, known in terms.items():
            self._know(whose, known)

    def gather(self) -> dict[_Owner, set[str]]:
        """Everybody's names as they stand in the database. Blocks; may run in any thread."""
        builders = _builders(AccountDB.objects.all())
        listed = AccountDB.objects.filter(db_attributes__db_key=_CHARACTERS)
        for account, value in listed.values_list("id", "db_attributes__db_value"):
            characters = set(_ids_in(value))
            self._characters.update(_played(characters, account) if account in builders else characters)
        terms: dict[_Owner, set[str]] = {}
        for account, username, email in AccountDB.objects.values_list("id", "username", "email"):
            self._called["account", account] = username
            terms["account", account] = {username, email or "", *self._former.get(f"account {account}", ())}
        keys = ObjectDB.objects.values_list("id", "db_key", "db_typeclass_path")
        for thing, key, path in keys.iterator():
            if thing in self._characters:
                self._called["object", thing] = key
                terms["object", thing] = {key, *self._former.get(f"object {thing}", ())}
            elif self._is_room(path):
                terms["object", thing] = {Place(key)}
        for table, model in (("account", AccountDB), ("object", ObjectDB)):
            named = model.objects.filter(db_tags__db_tagtype="alias").values_list("id", "db_tags__db_key")
            for owner, alias in named.iterator():
                if (known := terms.get((table, owner))) is not None:
                    known.add(Place(alias) if table == "object" and owner not in self._characters else alias)
            created = model.objects.filter(db_attributes__db_key=_ADDRESS)
            for owner, address in created.values_list("id", "db_attributes__db_value"):
                if (known := terms.get((table, owner))) is not None and isinstance(address, str):
                    known.add(address)
        return terms

    def _is_room(self, path: str) -> bool:
        if path not in self._room_paths:
            try:
                self._room_paths[path] = issubclass(class_from_module(path), DefaultRoom)
            except Exception:
                # A typeclass of a game's own that does not load; the object itself cannot be told from a room then.
                self._room_paths[path] = False
        return self._room_paths[path]

    # -- one at a time -------------------------------------------------------------------------------------------

    def _know(self, whose: _Owner, terms: Iterable[str]) -> None:
        """Have ``terms`` be all that names ``whose``."""
        now = frozenset(term for term in terms if term and term not in _LOOPBACK)
        before = self._terms.get(whose, frozenset())
        # Equal words may be a place's or a person's.
        if now == before and set(map(type, now)) == set(map(type, before)):
            return
        for term in before:
            self.names.discard(term)
        for term in now:
            self.names.add(term)
        if now:
            self._terms[whose] = now
        else:
            self._terms.pop(whose, None)

    def _account(self, account: Any) -> None:
        whose = ("account", account.id)
        address = account.attributes.get(_ADDRESS)
        former = self._former_of(whose, account.username)
        self._know(whose, {account.username, account.email or "", *_aliases(account), *former, str(address or "")})

    def _object(self, thing: Any) -> None:
        whose = ("object", thing.id)
        if thing.db_account_id is not None:
            self._characters.add(thing.id)
        if thing.id in self._characters:
            address = thing.attributes.get(_ADDRESS)
            former = self._former_of(whose, thing.key)
            self._know(whose, {thing.key, *_aliases(thing), *former, str(address or "")})
        elif self._is_room(thing.db_typeclass_path):
            self._know(whose, {Place(thing.key), *map(Place, _aliases(thing))})

    def _former_of(self, whose: _Owner, name: str) -> list[str]:
        """What ``whose``, who is called ``name`` now, was called before."""
        key = f"{whose[0]} {whose[1]}"
        former = self._former.get(key, [])
        called = self._called.get(whose)
        if called is not None and called != name:
            former = [*(old for old in former if old not in (called, name)), called][-MOST_FORMER:]
            self._former[key] = former
            ServerConfig.objects.conf(FORMER, self._former)
        self._called[whose] = name
        return former

    # -- what is heard -------------------------------------------------------------------------------------------

    def _saved(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        try:
            if isinstance(instance, ObjectDB):
                if fields is None or not _KEYS.isdisjoint(fields):
                    self._object(instance)
            elif isinstance(instance, AccountDB):
                if fields is None or not _KEYS.isdisjoint(fields):
                    self._account(instance)
            elif isinstance(instance, Attribute) and instance.db_key == _CHARACTERS:
                self._listed(instance)
        except Exception:
            # Whoever saves something must not suffer from it.
            logger.log_trace("Uniwizard could not take note of a name.")

    def _listed(self, attribute: Any) -> None:
        new = set(_ids_in(attribute.db_value)) - self._characters
        for builder in _builders(AccountDB.objects.filter(db_attributes=attribute.id)) if new else ():
            new = _played(new, builder)
        for number in new:
            self._characters.add(number)
            thing = ObjectDB.objects.filter(id=number).first()
            if thing is not None:
                self._object(thing)

    def _tagged(self, sender: Any, instance: Any, action: str, **kwargs: Any) -> None:
        if action.startswith("post_") and isinstance(instance, ObjectDB | AccountDB):
            self._saved(sender, instance)

    def _deleted(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        if not isinstance(instance, ObjectDB | AccountDB):
            return
        table = "object" if isinstance(instance, ObjectDB) else "account"
        whose = (table, instance.id)
        self._know(whose, ())
        self._called.pop(whose, None)
        if table == "object":
            self._characters.discard(instance.id)
        if self._former.pop(f"{table} {instance.id}", None) is not None:
            ServerConfig.objects.conf(FORMER, self._former)

    def _came(self, sender: Any, session: Any = None, **kwargs: Any) -> None:
        if session is not None:
            self._know(("session", session.sessid), {_address(session)})

    def _went(self, sender: Any, session: Any = None, **kwargs: Any) -> None:
        if session is not None:
            self._know(("session", session.sessid), ())


_KEYS = frozenset({"db_key", "username", "email", "db_typeclass_path", "db_account"})
_identity: GameIdentity | None = None


def _the() -> GameIdentity:
    global _identity
    if _identity is None:
        _identity = GameIdentity()
        _identity.begin()
    return _identity


def of_game() -> Names:
    """The names of everybody and of every place in the game; what becomes of them is known to the set at once."""
    return _the().names


def gather() -> dict[_Owner, set[str]]:
    """Everybody's names as they stand in the database by now, for :func:`take`. Blocks; may run in any thread."""
    _the().refresh_former()
    return _the().gather()


def take(terms: dict[_Owner, set[str]]) -> None:
    """Have :func:`of_game` be these; for a process beside the game's own, which hears of no changes."""
    _the().take(terms)


def of_thinker(thinker: Any, text: str) -> frozenset[str]:
    """What would give ``thinker`` away: their names, from where they play, and where they are.

    A character that no player has is nobody, but stands somewhere. ``text`` is what is asked.
    """
    terms: set[str] = set()
    account = getattr(thinker, "account", None)
    if account is not None or _the().is_character(thinker):
        terms |= {thinker.key, *thinker.aliases.all()}
    if account is not None:
        terms |= {account.username, account.email or ""}
    sessions = getattr(thinker, "sessions", None)
    for session in sessions.all() if sessions is not None else ():
        terms.add(_address(session))
    for place in (thinker.location, thinker.home):
        if place is not None:
            terms.add(Place(place.key))
    return frozenset(term for term in terms if term and term not in _LOOPBACK)


def is_character(thing: Any) -> bool:
    """Whether ``thing`` is a character that some player has."""
    return isinstance(thing, ObjectDB) and _the().is_character(thing)


def _aliases(entity: Any) -> list[str]:
    """From the database: the handler's own cache is only up to date after what it tells has been told."""
    return list(entity.db_tags.filter(db_tagtype="alias").values_list("db_key", flat=True))


def _address(session: Any) -> str:
    address = session.address
    return str(address[0] if isinstance(address, tuple | list) else address)


def _ids_in(value: Any) -> Iterator[int]:
    """The ids of the objects in an Attribute as it is stored: ``("__packed_dbobj__", natural key, date, id)``."""
    if isinstance(value, tuple) and len(value) == 4 and value[0] == "__packed_dbobj__":
        if value[1] and "objectdb" in value[1]:
            yield int(value[3])
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _ids_in(item)


def _builders(accounts: Any) -> set[int]:
    """Those of ``accounts``, a query, that may use ``create``, as far as their permissions say."""
    levels = [level.lower() for level in settings.PERMISSION_HIERARCHY]
    above = levels[levels.index("builder") :] if "builder" in levels else []
    names = [*above, *(f"{level}s" for level in above), "create"]
    permitted = accounts.filter(db_tags__db_tagtype="permission", db_tags__db_key__in=names)
    return {*accounts.filter(is_superuser=True).values_list("id", flat=True), *permitted.values_list("id", flat=True)}


def _played(listed: set[int], builder: int) -> set[int]:
    """Those of the characters ``listed`` with an account that are a player's, and not what a builder has made."""
    noted = ObjectDB.objects.filter(id__in=listed, db_account__isnull=True)
    made = set(noted.filter(db_attributes__db_key=_MADE).values_list("id", flat=True))
    # Who comes from somewhere was made as a character to play.
    made -= set(noted.filter(db_attributes__db_key__in=(_ADDRESS, _PLAYED)).values_list("id", flat=True))
    latest = AccountDB.objects.filter(id=builder, db_attributes__db_key=_LATEST)
    for value in latest.values_list("db_attributes__db_value", flat=True):
        made -= set(_ids_in(value))
    return listed - made
