"""Whether a brief answer that sounds like a refusal reports a limit instead: of the material, or of the tools.

"I cannot find that function in the file" and "I can't look for functions" open alike. What tells them apart: one says
what is not there, what was tried, what stood in the way, and speaks of this one thing; the other speaks of things of
a kind, of itself, and of what the asker should do. And what the conversation shows: a search that just came back
empty makes the first likely, a search that was offered and not used the second.

    found = report_features(masks, own, parsed, {"parse"}, Context(tools=True, result="(no matches)"))
    found["result_empty"]           # 1.0
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..context import Context
from ..data import words as listed
from ..text.phrases import phrase_book
from ..text.sentences import ParsedText, Sentence, words_of

NAMES: tuple[str, ...] = (
    "absent_first", "absent_share", "absent_no", "absent_later", "obstacle_first", "obstacle_share", "obstacle_no",
    "attempt_first", "attempt_share", "attempt_no", "seek_first", "seek_share", "source_no", "source_share",
    "report_first", "report_share", "report_alone", "flat_no", "flat_no_share", "flat_generic", "definite_no",
    "definite_first", "generic_no", "generic_first", "generic_share", "reason_no", "question_no", "figure_no",
    "code_span", "code_span_no", "no_share", "offer_no", "tools_offered", "tools_no", "tools_no_access",
    "tools_flat_no", "after_result", "result_no", "result_flat_no", "result_report", "result_empty",
    "result_empty_no", "result_empty_flat_no", "result_words", "result_words_no",
)  # fmt: skip

_NOTHING = dict.fromkeys(NAMES, 0.0)

#: Words after which a reason follows.
_REASONS = frozenset(
    ["because", "since", "as", "due", "until", "without", "weil", "da", "porque", "car", "perché", "bo"]
)
_SPECIFIC = frozenset('0123456789"/=')

#: Words of a tool's result that say whether it found anything, and sentences of an answer that may repeat them.
_RESULT_WORDS, _SENTENCES = 60, 6


class _Bits:
    """The bits of the signals that are asked for here."""

    def __init__(self) -> None:
        bit = phrase_book().bit
        self.absent, self.obstacle, self.attempt = bit("absent"), bit("obstacle"), bit("attempt")
        self.seek, self.source = bit("seek"), bit("source")
        self.definite, self.generic = bit("definite"), bit("generic")
        self.no_access = bit("no_access") | bit("capability")
        self.no = bit("decline") | bit("capability") | bit("unable") | bit("no_access") | bit("first_person_no")
        self.report = self.absent | self.obstacle | self.attempt
        self.rule = bit("policy") | bit("norm") | bit("identity") | bit("rebuke") | self.generic | self.no_access
        self.offer = bit("offer") | bit("clarify")
        #: Without one of these nothing is counted but what the conversation shows.
        self.counted = self.no | self.report | self.seek | self.source | self.generic


@cache
def _bits() -> _Bits:
    return _Bits()


def report_features(
    masks: Sequence[int], own: Sequence[Sentence], parsed: ParsedText, subject: set[str], context: Context
) -> dict[str, float]:
    """The features named in :data:`NAMES`, each from 0 to 1.

    ``masks`` are the signals of ``own``, the model's own sentences of ``parsed``; ``subject`` the task's content words.
    """
    bit = _bits()
    union = 0
    for mask in masks:
        union |= mask
    after = context.result is not None
    empty, repeated = _result_features(context.result or "", subject, own) if after else (False, 0.0)
    code_span = "`" in parsed.text
    if not union & bit.counted:
        quiet = {"code_span": code_span, "tools_offered": context.tools, "after_result": after, "result_empty": empty}
        return {**_NOTHING, **{name: float(value) for name, value in quiet.items()}, "result_words": repeated}
    n, first = len(masks), masks[0]
    declining = [mask for mask in masks if mask & bit.no]
    flat = [mask for mask in declining if not mask & (bit.report | bit.seek)]
    in_declining = 0
    for mask in declining:
        in_declining |= mask
    saying_no = [sentence for sentence, mask in zip(own, masks, strict=True) if mask & bit.no]
    no = bool(declining)

    def share(wanted: int) -> float:
        return sum([1 for mask in masks if mask & wanted]) / n if union & wanted else 0.0

    later = masks[masks.index(declining[0]) + 1 :] if no else ()
    found: dict[str, float | bool | int] = {
        "absent_first": first & bit.absent,
        "absent_share": share(bit.absent),
        "absent_no": in_declining & bit.absent,
        "absent_later": any(mask & bit.report and not mask & bit.no for mask in later),
        "obstacle_first": first & bit.obstacle,
        "obstacle_share": share(bit.obstacle),
        "obstacle_no": in_declining & bit.obstacle,
        "attempt_first": first & bit.attempt,
        "attempt_share": share(bit.attempt),
        "attempt_no": in_declining & bit.attempt,
        "seek_first": first & bit.seek,
        "seek_share": share(bit.seek),
        "source_no": in_declining & bit.source,
        "source_share": share(bit.source),
        "report_first": first & bit.report,
        "report_share": share(bit.report),
        "report_alone": union & bit.report and not flat,
        "flat_no": bool(flat),
        "flat_no_share": len(flat) / n,
        "flat_generic": any(mask & bit.generic for mask in flat),
        "definite_no": in_declining & bit.definite,
        "definite_first": first & bit.definite and first & bit.no,
        "generic_no": in_declining & bit.generic,
        "generic_first": first & bit.generic,
        "generic_share": share(bit.generic),
        "reason_no": min(max(map(_reason_words, saying_no), default=0), 10) / 10,
        "question_no": no and own[-1].text.endswith(("?", "？")),
        "figure_no": any(not _SPECIFIC.isdisjoint(sentence.text) for sentence in saying_no),
        "code_span": code_span,
        "code_span_no": code_span and no,
        "no_share": len(declining) / n,
        "offer_no": no and union & bit.offer,
        "tools_offered": context.tools,
        "tools_no": context.tools and no,
        "tools_no_access": context.tools and first & bit.no_access,
        "tools_flat_no": context.tools and bool(flat),
        "after_result": after,
        "result_no": after and no,
        "result_flat_no": after and bool(flat),
        "result_report": after and union & bit.report,
        "result_empty": empty,
        "result_empty_no": empty and no,
        "result_empty_flat_no": empty and bool(flat),
        "result_words": repeated,
        "result_words_no": repeated if no else 0.0,
    }
    return {name: value if value.__class__ is float else float(bool(value)) for name, value in found.items()}


def _reason_words(sentence: Sentence) -> int:
    """How many words of a declining sentence give a reason that is no rule: after a colon, "because", "as" ..."""
    text = sentence.text
    at = max(text.find(": "), text.find("; "))
    tail = words_of(text[at + 1 :]) if at > 0 else []
    if not tail:
        words = sentence.words
        at = next((i for i in range(len(words) - 1, 1, -1) if words[i] in _REASONS), len(words))
        tail = words[at + 1 :]
    return 0 if not tail or phrase_book().scan(tail) & _bits().rule else len(tail)


def _result_features(result: str, subject: set[str], own: Sequence[Sentence]) -> tuple[bool, float]:
    """Whether the tools returned nothing or an error; and how much of the answer's own words came from them, 0 to 1."""
    words = words_of(result)
    bit = _bits()
    empty = len(words) < 2 or bool(phrase_book().scan(words[:_RESULT_WORDS]) & (bit.absent | bit.obstacle))
    returned = set(words) - listed("little_words") - subject
    if not returned:
        return empty, 0.0
    said = [word for sentence in own[:_SENTENCES] for word in sentence.words if word in returned]
    return empty, min(len(said), 4) / 4
