"""Names that an answer brings: words inside its sentences that begin with a capital letter and were not in the task."""

from __future__ import annotations

from collections.abc import Sequence

from ..text.sentences import Sentence


def new_names(own: Sequence[Sentence], subject: set[str]) -> int:
    """How many such words the sentences have, "I" and "I'm" left out. ``subject`` is the task's content words."""
    found = 0
    for sentence in own:
        text = sentence.text
        if text[1:].islower():
            continue
        for word in text.split()[1:]:
            if word[0].isupper() and word[1:2] not in ("", "'") and word.rstrip(".,;:!?").lower() not in subject:
                found += 1
    return found
