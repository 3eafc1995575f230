"""``/uniwizard/``: the overview, for staff all of it, for players their own part, and a strip for everybody if so set.

    /uniwizard/?from=2026-11-01&to=2026-11-20&backend=claude       the page
    /uniwizard/now                                                 its upper part, which the page fetches again
    /uniwizard/<table>.csv, /uniwizard/<table>.json                each table, with the same query

Everything is drawn on the server. The page needs no script and nothing from elsewhere; with a script, what is under way
is shown as it changes. The views run in Evennia's web threads; what the running brain is asked, it is asked in the
reactor's.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from evennia.accounts.models import AccountDB
from evennia.objects.models import ObjectDB

from uniwizard.agent import known_kinds
from uniwizard.world.ledger import live
from uniwizard.world.ledger.storage import day_of, moment, zone
from uniwizard.world.overview import charts, plans, tables
from uniwizard.world.overview.asked import STEPS, Asked
from uniwizard.world.overview.figures import Figures, read
from uniwizard.world.overview.now import MOST_PLANS, Now, look

_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"


@require_safe
def page(request: Any) -> Any:
    """All of it."""
    viewer = _viewer(request)
    if viewer is _NOBODY:
        return _strip(request) if settings.UNIWIZARD_PUBLIC_STATUS else redirect_to_login(request.get_full_path())
    asked = _asked(request, viewer)
    figures = read(asked)
    return _shown(
        render(
            request,
            "uniwizard/overview.html",
            {
                **_present(request, asked),
                "figures": tables.figures_of(figures.total),
                "total": _told(figures),
                "charts": _charts(asked, figures),
                "past": tables.past(asked, figures),
                "cut": figures.cut,
                "steps": STEPS,
                "backends": _backends(figures),
                "kinds": known_kinds(),
                "ranges": [(days, _range(asked, days)) for days in (1, 7, 30, 90, 365)],
            },
        )
    )


@require_safe
def now(request: Any) -> Any:
    """The part of the page that changes by itself."""
    viewer = _viewer(request)
    if viewer is _NOBODY:
        raise Http404
    return _shown(render(request, "uniwizard/now.html", _present(request, _asked(request, viewer))))


@require_safe
def table(request: Any, name: str, form: str) -> Any:
    """One table for programs."""
    viewer = _viewer(request)
    if viewer is _NOBODY:
        return redirect_to_login(request.get_full_path())
    asked = _asked(request, viewer)
    found = {each.name: each for each in tables.present(asked, _now(viewer), _whose)}
    if name not in found:
        found = {each.name: each for each in tables.past(asked, read(asked))}
    if name not in found or form not in ("csv", "json"):
        raise Http404
    text, media = (found[name].as_csv(), "text/csv") if form == "csv" else (found[name].as_json(), "application/json")
    answer = HttpResponse(text, content_type=f"{media}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="uniwizard-{name}.{form}"'
    return answer


_NOBODY = -1


def _viewer(request: Any) -> int | None:
    """The account that is limited to its own part, None for who may see all, and ``_NOBODY``."""
    user = request.user
    if not user.is_authenticated:
        return _NOBODY
    return None if user.is_staff or user.is_superuser or user.check_permstring("Builder") else int(user.id)


def _asked(request: Any, viewer: int | None) -> Asked:
    return Asked.of(request.GET, day_of(time.time()), viewer, _account_of)


def _account_of(name: str) -> int | None:
    found = AccountDB.objects.filter(username__iexact=name).values_list("id", flat=True).first()
    return None if found is None else int(found)


def _now(viewer: int | None) -> Now:
    return live.ask(look, viewer) or Now(running=False)


def _present(request: Any, asked: Asked) -> dict[str, Any]:
    found = _now(_viewer(request))
    return {
        "asked": asked,
        "now": found,
        "present": tables.present(asked, found, _whose),
        "plans": [plans.drawn(_titled(row), row["plan"]) for row in found.goals if row["plan"]][:MOST_PLANS],
        "query": asked.query(),
        "other": asked.query(practice="" if asked.practice else "1"),
        "at": tables.when(moment(time.time())),
        "staff": not asked.own,
        "game": settings.SERVERNAME,
    }


def _titled(row: dict[str, Any]) -> str:
    about = f": {row['about']}" if row["about"] else ""
    return f"{row['goal']}. {row['whose']}{about}"


def _whose(scope: str, key: Any) -> str:
    """Whose a budget is, in words."""
    if scope == "game":
        return "the game"
    if scope == "account":
        return str(AccountDB.objects.filter(id=key).values_list("username", flat=True).first() or f"account #{key}")
    if scope == "character":
        return str(ObjectDB.objects.filter(id=key).values_list("db_key", flat=True).first() or f"character #{key}")
    return f"token {key}"


def _told(figures: Figures) -> list[tuple[str, str]]:
    """The sums above the pictures: the figure and what it is."""
    total, row = figures.total, tables.figures_of(figures.total)

    def told(name: str, how: Any) -> str:
        return "-" if row[name] is None else str(how(row[name]))

    return [
        (tables.count(total.attempts), "attempts"),
        (told("success", tables.percent), "answered well"),
        (told("refusals", tables.percent), "refused"),
        (told("fallbacks", tables.percent), "asked after another"),
        (told("p50_ms", tables.seconds), "p50 of the latency"),
        (told("p95_ms", tables.seconds), "p95"),
        (told("p99_ms", tables.seconds), "p99"),
        (told("first_token_ms", tables.seconds), "to the first token"),
        (tables.count(total.tokens), "tokens"),
        (tables.usd(total.cost_usd), "spent"),
        (tables.count(total.remembered), "answered from memory"),
    ]


def _charts(asked: Asked, figures: Figures) -> list[Any]:
    form = "%d %b %H:%M" if asked.step == "hour" else "%d %b"
    labels = [f"{began.astimezone(zone()):{form}}" for began, _ in figures.steps]
    sums = [step for _, step in figures.steps]

    def percentiles(which: str) -> dict[str, list[float | None]]:
        return {
            f"p{share:.0f}": [getattr(step, which).percentile(share / 100.0) for step in sums]
            for share in (50.0, 95.0, 99.0)
        }

    def rates(*names: str) -> dict[str, list[float | None]]:
        words = {"answered": "answered", "refused": "refused", "fallbacks": "after another"}
        return {words[name]: [step.rate(name) for step in sums] for name in names}

    outcomes = {name: [float(getattr(step, name)) for step in sums] for name in _OUTCOMES}
    tokens = {"in": [float(step.input_tokens) for step in sums], "out": [float(step.output_tokens) for step in sums]}
    return [
        charts.bars("Attempts", labels, outcomes, tables.count),
        charts.lines("Rates", labels, rates("answered", "refused", "fallbacks"), lambda share: f"{share:.0%}"),
        charts.lines("Latency", labels, percentiles("latency"), lambda ms: f"{ms / 1000:.3g} s"),
        charts.lines("Time to the first token", labels, percentiles("first"), lambda ms: f"{ms / 1000:.3g} s"),
        charts.bars("Spending", labels, {"USD": [step.cost_usd for step in sums]}, lambda usd: f"${usd:.3g}"),
        charts.bars("Tokens", labels, tokens, lambda n: f"{n:,.0f}" if n < 1e6 else f"{n / 1e6:.3g} M"),
    ]


_OUTCOMES = ("answered", "refused", "failed", "stopped")


def _backends(figures: Figures) -> list[str]:
    states = live.ask(live.states) or ()
    known = [state.key for state in states]
    return [*known, *sorted(set(figures.by.get("backend") or ()) - set(known))]


def _range(asked: Asked, days: int) -> str:
    from datetime import timedelta

    today = day_of(time.time())
    return asked.query(**{"from": str(today - timedelta(days=days - 1)), "to": str(today), "step": ""})


def _strip(request: Any) -> Any:
    """Which backends are there, and how much of the last day was answered; for everybody."""
    found = _now(None)
    today = day_of(time.time())
    total = read(Asked.of({"from": str(today), "to": str(today)}, today, None, _account_of)).total
    states = [{"key": row["backend"], "state": row["state"]} for row in found.backends]
    rate = total.rate("answered")
    told = "-" if rate is None else tables.percent(rate)
    context = {"states": states, "rate": told, "practising": found.practising, "game": settings.SERVERNAME}
    return _shown(render(request, "uniwizard/status.html", context))


def _shown(answer: Any) -> Any:
    answer["Content-Security-Policy"] = _POLICY
    answer["Cache-Control"] = "no-store"
    answer["Referrer-Policy"] = "same-origin"
    return answer
