"""Whether a task's answer depends on more than its words: on the moment, on the place, on whoever asks.

    why_bound(["what", "time", "is", "it"])             # "it is about now"
    why_bound(["how", "can", "i", "lower", "my", ...])  # "": a question how to do something is the same whoever asks

Errs on the side of asking again: a phrase of ``configs/memory/`` anywhere in the task binds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .canonical import EDGES
from .vocabulary import Phrase, Vocabulary, vocabulary

_ABOUT = {
    "now": "it is about now",
    "here": "it is about here",
    "me": "it is about whoever asks",
    "possessives": "it is about whoever asks",
}


def why_bound(canonical: str, words: Vocabulary | None = None) -> str:
    """Why a task of this canonical text is never answered from memory; empty where it may be."""
    words = words or vocabulary()
    tokens = [token.strip(EDGES) for token in canonical.split()]
    found = _found(["^", *tokens, "$"], words)
    if not found:
        return ""
    spoken = _languages(tokens, words)
    found = [phrase for phrase in found if phrase.language in spoken] if spoken else found
    advice = any(phrase.role == "advice" for phrase in found)
    for phrase in found:
        if phrase.role in _ABOUT and not (advice and phrase.role == "possessives"):
            return f"{_ABOUT[phrase.role]} ({' '.join(word for word in phrase.words if word not in '^$')})"
    return ""


def _found(tokens: Sequence[str], words: Vocabulary) -> list[Phrase]:
    """Every phrase that stands in ``tokens``."""
    found: list[Phrase] = []
    begins = words.scopes.next
    for place, token in enumerate(tokens, 1):
        node = begins.get(token)
        while node is not None:
            found += node.phrases
            node = node.next.get(tokens[place]) if node.next and place < len(tokens) else None
            place += 1
    return found


def _languages(tokens: Sequence[str], words: Vocabulary) -> frozenset[str]:
    """The languages that most of the little words are common in; none where nothing tells."""
    counts: dict[str, int] = {}
    for token in tokens:
        for language in words.common.get(token, ()):
            counts[language] = counts.get(language, 0) + 1
    most = max(counts.values(), default=0)
    return frozenset(language for language, count in counts.items() if count >= most - most // 4)
