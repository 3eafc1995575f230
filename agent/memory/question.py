"""The question that a task asks, as the memory knows it: its key, or why it is never answered from memory.

question = question_of(redacted_task, "knowledge")
question.key          # 32 hex digits; empty where question.why_not says why
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from ..config.memory import NEVER
from ..core.task import PLAIN, Task
from .canonical import canonical
from .scope import why_bound

#: Above this, other words are wanted each time.
MAX_TEMPERATURE: Final = 0.5
#: Characters of the longest task that is remembered; longer ones hardly come twice.
MAX_CHARS: Final = 20_000
#: Texts that are known with their canonical form. A full memory of them is emptied, so a flood of texts costs nothing.
_KNOWN_TEXTS: Final = 4096
_texts: dict[str, tuple[str, str, str]] = {}


@dataclass(frozen=True, slots=True)
class Question:
    """What a task asks.

    key        the same for tasks that one answer answers; empty where the memory is not to be used
    kind       of work
    text       canonical; for similar matches
    settings   what else shapes the answer, as text; similar matches must agree in it
    practice   it is asked while simulated backends stand in, and only their answers may answer it
    why_not    why it is never answered from memory; empty where it may be
    fresh      its answer is kept, but it is not answered from memory now
    pin        only this backend's answer will do; None for anybody's
    """

    key: str
    kind: str
    text: str = ""
    settings: str = ""
    practice: bool = False
    why_not: str = ""
    fresh: bool = False
    pin: str | None = None


def question_of(
    task: Task, kind: str, *, practice: bool = False, fresh: bool = False, pin: str | None = None
) -> Question:
    """The question that ``task``, without names, asks; ``kind`` is what it is taken for."""
    why_not = _why_never(task, kind)
    if not why_not:
        asked = task.prompt or task.messages[-1].text
        text, why_not, key = _understood(asked)
    if why_not:
        return Question("", kind, why_not=why_not)
    settings = _settings(task)
    if practice or settings:
        key = _digest(text, settings, practice=practice)
    return Question(key, kind, text, settings, practice, "", fresh, pin)


def _digest(text: str, settings: str = "", *, practice: bool = False) -> str:
    """32 hex digits for a question."""
    asked = f"{int(practice)}\n{settings}\n{text}".encode("utf-8", "surrogatepass")
    return blake2b(asked, digest_size=16).hexdigest()


def _why_never(task: Task, kind: str) -> str:
    """Why the memory is not for a task like this, whatever its words."""
    if kind in NEVER:
        return NEVER[kind]
    if task.tools or any(turn.tool_calls or turn.role == "tool" for turn in task.messages):
        return "it has tools"
    if task.sampling != PLAIN:
        return "it says itself how it is to be answered"
    if task.images or any(turn.images for turn in task.messages):
        return "it has pictures"
    if task.temperature is not None and task.temperature > MAX_TEMPERATURE:
        return f"temperature above {MAX_TEMPERATURE:g}"
    if not task.prompt and (not task.messages or task.messages[-1].role != "user"):
        return "nobody asks"
    if len(task.prompt) + sum(len(turn.text) for turn in task.messages) > MAX_CHARS:
        return f"longer than {MAX_CHARS} characters"
    return ""


def _understood(text: str) -> tuple[str, str, str]:
    """The canonical text, why it is bound to its moment, place or asker, and its key where nothing else counts."""
    found = _texts.get(text)
    if found is None:
        plain = canonical(text)
        found = plain, why_bound(plain) if plain else "nobody asks", _digest(plain)
        if len(_texts) >= _KNOWN_TEXTS:
            _texts.clear()
        _texts[text] = found
    return found


def _settings(task: Task) -> str:
    """All but the last words that shape the answer. Earlier turns count to the letter."""
    earlier = task.messages if task.prompt else task.messages[:-1]
    if (
        not earlier
        and task.schema is None
        and task.kind is None
        and task.max_tokens is None
        and task.temperature is None
    ):
        return ""
    turns = [(turn.role, turn.text) for turn in earlier]
    shape = (turns, task.kind, task.schema, task.max_tokens, task.may_be_cut, task.temperature)
    return json.dumps(shape, sort_keys=True, default=str)
