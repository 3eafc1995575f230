"""``sticky``: whoever answered a conversation goes on with it; else as the branch below says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from ..core.task import Task
from .base import Look, Strategy
from .choice import Choice, Step

#: Seconds for which a conversation stays where it is, counted from its last answer.
FOR = 3600.0


class Sticky(Strategy):
    """Keeps a conversation, or an asker (``by``), with the backend that answered last, for ``seconds``."""

    name = "sticky"

    def __init__(self, then: Strategy, by: str = "conversation", seconds: float = FOR):
        self.then, self.by, self.seconds = then, by, seconds
        self.children = (then,)

    @classmethod
    def build(cls, options: Mapping[str, Any], branch: Callable[[Any], Strategy]) -> Strategy:
        return cls(branch(options["then"]), options.get("by", "conversation"), float(options.get("seconds", FOR)))

    def choose(self, look: Look) -> Choice:
        choice = self.then.choose(look)
        token = f"{self.by}:{look.task.asker if self.by == 'asker' else conversation_of(look.task)}"
        key = look.world.observed.stuck(token, look.now, self.seconds)
        if not choice.steps:
            return choice
        choice = choice._replace(token=token)
        if not key or key not in choice.keys:
            return choice.under(f"sticky: the {self.by} has nobody yet")
        rest = tuple(step for step in choice.steps if step.keys != (key,))
        return choice._replace(steps=(Step((key,)), *rest)).under(f"sticky: {key} answered this {self.by} last")


def conversation_of(task: Task) -> str:
    """What a conversation is known by: what the caller calls it, else how it began."""
    if task.conversation:
        return task.conversation
    turns = task.turns
    began = next((turn.text for turn in turns if turn.role == "user"), turns[0].text if turns else "")
    return blake2b(began.encode("utf-8", "replace"), digest_size=12).hexdigest()


STRATEGY = Sticky
