"""The wire format of text-generation-webui's former API, which Evennia's LLM contrib speaks by default.

    POST /api/v1/generate   {"prompt": "...", "max_new_tokens": 250, "temperature": 0.7}
                            {"results": [{"text": "..."}]}

The prompt is whole: a character's description and the talk so far. So it is asked as a persona and a turn, of the kind
``roleplay``, and no instruction of ours stands before it. There are no streams; samplers of local models and the like
are heard and not passed on.
"""

from __future__ import annotations

from ...core.result import RouteResult
from ...core.task import Task
from ...wire.body import Json
from ..asked import Asked, Asking
from ..errors import Rejected
from ..naming import Names
from .chat_out import Chunks as stream
from .chat_out import error
from .door import said

__all__ = ["answer", "error", "read", "stream"]

#: What is asked for where the prompt has no line of talk to answer.
_GO_ON = "Go on."
_PROMPT = "prompt"


def read(node: object, names: Names, asking: Asking) -> Asked:
    """What is asked. Raises Rejected (400)."""
    if not isinstance(node, dict):
        raise Rejected(400, "The request must be a JSON object.")
    prompt = node.get(_PROMPT)
    if not isinstance(prompt, str) or not prompt.strip():
        raise Rejected(400, "`prompt` must be text.", param=_PROMPT)
    # The last line is what was said last; what stands before it tells who is to answer, and what was said before.
    persona, _, last = prompt.rstrip().rpartition("\n")
    task = Task(
        last.strip() or _GO_ON,
        kind="roleplay",
        persona=persona.strip() or None,
        max_tokens=_whole(node.get("max_new_tokens")),
        temperature=_temperature(node.get("temperature")),
        may_be_cut=True,
        identity=asking.identity,
        asker=asking.label,
    )
    return Asked(task, "auto")


def answer(result: RouteResult, asked: Asked, seconds: float) -> Json:
    """The answer as that API gives it."""
    return {"results": [{"text": said(result, asked)[0]}]}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000 else None


def _temperature(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0.0 <= value <= 2.0 else None
