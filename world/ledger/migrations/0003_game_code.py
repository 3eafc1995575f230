"""What the game's own code asks: under which label, and how it goes on after a restart."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_memory")]

    operations = [
        migrations.AddField(
            "attempt",
            "label",
            models.CharField(
                blank=True,
                default="",
                help_text="What of the game's own asked, such as a character.",
                max_length=100,
            ),
            preserve_default=False,
        ),
        migrations.AddField("pending", "how", models.TextField(blank=True, default="")),
        migrations.AddIndex(
            "attempt",
            models.Index(condition=~models.Q(label=""), fields=["label", "started"], name="ledger_label"),
        ),
    ]
