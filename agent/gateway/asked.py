"""One request, understood, whichever door it came through: :class:`Asked`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.task import Message, Task, ToolCall, spoken_as
from ..judge.checked_schema import more_than
from .errors import Rejected
from .naming import Target

#: Values in the schemas of all tools together.
MAX_TOOL_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood.

    model          as the request names it
    pin            the backend that the model names; None routes
    strategy       the strategy that the model names; None takes the config's
    eager          a stream is shown as it comes; JSON is only had whole
    include_usage  a stream tells the tokens at its end
    forced_tool    the tool that must be called, where the request names one
    tuned          the fields that tune the answer, by their names in the request
    memory         one of :data:`agent.router.MEMORY`, as ``Cache-Control`` has it
    extra          what the door itself wants to know again when it answers
    """

    task: Task
    model: str
    pin: str | None = None
    strategy: str | None = None
    stream: bool = False
    include_usage: bool = False
    eager: bool = False
    forced_tool: str | None = None
    memory: str = "use"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts at which the answer ends; backends are asked to, and held to it here."""
        return self.task.sampling.stop


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, as far as a door must know it.

    identity  terms that must not leave
    label     tells callers apart; never sent
    cache     the Cache-Control header: ``no-cache`` asks anew, ``no-store`` keeps nothing either
    mode      the stream mode that a header names: ``whole``, ``eager``, or empty for the config's
    default   the config's
    """

    identity: frozenset[str] = frozenset()
    label: str = ""
    mode: str = ""
    cache: str = ""
    default: str = "eager"

    def eager(self, mode: str = "") -> bool:
        """Whether a stream is shown as it comes. ``mode`` is the body's own word. Raises Rejected."""
        wanted = mode or self.mode or self.default
        if wanted not in ("whole", "eager"):
            raise Rejected(400, "`stream_mode` must be whole or eager.", param="stream_mode")
        return wanted == "eager"


def understood(task: Task, turns: tuple[Message, ...], target: Target, name: str, asking: Asking, **more: Any) -> Asked:
    """The request for ``task`` in these turns. Raises Rejected where nothing is said in them."""
    task = replace(
        task,
        **spoken_as(turns),
        kind=target.kind,
        guided=False,
        open_ended=True,
        may_be_cut=True,
        conversation=conversation_key(turns, name, asking.label),
        identity=asking.identity | task.identity,
        asker=asking.label,
    )
    if not any(turn.text.strip() or turn.images or turn.tool_calls for turn in turns):
        raise Rejected(400, "The messages are empty.", param="messages")
    if more_than(MAX_TOOL_VALUES, [tool.parameters for tool in task.tools]):
        raise Rejected(400, f"The tools' schemas hold more than {MAX_TOOL_VALUES} values.", param="tools")
    more["memory"] = memory_use(asking.cache) if asking.cache else "use"
    more["eager"] = more.get("eager", False) and task.schema is None
    return Asked(task, name, target.pin, target.strategy, **more)


def memory_use(cache_control: str) -> str:
    """What a Cache-Control header (RFC 9111, 5.2.1) wants of the memory: ``use``, ``fresh`` or ``off``."""
    directives = {part.partition("=")[0].strip().lower() for part in cache_control.split(",")}
    age = next((part.partition("=")[2].strip() for part in cache_control.split(",") if "max-age" in part.lower()), "")
    if "no-store" in directives:
        return "off"
    return "fresh" if "no-cache" in directives or age.strip('"') == "0" else "use"


def conversation_key(turns: Iterable[Message], *more: str) -> str:
    """What a conversation is known by: how it begins, up to its first question, and who has it with whom."""
    digest = hashlib.blake2b(digest_size=16)
    for word in more:
        digest.update(word.encode("utf-8", "replace") + b"\0")
    for turn in turns:
        digest.update(turn.role.encode() + b"\0" + turn.text.encode("utf-8", "replace") + b"\0")
        if turn.role == "user":
            break
    return digest.hexdigest()


def with_ids(calls: tuple[ToolCall, ...], fresh: str) -> tuple[ToolCall, ...]:
    """``calls`` with ids that no other call of the conversation has; some apis give none.

    ``fresh`` is random, and as good as new in every answer.
    """
    return tuple(replace(call, id=f"call_{fresh}{nth}") if len(call.id) < 8 else call for nth, call in enumerate(calls))
