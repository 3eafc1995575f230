"""Times in a player's words."""

from __future__ import annotations

_UNITS = ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def ago(seconds: float) -> str:
    """How long ago something was, in its largest unit: ``3 hours ago``; ``just now`` within a minute."""
    for size, unit in _UNITS:
        if (count := int(seconds // size)) >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
