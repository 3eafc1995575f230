"""An answer shown as it comes, for who wants it: whole lines, each rendered once it is complete.

live = LiveAnswer(thinker, before=[...])
live.hear(piece)            # from the router, in the order of the text
live.rest(text)             # what of the whole answer has not been shown, as lines
"""

from __future__ import annotations

import re
from typing import Any

from uniwizard.world.harmless import LIMIT
from uniwizard.world.manner import without_closer, without_opener
from uniwizard.world.telling import body, hand_over, screen_of

#: A paragraph in one line is shown in parts of this many characters, at the end of a sentence.
LONG = 160
_SENTENCE = re.compile(r".*[.!?](?=\s)", re.DOTALL)


class LiveAnswer:
    """What of one answer has been shown."""

    def __init__(self, thinker: Any, before: list[str]):
        self._thinker = thinker
        self._before = before
        self._pending = ""
        #: Characters of the answer that have been shown.
        self.shown = 0
        #: The lines that have been shown.
        self.lines: list[str] = []

    def hear(self, piece: str) -> None:
        """More of the answer has come; show what is complete of it."""
        self._pending += piece
        if self.shown + len(self._pending) > LIMIT:
            return
        while end := _complete(self._pending):
            part, self._pending = self._pending[:end], self._pending[end:]
            self.shown += end
            self._show(part)

    def rest(self, text: str) -> list[str]:
        """The lines of the whole answer ``text`` that have not been shown."""
        left = without_closer(text[self.shown :]).strip("\n")
        lines = body(left, screen_of(self._thinker)) if left else []
        return lines if self.lines else [*self._before, *lines]

    def _show(self, part: str) -> None:
        if not part.strip():
            return
        words = part if self.lines else without_opener(part)
        lines = body(words.strip("\n"), screen_of(self._thinker))
        if part.endswith("\n\n"):
            lines.append("")
        hand_over(self._thinker, lines if self.lines else [*self._before, *lines])
        self.lines += lines


def _complete(text: str) -> int:
    """How many characters of ``text`` can be laid out without knowing what follows; 0 for none."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        first = text[at:end].strip()
        if first.startswith(("```", "~~~")):
            fence = re.compile(rf"^\s*{first[:3]}[`~]*\s*$\n?", re.MULTILINE)
            closed = fence.search(text, end + 1)
            return closed.end() if closed else at
        if first.startswith("|") or (end + 1 < len(text) and re.match(r"\s*\|?\s*:?-{2,}", text[end + 1 :])):
            # A table, perhaps: it ends at an empty line.
            ends = text.find("\n\n", at)
            return ends + 2 if ends >= 0 else at
        # The next line's beginning tells whether this one begins a table.
        if "|" in first and end + 1 >= len(text):
            return at
        if text[end + 1 : end + 2] in ("", " ", "\t"):
            # Indented, it belongs to this line; and not known yet, it may.
            following = re.search(r"\n(?=[^ \t\n]|\n[^ \t])", text[end + 1 :])
            if following is None:
                return at
            at = end + 1 + following.end()
            continue
        at = end + 1 + (text[end + 1 : end + 2] == "\n")
    if not at and len(text) > LONG and not text.lstrip().startswith(("`", "~", "|")):
        found = _SENTENCE.match(text)
        return found.end() if found else 0
    return at
