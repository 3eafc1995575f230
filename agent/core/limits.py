"""How long an answer may be: what a client asked for, what the model can make, what has room. Pure functions."""

from __future__ import annotations

from .backend import Backend
from .task import Task

#: Input tokens that a provider's tokenizer may make of an estimated one, and what frames a request, in tokens.
_MARGIN, _FRAME = 1.2, 128

#: The shortest answer that is still worth asking for where the input has nearly filled the context, in tokens.
_LEAST = 256


def answer_limit(task: Task, backend: Backend) -> int | None:
    """The longest answer to ask ``backend`` for, in tokens; None leaves it to the server.

    That is what the task says, no longer than the model can make it; else what the config says; else, for a task that
    is open-ended, all that the model can make.
    """
    if task.max_tokens is not None:
        return task.max_tokens if backend.max_output is None else min(task.max_tokens, backend.max_output)
    if not task.open_ended or backend.limited:
        return backend.max_tokens
    return backend.max_output


def room(backend: Backend, asked: int) -> int:
    """The tokens that an answer has room for beside ``asked`` estimated tokens of input."""
    return max(_LEAST, backend.max_context - round(asked * _MARGIN) - _FRAME)
