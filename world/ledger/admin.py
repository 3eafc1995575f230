"""The ledger in Evennia's admin: every attempt, with filters and totals; and a page per backend.

Attempts can be read and not changed. What a page of a backend does to it is done to the running server, at once; that
takes the permission to change backends.
"""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from evennia.accounts.models import AccountDB

from uniwizard.agent import known_kinds
from uniwizard.world.ledger import live, script_admin
from uniwizard.world.ledger.models import Attempt, Brain, Outcome, Overview
from uniwizard.world.ledger.pictures import chart, meter
from uniwizard.world.ledger.report import Tally, days_present, tally
from uniwizard.world.ledger.storage import day_of, zone

#: Days in the pictures.
_SPAN = 30
#: Days that the filter offers one by one; any other can be named in the address.
_RECENT = 10


class _Choice(admin.SimpleListFilter):
    """A filter on one column whose choices cost no look at a million rows."""

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class _ByBackend(_Choice):
    title = parameter_name = "backend"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, key) for key in _backends()]


class _ByKind(_Choice):
    title = parameter_name = "kind"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind.replace("_", " ")) for kind in known_kinds()]


class _ByOutcome(_Choice):
    title = parameter_name = "outcome"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in Outcome.values]


class _ByPractice(_Choice):
    title = "practice"
    parameter_name = "practice"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("0", "real"), ("1", "practice")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(practice=self.value() == "1") if self.value() in ("0", "1") else queryset


class _ByDay(_Choice):
    title = parameter_name = "day"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        days = days_present()[-_RECENT:][::-1]
        found = [("7", "last 7 days"), ("30", "last 30 days"), *((str(day), f"{day:%a %d %b %Y}") for day in days)]
        chosen = request.GET.get("day")
        return found if chosen in (None, *(value for value, _ in found)) else [*found, (chosen, chosen)]

    def queryset(self, request: Any, queryset: Any) -> Any:
        since, until = _span(self.value())
        queryset = queryset.filter(day__gte=since) if since else queryset
        return queryset.filter(day__lte=until) if until else queryset


def _span(value: str | None) -> tuple[date | None, date | None]:
    """The first and the last day that the day filter means."""
    if not value:
        return None, None
    if value.isdecimal() and len(value) < 5:
        return day_of(time.time()) - timedelta(days=int(value) - 1), None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return date.max, None
    return day, day


def _totals(request: Any) -> dict[bool, Tally] | None:
    """What the filters of the list leave, added up: real ones (False) and practice (True), never both together.

    None for a search, which only the rows themselves can answer.
    """
    asked = request.GET
    if asked.get("q"):
        return None
    only: dict[str, Any] = {name: asked[name] for name in ("backend", "kind", "outcome") if asked.get(name)}
    if asked.get("practice") in ("0", "1"):
        only["practice"] = asked["practice"] == "1"
    since, until = _span(asked.get("day"))
    # Totals go further back than the attempts that can be listed.
    first = next(iter(days_present()), date.max)
    since = max(since, first) if since else first
    found = tally(("practice",), since=since, until=until, **only)
    return {False: Tally()} | {practice: sums for (practice,), sums in sorted(found.items())}


class _Counted(Paginator):
    """Takes the count from the totals, which are there anyway."""

    known: int | None = None

    @cached_property
    def count(self) -> int:
        return super().count if self.known is None else self.known


