"""The brain of Uniwizard: choose a backend, ask it, judge the answer, fall back.

    from agent import Router, Task

    router = Router.from_file("configs/backends.yaml", clock=reactor)
    result = await router.call_with_fallback(Task("review this diff"))

Plain Python on Twisted and httpx. It knows nothing of the game above it, so it cannot tell anyone who asked. The names
in ``__all__`` are the public API, together with :mod:`agent.core.events` and :mod:`agent.gateway`; everything else may
move. README.md beside this file shows the way of a task, room by room.
"""

from .config import CONFIGS, Config, ConfigError, Fault, leave_out, load, phrase_faults, read_checked, read_voice
from .core import events
from .core.attempt import Attempt
from .core.backend import Quota
from .core.clock import Clock
from .core.decision import Decision, Ranked, Skipped
from .core.failures import AttemptFailed, Failure, FailureCode, UniwizardError
from .core.identity import Place
from .core.recollection import Recollection
from .core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered, RouteResult
from .core.task import KINDS, Image, Message, Task, Tool, known_kinds
from .engine.answer_stream import AnswerStream
from .engine.plan import Plan
from .health import Health
from .judge.text.phrases import phrase_book
from .memory import Entry as MemoryEntry
from .memory import Store as MemoryStore
from .practice import Scenario, practised, sum_in
from .privacy.names import Names
from .quota import LimitCounter, QuotaStatus
from .router import Router, warm_up
from .state.cluster import Cluster

__all__ = [
    "CONFIGS",
    "KINDS",
    "AllBackendsFailed",
    "AnswerBroken",
    "AnswerStream",
    "Attempt",
    "AttemptFailed",
    "BudgetSpent",
    "Clock",
    "Cluster",
    "Config",
    "ConfigError",
    "ContentFiltered",
    "Decision",
    "Failure",
    "FailureCode",
    "Fault",
    "Health",
    "Image",
    "LimitCounter",
    "MemoryEntry",
    "MemoryStore",
    "Message",
    "Names",
    "Place",
    "Plan",
    "Quota",
    "QuotaStatus",
    "Ranked",
    "Recollection",
    "RouteResult",
    "Router",
    "Scenario",
    "Skipped",
    "Task",
    "Tool",
    "UniwizardError",
    "events",
    "known_kinds",
    "leave_out",
    "load",
    "phrase_book",
    "phrase_faults",
    "practised",
    "read_checked",
    "read_voice",
    "sum_in",
    "warm_up",
]
