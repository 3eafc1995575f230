"""How long the overview takes at a million attempts: figures, tables, pictures; and the migration before them.

    python tests/benchmarks/overview_speed.py [rows]      # exit status 1 where a page takes more than a second

The rows lie over 400 days, by 200 players, six backends and eight kinds, in an SQLite file of its own. Everything but
the HTTP and the template of the page is measured, in seconds of this thread's CPU, the best of three; pages over HTTP
are in ledger_speed.py.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "game")]

import alone  # noqa: E402
from django.apps import apps  # noqa: E402
from django.db import connections  # noqa: E402

from uniwizard.world.ledger.models import Bucket  # noqa: E402
from uniwizard.world.ledger.storage import day_of  # noqa: E402
from uniwizard.world.overview import charts  # noqa: E402
from uniwizard.world.overview.asked import Asked  # noqa: E402
from uniwizard.world.overview.figures import read, troubles  # noqa: E402

BOUND = 1.0
DAYS = 400

#: Made by the database itself, which is a hundred times quicker than by Python.
FILL = """
INSERT INTO ledger_attempt (task, number, started, ended, day, kind, backend, model, outcome, failure, evidence,
    refusal, score, status, first_token_ms, latency_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_usd, saved_usd, estimated, practice, account_id, account, character_id, character, payer, label, prompt,
    answer)
WITH RECURSIVE numbered(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbered WHERE n < {rows} - 1),
drawn AS MATERIALIZED (
    SELECT n, abs(random()) % 1000 AS luck, abs(random()) % 6 AS b, abs(random()) % 8 AS k,
        (abs(random()) % 200) * (abs(random()) % 200) / 200 AS player, {now} - n * {step} AS at,
        200 + (abs(random()) % 1000) * (abs(random()) % 1000) / 100 AS ms
    FROM numbered
)
SELECT 'fill-' || n, 1, datetime(at, 'unixepoch'), datetime(at + 1, 'unixepoch'), date(at, 'unixepoch'),
    substr('read    write   status  reason  review  know    summary chat    ', k * 8 + 1, 7),
    substr('local claudekimi  gpt   geminigrok  ', b * 6 + 1, 6), 'm',
    CASE WHEN luck < 60 THEN 'refused' WHEN luck < 120 THEN 'failed' ELSE 'answered' END,
    CASE WHEN luck < 60 THEN 'refused' WHEN luck < 120 THEN 'overloaded' ELSE '' END, '', '', NULL, 200,
    ms / 4, ms, luck * 4, luck, 0, 0, luck * 0.00001, 0, 0, 0, player + 1, 'player' || player, player,
    'player' || player, '', '', '', ''
FROM drawn
"""

PAGES: dict[str, dict[str, str]] = {
    "a week": {},
    "two days by the hour": {"step": "hour", "days": "2"},
    "30 days": {"days": "30"},
    "400 days": {"days": "400"},
    "400 days of a backend": {"days": "400", "backend": "claude"},
    "30 days of a player": {"days": "30", "player": "player3"},
}


def main(rows: int) -> int:
    """Print a line a page; 1 where one takes too long."""
    slow = False
    with tempfile.TemporaryDirectory() as folder, alone.tables(Path(folder)):
        now = int(time.time())
        with connections["default"].cursor() as cursor:
            cursor.execute(FILL.format(rows=rows, now=now, step=DAYS * 86_400.0 / rows))
        began = time.process_time()
        editor = type("Editor", (), {"connection": connections["default"]})
        import_module("uniwizard.world.ledger.migrations.0006_buckets").count(apps, editor)
        took = time.process_time() - began
        print(f"{rows:,} attempts, {Bucket.objects.count():,} buckets; the migration took {took:.1f} s of CPU")
        for name, query in PAGES.items():
            took = min(_page(query) for _ in range(3))
            slow = slow or took > BOUND
            print(f"  {name:<24}{took:6.2f} s of CPU, at most {BOUND:g}")
    return int(slow)


def _page(query: dict[str, str]) -> float:
    """Seconds of CPU for what one page shows."""
    today = day_of(time.time())
    days = int(query.get("days", "7"))
    since = datetime.fromtimestamp(time.time() - (days - 1) * 86_400.0, UTC).date()
    asked = Asked.of({**query, "from": str(since)}, today, None, lambda name: int(name.removeprefix("player")) + 1)
    began = time.thread_time()
    figures = read(asked)
    labels = [str(step) for step, _ in figures.steps]
    sums = [each for _, each in figures.steps]
    for which in ("latency", "first"):
        series = {str(share): [getattr(each, which).percentile(share) for each in sums] for share in (0.5, 0.95, 0.99)}
        charts.lines(which, labels, series, str)
    troubles(asked)
    return time.thread_time() - began


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000))
