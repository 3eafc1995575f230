from django.db import migrations, models

OUTCOMES = [
    ("under way", "Under Way"),
    ("answered", "Answered"),
    ("refused", "Refused"),
    ("failed", "Failed"),
    ("leaked", "Leaked"),
    ("stopped", "Stopped"),
    ("interrupted", "Interrupted"),
    ("remembered", "Remembered"),
]


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="KnownAnswer",
            fields=[
                ("key", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=32)),
                ("backend", models.CharField(max_length=64)),
                ("model", models.CharField(blank=True, max_length=128)),
                ("learned", models.DateTimeField()),
                ("until", models.DateTimeField(db_index=True)),
                ("practice", models.BooleanField(default=False)),
                ("entry", models.TextField(help_text="The answer without names, as JSON.")),
            ],
            options={"verbose_name": "remembered answer", "verbose_name_plural": "remembered answers"},
        ),
        migrations.AddField(
            model_name="attempt",
            name="saved_usd",
            field=models.FloatField(default=0.0, help_text="What a remembered answer cost when it was learned."),
        ),
        migrations.AddField(model_name="totals", name="saved_usd", field=models.FloatField(default=0.0)),
        migrations.AlterField(
            model_name="attempt", name="outcome", field=models.CharField(choices=OUTCOMES, max_length=12)
        ),
        migrations.AlterField(
            model_name="totals", name="outcome", field=models.CharField(choices=OUTCOMES, max_length=12)
        ),
    ]
