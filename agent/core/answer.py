"""What comes back: one backend's :class:`Answer`, as :mod:`agent.wire` decodes it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from .task import Thought, ToolCall


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one attempt.

    ``input_tokens`` counts the cached ones too; ``output_tokens`` the reasoning ones. ``estimated`` marks figures
    that the provider did not report and that were worked out from the number of characters.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Declined:
    """A provider's own word that the model declined, given in a field made for it (not read out of prose).

    ``source`` is the field it stood in, such as ``stop_reason`` or ``message.refusal``; ``category`` and
    ``explanation`` are the provider's, empty where it gives none.
    """

    source: str
    category: str = ""
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One decoded 200 OK.

    text        all text of the answer, joined
    model       the model that the provider says answered; empty where it does not say
    finish_reason  ``stop``, ``length``, ``tool_calls``, ``content_filter``, ``refusal`` or ``other``
    usage       None where the provider reports none
    declined    the provider's structured refusal, else None
    thoughts    what the model thought before, where the api tells it
    logprob     mean log-probability of the answer's tokens (natural log, at most 0), where the api returns it
    """

    text: str
    model: str = ""
    finish_reason: str = "stop"
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    declined: Declined | None = None
    logprob: float | None = None
    thoughts: tuple[Thought, ...] = ()
