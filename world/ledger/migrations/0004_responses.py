"""Responses that programs have asked to be kept at ``/v1/responses``."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_game_code")]

    operations = [
        migrations.CreateModel(
            name="KeptResponse",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("owner", models.CharField(max_length=64)),
                ("made", models.FloatField()),
                ("until", models.FloatField(db_index=True)),
                ("size", models.PositiveIntegerField()),
                ("text", models.TextField()),
            ],
            options={
                "indexes": [models.Index(fields=["owner", "made", "size"], name="ledger_responses_owner")],
            },
        ),
    ]
