"""What is told to those who watch the server: whether anybody can be asked, and whether it should be sent requests."""

from __future__ import annotations

from typing import Any

from ..router import Router

#: The media type of Prometheus' text format.
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def health(router: Router, under_way: int) -> dict[str, Any]:
    """How many backends there are, and how many of them can be asked."""
    registry = router.registry
    able = sum(not health.available() for health in registry)
    status = "practice" if registry.practising else "ok" if able else "nobody can be asked"
    return {"status": status, "backends": len(registry), "available": able, "under_way": under_way}


def ready(router: Router | None, *, closing: bool, taken_up: bool = True) -> tuple[int, dict[str, str]]:
    """The HTTP status that a load balancer looks at, and why.

    Somebody can be asked, the server is not stopping, and ``taken_up`` is what an earlier run of it left.
    """
    if router is not None and not taken_up:
        return 503, {"status": "taking up what was left"}
    if router is not None and any(not health.available() for health in router.registry):
        return 200, {"status": "ok"}
    return 503, {"status": "stopping" if closing else "nobody can be asked"}
