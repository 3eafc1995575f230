"""Pictures as inline SVG, drawn on the server in the page's own colours: lines over time, and stacked bars.

    lines("Latency", ["14 Nov", "15 Nov"], {"p50": [0.8, None], "p95": [2.1, 3.0]}, lambda s: f"{s:.1f} s")
    bars("Attempts", ["14 Nov", "15 Nov"], {"answered": [7, 9], "refused": [1, 0]}, str)

None is a gap. Everything that stands in a picture is escaped; a number's own words are in its ``title``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 190, 58, 8, 12, 24
Series = Mapping[str, Sequence[float | None]]


def lines(title: str, labels: Sequence[str], series: Series, told: Callable[[float], str]) -> SafeString:
    """A line for every series."""
    top = _top(value for values in series.values() for value in values if value is not None)
    drawn: list[SafeString] = []
    for number, (name, values) in enumerate(series.items()):
        points = [(_x(index, len(labels)), _y(value, top)) for index, value in enumerate(values) if value is not None]
        path = " ".join(f"{'M' if not index else 'L'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points))
        dots = format_html_join(
            "",
            '<circle cx="{}" cy="{}" r="3"><title>{} {}: {}</title></circle>',
            (
                (f"{_x(index, len(labels)):.1f}", f"{_y(value, top):.1f}", labels[index], name, told(value))
                for index, value in enumerate(values)
                if value is not None
            ),
        )
        drawn.append(format_html('<g class="s{}"><path d="{}"/>{}</g>', number, path, dots))
    return _figure(title, labels, list(series), top, told, mark_safe("".join(drawn)), "lines")


def bars(title: str, labels: Sequence[str], series: Series, told: Callable[[float], str]) -> SafeString:
    """A bar for every label, with the series one on the other."""
    sums = [sum(values[index] or 0.0 for values in series.values()) for index in range(len(labels))]
    top = _top(sums)
    wide = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    stacked = [0.0] * len(labels)
    drawn: list[SafeString] = []
    for number, (name, values) in enumerate(series.items()):
        boxes = []
        for index, value in enumerate(values):
            if value:
                low, stacked[index] = stacked[index], stacked[index] + value
                high = _y(stacked[index], top)
                boxes.append(
                    (
                        f"{_LEFT + index * wide + wide * 0.1:.1f}",
                        f"{high:.1f}",
                        f"{wide * 0.8:.1f}",
                        f"{max(0.8, _y(low, top) - high):.1f}",
                        labels[index],
                        name,
                        told(value),
                    )
                )
        rects = format_html_join(
            "", '<rect x="{}" y="{}" width="{}" height="{}"><title>{} {}: {}</title></rect>', boxes
        )
        drawn.append(format_html('<g class="s{}">{}</g>', number, rects))
    return _figure(title, labels, list(series), top, told, mark_safe("".join(drawn)), "bars")


def _figure(
    title: str,
    labels: Sequence[str],
    names: Sequence[str],
    top: float,
    told: Callable[[float], str],
    drawn: SafeString,
    how: str,
) -> SafeString:
    grid = format_html_join(
        "",
        '<line x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 6, y + 4, told(top * share))
            for share in (0.0, 0.5, 1.0)
            for y in [round(_y(top * share, top), 1)]
        ),
    )
    every = max(1, -(-len(labels) // 7))
    axis = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (f"{_x(index, len(labels)):.1f}", _HEIGHT - 6, label)
            for index, label in enumerate(labels)
            if index % every == every // 2
        ),
    )
    keys = format_html_join("", '<span class="key s{}">{}</span>', enumerate(names)) if len(names) > 1 else ""
    return format_html(
        '<figure class="chart {}"><figcaption>{} {}</figcaption>'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg></figure>',
        how, title, keys, _WIDTH, _HEIGHT, title, grid, drawn, axis,
    )  # fmt: skip


def _x(index: int, count: int) -> float:
    return _LEFT + (index + 0.5) * (_WIDTH - _LEFT - _RIGHT) / max(1, count)


def _y(value: float, top: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - value / top)


def _top(values: object) -> float:
    """The next of 1, 2, 5, 10 ... at or above the highest value; 1 for none."""
    highest = max(values, default=0.0)  # type: ignore[call-overload]
    if highest <= 0:
        return 1.0
    power = 1e-9
    while True:
        for step in (1.0, 2.0, 5.0):
            if step * power >= highest * 0.999999:
                return step * power
        power *= 10.0
