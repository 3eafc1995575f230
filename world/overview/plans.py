"""A goal's plan as a picture: its steps from left to right, each after what it needs, with what is done; and its cost.

    drawn("ada: a page on tides", state_of(record))      # inline SVG in the page's own colours

A box is a step; its colour says how it stands, its title why it is there, what it makes and what it was to cost. The
bar below is what was paid, of the budget where there is one, else of what was paid and is still expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import slugify

#: The sizes of a box and of the space about it, and of the bar.
_WIDE, _HIGH, _BESIDE, _BELOW, _EDGE, _BAR = 138, 40, 34, 12, 8, 10
#: Letters that a box holds, and boxes that one picture holds: the last ones.
_LETTERS, _MOST = 19, 24


def drawn(title: str, state: Mapping[str, Any]) -> SafeString:
    """The picture of a goal, as :func:`agent.goals.state_of` tells it."""
    nodes = list(state["plan"]["nodes"])[-_MOST:]
    known = {node["id"] for node in nodes}
    edges = [edge for edge in state["plan"]["edges"] if known.issuperset(edge)]
    places = _places([node["id"] for node in nodes], edges)
    width = max(320, 2 * _EDGE + max((x for x, _ in places.values()), default=0) + _WIDE)
    height = 2 * _EDGE + max((y for _, y in places.values()), default=0) + _HIGH
    arrows = format_html_join(
        "",
        '<path d="M{} {} C{} {} {} {} {} {}"/>',
        (_curve(places[before], places[after]) for before, after in edges),
    )
    boxes = format_html_join(
        "",
        '<g class="step {}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="5"/>'
        '<text x="{}" y="{}">{}</text><text class="by" x="{}" y="{}">{}</text></g>',
        (_box(node, *places[node["id"]]) for node in nodes),
    )
    share, told = _paid(state)
    return format_html(
        '<figure class="chart plan"><figcaption>{} <span class="key">{}</span></figcaption>'
        '<svg width="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}'
        '<rect class="budget" x="{}" y="{}" width="{}" height="6"/>'
        '<rect class="paid" x="{}" y="{}" width="{}" height="6"/></svg></figure>',
        title, told, width, width, height + _BAR, f"the plan of {title}", arrows, boxes,
        _EDGE, height, width - 2 * _EDGE, _EDGE, height, round(share * (width - 2 * _EDGE), 1),
    )  # fmt: skip


def _places(ids: Sequence[int], edges: Sequence[Sequence[int]]) -> dict[int, tuple[int, int]]:
    """Where each step's box stands: in the column after the last of what it needs, in the first row that is free."""
    column = dict.fromkeys(ids, 0)
    for _ in ids:
        for before, after in edges:
            column[after] = min(len(ids), max(column[after], column[before] + 1))
    rows: dict[int, int] = {}
    places = {}
    for one in ids:
        row = rows[column[one]] = rows.get(column[one], -1) + 1
        places[one] = _EDGE + column[one] * (_WIDE + _BESIDE), _EDGE + row * (_HIGH + _BELOW)
    return places


def _curve(before: tuple[int, int], after: tuple[int, int]) -> tuple[int, ...]:
    x1, y1, x2, y2 = before[0] + _WIDE, before[1] + _HIGH // 2, after[0], after[1] + _HIGH // 2
    middle = (x1 + x2) // 2
    return x1, y1, middle, y1, middle, y2, x2, y2


def _box(node: Mapping[str, Any], x: int, y: int) -> tuple[Any, ...]:
    price = node["price"]
    cost = f", about ${price['usd']:.4f}" if price.get("usd") else ""
    title = f"{node['action']}: {node['why']}; makes {', '.join(node['makes']) or 'new steps'}{cost}; {node['state']}"
    by = f"{node['state']}, {node['backend']}" if node["backend"] else node["state"]
    name = node["action"].replace("_", " ")
    return (
        slugify(node["state"]), title, x, y, _WIDE, _HIGH, x + 8, y + 17, _cut(name), x + 8, y + 32, _cut(by),
    )  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _paid(state: Mapping[str, Any]) -> tuple[float, str]:
    """The part of the bar that is paid, and the same in words."""
    paid, budget = float(state["cost_usd"]), state["budget"].get("usd")
    if budget is not None:
        return (min(1.0, paid / budget) if budget else 1.0), f"${paid:.4f} of at most ${budget:g}"
    whole = paid + float(state["price"]["usd"])
    return (paid / whole if whole else 0.0), f"${paid:.4f}, about ${whole:.4f} in all"
