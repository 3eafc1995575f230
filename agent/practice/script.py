"""What the practice backends say, read from configs/practice.yaml and chosen by the words of the question.

    script = Script.from_file()
    script.answer("how do tides work?")     # the reply about tides
    script.answer("what is 17*23?")         # "[practice] 17*23 = 391."
    script.refusal("anything")              # one of several, always the same for the same question

Nothing is random: the same question gets the same words.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.yaml_files import CONFIGS, read_checked
from .facts import conversion_in, date_in
from .looking import look
from .sums import sum_in

LABEL = "[practice] "

#: Characters of a question that are looked at; more would not change the reply.
_READ = 4000

_WORD = re.compile(r"[^\W\d_]+")
_DEFINE = re.compile(
    r"\b(?:what(?:'s| is| are| does)|define|definition of|meaning of|explain)\s+(?:an? |the )?(?:word |term )?['\"]?"
    r"(?P<word>[A-Za-z]+?)s?['\"]?(?:\s+(?:mean|number|stand for)s?)?\s*[?.!]*\s*$",
    re.IGNORECASE,
)
_SHORT = 4  # words of fewer letters say little about a subject


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply and the words that call for it."""

    words: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Language:
    """A language that is known by some words, and what is said in it."""

    words: frozenset[str]
    otherwise: str
    refusal: str


@dataclass(frozen=True, slots=True)
class Script:
    """All that can be said."""

    replies: tuple[Reply, ...]
    definitions: Mapping[str, str]
    declines: tuple[str, ...]
    languages: tuple[Language, ...]
    otherwise: tuple[str, ...]
    refusals: tuple[str, ...]
    hedges: tuple[str, ...]
    lies: tuple[str, ...]
    stop_words: frozenset[str]

    @classmethod
    def from_file(cls, path: Path = CONFIGS / "practice.yaml") -> Script:
        """Raises ConfigError if the file does not fit configs/practice.schema.json."""
        said = read_checked(path, "practice")
        return cls(
            tuple(Reply(frozenset(entry["words"]), entry["text"]) for entry in said["replies"]),
            {word.lower(): text for word, text in said["definitions"].items()},
            tuple(said["declines"]),
            tuple(
                Language(frozenset(known["words"]), known["otherwise"], known["refusal"])
                for known in said["languages"].values()
            ),
            tuple(said["otherwise"]),
            tuple(said["refusals"]),
            tuple(said["hedges"]),
            tuple(said["lies"]),
            frozenset(said["stop_words"]),
        )

    def answer(self, question: str) -> str:
        """A short, true reply where there is one: a sum, a date, a unit, a word's meaning; else what practice is."""
        for worked in (conversion_in(question), date_in(question), sum_in(question)):
            if worked is not None:
                return f"{LABEL}{worked}"
        words = _WORD.findall(question[:_READ].lower())
        spoken = self._language(words)
        if self._declined(question):
            return LABEL + (spoken.refusal if spoken is not None else _pick(self.refusals, question))
        if (meant := _DEFINE.search(question[:_READ])) and (text := self.definitions.get(meant["word"].lower())):
            return LABEL + text
        if spoken is not None:
            return LABEL + spoken.otherwise
        best = max(self.replies, key=lambda reply: sum(word in reply.words for word in words))
        fits = any(word in best.words for word in words)
        text = best.text if fits else _pick(self.otherwise, question)
        return LABEL + text.replace("{topic}", self._topic(words))

    def _declined(self, question: str) -> bool:
        plain = unicodedata.normalize("NFKD", question[:_READ].lower().replace("ł", "l"))
        bare = " ".join(_WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter))))
        return any(f" {phrase} " in f" {bare} " for phrase in self.declines)

    def _language(self, words: Sequence[str]) -> Language | None:
        """The language of a question, where two of its words, and a third of them, are that language's."""
        counts = [(sum(word in known.words for word in words), known) for known in self.languages]
        most, known = max(counts, key=lambda counted: counted[0])
        return known if most >= 2 and 4 * most >= len(words) else None

    def verdict(self, question: str) -> dict[str, Any] | None:
        """The yes or no about a work that the question shows, with evidence; None where it shows none."""
        return look(question, self._telling, self.refusals)

    def _telling(self, text: str) -> list[str]:
        """The words that say what a text is about; none where it is not in English, which practice cannot judge."""
        words = _WORD.findall(text.lower())
        if not words or self._language(words) is not None or not text.isascii():
            return []
        return list(dict.fromkeys(word for word in words if len(word) >= _SHORT and word not in self.stop_words))

    def lie(self, question: str) -> str:
        """Plausible, and about something else."""
        return LABEL + _pick(self.lies, question)

    def refusal(self, question: str) -> str:
        return LABEL + _pick(self.refusals, question)

    def hedge(self, question: str) -> str:
        return LABEL + _pick(self.hedges, question)

    def _topic(self, words: list[str]) -> str:
        telling = dict.fromkeys(word for word in words if len(word) >= _SHORT and word not in self.stop_words)
        return ", ".join(list(telling)[:3]) or "this"


def _pick(choices: Sequence[str], question: str) -> str:
    return choices[zlib.crc32(question.encode("utf-8", "replace")) % len(choices)]
