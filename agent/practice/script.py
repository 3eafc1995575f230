"""What the practice backends say, read from configs/practice.yaml and chosen by the words of the question.

    script = Script.from_file()
    script.answer("how do tides work?")     # the reply about tides
    script.answer("what is 17*23?")         # "[practice] 17*23 = 391."
    script.refusal("anything")              # one of several, always the same for the same question

Nothing is random: the same question gets the same words.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.yaml_files import CONFIGS, read_checked
from .sums import sum_in

LABEL = "[practice] "

#: Characters of a question that are looked at; more would not change the reply.
_READ = 4000

_WORD = re.compile(r"[^\W\d_]+")
_SHORT = 4  # words of fewer letters say little about a subject


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply and the words that call for it."""

    words: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """All that can be said."""

    replies: tuple[Reply, ...]
    otherwise: tuple[str, ...]
    refusals: tuple[str, ...]
    hedges: tuple[str, ...]
    stop_words: frozenset[str]

    @classmethod
    def from_file(cls, path: Path = CONFIGS / "practice.yaml") -> Script:
        """Raises ConfigError if the file does not fit configs/practice.schema.json."""
        said = read_checked(path, "practice")
        return cls(
            tuple(Reply(frozenset(entry["words"]), entry["text"]) for entry in said["replies"]),
            tuple(said["otherwise"]),
            tuple(said["refusals"]),
            tuple(said["hedges"]),
            frozenset(said["stop_words"]),
        )

    def answer(self, question: str) -> str:
        """A short, useful reply: a sum worked out, else the reply that shares most words with the question."""
        if (worked := sum_in(question)) is not None:
            return f"{LABEL}{worked}"
        words = _WORD.findall(question[:_READ].lower())
        best = max(self.replies, key=lambda reply: sum(word in reply.words for word in words))
        fits = any(word in best.words for word in words)
        text = best.text if fits else _pick(self.otherwise, question)
        return LABEL + text.replace("{topic}", self._topic(words))

    def refusal(self, question: str) -> str:
        return LABEL + _pick(self.refusals, question)

    def hedge(self, question: str) -> str:
        return LABEL + _pick(self.hedges, question)

    def _topic(self, words: list[str]) -> str:
        telling = dict.fromkeys(word for word in words if len(word) >= _SHORT and word not in self.stop_words)
        return ", ".join(list(telling)[:3]) or "this"


def _pick(choices: Sequence[str], question: str) -> str:
    return choices[zlib.crc32(question.encode("utf-8", "replace")) % len(choices)]
