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
_SPELLED = (("divided by", "/"), ("times", "*"), ("multiplied by", "*"), ("plus", "+"), ("minus", "-"), ("×", "*"))
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
