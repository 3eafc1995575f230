"""The mark of what the game itself says. No answer can carry it: :mod:`world.harmless` takes it out of every other
text.

    said("claude refuses.")      # "|C◆|n claude refuses."

A letter and not a colour, so that it survives a client without colours, a screen reader, a log and the web client.
Answers stand behind a margin besides (:data:`MARGIN`), where nothing of the game's own ever stands.
"""

from __future__ import annotations

#: U+25C6, which every encoding of a telnet client either has or shows as the same odd letters every time.
MARK = "◆"
#: What becomes of the mark in any other text.
UNMARKED = "◇"
#: What every line of an answer begins with.
MARGIN = "  "


def said(text: str) -> str:
    """``text`` (harmless, with Evennia's markup) as the game's own word."""
    return f"|C{MARK}|n {text}"
