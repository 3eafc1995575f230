"""Memory, Layer 0: answers that are known already.

    memory = Memory(settings, clock)
    question = memory.question(redacted_task, kind)   # its key, or why it is never answered from memory
    found = await memory.find(question, task.id)      # (Entry, similarity), or None
    memory.keep(question, entry, task.id)
    memory.forget_task(task.id)                       # its answer was bad

Everything here is of redacted tasks and redacted answers: what stands in an entry tells nothing of who asked, so that
one player's answer may serve another. README.md beside this file says what is kept, for whom, and why to trust it.
"""

from .canonical import canonical
from .entry import Entry
from .memory import Found, Memory
from .question import Question, question_of
from .redis_store import RedisStore, connect
from .single_flight import SingleFlight, Turn
from .store import Store

__all__ = [
    "Entry",
    "Found",
    "Memory",
    "Question",
    "RedisStore",
    "SingleFlight",
    "Store",
    "Turn",
    "canonical",
    "connect",
    "question_of",
]
