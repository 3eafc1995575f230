"""The burn-down of each backend as an SVG, written by hand: what is left of its largest quota over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

#: Pixels.
WIDTH, LEFT, TOP, PANEL, GAP = 900, 130, 40, 90, 26

#: The policies that are drawn, in their colours.
COLOURS = {"headroom": "#1b7837", "rules": "#b35806", "cheapest": "#999999"}


def burn_down(burns: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> str:
    """An SVG with a panel for each backend.

    burns   by policy and backend: (seconds since the epoch, share left, 0 to 1)
    """
    drawn = {policy: burns[policy] for policy in COLOURS if policy in burns}
    backends = list(dict.fromkeys(key for burn in drawn.values() for key in burn))
    moments = [at for burn in drawn.values() for line in burn.values() for at, _ in line]
    start, end = min(moments, default=0.0), max(moments, default=1.0)
    height = TOP + len(backends) * (PANEL + GAP) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="16" font-size="14">What is left of each quota</text>',
    ]
    for number, policy in enumerate(drawn):
        x = LEFT + 240 + number * 110
        parts.append(f'<line x1="{x}" y1="12" x2="{x + 24}" y2="12" stroke="{COLOURS[policy]}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 30}" y="16">{escape(policy)}</text>')
    for number, key in enumerate(backends):
        top = TOP + number * (PANEL + GAP)
        parts.append(f'<text x="{LEFT - 12}" y="{top + PANEL / 2 + 4:g}" text-anchor="end">{escape(key)}</text>')
        parts.append(
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 20}" height="{PANEL}" fill="none" stroke="#ccc"/>'
        )
        for policy, burn in drawn.items():
            points = " ".join(
                f"{LEFT + (at - start) / ((end - start) or 1.0) * (WIDTH - LEFT - 20):.1f},"
                f"{top + PANEL - min(1.0, max(0.0, left)) * PANEL:.1f}"
                for at, left in burn.get(key, ())
            )
            colour = COLOURS[policy]
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    bottom = TOP + len(backends) * (PANEL + GAP) - GAP + 16
    for moment, x, anchor in ((start, LEFT, "start"), (end, WIDTH - 20, "end")):
        day = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
        parts.append(f'<text x="{x}" y="{bottom}" text-anchor="{anchor}" fill="#666">{day}</text>')
    return "\n".join([*parts, "</svg>", ""])
