"""What ``configs/kinds.yaml`` says: which words and features speak for which kind of work, and how much.

::

    said = read_kinds()                       # raises ConfigError
    said.phrases["review"], said.prompts["code_review"]

The phrases' notation
    ============== ===================================================================
    ``analy*``     any word that starts so; accents and case never matter
    ``(a|b|) c``   ``a c``, ``b c`` or ``c``
    ``a ~ b``      up to :data:`GAP` words of the same sentence may stand at ``~``
    ``^ read``     at the start of a sentence, or right after a preamble ("could you please")
    ``<n>``        a number; ``<many>`` one of at least :data:`MANY`
    ``<image>``    a file name of that class, see ``extensions`` in the file
    ============== ===================================================================

    A phrase that goes on from a shorter one of its kind replaces it: "how many" counts instead of "how", not on top.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.task import KINDS
from .yaml_files import CONFIGS, read_checked

#: The words that may stand at ``~``.
GAP: Final = 3

#: From here on a number counts as ``<many>``: of pages, files or modules.
MANY: Final = 20

#: The features a file may weigh. ``tokens_N`` holds from N tokens of user's text on so the
#: steps add up; ``words_N`` holds up to N words; ``told_first`` when a question follows a statement.
FEATURES: Final = (
    *("empty", "image", "audio", "question", "questions_3", "told_first", "arithmetic"),
    *("code_fence", "code", "diff", "traceback", "lines_8"),
    *("words_3", "words_12", "words_40", "tokens_1000", "tokens_4000", "tokens_16000"),
)

_NOTATION = re.compile(r"<\w+>|\^|~|[^\W_]+\*?|\w+\*?")
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})

#: How much something speaks for which kinds: (index into KINDS, points).
Weights = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """A kinds file, taken apart.

    prompts     the instructions a backend gets, by kind
    bias        points that a kind has before anything is read, in the order of KINDS
    features    what each of :data:`FEATURES` speaks for
    phrases     what each phrase speaks for, its choices expanded and its words folded
    suits       the strengths and weaknesses of backends that matter, by kind
    preamble    words that may stand before an order ("could you please")
    extensions  the class of a file name's ending: ``{"png": "<image>"}``
    """

    prompts: Mapping[str, str]
    bias: tuple[float, ...]
    features: Mapping[str, Weights]
    phrases: Mapping[str, Weights]
    suits: Mapping[str, frozenset[str]]
    preamble: frozenset[str]
    extensions: Mapping[str, str]


def read_kinds(path: Path | None = None) -> Kinds:
    """Read a kinds file, by default the project's own.

    Raises ConfigError when it is missing, is not YAML, or breaks ``kinds.schema.json``.
    """
    data = read_checked(path or CONFIGS / "kinds.yaml", "kinds", number_keys=True)
    kinds = data["kinds"]
    return Kinds(
        prompts={kind: kinds[kind]["prompt"].strip() for kind in KINDS},
        bias=tuple(float(kinds[kind].get("bias", 0.0)) for kind in KINDS),
        features={
            name: tuple(
                (index, float(kinds[kind]["features"][name]))
                for index, kind in enumerate(KINDS)
                if name in kinds[kind].get("features", {})
            )
            for name in FEATURES
        },
        phrases=_phrase_weights(kinds),
        suits={kind: frozenset(kinds[kind].get("suits", ())) for kind in KINDS},
        preamble=frozenset(form for word in data["preamble"] for form in (word, fold(word))),
        extensions={ending: f"<{name}>" for name, endings in data["extensions"].items() for ending in endings},
    )


def fold(word: str) -> str:
    """``word`` without case and accents, so that ``Streść`` is ``stresc``."""
    word = word.casefold()
    if word.isascii():
        return word
    plain = unicodedata.normalize("NFD", word.translate(_LETTERS))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)) or word


def _phrase_weights(kinds: Mapping[str, Any]) -> dict[str, Weights]:
    """Every expanded phrase of the file, with what it speaks for.

    Where a kind has a phrase twice, the stronger weight counts. Where a phrase goes on from a shorter one, which
    therefore occurs with it, only the difference is kept, so that both together make the weight that was written.
    """
    written: dict[str, dict[int, float]] = {}
    for index, kind in enumerate(KINDS):
        for points, phrases in kinds[kind].get("phrases", {}).items():
            for phrase in (expanded for one in phrases for expanded in _expanded(one)):
                by_kind = written.setdefault(phrase, {})
                if abs(float(points)) > abs(by_kind.get(index, 0.0)):
                    by_kind[index] = float(points)
    return {
        phrase: tuple(
            (index, points - _inherited(phrase, index, points, written)) for index, points in sorted(by_kind.items())
        )
        for phrase, by_kind in written.items()
    }


def _inherited(phrase: str, index: int, points: float, written: Mapping[str, Mapping[int, float]]) -> float:
    """The points of the longest shorter phrase that ``phrase`` goes on from, if both pull the same way."""
    symbols = phrase.split()
    for end in range(len(symbols) - 1, 0, -1):
        shorter = written.get(" ".join(symbols[:end]), {}).get(index)
        if shorter is not None:
            return shorter if shorter * points > 0 else 0.0
    return 0.0


def _expanded(written: str) -> Iterator[str]:
    """A phrase of the file as the trie wants it: every choice of its ``(a|b)``, folded and split as texts are."""
    choice = re.search(r"\(([^()]*)\)", written)
    if choice:
        for option in choice[1].split("|"):
            yield from _expanded(f"{written[: choice.start()]}{option}{written[choice.end() :]}")
        return
    yield " ".join(fold(symbol) for symbol in _NOTATION.findall(written))
