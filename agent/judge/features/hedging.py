"""Empty talk: a paragraph that weighs everything and says nothing.

hedging("Which editor is better?", figures)      # 0.9: "it depends on many factors", and nothing else
"""

from __future__ import annotations

import re

from .extract import Features
from .signals import signal_bits

#: A number or a colon: something is being said.
_FIGURE = re.compile(r"[\d:]")

#: Shorter answers are judged by what they say, not by how much; longer ones say something somewhere.
MIN_WORDS, MAX_SENTENCES = 12, 14


def hedging(figures: Features) -> float:
    """The share of the answer's own sentences that only hedge; 0 below half, or with a list or code."""
    if figures["hedge_share"] < 0.5:
        return 0.0
    bit = signal_bits()
    words = sum(len(s.words) for s in figures.own)
    n = len(figures.own)
    if words < MIN_WORDS or not 0 < n <= MAX_SENTENCES or figures["code"] or figures["items"] > 0:
        return 0.0
    if figures["clarify_any"] > 0 or figures["other_share"] > 0.2:
        return 0.0
    empty = 0
    for sentence, mask in zip(figures.own, figures.masks, strict=True):
        if mask & bit.hedge and not mask & (bit.concrete | bit.no) and not _FIGURE.search(sentence.text):
            empty += 1
    return empty / n
