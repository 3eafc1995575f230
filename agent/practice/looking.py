"""What practice says to a yes or no about somebody's work: it looks at the work, so far as words can be counted.

    look(question, telling, refusals)      # {"yes": False, "evidence": "..."}; None where nothing is shown to look at

It knows how :mod:`agent.goals` shows a work: what was wanted, the work between ``<<<`` and ``>>>``, and the question
below. Work that is empty, that declines, or that has none of the words of what was wanted is none. Of the question it
understands what must be named (``Does it mention the keeper?``), what must not be there (``Is it free of formulas?``)
and how long the work may be (``Is it at most 40 words long?``); all else it takes for granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

_SHOWN = re.compile(
    r"Somebody was asked for this:\n\n(?P<wanted>.*?)\n\nThis is what they gave:\n\n<<<\n(?P<work>.*)\n>>>"
    r"(?P<question>.*?)\n\nAnswer yes or no",
    re.DOTALL,
)
_DECLINES = re.compile(
    r"\W*(?:\[practice\]\s*)?(?:(?:i'?m|i am) (?:very |so )?sorry|unfortunately"
    r"|i (?:must decline|can(?:'?t|not)|won'?t|am (?:not able|unable)))\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?:name|mention|contain|include|say|tell|cover)s?\b(?P<what>[^.?!]*)|\bis there (?P<there>[^.?!]*)",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\b(?:free of|without|(?:has|have|is there|with) no)\b(?P<what>[^.?!]*)", re.IGNORECASE)
_LENGTH = re.compile(
    r"\b(?:at most|no more than|under|below|up to)\s+(?P<most>\d{1,6})\s+(?P<of>word|character)", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
#: Letters by which two forms of a word are taken for one.
_STEM = 4


def look(question: str, telling: Callable[[str], Collection[str]], refusals: Collection[str]) -> dict[str, Any] | None:
    """What is found. ``telling`` brings the words of a text that say what it is about; ``refusals`` decline."""
    shown = _SHOWN.search(question)
    if shown is None:
        return None
    work = shown["work"].strip()
    why = _fault(shown["wanted"], work, shown["question"], telling, refusals)
    return {
        "yes": not why,
        "evidence": f"[practice] {why or _praise(shown['wanted'], shown['question'], work, telling)}",
    }


def _fault(
    wanted: str, work: str, asked: str, telling: Callable[[str], Collection[str]], refusals: Collection[str]
) -> str:
    """What is wrong with the work; empty where nothing is."""
    if not _WORD.search(work) and not re.search(r"\d", work):
        return "there is nothing in it"
    if _DECLINES.match(work) or any(refusal in work for refusal in refusals):
        return f'it declines: "{work[:60]}"'
    topic = telling(wanted)
    if topic and not _of(topic, work):
        return f"it says nothing of {', '.join(list(topic)[:3])}"
    if (length := _LENGTH.search(asked)) is not None:
        count = len(work) if length["of"].lower() == "character" else len(work.split())
        if count > int(length["most"]):
            return f"it has {count} {length['of'].lower()}s"
    if (without := _WITHOUT.search(asked)) is not None:
        found = _of(telling(without["what"]), work)
        return f"there is {found[0]} in it" if found else ""
    if (named := _NAMED.search(asked)) is not None and _shows(asked):
        missing = [word for word in telling(named["what"] or named["there"] or "") if not _of([word], work)]
        return f"there is no {missing[0]} in it" if missing else ""
    return ""


def _shows(asked: str) -> bool:
    """Whether the question is about what the work names, and not about the whole of it."""
    return not re.search(r"\b(?:in full|what was asked for|nothing|everything|every|all)\b", asked, re.IGNORECASE)


def _praise(wanted: str, asked: str, work: str, telling: Callable[[str], Collection[str]]) -> str:
    named = _NAMED.search(asked) if _shows(asked) else None
    found = _of(telling(named["what"] or named["there"] or "") if named is not None else telling(wanted), work)
    return f"it speaks of {', '.join(found[:3])}" if found else f'it says: "{work[:60]}"'


def _of(words: Collection[str], work: str) -> list[str]:
    """Those of ``words`` that the work has, in whatever form."""
    stems = {word[:_STEM] for word in _WORD.findall(work.lower())}
    return [word for word in words if word[:_STEM] in stems]
