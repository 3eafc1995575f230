"""The brain of Uniwizard: choose a backend, ask it, judge the answer, fall back.

    from agent import Router, Task

    router = Router.from_file("configs/backends.yaml", clock=reactor)
    result = await router.call_with_fallback(Task("review this diff"))

Plain Python on Twisted and httpx. It knows nothing of the game above it, so it cannot tell anyone who asked.
"""

from agent.answer_stream import AnswerStream
from agent.config import ConfigError
from agent.failures import AttemptFailed, Failure, UniwizardError
from agent.ranking import Decision
from agent.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from agent.router import Router
from agent.task import Image, Message, Task, Tool

__all__ = [
    "AllBackendsFailed",
    "AnswerBroken",
    "AnswerStream",
    "AttemptFailed",
    "BudgetSpent",
    "ConfigError",
    "ContentFiltered",
    "Decision",
    "Failure",
    "Image",
    "Message",
    "RouteResult",
    "Router",
    "Task",
    "Tool",
    "UniwizardError",
]
