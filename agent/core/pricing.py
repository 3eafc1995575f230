"""What an attempt costs, in USD, and the tokens to assume where a provider reports none. Pure functions."""

from __future__ import annotations

from .answer import Answer, Usage
from .backend import Backend
from .task import Task
from .tokens import asked_tokens, estimate_tokens

#: Tokens of a typical chat answer, for estimates made before there is one.
TYPICAL_ANSWER = 300


def cost_usd(backend: Backend, usage: Usage) -> float:
    """The price of ``usage`` at the backend's rates (USD per 1,000 tokens, found when its config was read).

    Input that the provider had cached costs its own price where there is one; reasoning is output. Practice is free,
    and a price that nobody knows counts as 0 (:attr:`~agent.core.backend.Backend.price_source` says so).
    """
    if backend.practice:
        return 0.0
    price = backend.price
    cached = min(usage.cached_tokens, usage.input_tokens) if price.cached_input is not None else 0
    discounted = cached * (price.cached_input or 0.0)
    fresh = (usage.input_tokens - cached) * price.input
    return (fresh + discounted + usage.output_tokens * price.output) / 1000.0


def usage_of(task: Task, answer: Answer, system: str = "") -> Usage:
    """The reported tokens; where none are, an estimate as a tokenizer would count, marked as one."""
    if answer.usage is not None:
        return answer.usage
    output = estimate_tokens(answer.text) + sum(estimate_tokens(thought.text) for thought in answer.thoughts)
    output += sum(estimate_tokens(f"{call.name} {call.arguments}") for call in answer.tool_calls)
    return Usage(asked_tokens(task, system), output, estimated=True)


def expected_cost_usd(backend: Backend, input_tokens: int, max_tokens: int | None = None, cached: int = 0) -> float:
    """What a task of ``input_tokens`` would cost here in USD, for a decision made before any answer exists.

    A typical chat answer of 300 tokens is assumed, or less where ``max_tokens`` or the backend's own limit says so. In
    practice it is what the real backend would cost. ``cached`` of the input is most likely in the provider's cache.
    """
    limit = backend.max_tokens if max_tokens is None else max_tokens
    price = backend.price
    saved = cached * (price.input - price.cached_input) if price.cached_input is not None else 0.0
    return (input_tokens * price.input - saved + min(TYPICAL_ANSWER, limit) * price.output) / 1000.0
