"""Which process wrote an attempt, so that only a dead one's are marked as interrupted."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0006_buckets")]

    operations = [
        migrations.AddField(
            "attempt",
            "owner",
            models.CharField(editable=False, help_text="The process that wrote this.", max_length=32, null=True),
        ),
        migrations.CreateModel(
            "Process",
            [
                ("id", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=100)),
                ("pid", models.BigIntegerField()),
                ("beat", models.DateTimeField()),
            ],
        ),
    ]
