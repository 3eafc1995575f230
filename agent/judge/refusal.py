"""Does the answer's prose decline, fully or in part, and with what words?

found = detect_refusal("How do tides work?", "I'm sorry, but I can't help with that.")
found.score, found.kind, found.evidence      # 0.99, "policy", the sentence
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress

from .context import NO_CONTEXT, Context
from .features.extract import NAMES, Features, extract_features
from .features.signals import signal_bits
from .model import model
from .text.phrases import phrase_book
from .text.sentences import Sentence, parse_answer

#: The longest quotation that serves as evidence, in characters.
MAX_EVIDENCE = 120

#: A sentence of this many characters or fewer is quoted whole.
SHORT_EVIDENCE = 60


#: The features of an answer's shape. "All is well." may say little; it says no to nobody.
SHAPE = frozenset({"short", "plain_words", "plain_share", "length", "thin", "thin_polar", "shallow"})
_SPOKEN = tuple(name not in SHAPE for name in NAMES)
#: The most that such an answer can be suspected of refusing: below every threshold that a config gives in earnest.
UNSPOKEN = 0.3


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was found: the probabilities that the answer declines (fully or in part), and that it refuses in full."""

    score: float
    refuses: float
    features: Features

    @property
    def kind(self) -> str:
        """``policy`` (will not), ``capability`` (cannot) or ``deflection`` (talks of something else)."""
        return kind_of(self.features)

    @property
    def evidence(self) -> str:
        """The words that gave it away, as they stand in the answer."""
        return evidence_in(self.features)


def detect_refusal(task: str, text: str, context: Context = NO_CONTEXT) -> Refusal:
    """What ``text``, the answer to ``task`` in its ``context``, shows of a refusal."""
    features = extract_features(task, parse_answer(text), context)
    chances = model().chances(features)
    if _shape_alone(features):
        return Refusal(min(chances.declines, UNSPOKEN), min(chances.refuses, UNSPOKEN), features)
    return Refusal(chances.declines, chances.refuses, features)


def _shape_alone(features: Features) -> bool:
    """Whether nothing in a brief answer declines, evades or apologises, and only its shape speaks against it."""
    return bool(features.brief) and not any(compress(features.row, _SPOKEN))


def kind_of(features: Features) -> str:
    """``policy`` (will not), ``capability`` (cannot) or ``deflection`` (talks of something else)."""
    bit = signal_bits()
    capability = policy = deflection = 0
    cannot = bit.capability | bit.no_access
    for mask in features.masks:
        capability += bool(mask & cannot)
        deflection += bool(mask & bit.deflect)
        policy += bool(mask & bit.decline and not mask & (cannot | bit.deflect)) + bool(mask & (bit.norm | bit.policy))
    if capability and capability >= policy:
        return "capability"
    if deflection and not policy:
        return "deflection"
    return "policy"


def evidence_in(features: Features) -> str:
    """The first words with the strongest signal there is."""
    bit = signal_bits()
    strong = (bit.decline, bit.capability, bit.deflect | bit.preference, bit.unable, bit.norm, bit.premise, bit.policy)
    for wanted in strong:
        for sentence, mask in zip(features.own, features.masks, strict=True):
            if mask & wanted:
                return quote(sentence, wanted)
    return features.own[0].text[:MAX_EVIDENCE] if features.own else ""


def quote(sentence: Sentence, wanted: int) -> str:
    """A short ``sentence`` whole; of a long one the part from the wanted phrase on, cut to length."""
    if len(sentence.text) <= SHORT_EVIDENCE:
        return sentence.text
    place = None if sentence.unspaced else phrase_book().find(sentence.words, wanted)
    text = sentence.text
    if place is not None:
        lower, at = text.lower(), 0
        for index, word in enumerate(sentence.words):
            found = lower.find(word, at)
            if found < 0 or index == place[0]:
                break
            at = found + len(word)
        text = text[max(lower.find(sentence.words[min(place[0], len(sentence.words) - 1)], at), 0) :]
    if len(text) <= MAX_EVIDENCE:
        return text
    return text[:MAX_EVIDENCE].rsplit(" ", 1)[0] + " …"
