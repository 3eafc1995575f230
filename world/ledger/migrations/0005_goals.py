"""The goals of players, as the brain writes them down."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_responses")]

    operations = [
        migrations.CreateModel(
            "WorkedGoal",
            [
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("began", models.DateTimeField(auto_now_add=True)),
                ("text", models.TextField(help_text="All that is known of the goal, as JSON.")),
            ],
            options={"verbose_name": "goal", "ordering": ["began", "id"]},
        ),
    ]
