"""What the task wants to have, and whether a brief answer holds anything of the kind.

"Lists are a classic! What have you tried so far?" declines nothing in words. That it is no answer shows only beside
the task: a function was ordered and there is no code, a price was asked and there is no figure, an order was answered
with "no". A long answer is not measured in this way; nobody talks around a thing for so long without other signs.

    ask = task_book().scan(["write", "a", "function", "that", "reverses", "a", "list"])
    parsed = parse_answer("What have you tried so far?")
    missing_features(ask, {"reverses"}, parsed, own, False, False)["no_code"]         # 1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from ..data import words as listed
from ..text.phrases import task_book
from ..text.sentences import ParsedText, Sentence, Speaker

#: Answers of this many words or fewer are measured.
BRIEF = 60

#: No explanation, recipe or story is shorter than this many words.
SHALLOW = 25

NAMES: tuple[str, ...] = (
    "thin", "thin_order", "thin_polar", "thin_want", "shallow", "no_name", "no_number", "no_code", "no_lines",
    "plain_no_order", "plain_no_polar", "calls_names", "echo", "asks_back", "order_talk", "polar_talk",
)  # fmt: skip

_CODE_MARKS = frozenset("=;{}()<>`|/\\")
_FIGURES = frozenset("0123456789")
_YOU = frozenset(["you", "your", "you're", "you've"])


class _Asked:
    """The bits of the task's signals that are asked for here."""

    def __init__(self) -> None:
        bit = task_book().bit
        self.order, self.polar, self.count = bit("order"), bit("polar"), bit("count")
        self.program, self.lines, self.want = bit("program"), bit("lines"), bit("want")
        self.depth, self.terse, self.proper = bit("depth"), bit("terse"), bit("proper")


@cache
def _asked() -> _Asked:
    return _Asked()


@cache
def _long(order: bool, polar: bool) -> Mapping[str, float]:
    """The figures of an answer that is not brief."""
    return MappingProxyType(dict.fromkeys(NAMES, 0.0) | {"order_talk": float(order), "polar_talk": float(polar)})


def missing_features(
    ask: int,
    subject: set[str],
    parsed: ParsedText,
    own: Sequence[Sentence],
    nay: bool,
    talk: bool,
    length: int,
    named: int,
) -> Mapping[str, float]:
    """The figures named in :data:`NAMES`, each from 0 to 1.

    ``ask`` is the signals of the task, ``subject`` its content words; ``own`` the model's own sentences of
    ``parsed``; ``nay`` says that they are a bare no, ``talk`` that there is any sign of a refusal in
    them at all; ``length`` how many words they have, ``named`` how many new names.
    """
    bit = _asked()
    order, polar = bool(ask & bit.order), bool(ask & bit.polar)
    if length > BRIEF or not own:
        return _long(order and talk, polar and talk)
    text, last = parsed.text, own[-1]
    number_words = listed("number_words")
    figure = not _FIGURES.isdisjoint(text) or any(not number_words.isdisjoint(s.words) for s in own)
    figure = figure or (not text.isascii() and any(map(str.isdigit, text)))
    others = any(s.speaker is not Speaker.OWN for s in parsed.sentences)
    shaped = others or text.count("\n") > 1 or any(s.item for s in own)
    thin = 0.0 if shaped or figure else 1 - length / BRIEF
    back = last.text.endswith(("?", "？")) and not _YOU.isdisjoint(last.words)
    return {
        "thin": thin,
        "thin_order": thin if order else 0.0,
        "thin_polar": thin if polar else 0.0,
        "thin_want": thin if ask & bit.want else 0.0,
        "shallow": max(1 - length / SHALLOW, 0.0) if thin and ask & bit.depth and not ask & bit.terse else 0.0,
        "no_name": float(bool(ask & bit.proper) and length > 3 and not figure and not named),
        "no_number": float(bool(ask & bit.count) and not figure),
        "no_code": float(bool(ask & bit.program) and order and not others and _CODE_MARKS.isdisjoint(text)),
        "no_lines": float(bool(ask & bit.lines) and order and not shaped),
        "plain_no_order": float(nay and not polar),
        "plain_no_polar": float(nay and polar),
        "calls_names": float(named > 0),
        "echo": float(thin > 0 and not polar and own[0].words[0] in subject),
        "asks_back": float(back and not shaped),
        "order_talk": float(order and talk),
        "polar_talk": float(polar and talk),
    }
