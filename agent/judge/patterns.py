"""Regular expressions that come from outside, matched in time linear in the text.

    matches = linear("^(a|a)*$")        # raises UnsafePattern where that cannot be had
    matches("aaaa!")                    # False, at once

Python's ``re`` goes back and tries again, which for some patterns takes for ever. RE2 never does; for that it has no
references back and no looking around. What people most often write with a look ahead, one or more of them right at the
beginning (``^(?!0$)\\d+$``), is taken apart into conditions that RE2 can check one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import re2

#: Characters of a pattern, and bytes that its automaton may take.
MAX_PATTERN, MAX_MEMORY = 2_000, 4 << 20

#: ``\\uXXXX`` of JavaScript, which RE2 writes ``\\x{XXXX}``.
_UNICODE = re.compile(r"\\u(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{4}))")


class UnsafePattern(ValueError):
    """The pattern is broken, or cannot be matched in linear time. The message is one line."""


@lru_cache(maxsize=512)
def linear(pattern: str) -> Callable[[str], bool]:
    """Whether ``pattern`` is found in a text, as a function. Raises UnsafePattern."""
    if len(pattern) > MAX_PATTERN:
        raise UnsafePattern(f"is longer than {MAX_PATTERN} characters")
    conditions: list[tuple[re2._Regexp, bool]] = []
    rest = pattern
    while (ahead := _look_ahead(rest)) is not None:
        inner, wanted, rest = ahead
        conditions.append((_compiled(f"^(?:{inner})"), wanted))
    compiled = _compiled(rest)
    if not conditions:
        return lambda text: compiled.search(_readable(text)) is not None

    def matches(text: str) -> bool:
        text = _readable(text)
        return all((condition.search(text) is not None) == wanted for condition, wanted in conditions) and (
            compiled.search(text) is not None
        )

    return matches


def _readable(text: str) -> str:
    """``text`` without half characters, which RE2 cannot read."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(_readable(_UNICODE.sub(lambda found: f"\\x{{{found[1] or found[2]}}}", pattern)), options)
    except re2.error as broken:
        said = broken.args[0] if broken.args else ""
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise UnsafePattern(f"cannot be matched in linear time ({why[:80]})") from None


def _look_ahead(pattern: str) -> tuple[str, bool, str] | None:
    """A look ahead at the beginning of ``^...``: what is looked for, whether it must be there, and the rest."""
    if not pattern.startswith(("^(?!", "^(?=")):
        return None
    depth, in_class, place = 1, False, 4
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            place += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if not depth:
                after = pattern[place + 1 :]
                # A quantifier after it, or an alternative beside it, would mean something else.
                if after[:1] in ("*", "+", "?", "{") or _has_alternative(after):
                    return None
                return pattern[4:place], pattern[3] == "=", f"^{after}"
        place += 1
    return None


def _has_alternative(pattern: str) -> bool:
    """Whether there is a ``|`` outside of every group and class."""
    depth, in_class, place = 0, False, 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            place += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return True
        place += 1
    return False
