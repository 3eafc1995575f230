"""How each backend is: its breaker, success rate and latency."""

from .breaker import Health, State

__all__ = ["Health", "State"]
