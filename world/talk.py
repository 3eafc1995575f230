"""What somebody says to Timmy: whether it is for him, and what he takes it for. Pure; he answers in
typeclasses/timmy.py.

addressed("hello Timmy", ("Timmy",))            # "hello": what was said to him
addressed("Timmy's hat is funny", ("Timmy",))   # None: it is about him
meaning("hello")                                 # "hello"
meaning("what is the capital of Peru?")          # "question"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from uniwizard.world.soul import voice

#: Words after a name that make a sentence about him, and not to him.
_ABOUT_WORDS = (
    "is was has had says said looks looked seems will would does did and or but makes made knows knew likes went goes s"
)
_ABOUT = frozenset(_ABOUT_WORDS.split())
#: The longest saying whose last word may be a name that it is said to.
_CALL = 12
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "đ": "d", "’": "'"})
#: How a question begins that nobody ended with a question mark, in the languages of ``hears``.
_ASKING_WORDS = """
what who whom whose why how when where which can.you could.you would.you will.you do.you does did is are tell
explain write give list name translate summari[sz]e review calculate compute find show describe compare suggest
help.me think co kto kim dlaczego jak kiedy gdzie ile czy wyjasnij napisz podaj was wer warum wie wann wo
welche\\w* erklare schreib\\w* que quoi qui pourquoi comment quand ou quel\\w* explique ecris por.que como
cuando donde cual explica escribe che chi perche come quando dove quale spiega scrivi quanto
"""
_ASKING = re.compile(rf"(?:{'|'.join(_ASKING_WORDS.split())})\b")


def plain_words(text: str) -> str:
    """``text`` in lower case, without accents and punctuation, one blank between words."""
    folded = unicodedata.normalize("NFD", text.casefold().translate(_LETTERS))
    kept = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[^\W_]+", kept))


def addressed(speech: str, names: Sequence[str]) -> str | None:
    """What of ``speech`` is said to whoever has one of ``names``; None where it is not for them."""
    speech = speech.strip()
    for name in names:
        called = re.escape(name)
        first = re.match(
            rf"(?:(?:hey|hi|hello|oi|ok|okay|oh|dear|say|so|well|please)[\s,]+)?{called}\b(?P<mark>[\s,:;!.?-]*)",
            speech,
            re.I,
        )
        if first and not re.match(r"['’]s\b", speech[first.end("mark") - len(first["mark"]) :]):
            rest = speech[first.end() :].strip()
            following = plain_words(rest).split(" ")[0]
            if following not in _ABOUT or first["mark"].strip(" ") or rest.endswith("?"):
                greeting = speech[: first.start("mark")].lower().split()[:-1]
                return rest or " ".join(greeting) or "hello"
        last = re.search(rf"(?P<said>.*?)(?P<comma>,?)\s+{called}\s*[!.?)\s]*$", speech, re.I | re.DOTALL)
        if (
            last
            and (last["comma"] or len(last["said"].split()) <= 3 or meaning(last["said"]) not in ("unsure", "question"))
            and (len(speech.split()) <= _CALL or last["comma"])
        ):
            asking = "?" if speech.rstrip().endswith("?") else ""
            return last["said"].strip(" ,") + asking
    return None


def meaning(speech: str) -> str:
    """What a saying is taken for: a word of ``hears`` in configs/voice.yaml, ``question`` or ``unsure``."""
    words = plain_words(speech)
    short = len(words.split()) <= 8
    for heard, phrases in voice.hears.items():
        for phrase in phrases:
            if short and re.search(rf"(?:^|\s){re.escape(plain_words(phrase))}(?:\s|$)", words):
                # "hi, what is 2+2?" is a greeting and a question; the question is what is wanted.
                if heard in _MANNERS and asks(re.sub(rf"^.*?{re.escape(plain_words(phrase))}\s*", "", words), speech):
                    return "question"
                return heard
    return "question" if asks(words, speech) else "unsure"


_MANNERS = frozenset({"hello", "thanks", "bye", "praise"})


def asks(words: str, speech: str) -> bool:
    """Whether there is something to think about in it: a question, a request, a sum."""
    if not words:
        return False
    long_enough = len(words.split()) >= 2
    return (speech.rstrip().endswith("?") and long_enough) or (long_enough and _ASKING.match(words) is not None)
