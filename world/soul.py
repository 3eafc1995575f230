"""The soul and its voice. The brains rotate; this stays. Who it is stands in a SOUL.md and never leaves the game.

    the()                        # the Soul in force: its names, looks, values
    refresh()                    # read SOUL.md anew if it has changed; True when there is another soul now
    voice.say("refused", key="claude", why="I can't help with that.")

A game may have a SOUL.md of its own (``world/SOUL.md`` in the game directory, or the setting ``UNIWIZARD_SOUL``);
otherwise the one beside this file holds. Another SOUL.md is another character. The phrases are data, in
``configs/voice.yaml``, and a soul may have its own words for any moment. What is put into them must be harmless already
(:mod:`world.harmless`); the phrases themselves may use Evennia's colours.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from uniwizard.agent import CONFIGS, ConfigError, Fault, phrase_faults, read_voice

#: The soul that comes with the plugin.
OWN = Path(__file__).with_name("SOUL.md")
#: Bytes of a SOUL.md; nobody's character is longer.
LONGEST = 256 * 1024
_FRONT = re.compile(r"\A---[ \t]*\r?\n(?P<front>.*?)^---[ \t]*\r?\n?(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Soul:
    """Who keeps the Workshop.

    aliases   other names of the same soul
    pronouns  subject, object, possessive
    look      what is seen of it
    secret    further words that no backend may hear
    voice     its own phrases, by moment
    body      who it is, in prose; for people
    """

    name: str
    aliases: tuple[str, ...] = ()
    pronouns: tuple[str, str, str] = ("he", "him", "his")
    look: str = ""
    values: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    voice: Mapping[str, list[str]] = field(default_factory=dict)
    body: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it goes by, the usual one first."""
        return (self.name, *self.aliases)

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every word of it that no backend may hear."""
        return (*self.names, *self.secret)


def read(path: Path) -> Soul:
    """The soul in the file at ``path``. Raises ConfigError, naming the line to mend."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(str(path), 0, "", f"cannot be read ({type(error).__name__})", "UTF-8")]) from None
    parts = _FRONT.match(text)
    if parts is None or len(text) > LONGEST:
        what = "has no front matter between two lines of ---" if parts is None else "is too large"
        raise ConfigError([Fault(str(path), 1, "", what, "a SOUL.md such as world/SOUL.md")])
    try:
        front = yaml.safe_load(parts["front"]) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark is not None else 1
        raise ConfigError([Fault(str(path), line, "", "the front matter is not YAML", "YAML")]) from None
    _check(path, parts["front"], front)
    pronouns = front.get("pronouns", {"subject": "he", "object": "him", "possessive": "his"})
    return Soul(
        name=front["name"],
        aliases=tuple(front.get("aliases", ())),
        pronouns=(pronouns["subject"], pronouns["object"], pronouns["possessive"]),
        look=" ".join(front.get("look", "").split()),
        values=tuple(front.get("values", ())),
        secret=tuple(front.get("secret", ())),
        voice=front.get("voice", {}),
        body=parts["body"].strip(),
    )


def _check(path: Path, text: str, front: Any) -> None:
    schema = json.loads((CONFIGS / "soul.schema.json").read_text("utf-8"))
    faults = []
    for error in Draft202012Validator(schema).iter_errors(front):
        key = str(error.absolute_path[0]) if error.absolute_path else ""
        found = re.search(rf"^{re.escape(key)}:", text, re.MULTILINE) if key else None
        line = text[: found.start()].count("\n") + 2 if found else 1
        where = ".".join(map(str, error.absolute_path))
        faults.append(Fault(str(path), line, where, f"does not fit ({error.validator})", "configs/soul.schema.json"))
    if not faults:
        faults += phrase_faults(path, "voice", front.get("voice", {}))
    if faults:
        raise ConfigError(faults)


# -- the one in force --------------------------------------------------------------------------------------------------


