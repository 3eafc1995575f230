"""What the practice backends say, read from configs/practice.yaml and chosen by the words of the question.

    script = Script.from_file()
    script.answer("how do tides work?")     # the reply about tides
    script.answer("what is 17*23?")         # "[practice] 17*23 = 391."
    script.refusal("anything")              # one of several, always the same for the same question

Nothing is random: the same question gets the same words.
"""

from __future__ import annotations

import ast
import operator
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.yaml_files import CONFIGS, read_checked

LABEL = "[practice] "

#: Characters of a question that are looked at; more would not change the reply.
_READ = 4000

_WORD = re.compile(r"[^\W\d_]+")
_SHORT = 4  # words of fewer letters say little about a subject

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_SUM = re.compile(r"[-+(]*\d[\d.\s()+*/%^-]*[)\d]")
_SPELLED = (("divided by", "/"), ("times", "*"), ("multiplied by", "*"), ("plus", "+"), ("minus", "-"), ("×", "*"))
_LONGEST_SUM = 60
_LARGEST = 10**15


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


_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def sum_in(question: str) -> str | None:
    """The sum in a short question with its result, such as ``17*23 = 391.``; None where there is none to be done."""
    if len(question) > 2 * _LONGEST_SUM or _DATE.search(question):
        return None
    said = question.lower().replace("^", "**")
    for spelled, sign in _SPELLED:
        said = said.replace(spelled, sign)
    said = re.sub(r"(?<=\d)\s*x\s*(?=\d)", "*", said)
    match = _SUM.search(said)
    if match is None or len(match[0]) > _LONGEST_SUM:
        return None
    written = match[0].strip()
    try:
        tree = ast.parse(written, mode="eval").body
        if not isinstance(tree, ast.BinOp):
            return None
        value = _worked_out(tree)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    shown = f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else str(int(value))
    return f"{written} = {shown}."


def _worked_out(node: ast.expr) -> float:
    """The value of a sum; raises ValueError for whatever is no sum or grows too large."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value: float = node.value  # type: ignore[assignment]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = -_worked_out(node.operand)
    elif isinstance(node, ast.BinOp):
        left, right = _worked_out(node.left), _worked_out(node.right)
        if isinstance(node.op, ast.Pow):
            if not 0 <= right <= 64 or abs(left) > 1000:
                raise ValueError("too large a power")
            value = left**right
        elif type(node.op) in _OPERATORS:
            value = _OPERATORS[type(node.op)](left, right)
        else:
            raise ValueError("no such operation")
    else:
        raise ValueError("not a sum")
    if abs(value) > _LARGEST:
        raise ValueError("too large")
    return value
