"""What Timmy remembers of somebody, in his own words: a line for what they spoke of. Kept in the game, and theirs.

    note(player, asked, answer)        # after an answer
    of(player)                         # [Memory(...), ...], oldest first
    alike(player, "tides and the moon")    # what they spoke of that has to do with it, or None
    forget(player)                     # all of it; or one, by its place

It is written on the player's own character, so it goes with it, and no backend is ever given it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evennia.utils.dbserialize import deserialize

from uniwizard.world.harmless import line, plain
from uniwizard.world.soul import voice

#: Things that are remembered of one player.
MOST = 30
_KEY, _CATEGORY = "memories", "uniwizard"
_SMALL_WORDS = """
a about all also am an and any are as at be because but by can could did do does for from get give had has have
how i if in into is it its just know let like list make many me more most much my name no not of on one or other
our out please quick quickly read review say short should show so some suggest summarize tell than that the
their them then there these they think this three to two up us use very was we were what when where which who
why will with word words would write you your
"""
_SMALL = frozenset(_SMALL_WORDS.split())
#: Markdown's marks, but not what stands between letters or digits: 17*23 and a_name stay what they are.
_MARKUP = re.compile(r"[`#|]+|(?<!\w)[*_>]+|[*_>]+(?!\w)")


@dataclass(frozen=True, slots=True)
class Memory:
    """One thing spoken of: when (seconds since the epoch), about what, and what was said. Plain text."""

    at: float
    about: str
    gist: str

    def told(self) -> str:
        """In the soul's words."""
        if not self.gist:
            return voice.say("memory_refused", about=line(self.about, 60))
        return voice.say("memory", about=line(self.about, 60), why=line(self.gist, 140))


def note(who: Any, asked: str, answer: str, *, refused: bool = False) -> None:
    """Remember what ``who`` asked and was told."""
    if not _telling(asked):
        return
    kept = [*of(who), Memory(time.time(), topic(asked), "" if refused else _gist(answer))][-MOST:]
    who.attributes.add(_KEY, [(entry.at, entry.about, entry.gist) for entry in kept], category=_CATEGORY)


def of(who: Any) -> list[Memory]:
    """Everything remembered of ``who``, oldest first."""
    kept: Iterable[Any] = deserialize(who.attributes.get(_KEY, category=_CATEGORY)) or ()
    return [Memory(*entry) for entry in kept]


def forget(who: Any, place: int | None = None) -> bool:
    """Forget everything, or the one at ``place`` (from 1); False where there is no such thing."""
    kept = of(who)
    if place is None:
        who.attributes.remove(_KEY, category=_CATEGORY)
        return bool(kept)
    if not 1 <= place <= len(kept):
        return False
    del kept[place - 1]
    who.attributes.add(_KEY, [(entry.at, entry.about, entry.gist) for entry in kept], category=_CATEGORY)
    return True


def alike(who: Any, text: str) -> Memory | None:
    """The latest thing spoken of that shares two telling words with ``text``, or all of them."""
    words = set(_telling(text))
    for entry in reversed(of(who)):
        shared = words & set(_telling(entry.about))
        if len(shared) >= 2 or (shared and shared == words):
            return entry
    return None


def topic(asked: str) -> str:
    """What a question is about: its telling words, in order."""
    return " ".join(_telling(asked)[:6])


def _telling(text: str) -> list[str]:
    words = re.findall(r"\d[\d.+*/x^()-]*\d|[^\W_]+(?:['’-][^\W_]+)*", plain(text, 400).casefold())
    return list(dict.fromkeys(word for word in words if word not in _SMALL and (len(word) > 2 or word[0].isdigit())))


def _gist(answer: str) -> str:
    """The first sentence of an answer, without its decoration."""
    text = re.sub(r"```.*?(```|\Z)", " (some code) ", plain(answer, 2000), flags=re.DOTALL)
    text = " ".join(_MARKUP.sub(" ", re.sub(r"^\[practice\]", "", text)).split())
    first = re.match(r".{15,}?[.!?](?=\s|$)", text)
    return (first[0] if first else text)[:200]
