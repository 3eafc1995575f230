"""Who would do a task best now, and why. Pure: it reads the health of the backends and changes nothing.

    ranking, skipped = router.rank(work_of(task, "code_review"))
    ranking[0].backend           # "claude"
    ranking[0].reasons           # ("first choice for code_review", ...)
    skipped                      # (Skipped("gpt", "asleep: OPENAI_API_KEY is not set"), ...)

The score is ``fit x willingness x reliability x headroom``, every term of it a reason one can read:

    fit          0.5 for anyone able; up to 0.5 more by the rules' preference; 0.1 more or less for a strength or
                 weakness that the kind of work calls for; a little less for a higher price or latency, to break ties
    willingness  the share of this kind of work the backend has not declined lately
    reliability  1 for a backend that has not failed lately, down to 0.5 for one that always does
    headroom     above 1 for quota that would expire unused, below 1 for quota ahead of its pace, and far below it for
                 quota that is scarce and that other tasks would make more of (:mod:`agent.quota`)

A half-open breaker's backend keeps its full reliability: the probe is how it gets its work back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from ..config.settings import Headroom, Rule
from ..core.backend import Backend
from ..core.decision import Ranked, Skipped, Work
from ..core.pricing import expected_cost_usd
from ..health.breaker import Health, State
from ..quota import QuotaTracker

ABLE = 0.5
PREFERRED = 0.5
#: What each place down a rule's list of preferences costs.
PER_PLACE = 0.1
STRENGTH = 0.1
NO_JSON_MODE = 0.05
#: At most this much for the dearest and the slowest: less than any other term.
TIE_BREAK = 0.04
#: Capabilities of models that make something else than answers.
SPECIAL = frozenset({"embeddings", "rerank"})
#: Works of different kinds, needs and preferences whose fits are remembered.
MOST_FITS = 1000


def rank(
    work: Work,
    healths: Iterable[Health],
    rules: Sequence[Rule],
    suits: Mapping[str, frozenset[str]],
    quota: Callable[[str], QuotaTracker],
    headroom: Headroom,
    now: float,
    fits: Fits | None = None,
) -> tuple[tuple[Ranked, ...], tuple[Skipped, ...]]:
    """Everyone who can do the work, best first, and everyone who cannot.

    suits  the strengths and weaknesses that matter for a kind, by kind
    quota  what is counted of a backend, by its key
    now    seconds since the epoch
    fits   remembers what does not change between two tasks, of these rules and suits; None for once
    """
    fit_of_backend = (fits or Fits(rules, suits)).of_work(work)
    able: list[tuple[Health, QuotaTracker, Fit, float, str]] = []
    skipped: list[Skipped] = []
    dearest = slowest = 0.0
    for health in healths:
        backend = health.backend
        fit = fit_of_backend(backend)
        if obstacle := health.available() or fit.lacks or too_long(backend, work):
            skipped.append(Skipped(backend.key, obstacle))
            continue
        tracker = quota(backend.key)
        used_up = tracker.obstacle(now, work)
        cost = _cost(backend, work)
        if not used_up:
            dearest, slowest = max(dearest, cost), max(slowest, health.latency_ms)
        able.append((health, tracker, fit, cost, used_up))
    result: list[Ranked] = []
    saved: list[Skipped] = []
    for health, tracker, fit, cost, used_up in able:
        backend = health.backend
        reasons = [*fit.reasons]
        # What a quota pays for is paid already; there headroom decides between equals, and not the price.
        share = 0.0 if backend.quota or not dearest else cost / dearest
        worth = _worth(health, work.kind, fit.value, reasons, share, slowest)
        if used_up:
            skipped.append(Skipped(backend.key, used_up, worth))
            continue
        pressure = tracker.pressure(now, work, worth, headroom)
        if pressure.kept_for:
            saved.append(Skipped(backend.key, pressure.kept_for, worth))
        reasons += pressure.reasons
        reasons.append(f"about ${cost:.4f}" if cost else "free")
        result.append(Ranked(backend.key, round(worth * pressure.factor, 4), tuple(reasons), cost, worth))
    if headroom.save and len(saved) == len(result):
        # Nobody would make as much of the task as others will of the quota that it takes.
        return (), (*skipped, *saved)
    result.sort(key=attrgetter("score"), reverse=True)
    return tuple(result), tuple(skipped)


def _cost(backend: Backend, work: Work) -> float:
    """What the work would cost in USD; what the provider has in its cache already is cheaper."""
    return expected_cost_usd(backend, work.tokens, work.max_tokens, work.cached_at(backend.key))


def gains(ranking: Sequence[Ranked], skipped: Sequence[Skipped]) -> Iterator[tuple[str, float]]:
    """How much fit each backend would bring over the best of the others, also those whose quota is used up."""
    first = ranking[0].score if ranking else 0.0
    second = ranking[1].score if len(ranking) > 1 else 0.0
    for entry in ranking:
        yield entry.backend, entry.worth - (second if entry is ranking[0] else first)
    for turned_away in skipped:
        if turned_away.worth > 0.0:
            yield turned_away.backend, turned_away.worth - first


def preferred(kind: str, rules: Sequence[Rule]) -> list[str]:
    """The backends that the rules prefer for ``kind``, first choice first; ``*`` rules come last."""
    named = [rule for rule in rules if kind in rule.kinds]
    anyone = [rule for rule in rules if "*" in rule.kinds and rule not in named]
    return list(dict.fromkeys(key for rule in (*named, *anyone) for key in rule.prefer))


def unfit(backend: Backend, work: Work) -> str:
    """Why the backend cannot do the work, however well it is; empty if it can."""
    return lacks(backend, work) or too_long(backend, work)


def lacks(backend: Backend, work: Work) -> str:
    """What the work needs and the backend is not made for; empty where that is nothing."""
    special = backend.capabilities & SPECIAL
    if special and not work.needs & special:
        return f"is for {' and '.join(sorted(special))} alone"
    lacking = sorted(work.needs - backend.capabilities - {"json"})
    return f"cannot take {' or '.join(lacking)}" if lacking else ""


def too_long(backend: Backend, work: Work) -> str:
    """Why the work does not go into the backend's context; empty where it does."""
    # The answer needs room too, but a large limit on its length need not be used up.
    answer = backend.max_tokens if work.max_tokens is None else work.max_tokens
    needed = work.tokens + min(answer, backend.max_context // 4)
    if needed > backend.max_context:
        return f"too long: about {needed} tokens, {backend.max_context} fit"
    return ""


def fit_of(backend: Backend, work: Work, preference: Sequence[str], suited: frozenset[str]) -> tuple[float, list[str]]:
    """How well the backend fits the work, by what it is alone, and why."""
    fit = ABLE
    reasons: list[str] = []
    if backend.key in preference:
        place = preference.index(backend.key)
        fit += max(PER_PLACE, PREFERRED - PER_PLACE * place)
        reasons.append(f"{_ORDINALS[min(place, 3)]} choice for {work.kind}")
    if strong := [word for word in backend.strengths if word in suited]:
        fit += STRENGTH
        reasons.append(f"strong in {', '.join(strong)}")
    if weak := [word for word in backend.weaknesses if word in suited]:
        fit -= STRENGTH
        reasons.append(f"weak in {', '.join(weak)}")
    if "json" in work.needs and "json" not in backend.capabilities:
        fit -= NO_JSON_MODE
        reasons.append("no JSON mode")
    return fit, reasons


def expected_quality(fit: float) -> float:
    """The share of good answers to expect of a fit: 0.7 of a first choice, a little under 0.6 of anyone."""
    return min(0.95, max(0.05, 0.45 + 0.25 * fit))


class Fit(NamedTuple):
    """What a backend is to a kind of work by what it is alone: :func:`lacks`, and :func:`fit_of` with its reasons."""

    backend: Backend
    lacks: str
    value: float
    reasons: tuple[str, ...]


class Fits:
    """How well backends fit kinds, worked out once: neither rules nor strengths change between two tasks."""

    def __init__(self, rules: Sequence[Rule], suits: Mapping[str, frozenset[str]]):
        self._rules = rules
        self._suits = suits
        self._known: dict[tuple[str, frozenset[str], tuple[str, ...]], dict[str, Fit]] = {}

    def of_work(self, work: Work) -> Callable[[Backend], Fit]:
        """What tells of each backend how it fits ``work``."""
        place = work.kind, work.needs, work.prefer
        fits = self._known.get(place)
        if fits is None:
            if len(self._known) >= MOST_FITS:
                self._known.clear()
            fits = self._known[place] = {}

        def fit_of_backend(backend: Backend) -> Fit:
            known = fits.get(backend.key)
            if known is None or known.backend is not backend:
                preference = list(dict.fromkeys((*work.prefer, *preferred(work.kind, self._rules))))
                suited = self._suits.get(work.kind, frozenset())
                value, reasons = fit_of(backend, work, preference, suited)
                known = fits[backend.key] = Fit(backend, lacks(backend, work), value, tuple(reasons))
            return known

        return fit_of_backend


_ORDINALS = ("first", "second", "third", "later")


def _worth(health: Health, kind: str, fit: float, reasons: list[str], cost: float, slowest: float) -> float:
    """The score without headroom. ``cost`` is the share of the dearest's; ``reasons`` grows."""
    fit -= TIE_BREAK * min(1.0, cost)
    if slowest:
        fit -= TIE_BREAK * min(1.0, health.latency_ms / slowest)
    willingness = health.willingness(kind)
    if willingness < 0.95:
        reasons.append(f"declines {kind} ({willingness:.0%} willing)")
    reliability = 1.0
    if health.state is State.HALF_OPEN:
        reasons.append("on probation")
    else:
        well = health.reliability()
        reliability = 0.5 + 0.5 * well
        if reliability < 0.95:
            reasons.append(f"has failed lately ({well:.0%} well)")
    return fit * willingness * reliability
