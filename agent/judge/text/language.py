"""Which language a text is in: by its script, else by its commonest little words. For a handful of languages only.

language_of("Das ist nicht der Grund, und es ist auch nicht gut.")      # "de"
language_of("Lima.")                                                    # "" (too short to tell)
"""

from __future__ import annotations

import re

from ..data import words_by_language
from .sentences import words_of

#: Fewer known little words than this tell nothing.
MIN_HITS = 4

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
)


def language_of(text: str) -> str:
    """A language's two-letter code, or an empty string where the text does not tell."""
    if not text.isascii():
        # Kana before Chinese signs: Japanese prose is mostly the latter.
        letters = sum(char.isalpha() for char in text)
        for language, script in _SCRIPTS:
            if len(script.findall(text)) * 5 > letters * (1 if language == "ja" else 2):
                return language
    common = words_by_language("common")
    counts = dict.fromkeys((language for known in common.values() for language in known), 0)
    words = words_of(text)
    for word in words:
        for language in common.get(word, ()):
            counts[language] += 1
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    best, hits = ranked[0]
    return best if hits >= MIN_HITS and hits >= 1.5 * ranked[1][1] and hits * 10 >= len(words) else ""
