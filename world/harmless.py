"""What a backend says is hostile text. This makes it harmless before it enters the game.

    show(raw, width=78)       # lines ready for msg(): wrapped, and nothing in them is markup
    plain(raw)                # the words alone: no control, escape or invisible steering characters, no mark of the
    game escape(plain_text)        # the words with every piece of Evennia markup defused

Doubling the bars is not enough: Evennia's telnet and web protocols look for MXP links *after* they have turned ``||``
into ``|``, so ``||lclook||ltclick||le`` would still become a clickable command. A blank breaks those.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

from django.conf import settings

from uniwizard.world.mark import MARK, UNMARKED

#: The longest answer shown, in characters: about 250 screen lines.
LIMIT = 20_000

#: ESC sequences as a whole, so that no "[31m" is left standing: CSI, OSC, and two-character ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]?|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)?|[@-Z\\^_]?)")
_LINK = re.compile(r"\|(?=l[cteu])", re.IGNORECASE)
#: What Evennia's FuncParser reads: it takes one backslash off every run of them, and a "$" after one is a letter.
_INLINE = re.compile(r"\\*\$|\\+")
#: Joiners that Persian, Indic scripts and family emoji need; every other format character goes.
_JOINERS = "\u200c\u200d"
#: Marks (accents) in a row that any script needs; more is a tower of them.
_MARKS = 4


def plain(text: str, limit: int = LIMIT) -> str:
    """``text`` with line breaks and printable characters alone, at most ``limit`` of them and a word on the rest."""
    cut = len(text) - limit
    text = letters(text[:limit])
    return f"{text.rstrip()}\n(... {cut} characters more)" if cut > 0 else text.strip("\n").rstrip()


def letters(text: str) -> str:
    """``text`` with line breaks and printable characters alone, and nothing trimmed."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_kept(_ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))))


def _kept(text: str) -> list[str]:
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        if character == "\n":
            kept.append(character)
        elif character == "\t":
            kept.append("    ")
        elif character == MARK:
            kept.append(UNMARKED)
        elif category[0] == "M":
            marks += 1
            if marks <= _MARKS:
                kept.append(character)
            continue
        elif category in ("Zl", "Zp"):
            kept.append("\n")
        elif category[0] != "C" or character in _JOINERS:
            kept.append(character)
        marks = 0
    return kept


def escape(text: str) -> str:
    """``text`` so that ``msg()`` shows it letter by letter: no colour, no link, no inline function."""
    text = _LINK.sub("| ", text).replace("{", "{{").replace("|", "||")
    if getattr(settings, "FUNCPARSER_PARSE_OUTGOING_MESSAGES_ENABLED", False):
        text = _INLINE.sub(r"\\\g<0>", text)
    return text


def line(text: str, limit: int = 200) -> str:
    """One harmless line of at most ``limit`` characters, for a quotation within a sentence."""
    text = " ".join(plain(text, limit * 4).split())
    return escape(text if len(text) <= limit else text[: limit - 3].rstrip() + "...")


def whole(text: str) -> int:
    """The whole number that somebody has typed, of nine digits at the most; -1 for whatever is none.

    ``int`` raises ValueError for thousands of digits, all of which are decimal.
    """
    return int(text) if text.isdecimal() and len(text) <= 9 else -1


def show(text: str, width: int = 78) -> list[str]:
    """``text`` as harmless lines of at most ``width`` characters; code keeps its indentation."""
    lines: list[str] = []
    for paragraph in plain(text).split("\n"):
        indent = paragraph[: len(paragraph) - len(paragraph.lstrip(" "))][: width // 2]
        # Wrapped before it is escaped: an escape that is cut in two would come alive again.
        wrapped = textwrap.wrap(
            paragraph, max(20, width), subsequent_indent=indent, replace_whitespace=False, drop_whitespace=True
        )
        lines += [escape(piece) for piece in wrapped or [""]]
    return lines
