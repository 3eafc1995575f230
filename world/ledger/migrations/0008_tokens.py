"""The keys of programs, which several processes can read, and what each of them has spent of each."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_processes")]

    operations = [
        migrations.CreateModel(
            "Token",
            [
                ("id", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                ("label", models.CharField(max_length=100)),
                ("hash", models.CharField(max_length=64)),
                ("created", models.DateTimeField()),
                ("expires", models.DateTimeField(null=True)),
                ("requests_per_minute", models.PositiveIntegerField(null=True)),
                ("usd_per_month", models.FloatField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "TokenUse",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token", models.CharField(max_length=16)),
                ("account_id", models.BigIntegerField()),
                ("owner", models.CharField(max_length=32)),
                ("month", models.CharField(max_length=7)),
                ("usd", models.FloatField(default=0.0)),
                ("last_used", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["token", "owner", "month"], name="ledger_token_use")],
                "indexes": [models.Index(fields=["month", "account_id"], name="ledger_token_month")],
            },
        ),
    ]
