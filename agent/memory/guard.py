"""Whether two similar questions ask the same: the guard before every match that is not exact.

    disagreement("name a river in France", "name a river in Spain")    # "words: france, spain"
    disagreement("what is the tallest of the towers", "what is tallest of the towers")    # "": they agree

Measured on minimal pairs, embeddings take "17*23" for "17*24" and "with" for "without" at a cosine of 0.95. So nothing
is left to similarity but words whose absence changes no answer (``fillers``) and commas: numbers and operators, units,
negations, antonyms, names and their order all have to be the same, because every other word has to be.
"""

from __future__ import annotations

import re

from .vocabulary import Vocabulary, vocabulary

#: A number with its sign and marks, a word with what holds it together, or one sign that is no comma or quotation mark.
_PARTS = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’-][^\W\d_]+)*|[^\w\s,;'\"]|_")


def parts(canonical: str, words: Vocabulary | None = None) -> tuple[str, ...]:
    """What of a canonical text has to agree, in order."""
    fillers = (words or vocabulary()).fillers
    return tuple(part for part in _PARTS.findall(canonical) if part not in fillers)


def disagreement(one: str, other: str, words: Vocabulary | None = None) -> str:
    """In what two canonical texts differ that an answer may depend on; empty where they agree."""
    words = words or vocabulary()
    ours, theirs = parts(one, words), parts(other, words)
    if ours == theirs:
        return ""
    differing = sorted(set(ours) ^ set(theirs))
    if numbers := [part for part in differing if any(char.isdigit() for char in part)]:
        return f"numbers: {', '.join(numbers)}"
    if negations := [part for part in differing if part in words.negations]:
        return f"negation: {', '.join(negations)}"
    if differing:
        return f"words: {', '.join(differing)}"
    return "order" if sorted(ours) == sorted(theirs) else "how often a word stands"
