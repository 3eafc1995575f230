"""What is wanted: a :class:`Goal` says in words what done looks like, which checks decide it, and what it may cost.

    goal = Goal("a page on tides for children", checks=(Check("question", "Is it free of formulas?"),))
    Goal.from_dict({"goal": "...", "checks": ["Is it short?"], "budget": {"usd": 0.5}})    # raises InvalidGoal

Pure data, and JSON of it: a goal is written down before anything is done for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.failures import UniwizardError
from ..judge.checked_schema import InvalidSchema, check_schema
from ..judge.patterns import UnsafePattern, linear

#: A fact's name: what is true of a goal's work, such as ``drafted``.
FACT = re.compile(r"[a-z][a-z0-9_-]{0,47}")
#: The fact whose text is the result, and the checks' own facts: ``check_1``, ``check_2`` ...
ANSWERED, CHECK = "answered", "check_"
#: Characters of a goal's words and of a check; checks of a goal; wanted facts.
MAX_WORDS, MAX_CHECK, MAX_CHECKS, MAX_WANTS = 20_000, 2_000, 12, 24
#: Characters of everything that is given to a goal, and of all its options.
MAX_GIVEN, MAX_OPTIONS = 200_000, 20_000
#: What decides a check.
CHECK_KINDS = ("question", "schema", "pattern", "callable")
#: From what quota a goal takes: what nobody is expected to miss, or only what is about to expire.
SPENDS = ("spare", "expiring")


class InvalidGoal(UniwizardError, ValueError):
    """No work can be done for it; the message says where it is wrong and what is allowed.

    field  where it is wrong, such as ``budget.usd`` or ``checks[0]``; empty where it is no object at all
    """

    def __init__(self, field: str, why: str):
        self.field = field
        super().__init__(f"{field}: {why}" if field else why)


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold of the result.

    kind   ``question``: a yes or no that a brain answers with evidence; ``schema``: a JSON Schema; ``pattern``: a
    regular
           expression of the linear-time kind that must be found; ``callable``: the name of one that code has registered
    value  the question, the schema, the pattern, or the name
    of     the fact whose text is looked at
    sure   the brains that must say yes to a question, and none of them no
    """

    kind: str
    value: Any
    of: str = ANSWERED
    sure: int = 1

    @property
    def told(self) -> str:
        """The check in a few words."""
        match self.kind:
            case "question":
                return str(self.value)
            case "schema":
                return "fits its JSON Schema"
            case "pattern":
                return f"has /{self.value}/ in it"
        return f"passes {self.value}"

    def as_dict(self) -> dict[str, Any]:
        return {self.kind: self.value, "of": self.of, "sure": self.sure}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a goal may use; None is without limit.

    usd     USD of all its attempts together, those that failed included
    tokens  input and output of all of them
    quota   the share of any one quota window of any backend, 0 to 1
    """

    usd: float | None = None
    tokens: int | None = None
    quota: float | None = None

    def as_dict(self) -> dict[str, Any]:
        known = {"usd": self.usd, "tokens": self.tokens, "quota": self.quota}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Goal:
    """What done looks like.

    words     what is wanted, in words
    checks    what must hold of the result
    wants     facts that must be true besides the checks
    given     facts that are true from the beginning, each with its text
    budget    what it may use
    deadline  when it must be done, in seconds since the epoch; None for whenever
    priority  higher ones go first
    spend     one of :data:`SPENDS`
    options   what actions want to know, such as ``language`` for a translation
    schema    a JSON Schema for what is extracted
    """

    words: str
    checks: tuple[Check, ...] = ()
    wants: frozenset[str] = frozenset({ANSWERED})
    given: Mapping[str, str] = field(default_factory=dict)
    budget: Allowance = Allowance()
    deadline: float | None = None
    priority: int = 0
    spend: str = "spare"
    options: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None

    @property
    def facts(self) -> frozenset[str]:
        """Every fact that must be true in the end: what is wanted, what is checked, and the checks."""
        checked = {f"{CHECK}{number}" for number in range(1, len(self.checks) + 1)}
        return self.wants | checked | {check.of for check in self.checks}

    def decided(self) -> Goal:
        """The same with a check, where it had none: whether the result is what its words ask for."""
        if self.checks:
            return self
        of = ANSWERED if ANSWERED in self.wants else sorted(self.wants)[0]
        question = f"Is this, in full, what was asked for: {self.words[: MAX_CHECK - 60]}"
        return replace(self, checks=(Check("question", question, of),))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; :meth:`from_dict` reads it."""
        plain: dict[str, Any] = {"goal": self.words, "checks": [check.as_dict() for check in self.checks]}
        plain |= {"wants": sorted(self.wants), "given": dict(self.given), "budget": self.budget.as_dict()}
        plain |= {"deadline": self.deadline, "priority": self.priority, "spend": self.spend}
        return plain | {"options": dict(self.options), "schema": self.schema}

    @classmethod
    def from_dict(cls, said: Any) -> Goal:
        """Read JSON that may come from anybody. Raises InvalidGoal."""
        if not isinstance(said, Mapping):
            raise InvalidGoal("", "a goal is an object with a `goal`, what done looks like")
        if unknown := sorted(map(str, set(said) - _FIELDS)):
            raise InvalidGoal(unknown[0][:40], f"is unknown; allowed: {', '.join(sorted(_FIELDS))}")
        words = said.get("goal")
        if not isinstance(words, str) or not words.strip() or len(words) > MAX_WORDS:
            raise InvalidGoal("goal", f"is not a text of 1 to {MAX_WORDS:,} characters")
        spend = said.get("spend", "spare")
        if spend not in SPENDS:
            raise InvalidGoal("spend", f"{str(spend)[:40]!r} is unknown; allowed: {', '.join(SPENDS)}")
        return cls(
            words.strip(),
            _checks(said.get("checks")),
            frozenset(_facts(said.get("wants", [ANSWERED]), "wants")),
            {
                name: text
                for name, text in _texts(said.get("given"), "given", MAX_GIVEN).items()
                if _fact(name, "given")
            },
            _allowance(said.get("budget")),
            _number(said, "deadline", 0.0, 1e12),
            int(_number(said, "priority", -100, 100) or 0),
            spend,
            _texts(said.get("options"), "options", MAX_OPTIONS),
            None if said.get("schema") is None else _schema(said["schema"], "schema"),
        )


