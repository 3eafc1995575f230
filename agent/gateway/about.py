"""What this house knows of an answer beyond anybody's format: for the ``uniwizard`` field, and as headers."""

from __future__ import annotations

from typing import Any

from ..core.recollection import Recollection
from ..core.result import RouteResult
from .errors import attempt_of


def about(result: RouteResult) -> dict[str, Any]:
    """All of it; usage that was not reported says so."""
    return {
        "backend": result.backend,
        "kind": result.kind,
        "attempts": [attempt_of(attempt) for attempt in result.attempts],
        "cost_usd": result.cost_usd,
        "latency_ms": round(result.latency_ms, 3),
        "practice": result.practice,
        "refused": result.refused,
        "partial": result.partial,
        "usage_estimated": result.usage.estimated,
        "dropped": list(result.dropped),
        "path": list(result.path),
        "memory": None if result.memory is None else remembered(result.memory),
    }


def remembered(memory: Recollection) -> dict[str, Any]:
    """Where an answer comes from that nobody was asked for; times in seconds since the epoch and milliseconds."""
    saved = memory.saved_usage
    return {
        "backend": memory.backend,
        "model": memory.model,
        "learned": memory.learned,
        "similarity": round(memory.similarity, 4),
        "saved_usd": memory.saved_usd,
        "saved_ms": round(memory.saved_ms, 3),
        "saved_usage": {"prompt_tokens": saved.input_tokens, "completion_tokens": saved.output_tokens},
    }


def cache(memory: Recollection | None) -> dict[str, str]:
    """The header that says whether the answer was known."""
    return {"x-uniwizard-cache": "miss" if memory is None else "hit"}


def headers(result: RouteResult) -> dict[str, str]:
    """The same for those who look at headers alone."""
    told = {
        "x-uniwizard-backend": result.backend,
        "x-uniwizard-model": result.model,
        "x-uniwizard-kind": result.kind,
        "x-uniwizard-attempts": str(len(result.attempts)),
        "x-uniwizard-cost-usd": f"{result.cost_usd:.6f}",
        "x-uniwizard-refused": str(result.refused).lower(),
        "x-uniwizard-practice": str(result.practice).lower(),
        "openai-processing-ms": str(round(result.latency_ms)),
        **cache(result.memory),
    }
    if result.dropped:
        told["x-uniwizard-dropped"] = ", ".join(result.dropped)
    return told
