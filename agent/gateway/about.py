"""What this house knows of an answer beyond anybody's format: for the ``uniwizard`` field, and as headers."""

from __future__ import annotations

from typing import Any

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
    }


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
    }
    if result.dropped:
        told["x-uniwizard-dropped"] = ", ".join(result.dropped)
    return told
