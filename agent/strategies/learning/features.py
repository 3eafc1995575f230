"""What a text looks like to a model: its words, hashed, and eleven figures of its surface. No model is asked for it.

words_of("What is 17 * 23?")         # places in a space of 2**15, with how often
surface("What is 17 * 23?")          # length, digits, line breaks ...
"""

from __future__ import annotations

import math
import re
from zlib import crc32

#: The size of the space that words and pairs of words are hashed into.
SPACE = 1 << 13
#: Characters that are looked at.
LOOKED_AT = 1500

_WORD = re.compile(r"[a-z]+|\d|[^\sa-z\d]")
_DIGIT, _CAPITAL, _SIGN = re.compile(r"\d"), re.compile(r"[A-Z]"), re.compile(r"[^\w\s]")


def words_of(text: str) -> dict[int, float]:
    """The places of a text's words and pairs of neighbours, each with one more than the logarithm of its count."""
    words = _WORD.findall(text[:LOOKED_AT].lower())
    counts: dict[int, int] = {}
    before = ""
    for word in words:
        place = crc32(word.encode("utf-8", "replace")) % SPACE
        counts[place] = counts.get(place, 0) + 1
        if before:
            place = crc32(f"{before} {word}".encode("utf-8", "replace")) % SPACE
            counts[place] = counts.get(place, 0) + 1
        before = word
    return {place: 1.0 + math.log(count) for place, count in counts.items()}


#: How many figures :func:`surface` gives.
FIGURES = 11


def surface(text: str) -> list[float]:
    """How long a text is, and of what it is made; each a figure of about the size of one."""
    size = max(1, len(text))
    seen = text[: 4 * LOOKED_AT]
    part = max(1, len(seen))
    words = max(1, text.count(" ") + text.count("\n"))
    return [
        math.log1p(len(text)),
        math.log1p(words),
        len(_DIGIT.findall(seen)) / part,
        len(_CAPITAL.findall(seen)) / part,
        50.0 * text.count("\n") / size,
        min(9.0, float(text.count("?"))),
        min(5.0, float(text.count("def "))),
        50.0 * text.count("$") / size,
        50.0 * text.count("\\") / size,
        len(_SIGN.findall(seen)) / part,
        min(12.0, size / words),
    ]
