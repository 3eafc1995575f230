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
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..core.task import KINDS, add_kinds
from .extensions import files_of
from .yaml_files import CONFIGS, ConfigError, Fault, read_checked

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

#: How much something speaks for which kinds: (index into ``Kinds.names``, points).
Weights = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """A kinds file, taken apart.

    names       the kinds, in the order of the indexes: the built-in ones, then those that games add
    prompts     the instructions a backend gets, by kind
    bias        points that a kind has before anything is read, in the order of ``names``
    features    what each of :data:`FEATURES` speaks for
    phrases     what each phrase speaks for, its choices expanded and its words folded
    prefer      the backends that a kind prefers where the backends file has no rule for it
    suits       the strengths and weaknesses of backends that matter, by kind
    preamble    words that may stand before an order ("could you please")
    extensions  the class of a file name's ending: ``{"png": "<image>"}``
    """

    names: tuple[str, ...]
    prompts: Mapping[str, str]
    bias: tuple[float, ...]
    features: Mapping[str, Weights]
    phrases: Mapping[str, Weights]
    prefer: Mapping[str, tuple[str, ...]]
    suits: Mapping[str, frozenset[str]]
    preamble: frozenset[str]
    extensions: Mapping[str, str]


def read_kinds(path: Path | None = None) -> Kinds:
    """Read a kinds file, by default the project's own and whatever games have added to it.

    Raises ConfigError when one is missing, is not YAML, or breaks its schema.
    """
    return _read(path or CONFIGS / "kinds.yaml", files_of("kinds") if path is None else ())


@lru_cache(maxsize=4)
def _read(path: Path, added: tuple[Path, ...]) -> Kinds:
    """The same; read once for as long as no file is added."""
    data = read_checked(path, "kinds", number_keys=True)
    kinds = {kind: data["kinds"][kind] for kind in KINDS}
    for more in added:
        kinds |= read_added_kinds(more)
    add_kinds(kinds)
    names = tuple(kinds)
    return Kinds(
        names=names,
        prompts={kind: said["prompt"].strip() for kind, said in kinds.items()},
        bias=tuple(float(said.get("bias", 0.0)) for said in kinds.values()),
        features={
            name: tuple(
                (index, float(said["features"][name]))
                for index, said in enumerate(kinds.values())
                if name in said.get("features", {})
            )
            for name in FEATURES
        },
        phrases=_phrase_weights(kinds),
        prefer={kind: tuple(said["prefer"]) for kind, said in kinds.items() if "prefer" in said},
        suits={kind: frozenset(said.get("suits", ())) for kind, said in kinds.items()},
        preamble=frozenset(form for word in data["preamble"] for form in (word, fold(word))),
        extensions={ending: f"<{name}>" for name, endings in data["extensions"].items() for ending in endings},
    )


def read_added_kinds(path: Path) -> Mapping[str, Any]:
    """The kinds of a game's own file. Raises ConfigError, also for a kind that is built in."""
    kinds: Mapping[str, Any] = read_checked(path, "kinds_added", number_keys=True)["kinds"]
    for kind in kinds:
        if kind in KINDS:
            raise ConfigError([Fault(str(path), 0, f"kinds.{kind}", "is a kind of its own already", "another name")])
    return kinds


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
    for index, said in enumerate(kinds.values()):
        for points, phrases in said.get("phrases", {}).items():
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
