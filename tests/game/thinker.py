"""A player of the crash tests, who thinks of one question after the other, whatever becomes of the game::

thinker = Thinker(1, game)
thinker.connect()
thinker.turn(ask=True)          # as often as one likes
thinker.answered, thinker.failed, thinker.taken
"""

from __future__ import annotations

import re
import time
from collections import Counter

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

#: Seconds that a player types in vain before logging in again.
PATIENCE = 1.0
_ANSWER = re.compile(r"told about q(\d+x\d+)")


class Thinker:
    """One player, who thinks of one question after the other."""

    def __init__(self, number: int, game: Game):
        self.name = f"Crash{number}"
        self.number = number
        self.game = game
        self.session: Telnet | None = None
        self.made = False
        self.asked = 0
        #: The question under way, and whether Timmy has said that he thinks about it.
        self.open = ""
        self.taken: set[str] = set()
        self.answered: Counter[str] = Counter()
        self.failed: set[str] = set()
        self._seen = ""
        #: When the game last said anything but that there is no such command, by ``time.monotonic``.
        self._in_the_game = 0.0

    def connect(self) -> None:
        self.hang_up()
        self.session = self.game.telnet()
        if self.made:
            self.session.login(self.name, "tjo-hopp-99")
        else:
            self.session.create_account(self.name, "tjo-hopp-99")
            self.made = True
        self._seen = ""
        self._in_the_game = time.monotonic()

    def hang_up(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None

    def turn(self, ask: bool) -> None:
        """Read what has come; ask the next question if none is under way."""
        if self.session is None:
            return
        try:
            self._read(self.session.quiet(0.01))
            if ask and not self.open and self.session is not None:
                self.asked += 1
                self.open = f"{self.number}x{self.asked}"
                self.session.send(f"think question q{self.open}")
        except (OSError, AssertionError):
            self.hang_up()

    def _read(self, text: str) -> None:
        self._seen += text
        if self.open and "Timmy" in text and re.search(r"thinks? it over|along the shelf|and thinks", self._seen):
            self.taken.add(self.open)
        if "is not available" in text:
            # Evennia has the connection back, and not yet the character; where it never has, a player logs in again.
            self.forget_what_never_began()
            if time.monotonic() - self._in_the_game > PATIENCE:
                self.hang_up()
        elif text:
            self._in_the_game = time.monotonic()
        for question in _ANSWER.findall(self._seen):
            self.answered[question] += 1
            if question == self.open:
                self.open = ""
        if self.open and re.search(r"cannot take it up|\[nobody, ", self._seen):
            self.failed.add(self.open)
            self.open = ""
        # What is left may hold the beginning of a line.
        self._seen = self._seen[-60:] if not _ANSWER.search(self._seen[-60:]) else ""

    def forget_what_never_began(self) -> None:
        """A question that was on its way when the game died, and that Timmy never took up, is the player's to ask."""
        if self.open and self.open not in self.taken:
            self.open = ""
