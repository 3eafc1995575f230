"""What can be done for a goal: :class:`Action`, and the :class:`Library` of them.

    library = Library.read()                    # configs/actions.yaml and what games add; raises ConfigError
    register(Action("look", makes=frozenset({"seen"}), run=look))      # by code; ``look(doing)`` returns a text

A file that adds actions has ``actions:`` at its top and is named in ``extensions:``; a Python extension has
``ACTIONS``, and ``CHECKS``, functions by name that a goal's check may name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from ..config.extensions import code, files_of
from ..config.yaml_files import CONFIGS, ConfigError, Fault, read_checked
from .goal import FACT

#: What stands in a prompt's braces besides the facts: the goal's words, and its options.
GOAL = "goal"


@dataclass(frozen=True, slots=True)
class Doing:
    """What a registered function is told: whose goal, its words, and the texts of the facts that the action needs."""

    goal_id: str
    words: str
    owner: str
    texts: Mapping[str, str]
    options: Mapping[str, str]


#: Does an action without a brain: returns the text of what it makes, or something awaitable that brings it.
Run = Callable[[Doing], Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done, once at a time.

    needs    facts that must be true before it
    makes    facts that it makes true; each gets the answer as its text
    prompt   what a brain is told, with ``{goal}``, ``{<fact>}`` and ``{<option>}``; empty where ``run`` does it
    kind     the kind of work; None lets it be found out
    strategy decides whom to ask; empty takes the strategy of the action's own name, where the config has one
    apart    facts whose brains are not asked first: so that two drafts come from two
    brains   2: two are asked, and where they differ a third decides
    tries    how often it may be tried for one goal where what it made was turned down
    tokens   input (beside the texts) and output that it takes, where nothing has been measured
    schema   whether the answer must fit the goal's JSON Schema
    decides  whether it only looks at what it needs, and may turn that down
    usd      what it costs where no brain does it
    seconds  how long it takes where no brain does it
    run      does it without a brain
    why      what it is for, in a plan
    proposed whether a brain has proposed it
    """

    name: str
    needs: frozenset[str] = frozenset()
    makes: frozenset[str] = frozenset()
    prompt: str = ""
    kind: str | None = None
    strategy: str = ""
    apart: tuple[str, ...] = ()
    brains: int = 1
    tries: int = 1
    tokens: tuple[int, int] = (300, 500)
    schema: bool = False
    decides: bool = False
    usd: float = 0.0
    seconds: float = 0.0
    run: Run | None = field(default=None, compare=False)
    why: str = ""
    proposed: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data without the function, for JSON; :func:`action_of` reads it."""
        return {
            "needs": sorted(self.needs), "makes": sorted(self.makes), "prompt": self.prompt, "kind": self.kind,
            "strategy": self.strategy, "apart": list(self.apart), "brains": self.brains, "tries": self.tries,
            "tokens": {"input": self.tokens[0], "output": self.tokens[1]}, "schema": self.schema,
            "decides": self.decides, "why": self.why,
            "proposed": self.proposed,
        }  # fmt: skip


def action_of(name: str, said: Mapping[str, Any]) -> Action:
    """An action as a file has it, which its schema has checked."""
    tokens = said.get("tokens", {})
    return Action(
        name,
        frozenset(said.get("needs", ())),
        frozenset(said.get("makes", ())),
        said.get("prompt", ""),
        said.get("kind"),
        said.get("strategy", ""),
        tuple(said.get("apart", ())),
        said.get("brains", 1),
        said.get("tries", 1),
        (tokens.get("input", 300), tokens.get("output", 500)),
        said.get("schema", False),
        said.get("decides", False),
        why=said.get("why", ""),
        proposed=said.get("proposed", False),
    )


_registered: dict[str, Action] = {}
_checks: dict[str, Callable[[str], Any]] = {}


def register(action: Action) -> None:
    """Let every goal of this process use ``action``; one of the same name is replaced. Raises ValueError."""
    wrong = [fact for fact in (*action.needs, *action.makes) if not FACT.fullmatch(fact)]
    if not FACT.fullmatch(action.name) or wrong or not action.makes:
        raise ValueError(
            f"action {action.name!r}: names are words in lower-case letters, and it makes at least one fact"
        )
    if action.run is None and not action.prompt:
        raise ValueError(f"action {action.name!r}: has neither a prompt nor a function")
    _registered[action.name] = action


def register_check(name: str, check: Callable[[str], Any]) -> None:
    """Let a goal's check name ``check(text)``: True, or what is wrong as a text; or something awaitable of those."""
    _checks[name] = check


def check_named(name: str) -> Callable[[str], Any]:
    """The function that was registered under ``name``. Raises KeyError, naming those there are."""
    if name not in _checks:
        known = ", ".join(sorted(_checks)) or "none are registered"
        raise KeyError(f"no check {name[:40]!r}; there are: {known}")
    return _checks[name]


class Library:
    """The actions by name."""

    def __init__(self, actions: Iterable[Action] = ()):
        self._actions = {action.name: action for action in actions}

    @classmethod
    def read(cls) -> Library:
        """The actions of the files, and those that code has registered. Raises ConfigError with every fault."""
        found: dict[str, Action] = {}
        faults: list[Fault] = []
        for path in (CONFIGS / "actions.yaml", *files_of("actions")):
            said = read_checked(path, "actions")["actions"]
            for name, one in said.items():
                action = found[name] = action_of(name, one)
                faults += _faults(str(path), action)
        if faults:
            raise ConfigError(faults)
        for module in code():
            for action in getattr(module, "ACTIONS", ()):
                register(action)
            for name, check in getattr(module, "CHECKS", {}).items():
                register_check(name, check)
        return cls((found | _registered).values())

    def __iter__(self) -> Iterator[Action]:
        return iter({**self._actions, **_registered}.values())

    def get(self, name: str) -> Action | None:
        """The action of that name, where there is one."""
        return _registered.get(name) or self._actions.get(name)


def _faults(path: str, action: Action) -> Iterator[Fault]:
    """Words in braces that the prompt is not given: the facts that it needs are, and options, which are upper-case."""
    allowed = {GOAL, *action.needs}
    for _, word, form, conversion in Formatter().parse(action.prompt):
        if word is not None and (not (word in allowed or word.isupper()) or form or conversion):
            shown = " ".join(f"{{{name}}}" for name in sorted(allowed))
            yield Fault(path, 0, f"actions.{action.name}.prompt", f"{{{word}}} is unknown", f"{shown} {{OPTION}}")
