"""Buckets of hours and days, counted from the attempts there are."""

from __future__ import annotations

import time
from typing import Any

from django.db import migrations, models

_COLUMNS = (
    *("number", "started", "backend", "kind", "outcome", "practice", "account_id", "account", "payer"),
    *("input_tokens", "output_tokens", "cached_tokens", "cost_usd", "saved_usd", "latency_ms", "first_token_ms"),
)


def count(apps: Any, schema_editor: Any) -> None:
    """Add up every attempt; about a minute for a million of them."""
    from uniwizard.world.ledger import buckets

    attempt, bucket = apps.get_model("ledger", "Attempt"), apps.get_model("ledger", "Bucket")
    using = schema_editor.connection.alias
    rows = attempt.objects.using(using).order_by().values_list(*_COLUMNS).iterator(5000)
    oldest = time.time() - buckets.KEEP_HOURS * 86_400.0
    plain = (dict(zip(_COLUMNS, (row[0], row[1].timestamp(), *row[2:]), strict=True)) for row in rows)
    # Hours that would not be kept are not counted: of a year there would be a million.
    counted = buckets.counted_rows(plain, oldest)
    bucket.objects.using(using).bulk_create(
        (
            bucket(
                **key._asdict(),
                **{name: getattr(sums, name) for name in buckets.SUMS},
                latency=sums.latency.text(),
                first=sums.first.text(),
            )
            for key, sums in counted.items()
        ),
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_goals")]

    operations = [
        migrations.CreateModel(
            name="Bucket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("span", models.CharField(max_length=1)),
                ("began", models.DateTimeField()),
                ("by", models.CharField(max_length=5)),
                ("backend", models.CharField(blank=True, max_length=64)),
                ("kind", models.CharField(blank=True, max_length=32)),
                ("account_id", models.BigIntegerField(default=0)),
                ("asker", models.CharField(blank=True, max_length=150)),
                ("practice", models.BooleanField(default=False)),
                *(
                    (name, models.PositiveIntegerField(default=0))
                    for name in ("attempts", "answered", "refused", "failed", "stopped", "remembered", "fallbacks")
                ),
                *(
                    (name, models.PositiveBigIntegerField(default=0))
                    for name in ("input_tokens", "output_tokens", "cached_tokens")
                ),
                ("cost_usd", models.FloatField(default=0.0)),
                ("saved_usd", models.FloatField(default=0.0)),
                ("latency", models.TextField(blank=True)),
                ("first", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["span", "by", "began"], name="ledger_bucket_span"),
                    models.Index(fields=["account_id", "span", "began"], name="ledger_bucket_account"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("began", "span", "by", "backend", "kind", "account_id", "asker", "practice"),
                        name="ledger_bucket_once",
                    )
                ],
            },
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
