"""What an attempt costs, in USD, and the tokens to assume where a provider reports none. Pure functions."""

from __future__ import annotations

from dataclasses import replace

from .answer import Answer, Usage
from .backend import Backend
from .decision import Work
from .task import CHARS_PER_TOKEN, Task
from .tokens import asked_tokens, estimate_tokens

#: Tokens of a typical chat answer, for estimates made before there is one.
TYPICAL_ANSWER = 300
#: Tokens that a provider may add to a request (prompts of its own, definitions of its tools), and to an answer (marks
#: of its template): far above what any is known to.
ADDED_INPUT, ADDED_OUTPUT = 4096, 512


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


def chars_in(answer: Answer) -> int:
    """The characters that an answer has brought: its text and the arguments of its tool calls."""
    return len(answer.text) + sum(len(call.arguments) for call in answer.tool_calls)


def estimated_usage(task: Task, chars: int) -> Usage:
    """What a request and ``chars`` characters of its answer come to, where the provider has not said; marked so."""
    return Usage(asked_tokens(task), round(chars / CHARS_PER_TOKEN), estimated=True)


def possible(usage: Usage, backend: Backend, work: Work, received: int) -> Usage:
    """``usage`` within what is possible: what a provider reports beyond that is not believed, and not paid.

    received  characters of the answer

    No tokenizer makes more than a token of each byte, and a character has four at most; a provider may add a prompt of
    its own (:data:`ADDED_INPUT`). An answer, with the reasoning that is not shown, is no longer than was asked for.
    """
    bytes_sent = round(work.tokens * CHARS_PER_TOKEN) * 4
    most_input = max(work.tokens, min(bytes_sent, backend.max_context) + ADDED_INPUT)
    longest = backend.max_tokens if work.max_tokens is None else work.max_tokens
    hidden = min(usage.reasoning_tokens, backend.max_context)
    most_output = max(longest, received * 4) + hidden + ADDED_OUTPUT
    if usage.input_tokens <= most_input and usage.output_tokens <= most_output:
        return usage
    return replace(
        usage,
        input_tokens=min(usage.input_tokens, most_input),
        output_tokens=min(usage.output_tokens, most_output),
        cached_tokens=min(usage.cached_tokens, most_input),
        reasoning_tokens=hidden,
        estimated=True,
    )


def expected_cost_usd(backend: Backend, input_tokens: int, max_tokens: int | None = None, cached: int = 0) -> float:
    """What a task of ``input_tokens`` would cost here in USD, for a decision made before any answer exists.

    A typical chat answer of 300 tokens is assumed, or less where ``max_tokens`` or the backend's own limit says so. In
    practice it is what the real backend would cost. ``cached`` of the input is most likely in the provider's cache.
    """
    limit = backend.max_tokens if max_tokens is None else max_tokens
    price = backend.price
    saved = cached * (price.input - price.cached_input) if price.cached_input is not None else 0.0
    return (input_tokens * price.input - saved + min(TYPICAL_ANSWER, limit) * price.output) / 1000.0
