"""The ledger's tables."""

from __future__ import annotations

from typing import Any

from django.db import models


class Outcome(models.TextChoices):
    """What became of an attempt. ``interrupted``: the server ended while it was under way.

    ``remembered`` is no attempt: nobody was asked, because the answer was known. Its row says what was saved.
    """

    UNDER_WAY = "under way"
    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    LEAKED = "leaked"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    REMEMBERED = "remembered"


class Attempt(models.Model):
    """One request to one backend, or none, where the answer was remembered (then ``number`` is 0).

    Times are the server's clock's; ``day`` is the day in the game's time zone.

    Tokens of the input count the cached ones, those of the output the reasoning ones. ``score`` is how surely the judge
    saw the answer decline, 0 to 1. ``estimated``: tokens and cost were worked out, not reported.
    """

    task = models.CharField(max_length=64)
    number = models.PositiveSmallIntegerField(help_text="Counts the task's attempts from 1.")
    started = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    day = models.DateField()
    kind = models.CharField(max_length=32, blank=True)
    backend = models.CharField(max_length=64)
    model = models.CharField(max_length=128, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    failure = models.CharField(max_length=20, blank=True)
    evidence = models.CharField(max_length=500, blank=True)
    refusal = models.CharField(max_length=12, blank=True, help_text="policy, capability or deflection")
    score = models.FloatField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    first_token_ms = models.FloatField(null=True)
    latency_ms = models.FloatField(null=True)
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)
    cost_usd = models.FloatField(default=0.0)
    saved_usd = models.FloatField(default=0.0, help_text="What a remembered answer cost when it was learned.")
    estimated = models.BooleanField(default=False)
    practice = models.BooleanField(default=False)
    account_id = models.BigIntegerField(null=True)
    account = models.CharField(max_length=150, blank=True)
    character_id = models.BigIntegerField(null=True)
    character = models.CharField(max_length=255, blank=True)
    payer = models.CharField(max_length=100, blank=True, help_text="The label of the token that asked.")
    label = models.CharField(max_length=100, blank=True, help_text="What of the game's own asked, such as a character.")
    prompt = models.TextField(blank=True)
    answer = models.TextField(blank=True)
    owner = models.CharField(max_length=32, null=True, editable=False, help_text="The process that wrote this.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "number"], name="ledger_attempt_once")]
        # Every list of the admin is newest first within one filter, so the filter and the time stand together. No list
        # is ordered by anything but the time.
        indexes = [
            models.Index(fields=["started"], name="ledger_started"),
            models.Index(fields=["backend", "started"], name="ledger_backend"),
            models.Index(fields=["kind", "started"], name="ledger_kind"),
            models.Index(fields=["outcome", "started"], name="ledger_outcome"),
            models.Index(fields=["day", "backend"], name="ledger_day"),
            models.Index(fields=["account_id", "started"], name="ledger_account"),
            # Of the rows that have one; the others do not pay for it.
            models.Index(fields=["label", "started"], name="ledger_label", condition=~models.Q(label="")),
        ]
        ordering = ["-started", "-id"]

    def __str__(self) -> str:
        return f"{self.backend}, {self.outcome}, {self.started:%Y-%m-%d %H:%M:%S}"

    @property
    def asker(self) -> str:
        """Whoever asked, in a few words."""
        who = self.character if self.character == self.account else f"{self.character} ({self.account})"
        asked = self.payer or (who if self.account else self.character)
        return " through ".join(filter(None, (asked, self.label))) or "-"


class Process(models.Model):
    """A process that writes into these tables, on PostgreSQL; ``beat`` is its last heartbeat, by the
    database's clock."""

    id = models.CharField(max_length=32, primary_key=True)
    host = models.CharField(max_length=100)
    pid = models.BigIntegerField()
    beat = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.host} {self.pid}"


class Token(models.Model):
    """A key with which programs of an account come in; ``hash`` is its SHA-256. Limits of None are none."""

    id = models.CharField(max_length=16, primary_key=True)
    account_id = models.BigIntegerField()
    label = models.CharField(max_length=100)
    hash = models.CharField(max_length=64)
    created = models.DateTimeField()
    expires = models.DateTimeField(null=True)
    requests_per_minute = models.PositiveIntegerField(null=True)
    usd_per_month = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.id}, {self.label}"


class TokenUse(models.Model):
    """What one process has spent of one token in one month (``2026-11``, UTC). They outlive a revoked token: its
    account has spent them all the same."""

    token = models.CharField(max_length=16)
    account_id = models.BigIntegerField()
    owner = models.CharField(max_length=32)
    month = models.CharField(max_length=7)
    usd = models.FloatField(default=0.0)
    last_used = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "owner", "month"], name="ledger_token_use")]
        indexes = [models.Index(fields=["month", "account_id"], name="ledger_token_month")]


class Pending(models.Model):
    """A thought whose player has not been told its end yet.

    ``how`` is JSON where the game's own code asked (:mod:`world.thinker`): what else it asked with, and who takes the
    answer after a restart. ``answer`` is JSON, the lines to show, once there is an answer: then it was paid for, and
    after a crash it is shown rather than asked for again.
    """

    task = models.CharField(max_length=64, unique=True)
    router = models.BigIntegerField(help_text="The BackendRouter's id.")
    thinker = models.BigIntegerField(help_text="The character's id.")
    text = models.TextField()
    pin = models.CharField(max_length=64, null=True)
    began = models.DateTimeField()
    how = models.TextField(blank=True, default="")
    answer = models.TextField(blank=True)

    class Meta:
        verbose_name = "thought under way"
        verbose_name_plural = "thoughts under way"

    def __str__(self) -> str:
        return f"thought of #{self.thinker}"