@admin.register(Attempt)
class AttemptAdmin(admin.ModelAdmin):
    """Every attempt, newest first."""

    list_display = ("when", "brain", "kind", "what", "took", "tokens", "cost", "asker", "of_task")
    list_display_links = ("when",)
    list_filter = (_ByDay, _ByBackend, _ByOutcome, _ByKind, _ByPractice)
    search_fields = ("=task",)
    search_help_text = "A player's or a token's name, or a task's id, which shows its road from attempt to attempt."
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/ledger/attempts.html"

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def get_search_results(self, request: Any, queryset: Any, search_term: str) -> tuple[Any, bool]:
        # Django's own exact search looks past upper and lower case, and so past every index.
        term = search_term.strip()
        if not term:
            return queryset, False
        account = AccountDB.objects.filter(username__iexact=term).values_list("id", flat=True).first()
        if account is not None:
            return queryset.filter(account_id=account), False
        by_task = queryset.filter(task=term)
        return (by_task if by_task.exists() else queryset.filter(payer=term)), False

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        totals = request.ledger_totals = _totals(request)
        told = [] if totals is None else [("practice" if key else "real", sums) for key, sums in totals.items()]
        return super().changelist_view(request, {"title": "Attempts", **(extra_context or {}), "totals": told})

    def get_paginator(self, request: Any, queryset: Any, per_page: int, *args: Any, **kwargs: Any) -> Any:
        paginator = _Counted(queryset, per_page, *args, **kwargs)
        totals = getattr(request, "ledger_totals", None)
        counted = totals.values() if totals is not None else ()
        paginator.known = None if totals is None else sum(sums.attempts + sums.remembered for sums in counted)
        return paginator

    @admin.display(description="when", ordering="started")
    def when(self, row: Attempt) -> str:
        started = row.started.astimezone(zone())
        return f"{started:%d %b %Y %H:%M:%S}"

    @admin.display(description="backend")
    def brain(self, row: Attempt) -> str:
        practice = format_html(' <span class="ledger-quiet">practice</span>') if row.practice else ""
        url = reverse("admin:ledger_brain_page", args=(row.backend,))
        return format_html('<a href="{}">{}</a>{}', url, row.backend, practice)

    @admin.display(description="outcome")
    def what(self, row: Attempt) -> str:
        told = row.failure.replace("_", " ") if row.outcome == Outcome.FAILED else row.outcome
        return format_html(
            '<span class="ledger-lamp {}" title="{}">{}</span>', row.outcome.replace(" ", "-"), row.evidence, told
        )

    @admin.display(description="first / all")
    def took(self, row: Attempt) -> str:
        times = [row.first_token_ms, row.latency_ms]
        return " / ".join("-" if ms is None else f"{ms / 1000:.2f} s" for ms in times)

    @admin.display(description="tokens in / out")
    def tokens(self, row: Attempt) -> str:
        cached = f" ({row.cached_tokens:,} cached)" if row.cached_tokens else ""
        return f"{'~' if row.estimated else ''}{row.input_tokens:,}{cached} / {row.output_tokens:,}"

    @admin.display(description="cost")
    def cost(self, row: Attempt) -> str:
        return f"${row.cost_usd:.4f}"

    @admin.display(description="asked by")
    def asker(self, row: Attempt) -> str:
        return row.asker

    @admin.display(description="task")
    def of_task(self, row: Attempt) -> str:
        url = reverse("admin:ledger_attempt_changelist")
        return format_html('<a href="{}?q={}"><code>{}</code></a> #{}', url, row.task, row.task[:6], row.number)


