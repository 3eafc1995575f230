"""The client of Evennia's LLM contrib, with this game's brains behind it::

    from uniwizard.world.llm_client import LLMClient     # instead of evennia.contrib.rpg.llm.LLMClient

    class Npc(LLMNPC):
        @property
        def llm_client(self):
            return LLMClient(self)

``get_response`` takes what the contrib's takes and gives what it gives: text, or the empty string where nobody had a
usable answer. LLM_HOST and the like are not asked; whom to ask is the backends file's matter.
"""

from __future__ import annotations

from typing import Any

from evennia.utils import logger
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from uniwizard.agent import RouteResult
from uniwizard.world import thinker


class LLMClient:
    """Asks on behalf of ``who``, such as the character that answers; None is the game itself."""

    def __init__(self, who: Any = None, on_bad_request: Any = None):
        self._who = who

    def get_response(self, prompt: str | list[str]) -> Deferred[str]:
        """The answer to a prompt, or to a list of what was said so far, the last line last."""
        whole = prompt if isinstance(prompt, str) else "\n".join(map(str, prompt))
        persona, _, said = whole.rstrip().rpartition("\n")
        label = getattr(self._who, "key", None)
        asked = thinker.ask(self._who, said or whole, kind="roleplay", persona=persona or None, label=label)
        answered: Deferred[str] = asked.addCallbacks(_text, _nothing)
        return answered


def _text(result: RouteResult) -> str:
    return result.text


def _nothing(why: Failure) -> str:
    logger.log_err(f"Uniwizard: no answer: {why.getErrorMessage()}")
    return ""
