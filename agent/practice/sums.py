"""Sums: found in a short question, and worked out exactly; nothing else is evaluated.

sum_in("what is 17*23?")        # "17*23 = 391."
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_SUM = re.compile(r"[-+(]*\d[\d.\s()+*/%^-]*[)\d]")
_WORD = re.compile(r"[^\W_]+")
_SPELLED = (("divided by", "/"), ("times", "*"), ("multiplied by", "*"), ("plus", "+"), ("minus", "-"), ("×", "*"))
#: What may stand around a sum: numbers in any other sentence are years, scores, sizes, names.
_AROUND = """
    a add and answer are calculate can compute could divide do does equal equals evaluate exactly for give hello hey hi
    how i is it makes many me much multiply of out please result s solve sum tell thanks that the timmy to us value
    what whats work would you
    wie viel wieviel was ist bitte rechne macht ergibt und
    ile to jest wynosi policz oblicz proszę się równa
    combien font fait est quel le que ça égale calcule
    cuánto es son calcula por favor
    quanto fa è calcola per favore
"""
_ASKING = frozenset(_AROUND.split())
_LONGEST_SUM = 60
_LARGEST = 10**15

_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def sum_in(question: str) -> str | None:
    """The sum that a short question asks for, with its result, such as ``17*23 = 391.``; None where it asks for none.

    A question asks for a sum when nothing stands around it but words of asking, in one of six languages.
    """
    if len(question) > 2 * _LONGEST_SUM or _DATE.search(question):
        return None
    said = question.lower().replace("^", "**")
    for spelled, sign in _SPELLED:
        said = said.replace(spelled, sign)
    said = re.sub(r"(?<=\d)\s*x\s*(?=\d)", "*", said)
    match = _SUM.search(said)
    if match is None or len(match[0]) > _LONGEST_SUM:
        return None
    before, after = said[: match.start()], said[match.end() :]
    if before[-1:].isalnum() or after[:1].isalnum() or not _ASKING.issuperset(_WORD.findall(f"{before} {after}")):
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