@admin.register(Brain)
class BrainAdmin(admin.ModelAdmin):
    """The shelf, and a page for every backend on it."""

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.page)
        act = self.admin_site.admin_view(require_POST(self.act))
        shelf = self.admin_site.admin_view(self.changelist_view)
        return [
            path("", shelf, name="ledger_brain_changelist"),
            path("<str:key>/", page, name="ledger_brain_page"),
            path("<str:key>/act/", act, name="ledger_brain_act"),
        ]

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        """The shelf."""
        self._may_see(request)
        since = day_of(time.time()) - timedelta(days=_SPAN - 1)
        figures = {key: sums for (key,), sums in tally(("backend",), since=since, practice=False).items()}
        shelf = live.ask(live.states)
        states = {state.key: state for state in shelf or ()}
        rows = [
            {"key": key, "state": states.get(key), "sums": figures.get(key, Tally())}
            for key in [*states, *sorted(set(figures) - set(states))]
        ]
        return self._show(request, "shelf.html", "Backends", {"rows": rows, "running": shelf is not None})

    def page(self, request: Any, key: str) -> Any:
        """One backend."""
        self._may_see(request)
        shelf = live.ask(live.states)
        state = next((state for state in shelf or () if state.key == key), None)
        today = day_of(time.time())
        days = [today - timedelta(days=back) for back in range(_SPAN - 1, -1, -1)]
        practice = request.GET.get("practice") == "1"
        only = {"backend": key, "practice": practice}
        sums = {day: found for (day,), found in tally(("day",), since=days[0], **only).items()}
        if state is None and not sums and key not in _backends():
            raise Http404(f"no backend {key!r}")
        outcomes = tally(("outcome",), since=days[0], **only)
        context = {
            "key": key,
            "state": state,
            "running": shelf is not None,
            "pictures": _pictures(days, sums),
            "gauges": [meter(bar.used, bar.words, mark=bar.gone) for bar in state.bars] if state else (),
            "outcomes": sorted(
                ((name, found.attempts + found.remembered) for (name,), found in outcomes.items()), key=lambda o: -o[1]
            ),
            "kinds": _by_cost(tally(("kind",), since=days[0], **only)),
            "practice": practice,
            "scenes": live.SCENARIOS,
            "may_act": self.has_change_permission(request),
            "span": _SPAN,
        }
        return self._show(request, "brain.html", key, context)

    def act(self, request: Any, key: str) -> Any:
        """Do something to a backend of the running server."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            told = live.ask(live.act, key, request.POST.get("action", ""), request.POST.get("scene", ""))
        except (KeyError, ValueError) as error:
            self.message_user(request, str(error.args[0]), messages.ERROR)
        else:
            if told is None:
                self.message_user(request, "No game runs in this process; nothing was done.", messages.ERROR)
            else:
                self.message_user(request, told)
        return HttpResponseRedirect(reverse("admin:ledger_brain_page", args=(key,)))

    def _may_see(self, request: Any) -> None:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied

    def _show(self, request: Any, template: str, title: str, context: dict[str, Any]) -> Any:
        whole = {**self.admin_site.each_context(request), "title": title, "opts": self.model._meta, **context}
        return TemplateResponse(request, f"admin/ledger/{template}", whole)


@admin.register(Overview)
class OverviewAdmin(admin.ModelAdmin):
    """An entry on the first page and in the sidebar that leads to the overview."""

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return bool(request.user.is_staff)

    def changelist_view(self, request: Any, extra_context: Any = None) -> Any:
        return HttpResponseRedirect("/uniwizard/")


def _backends() -> list[str]:
    """Every backend there is or was, those on the shelf first."""
    states = live.ask(live.states) or ()
    now = [state.key for state in states]
    return [*now, *sorted({key for (key,) in tally(("backend",))} - set(now))]


def _by_cost(found: dict[tuple[Any, ...], Tally]) -> list[tuple[str, Tally]]:
    return sorted(((str(key[0]) or "-", sums) for key, sums in found.items()), key=lambda kind: -kind[1].attempts)


def _pictures(days: list[date], sums: dict[date, Tally]) -> list[Any]:
    """What happened over ``days``."""
    none = Tally()
    found = [(str(day), sums.get(day, none)) for day in days]
    return [
        chart("Attempts", [(day, s.attempts or None) for day, s in found], lambda n: f"{n:,.0f}"),
        chart(
            "Success rate",
            [(day, None if s.success_rate is None else s.success_rate * 100) for day, s in found],
            lambda rate: f"{rate:.0f}%",
        ),
        chart(
            "Mean latency of its answers",
            [(day, None if s.mean_latency_ms is None else s.mean_latency_ms / 1000) for day, s in found],
            lambda seconds: f"{seconds:.2g} s",
        ),
        chart("Cost", [(day, s.cost_usd or None) for day, s in found], lambda usd: f"${usd:.3g}"),
    ]


script_admin.register()
