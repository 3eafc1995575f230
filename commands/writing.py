"""A page for many lines: ``think`` without a task opens it, and a paste is gathered on it.

Whatever is typed is a line of it, as it stands, until a line of its own says what to do. The page is kept on the
character, so it survives a reload. Whoever comes back from a lost connection or a crash finds it laid aside: what they
type are commands again, they are told of it, and ``think`` goes on with it. The portal is told that a page is open
(:mod:`uniwizard.server.plugin.bursts`), so that a paste comes whole and not line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from evennia.commands.cmdhandler import CMD_NOINPUT, CMD_NOMATCH
from evennia.commands.cmdset import CmdSet
from evennia.commands.command import Command

from uniwizard.world import routers
from uniwizard.world.harmless import line
from uniwizard.world.mark import said
from uniwizard.world.routers import Closed, GameRouter
from uniwizard.world.telling import tell

_KEY, _CATEGORY = "page", "uniwizard"
CMDSET = "uniwizard.commands.writing.PageCmdSet"
#: Tokens come to no more characters than this where nothing better is known.
_CHARS_PER_TOKEN = 4
#: Lines that are done one by one when a paste turns out to be commands.
_COMMANDS = 50
_HOW = "|w.|n asks it, |w.q|n throws it away, |w.u|n takes back the last line, |w.l|n shows the page."


def begin(
    caller: Any,
    router: GameRouter,
    *,
    pin: str | None = None,
    follows: bool = False,
    lines: Iterable[str] = (),
) -> None:
    """Open a page for ``caller``: with ``lines`` on it where they were pasted, else the one that was laid aside."""
    most = limit(router)
    kept = caller.attributes.get(_KEY, category=_CATEGORY)
    if kept is not None and not lines:
        _open(caller, {**kept, "aside": False})
        tell(caller, said(f"Your page is as you left it, {_lines(kept)}. Write on.\n  {_HOW}"))
        return
    page: dict[str, Any] = {"lines": (pasted := list(lines)), "pin": pin, "follows": follows, "pasted": bool(pasted)}
    _open(caller, page)
    if pasted:
        size = sum(len(written) + 1 for written in pasted)
        told = f"You pasted {len(pasted)} lines ({size:,} characters). Is this one question?"
        tell(caller, said(f"{told}\n  {_HOW} |w.each|n does the lines one by one, as commands."))
        _warn_if_long(caller, size, most)
    else:
        tell(caller, said(f"Write as many lines as you like, up to {most:,} characters in all.\n  {_HOW}"))


def is_open(caller: Any) -> bool:
    """Whether ``caller`` writes on a page."""
    page = caller.attributes.get(_KEY, category=_CATEGORY)
    return page is not None and not page.get("aside")


def install() -> None:
    """Lay the pages of those aside who come in anew, and tell them."""
    from evennia.server.signals import SIGNAL_OBJECT_POST_PUPPET

    SIGNAL_OBJECT_POST_PUPPET.connect(_came, dispatch_uid="uniwizard.page")


def _came(sender: Any, session: Any = None, **_: Any) -> None:
    page = sender.attributes.get(_KEY, category=_CATEGORY)
    # Who is there in a second session as well goes on writing in the first.
    if page is None or len(sender.sessions.all()) > 1:
        return
    if not page.get("aside"):
        sender.attributes.add(_KEY, {**page, "aside": True}, category=_CATEGORY)
        sender.cmdset.remove(CMDSET)
        _tell_portal(sender, False)
    sender.msg(said(f"A page of yours lies on the bench, {_lines(page)}: |wthink|n goes on with it."), session=session)


def _open(caller: Any, page: dict[str, Any]) -> None:
    caller.attributes.add(_KEY, page, category=_CATEGORY)
    caller.cmdset.add(CMDSET, persistent=True)
    _tell_portal(caller, True)


def _lines(page: Mapping[str, Any]) -> str:
    count = len(page["lines"])
    return "empty" if not count else f"with {count} line{'s' * (count != 1)}"


def limit(router: GameRouter) -> int:
    """The characters that a question may have: the game's limit, or what the largest brain on the shelf holds."""
    try:
        holds = max((h.backend.max_context for h in router.brain.states() if not h.available()), default=0)
    except Closed:
        holds = 0
    # A quarter of a context is for the answer.
    most = settings.UNIWIZARD_MAX_TASK_LENGTH
    return min(most, holds * 3 // 4 * _CHARS_PER_TOKEN) if holds else most


def write(caller: Any, lines: Iterable[str]) -> None:
    """Lines that have come from ``caller``, in order; one of them may end the page."""
    if not is_open(caller):
        return
    page = dict(caller.attributes.get(_KEY, category=_CATEGORY))
    written: list[str] = list(page.get("lines", ()))
    for index, text in enumerate(rest := list(lines)):
        order = text.strip()
        if order in _ORDERS:
            page["lines"] = written
            caller.attributes.add(_KEY, page, category=_CATEGORY)
            if order in (".u", ".l"):
                _show_or_take_back(caller, page, order)
                written = list(page["lines"])
                continue
            _close(caller)
            _end(caller, page, order)
            for late in rest[index + 1 :][:_COMMANDS]:
                _do(caller, late)
            return
        written.append(text)
    page["lines"] = written
    caller.attributes.add(_KEY, page, category=_CATEGORY)
    if router := routers.find(caller.location):
        _warn_if_long(caller, sum(len(text) + 1 for text in written), limit(router))


#: A line that is a command about thoughts, and none of a pasted question.
_COMMAND = re.compile(r"\s*think(?:/[a-z]+\b|\s|$)", re.IGNORECASE)

_ORDERS = (".", ".q", ".u", ".l", ".each")


def _show_or_take_back(caller: Any, page: dict[str, Any], order: str) -> None:
    if order == ".u" and page["lines"]:
        page["lines"] = page["lines"][:-1]
        caller.attributes.add(_KEY, page, category=_CATEGORY)
    shown = [f"{number:>4}  {_as_written(text)}" for number, text in enumerate(page["lines"], 1)]
    if len(shown) > 20:
        shown = [*shown[:5], f"      ... {len(shown) - 15} lines ...", *shown[-10:]]
    caller.msg(said("Your page:") + "\n" + "\n".join(shown or ["      (empty)"]))


def _as_written(text: str) -> str:
    """A line of a page, its indentation with it."""
    indent = len(text) - len(text.lstrip(" "))
    return " " * min(indent, 20) + line(text, 60)


def _end(caller: Any, page: dict[str, Any], order: str) -> None:
    """What becomes of a page that is closed."""
    lines = list(page["lines"])
    if order == ".q":
        tell(caller, said("The page is thrown away."))
    elif order == ".each":
        for text in lines[:_COMMANDS]:
            _do(caller, text)
    elif not any(text.strip() for text in lines):
        tell(caller, said("The page is empty; nobody is asked."))
    else:
        text = "\n".join(lines).strip("\n")
        head = "think/more " if page.get("follows") else f"think/with {page['pin']} " if page.get("pin") else "think "
        # What was pasted begins with the command itself.
        _do(caller, text if page.get("pasted") else head + text)


def _do(caller: Any, text: str) -> None:
    """Let ``caller`` do a command as if they had typed it in their latest session."""
    sessions = caller.sessions.all()
    caller.execute_cmd(text, session=sessions[-1] if sessions else None)


def _close(caller: Any) -> None:
    caller.attributes.remove(_KEY, category=_CATEGORY)
    caller.cmdset.remove(CMDSET)
    _tell_portal(caller, False)


def _warn_if_long(caller: Any, size: int, most: int) -> None:
    if size > most:
        tell(caller, said(f"|yThat is {size - most:,} characters more than anybody here can take.|n"))


def _tell_portal(caller: Any, writing: bool) -> None:
    for session in caller.sessions.all():
        session.msg(uniwizard_writing=writing)


class CmdLine(Command):
    """
    a line of your page

    '.' on a line of its own asks, '.q' throws the page away, '.u' takes
    back the last line, '.l' shows the page.
    """

    key = CMD_NOMATCH
    aliases = [CMD_NOINPUT]
    locks = "cmd:all()"
    auto_help = False

    def func(self) -> None:
        write(self.caller, [self.raw_string.rstrip("\r\n")])


class PageCmdSet(CmdSet):
    """Nothing but lines, while a page is open."""

    key = "uniwizard_page"
    priority = 120
    mergetype = "Replace"
    no_exits = True
    no_objs = True
    no_channels = True

    def at_cmdset_creation(self) -> None:
        self.add(CmdLine())


def burst(caller: Any, session: Any, lines: list[str], *, whole: bool) -> None:
    """Lines that came at once; ``whole`` where the player saw them as one text before they were sent."""
    if is_open(caller):
        write(caller, lines)
    elif len(lines) == 1 or whole:
        caller.execute_cmd("\n".join(lines), session=session)
    elif all(map(_COMMAND.match, lines[1:])):
        # A client's alias that sends several.
        for text in lines[:_COMMANDS]:
            caller.execute_cmd(text, session=session)
    elif lines[0].strip().casefold() in ("think", "think/more"):
        # Whoever types ahead, or has a client do it.
        caller.execute_cmd(lines[0], session=session)
        write(caller, lines[1:])
    elif router := routers.find(caller.location):
        begin(caller, router, lines=lines)
    else:
        for text in lines[:_COMMANDS]:
            caller.execute_cmd(text, session=session)
