"""Curves of cost and quality as a picture, written by hand: SVG, or PNG without any text in it.

write_curves(Path("curves.svg"), {"learned": [(0.001, 0.61), ...]}, marks={"best single": (0.002, 0.63)})
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from .base import UsageError

Points = Sequence[tuple[float, float]]

#: Pixels, and the colours of the curves in their order.
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 520, 70, 30, 190, 50
COLOURS = ("#1b7837", "#b35806", "#2166ac", "#762a83", "#c51b7d", "#4d4d4d", "#01665e", "#8c510a", "#d6604d")


def write_curves(path: Path, curves: Mapping[str, Points], marks: Mapping[str, tuple[float, float]]) -> None:
    """Draw the curves and the single points into a file that ends in .svg or .png. Raises UsageError."""
    drawn = _svg(curves, marks).encode() if path.suffix.lower() == ".svg" else _png(curves, marks)
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


class _Scale:
    """From cost and quality to pixels."""

    def __init__(self, curves: Mapping[str, Points], marks: Mapping[str, tuple[float, float]]):
        points = [point for curve in curves.values() for point in curve] + list(marks.values())
        costs, qualities = [cost for cost, _ in points] or [0.0], [quality for _, quality in points] or [0.0]
        self.most = max(costs) or 1.0
        self.low, self.high = min(qualities), max(qualities)
        if self.high - self.low < 1e-9:
            self.low, self.high = self.low - 0.01, self.high + 0.01

    def __call__(self, point: tuple[float, float]) -> tuple[float, float]:
        cost, quality = point
        x = LEFT + cost / self.most * (WIDTH - LEFT - RIGHT)
        return x, TOP + (self.high - quality) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def _svg(curves: Mapping[str, Points], marks: Mapping[str, tuple[float, float]]) -> str:
    scale = _Scale(curves, marks)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" '
        'fill="none" stroke="#ccc"/>',
        f'<text x="{LEFT}" y="{HEIGHT - 28}">$0</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 28}" text-anchor="end">${scale.most:.3g} a task</text>',
        f'<text x="{LEFT - 8}" y="{TOP + 10}" text-anchor="end">{scale.high:.3f}</text>',
        f'<text x="{LEFT - 8}" y="{HEIGHT - BOTTOM}" text-anchor="end">{scale.low:.3f}</text>',
    ]
    for number, (name, curve) in enumerate(curves.items()):
        colour, y = COLOURS[number % len(COLOURS)], TOP + 14 + 18 * number
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(scale, curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 12}" y="{y}" fill="{colour}">{escape(name)}</text>')
    for name, mark in marks.items():
        across, down = scale(mark)
        parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4"/>')
        parts.append(f'<text x="{across + 7:.1f}" y="{down:.1f}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _png(curves: Mapping[str, Points], marks: Mapping[str, tuple[float, float]]) -> bytes:
    scale = _Scale(curves, marks)
    rows = [bytearray(b"\xff" * (3 * WIDTH)) for _ in range(HEIGHT)]

    def dot(x: float, y: float, colour: bytes, size: int = 1) -> None:
        for row in range(round(y), round(y) + size):
            for column in range(round(x), round(x) + size):
                if 0 <= row < HEIGHT and 0 <= column < WIDTH:
                    rows[row][3 * column : 3 * column + 3] = colour

    def line(a: tuple[float, float], b: tuple[float, float], colour: bytes, size: int) -> None:
        steps = max(1, math.ceil(max(abs(b[0] - a[0]), abs(b[1] - a[1]))))
        for step in range(steps + 1):
            share = step / steps
            dot(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), colour, size)

    corners: list[tuple[float, float]] = [
        (LEFT, TOP),
        (WIDTH - RIGHT, TOP),
        (WIDTH - RIGHT, HEIGHT - BOTTOM),
        (LEFT, HEIGHT - BOTTOM),
    ]
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        line(a, b, b"\xcc\xcc\xcc", 1)
    for number, curve in enumerate(curves.values()):
        colour = bytes.fromhex(COLOURS[number % len(COLOURS)][1:])
        points = [scale(point) for point in curve]
        for a, b in pairwise(points):
            line(a, b, colour, 2)
        line((WIDTH - RIGHT + 12, TOP + 10 + 18 * number), (WIDTH - RIGHT + 60, TOP + 10 + 18 * number), colour, 3)
    for mark in marks.values():
        x, y = scale(mark)
        dot(x - 3, y - 3, b"\x00\x00\x00", 7)
    raw = b"".join(b"\x00" + bytes(row) for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
