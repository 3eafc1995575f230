"""The overview's entry in the admin."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_tokens")]

    operations = [
        migrations.CreateModel(
            name="Overview",
            fields=[],
            options={
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("ledger.bucket",),
        ),
    ]