def path() -> Path:
    """Where the soul in force is read from."""
    from django.conf import settings

    if settings.configured:
        named = getattr(settings, "UNIWIZARD_SOUL", "")
        own = Path(settings.GAME_DIR) / (named or Path("world") / "SOUL.md")
        if named or own.is_file():
            return own
    return OWN


class _InForce:
    """The soul in force, and what its file looked like when it was read."""

    def __init__(self) -> None:
        self.soul: Soul | None = None
        self.seen: object = None


_in_force = _InForce()


def the() -> Soul:
    """The soul in force. A faulty SOUL.md at the first reading leaves the plugin's own."""
    if _in_force.soul is None:
        try:
            refresh()
        except ConfigError:
            _in_force.soul = read(OWN)
    assert _in_force.soul is not None
    return _in_force.soul


def refresh() -> bool:
    """Read SOUL.md if it has changed. True when there is another soul now; raises ConfigError and keeps the old one."""
    file = path()
    try:
        about = os.stat(file)
        seen: object = (str(file), about.st_mtime_ns, about.st_size)
    except OSError:
        seen = str(file)
    if seen == _in_force.seen:
        return False
    _in_force.seen = seen
    before, _in_force.soul = _in_force.soul, read(file)
    return _in_force.soul != before


class Voice:
    """Says what a moment calls for, never twice in a row the same way where there is a choice.

    Raises ConfigError when the phrases' file has faults.
    """

    def __init__(self) -> None:
        self.read()

    def read(self) -> None:
        """Read the phrases, once more where a game has added some of its own. Raises ConfigError."""
        document = read_voice()
        self._moments: dict[str, list[str]] = document["moments"]
        self._phrases: dict[str, Any] = {}
        self._of: Soul | None = None
        self._features: dict[str, str] = document["features"]
        self._failures: dict[str, str] = document["failures"]
        self._shortcomings: dict[str, str] = document["shortcomings"]
        self._obstacles: list[list[str]] = document["obstacles"]
        #: What a saying is taken for, by the words in it.
        self.hears: dict[str, list[str]] = document["hears"]

    def say(self, moment: str, **words: Any) -> str:
        """The next phrase for ``moment`` with ``words`` put in."""
        soul = the()
        if soul is not self._of:
            phrases = {**self._moments, **{name: told for name, told in soul.voice.items() if name in self._moments}}
            self._phrases, self._of = {name: cycle(told) for name, told in phrases.items()}, soul
        he, him, his = soul.pronouns
        own = {"soul": soul.name, "he": he, "him": him, "his": his}
        own |= {word.title(): said[:1].upper() + said[1:] for word, said in own.items() if word != "soul"}
        return next(self._phrases[moment]).format(**{**own, **words})

    def failure(self, failure: str) -> str:
        """A failure in the world's words, to follow a backend's name."""
        return self._failures[failure]

    def shortcoming(self, code: str, **words: Any) -> str:
        """What an answer did not heed, in words that follow "it"."""
        return self._shortcomings[code].format(**words)

    def obstacle(self, reason: str) -> str:
        """Why a backend cannot be asked, for players: no variable's name, no status. To follow the backend's name."""
        seconds = re.search(r"\bfor (\d+) s\b", reason)
        for begins, words in self._obstacles:
            if reason.startswith(begins):
                return words.format(time=seconds[1] if seconds else "some")
        return "cannot be asked now"

    def reason(self, reason: str) -> str:
        """A reason of the classifier in words: ``'"^ review ~ diff" +2.0'`` and ``'words_3 +0.8'`` are its notation."""
        what, blank, points = reason.rpartition(" ")
        if what.startswith('"'):
            what = _START.sub('"', what).replace(" ~ ", " ... ").replace("*", "...")
            what = _CLASS.sub(lambda found: "(number)" if found[1] in ("n", "many") else f"({found[1]})", what)
        return f"{self._features.get(what, what)}{blank}{points}"


#: What stands in a phrase's notation (:mod:`agent.classify`) for the start of a sentence, and for a class of words.
_START, _CLASS = re.compile(r'^"\^ '), re.compile(r"<(\w+)>")

voice = Voice()