class Totals(models.Model):
    """The attempts of one day that have something in common, added up.

    Once ``by`` work: backend, kind, outcome and practice; and once ``by`` asker: asker, outcome and practice. They
    outlive the attempts themselves. A day may have several rows of one kind, so they are added up wherever they
    are read. ``first_tokens`` counts the attempts in ``first_token_ms``.
    """

    day = models.DateField()
    by = models.CharField(max_length=5)
    backend = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=32, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    practice = models.BooleanField(default=False)
    account_id = models.BigIntegerField(null=True)
    asker = models.CharField(max_length=150, blank=True, help_text="The account's name, or a token's label.")
    attempts = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    cost_usd = models.FloatField(default=0.0)
    saved_usd = models.FloatField(default=0.0)
    latency_ms = models.FloatField(default=0.0)
    first_token_ms = models.FloatField(default=0.0)
    first_tokens = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["by", "day"], name="ledger_totals_day"),
            models.Index(fields=["account_id", "day"], name="ledger_totals_account"),
        ]
        verbose_name = verbose_name_plural = "totals by day"

    def __str__(self) -> str:
        return f"{self.day} {self.backend}"


class Bucket(models.Model):
    """The attempts of one hour (``span`` is ``h``) or day (``d``) that have something in common, with their times.

    Once ``by`` work: backend and kind; and once by who asked: ``asker`` is an account, ``token`` one of its tokens; see
    :mod:`world.ledger.buckets`.
    ``latency`` (of the answered) and ``first`` (the first token) are histograms as text.
    """

    span = models.CharField(max_length=1)
    began = models.DateTimeField()
    by = models.CharField(max_length=5)
    backend = models.CharField(max_length=64, blank=True)
    kind = models.CharField(max_length=32, blank=True)
    account_id = models.BigIntegerField(default=0)
    asker = models.CharField(max_length=150, blank=True)
    practice = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    answered = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    stopped = models.PositiveIntegerField(default=0)
    remembered = models.PositiveIntegerField(default=0)
    fallbacks = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    cost_usd = models.FloatField(default=0.0)
    saved_usd = models.FloatField(default=0.0)
    latency = models.TextField(blank=True)
    first = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["began", "span", "by", "backend", "kind", "account_id", "asker", "practice"],
                name="ledger_bucket_once",
            )
        ]
        indexes = [
            models.Index(fields=["span", "by", "began"], name="ledger_bucket_span"),
            models.Index(fields=["account_id", "span", "began"], name="ledger_bucket_account"),
        ]

    def __str__(self) -> str:
        return f"{self.began:%Y-%m-%d %H:%M} {self.backend or self.asker}"


class KnownAnswer(models.Model):
    """An answer that the memory gives without asking anybody. ``key`` is a digest of the question, names left out.

    ``entry`` is the whole of it, as the brain reads it.
    """

    key = models.CharField(max_length=32, primary_key=True)
    kind = models.CharField(max_length=32)
    backend = models.CharField(max_length=64)
    model = models.CharField(max_length=128, blank=True)
    learned = models.DateTimeField()
    until = models.DateTimeField(db_index=True)
    practice = models.BooleanField(default=False)
    entry = models.TextField(help_text="The answer without names, as JSON.")

    class Meta:
        verbose_name = "remembered answer"
        verbose_name_plural = "remembered answers"

    def __str__(self) -> str:
        return f"{self.backend}, {self.kind}, {self.learned:%Y-%m-%d %H:%M:%S}"


class KeptResponse(models.Model):
    """A response of ``/v1/responses`` that a program asked to be kept, until its time is over: whole, as JSON.

    ``owner`` is the token's id. Times are seconds since the epoch; ``size`` is the length of ``text``. No page of the
    admin shows it.
    """

    id = models.CharField(max_length=64, primary_key=True)
    owner = models.CharField(max_length=64)
    made = models.FloatField()
    until = models.FloatField(db_index=True)
    size = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["owner", "made", "size"], name="ledger_responses_owner")]

    def __str__(self) -> str:
        return self.id


class WorkedGoal(models.Model):
    """A goal of a player's, or a standing one; ``text`` is JSON that says everything, as the brain reads it."""

    id = models.CharField(max_length=64, primary_key=True)
    began = models.DateTimeField(auto_now_add=True)
    text = models.TextField(help_text="All that is known of the goal, as JSON.")

    class Meta:
        verbose_name = "goal"
        ordering = ["began", "id"]

    def __str__(self) -> str:
        return str(self.id)


class Brain(Totals):
    """A backend's entry in the admin; its state is the running server's and its figures are the ledger's."""

    class Meta:
        proxy = True
        verbose_name = "backend"


class Overview(Bucket):
    """The overview's entry in the admin, which leads to its page."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "overview"


class RolledDay(models.Model):
    """A day whose :class:`Totals` are complete. Every other day is added up from its attempts when asked about.

    ``purged``: its attempts are gone for good; its totals are all there is, and what comes late is added to them.
    """

    day = models.DateField(primary_key=True)
    purged = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.day)


def fields_of(row: dict[str, Any]) -> dict[str, Any]:
    """``row`` cut to what the columns hold, so that one long word of a provider cannot spoil a batch."""
    for name, longest in _LONGEST.items():
        value = row.get(name)
        if isinstance(value, str):
            # PostgreSQL takes no NUL.
            row[name] = value.replace("\0", "")[:longest]
    return row


_LONGEST = {
    field.name: field.max_length or 10**6
    for field in Attempt._meta.local_fields
    if isinstance(field, models.CharField | models.TextField)
}
