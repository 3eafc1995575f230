"""What the conversation shows beside its last user message: tools that were offered, and what a tool just returned.

    context = context_of(task)
    context.tools                # True: the model could have called a tool
    context.result               # "(no matches)": what the tools returned since the user spoke; None where none did

"I cannot find that function" after a search that found nothing is a report. "I can't search files", where a search
was offered, is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.task import Task

#: Characters of a question that are read from its beginning, and as many from its end.
MOST_READ = 20_000

#: Characters of each tool result that are read, from its beginning; errors and first rows stand there.
RESULT_HEAD = 600

#: Tool results that are read, the latest ones.
RESULTS = 3


@dataclass(frozen=True, slots=True)
class Context:
    """``tools``: whether any were offered. ``result``: what tools returned after the last user message, or None."""

    tools: bool = False
    result: str | None = None


NO_CONTEXT = Context()


def context_of(task: Task) -> Context:
    """The context of the answer to ``task``."""
    results: list[str] = []
    for turn in reversed(task.turns):
        if turn.role == "user":
            break
        if turn.role == "tool" and len(results) < RESULTS:
            results.append(turn.text[:RESULT_HEAD])
    if not task.tools and not results:
        return NO_CONTEXT
    return Context(bool(task.tools), "\n".join(reversed(results)) if results else None)


def last_user_text(task: Task) -> str:
    """The words of the last user turn, empty where there is none; of very many the first and the last."""
    text = next((turn.text for turn in reversed(task.turns) if turn.role == "user"), "")
    return text if len(text) <= 2 * MOST_READ else f"{text[:MOST_READ]}\n{text[-MOST_READ:]}"
