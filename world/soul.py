"""Timmy's voice. The brains rotate; this stays. Who he is stands in SOUL.md beside this file and never leaves.

    voice.say("refused", key="claude", why="I can't help with that.")

The phrases are data, in ``configs/voice.yaml``. What is put into them must be harmless already
(:mod:`world.harmless`); the phrases themselves may use Evennia's colours.
"""

from __future__ import annotations

import re
from itertools import cycle
from typing import Any

from uniwizard.agent import CONFIGS, read_checked

#: What the soul is called. No backend ever hears it.
SOUL_NAMES = ("Timmy", "Uniwizard")


class Voice:
    """Says what a moment calls for, never twice in a row the same way where there is a choice.

    Raises ConfigError when the phrases' file has faults.
    """

    def __init__(self) -> None:
        document = read_checked(CONFIGS / "voice.yaml", "voice")
        self._phrases = {moment: cycle(phrases) for moment, phrases in document["moments"].items()}
        self._features: dict[str, str] = document["features"]
        self._failures: dict[str, str] = document["failures"]

    def say(self, moment: str, **words: Any) -> str:
        """The next phrase for ``moment`` with ``words`` put in."""
        return next(self._phrases[moment]).format(**words)

    def failure(self, failure: str) -> str:
        """A failure in the world's words, to follow a backend's name."""
        return self._failures[failure]

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