_FIELDS = frozenset(
    {"goal", "checks", "wants", "given", "budget", "deadline", "priority", "spend", "options", "schema"}
)


def check_of(said: Any, place: str = "check") -> Check:
    """A check as JSON has it: a question as a text, or an object with its kind as a key. Raises InvalidGoal."""
    if isinstance(said, str):
        said = {"question": said}
    kinds = [kind for kind in CHECK_KINDS if isinstance(said, Mapping) and kind in said]
    if len(kinds) != 1 or set(said) - {kinds[0], "of", "sure"}:
        raise InvalidGoal(place, f"is neither a question nor an object with one of {', '.join(CHECK_KINDS)}")
    kind, value = kinds[0], said[kinds[0]]
    if kind == "schema":
        _schema(value, place)
    elif not isinstance(value, str) or not value.strip() or len(value) > MAX_CHECK:
        raise InvalidGoal(place, f"{kind}: is not a text of 1 to {MAX_CHECK:,} characters")
    if kind == "pattern":
        try:
            linear(value)
        except UnsafePattern as unsafe:
            raise InvalidGoal(place, f"pattern: {unsafe}") from None
    sure = said.get("sure", 1)
    if isinstance(sure, bool) or not isinstance(sure, int) or not 1 <= sure <= 3:
        raise InvalidGoal(place, "sure: is not a whole number from 1 to 3")
    of = said.get("of", ANSWERED)
    _fact(of, f"{place}.of")
    return Check(kind, value, of, sure)


def _checks(said: Any) -> tuple[Check, ...]:
    said = [] if said is None else said
    if not isinstance(said, list | tuple) or len(said) > MAX_CHECKS:
        raise InvalidGoal("checks", f"is not a list of at most {MAX_CHECKS}")
    return tuple(check_of(one, f"checks[{number}]") for number, one in enumerate(said))


def _facts(said: Any, place: str) -> list[str]:
    if not isinstance(said, list | tuple) or not 1 <= len(said) <= MAX_WANTS:
        raise InvalidGoal(place, f"is not a list of 1 to {MAX_WANTS} facts")
    return [name for name in said if _fact(name, place)]


def _fact(name: Any, place: str) -> bool:
    if not isinstance(name, str) or not FACT.fullmatch(name) or name.startswith(CHECK):
        raise InvalidGoal(place, f"{str(name)[:40]!r} is no fact; allowed: a word in lower-case letters")
    return True


def _texts(said: Any, place: str, most: int) -> dict[str, str]:
    said = {} if said is None else said
    good = isinstance(said, Mapping) and len(said) <= MAX_WANTS
    if not good or not all(isinstance(part, str) for pair in said.items() for part in pair):
        raise InvalidGoal(place, f"is not an object of at most {MAX_WANTS} texts")
    if sum(len(name) + len(text) for name, text in said.items()) > most:
        raise InvalidGoal(place, f"has more than {most:,} characters in all")
    return dict(said)


def _schema(said: Any, place: str) -> Mapping[str, Any]:
    try:
        check_schema(said)
    except InvalidSchema as bad:
        raise InvalidGoal(place, str(bad)) from None
    assert isinstance(said, Mapping)
    return said


def _allowance(said: Any) -> Allowance:
    said = {} if said is None else said
    if not isinstance(said, Mapping) or set(said) - {"usd", "tokens", "quota"}:
        raise InvalidGoal("budget", "is not an object with usd, tokens or quota")
    tokens = _number(said, "tokens", 1, 1e12, "budget.")
    usd, quota = _number(said, "usd", 0.0, 1e9, "budget."), _number(said, "quota", 0.0, 1.0, "budget.")
    return Allowance(usd, None if tokens is None else int(tokens), quota)


def _number(said: Mapping[str, Any], name: str, least: float, most: float, within: str = "") -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidGoal(f"{within}{name}", f"is not a number from {least:g} to {most:g}")
    return float(value)
