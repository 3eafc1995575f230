"""Takes a brain's own manners off its answer, so that the same answer sounds like Timmy whichever jar it came from.

    plain_spoken("Certainly! Here is a list:\\n- a\\n\\nI hope this helps!")     # "Here is a list:\\n- a"

Only what says nothing is taken: an exclamation at the start, an offer at the end, the model's naming of itself. Code
and anything that could be a part of the answer stays.
"""

from __future__ import annotations

import re

#: Characters at each end that are looked at.
_END = 400
_OPENERS = re.compile(
    r"\A\s*(?:(?:certainly|sure(?: thing)?|of course|absolutely|"
    r"great question|good question|excellent question|no problem|"
    r"i'd be happy to help(?: you)?(?: with that)?|"
    r"i'd be glad to help(?: you)?(?: with that)?|happy to help)\s*[!.]+\s+)+",
    re.IGNORECASE,
)
_SELF = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large)(?: language)?(?: model| assistant)?, (?=\w)", re.IGNORECASE
)
_CLOSERS = re.compile(
    r"(?:\s*(?:i hope (?:this|that) helps|let me know if (?:you|"
    r"there)[^.!?\n]{0,120}|feel free to (?:ask|reach out)[^.!?\n]{0,120}|"
    r"is there anything else (?:i can|you)[^.!?\n]{0,80}|happy to (?:help|"
    r"elaborate)[^.!?\n]{0,80})\s*[!.?]+)+\s*(?:[\U0001F600-\U0001F64F]\s*)?\Z",
    re.IGNORECASE,
)


def plain_spoken(text: str) -> str:
    """``text`` without its opener, its closing offer and the model's word for itself; whole if nothing would be
    left."""
    head, middle, tail = (
        text[:_END],
        text[_END:-_END] if len(text) > 2 * _END else "",
        text[max(_END, len(text) - _END) :],
    )
    if not tail:
        head = _CLOSERS.sub("", head)
    head = _OPENERS.sub("", head)
    head = _SELF.sub(lambda found: "", head)
    plain = head + middle + _CLOSERS.sub("", tail)
    plain = plain[:1].upper() + plain[1:] if plain[:1] != text[:1] else plain
    return plain if plain.strip() else text


def without_opener(text: str) -> str:
    """The beginning of an answer, without the brain's opener."""
    return _OPENERS.sub("", text)


def without_closer(text: str) -> str:
    """The end of an answer, without the brain's closing offer."""
    return _CLOSERS.sub("", text) if len(text) <= 2 * _END else text[:-_END] + _CLOSERS.sub("", text[-_END:])
