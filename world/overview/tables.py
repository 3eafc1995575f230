"""The overview's tables: each is told to people on the page, and to programs as CSV and JSON.

table = tables_of(asked, figures, now)["backends"]
table.cells()            # what people read, row by row
table.as_csv(), table.as_json()
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from uniwizard.world.ledger.__main__ import cell
from uniwizard.world.ledger.buckets import Sums
from uniwizard.world.ledger.storage import zone
from uniwizard.world.overview.asked import Asked
from uniwizard.world.overview.figures import Figures, troubles
from uniwizard.world.overview.now import Now


@dataclass(frozen=True, slots=True)
class Column:
    """``told`` puts a value into words; ``link`` makes the query of an address from a row's value."""

    name: str
    title: str
    told: Callable[[Any], str] = str
    number: bool = False


@dataclass(slots=True)
class Table:
    """Rows of plain data by column."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: list[dict[str, Any]] = field(default_factory=list)
    empty: str = "Nothing was asked."
    #: Which filter the first column sets when it is followed; empty for none.
    filters: str = ""

    def cells(self) -> Iterator[list[dict[str, Any]]]:
        """What people read: text, whether it is a number, and what the first column filters by."""
        for row in self.rows:
            yield [
                {
                    "text": "-" if row.get(column.name) is None else column.told(row[column.name]),
                    "number": column.number,
                    "title": row.get("title", "") if not index else "",
                    "lamp": row[column.name] if column.name in ("state", "outcome") else "",
                    "filter": row[column.name] if self.filters and not index else "",
                }
                for index, column in enumerate(self.columns)
            ]

    def as_json(self) -> str:
        return json.dumps([{c.name: _plain(row.get(c.name)) for c in self.columns} for row in self.rows])

    def as_csv(self) -> str:
        out = io.StringIO()
        written = csv.writer(out)
        written.writerow([column.name for column in self.columns])
        written.writerows([cell(_plain(row.get(c.name))) for c in self.columns] for row in self.rows)
        return out.getvalue()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def count(value: float) -> str:
    return f"{value:,.0f}"


def percent(value: float) -> str:
    return f"{value:.1%}"


def seconds(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f} s"


def usd(value: float) -> str:
    return f"${value:,.4f}" if value < 100 else f"${value:,.2f}"


def when(value: datetime) -> str:
    return f"{value.astimezone(zone()):%d %b %H:%M}"


_FIGURES = (
    Column("attempts", "Attempts", count, True),
    Column("success", "Answered well", percent, True),
    Column("refusals", "Refused", percent, True),
    Column("fallbacks", "After another", percent, True),
    Column("p50_ms", "p50", seconds, True),
    Column("p95_ms", "p95", seconds, True),
    Column("p99_ms", "p99", seconds, True),
    Column("first_token_ms", "First token p50", seconds, True),
    Column("tokens_in", "Tokens in", count, True),
    Column("tokens_out", "Tokens out", count, True),
    Column("cost_usd", "Cost", usd, True),
)


def figures_of(sums: Sums) -> dict[str, Any]:
    """A row of the columns above."""
    return {
        "attempts": sums.attempts,
        "success": sums.rate("answered"),
        "refusals": sums.rate("refused"),
        "fallbacks": sums.rate("fallbacks"),
        "p50_ms": sums.latency.percentile(0.5),
        "p95_ms": sums.latency.percentile(0.95),
        "p99_ms": sums.latency.percentile(0.99),
        "first_token_ms": sums.first.percentile(0.5),
        "tokens_in": sums.input_tokens,
        "tokens_out": sums.output_tokens,
        "cost_usd": sums.cost_usd,
    }


def past(asked: Asked, figures: Figures) -> list[Table]:
    """The tables of a range of days."""
    found = []
    for which, title in (
        ("backend", "Backends"),
        ("kind", "Kinds of work"),
        ("player", "Players"),
        ("token", "Tokens"),
    ):
        by = figures.by.get(which)
        if by is None or (asked.own and which == "player"):
            continue
        rows = [{which: name or "-", **figures_of(sums)} for name, sums in by.items()]
        rows.sort(key=lambda row: (-row["attempts"], row[which]))
        filters = "" if which == "player" and asked.own else which
        columns = (Column(which, title.rstrip("s") if which != "kind" else "Kind"), *_FIGURES)
        found.append(Table(f"by_{which}", title, columns, rows, filters=filters))
    steps = [{"began": began, **figures_of(sums)} for began, sums in figures.steps]
    over = Table("over_time", f"By the {asked.step}", (Column("began", "From", when), *_FIGURES), steps)
    return [*found, over, _troubles(asked)]


def _troubles(asked: Asked) -> Table:
    rows = [
        {
            "time": attempt.started,
            "backend": attempt.backend,
            "outcome": attempt.outcome,
            "failure": (attempt.refusal or attempt.failure).replace("_", " "),
            "kind": attempt.kind,
            "evidence": attempt.evidence[:200],
            "asker": attempt.asker,
            "road": " → ".join(f"{each.backend} {each.outcome}" for each in road),
        }
        for attempt, road in troubles(asked)
    ]
    columns = [
        Column("time", "When", when),
        Column("backend", "Backend"),
        Column("outcome", "Outcome"),
        Column("failure", "Why"),
        Column("kind", "Kind"),
        Column("evidence", "Its words"),
        Column("road", "Road"),
    ]
    if not asked.own:
        columns.insert(5, Column("asker", "Asked by"))
    return Table("troubles", "The latest refusals and failures", columns, rows, "None in these days.")


def present(asked: Asked, now: Now, names: Callable[[str, Any], str]) -> list[Table]:
    """The tables of this moment; ``names`` tells whose a budget is."""
    backends = Table(
        "backends",
        "Backends now",
        (
            Column("backend", "Backend"),
            Column("state", "State"),
            Column("headroom", "Headroom", percent, True),
            Column("breaker", "Breaker"),
            Column("success", "Well lately", percent, True),
            Column("latency_ms", "Latency lately", seconds, True),
            Column("in_flight", "Under way", count, True),
            Column("places", "Places", count, True),
            Column("model", "Model"),
        ),
        [{**row, "title": row["obstacle"] or "may be asked"} for row in now.backends],
        "Nobody stands on the shelf.",
    )
    flying = Table(
        "in_flight",
        "Under way now",
        (
            Column("backend", "Backend"),
            Column("kind", "Kind"),
            Column("number", "Attempt", count, True),
            Column("seconds", "For", lambda value: f"{value:.1f} s", True),
            Column("asker", "Asked by"),
        ),
        now.in_flight,
        "Nothing is under way.",
    )
    goals = Table(
        "goals",
        "Goals",
        (
            Column("goal", "No.", count, True),
            Column("state", "Stands"),
            Column("whose", "Whose"),
            Column("about", "What done looks like"),
            Column("done", "Facts"),
            Column("under_way", "Steps under way", count, True),
            Column("waiting", "Waiting", count, True),
            Column("plans", "Plans", count, True),
            Column("cost_usd", "Cost", usd, True),
            Column("budget_usd", "Of at most", usd, True),
            Column("used", "Used", percent, True),
            Column("began", "Since", when),
        ),
        now.goals,
        "Nobody wants anything that takes long.",
    )
    budgets = Table(
        "budgets",
        "Budgets",
        (
            Column("whose", "Whose"),
            Column("spent_usd", "Spent", usd, True),
            Column("limit_usd", "Of", usd, True),
            Column("per", "A"),
            Column("used", "Used", percent, True),
            Column("reserved_usd", "Set aside", usd, True),
            Column("runs_out", "Runs out", when),
            Column("resets", "Resets", when),
        ),
        [{"whose": names(row["scope"], row["key"]), **row} for row in now.budgets],
        "No budget has been spent from.",
    )
    quotas = Table(
        "quotas",
        "Quotas",
        (
            Column("backend", "Backend"),
            Column("window", "Window"),
            Column("used", "Used", percent, True),
            Column("gone", "Time gone", percent, True),
            Column("pace", "Pace", lambda value: f"{value:.2f}", True),
            Column("expires_unused", "Will expire unused", percent, True),
            Column("resets", "Resets", when),
        ),
        now.quotas,
        "No backend has a quota.",
    )
    alerts = Table(
        "alerts", "Alerts", (Column("time", "When", when), Column("alert", "What")), now.alerts, "All is well."
    )
    shown = [backends, flying, goals, budgets]
    return shown if asked.own else [*shown, quotas, alerts]
