"""What Prometheus is told: a listener that counts, and :meth:`Metrics.text` for ``/metrics``.

    metrics = Metrics(router)
    router.events.subscribe(metrics)
    metrics.text()                      # in the text format 0.0.4

At most :data:`MOST_SERIES` series, whatever anybody types: labels are keys of the config, kinds, and words of this
code; never a player, a token or a model's name. Of more backends than there is room for, the rest are ``other``. What
simulated backends do is counted under ``practice/<key>``, never with the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from ..core.attempt import Attempt
from ..core.backend import Backend
from ..core.events import AttemptCancelled, AttemptEnded, Drifted, Event, FellBack, TaskBegan, TaskEnded
from ..core.failures import FailureCode
from ..health.breaker import State
from ..router import Router
from .counting import SECONDS, TOKENS, Counts, Histogram, Histograms, Labels

#: Series that a process shows at most; the bounds below add up to less.
MOST_SERIES = 2000
#: Seconds for which a drift is shown after it was found.
DRIFT_SHOWN = 3600.0

_STATES = {State.CLOSED: 0.0, State.HALF_OPEN: 1.0, State.OPEN: 2.0}
#: The names that OpenTelemetry has for providers, by api; one of the catalogue's has its own key.
_PROVIDERS = {"anthropic": "anthropic", "gemini": "gcp.gemini", "ollama": "ollama", "openai": "openai"}


class Gauge(NamedTuple):
    """A value that is looked up when it is asked for, such as ``uniwizard_ledger_spill_rows``; no labels."""

    name: str
    help: str
    value: Callable[[], float]


def provider_of(backend: Backend) -> str:
    """``gen_ai.provider.name`` of a backend, by its provider in the catalogue, else by its api."""
    return backend.provider or _PROVIDERS.get(backend.api, backend.api)


class Metrics:
    """Counts what happens to the tasks of one router. Everything belongs to the reactor's thread."""

    def __init__(self, router: Router):
        self._router = router
        self._providers: dict[tuple[str, bool], tuple[str, str]] = {}
        self._under_way: set[str] = set()
        self._drifts: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._attempts = Counts(("backend", "kind", "outcome"), 480)
        self._tokens = Counts(("backend", "type"), 68)
        self._cost = Counts(("backend",), 17)
        self._fallbacks = Counts(("from", "to", "failure"), 120)
        self._refusals = Counts(("backend", "source"), 34)
        self._seconds = Histograms(("backend",), SECONDS, 16)
        self._first_token = Histograms(("backend",), SECONDS, 16)
        self._gen_ai_seconds = Histograms(("provider",), SECONDS, 6)
        self._gen_ai_first = Histograms(("provider",), SECONDS, 6)
        self._gen_ai_tokens = Histograms(("provider", "type"), TOKENS, 12)
        self._redis = Histogram(SECONDS_OF_REDIS)
        #: What else is shown; whoever has it adds it.
        self.gauges: list[Gauge] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, AttemptEnded):
            self._ended(event.attempt)
        elif isinstance(event, TaskBegan):
            self._under_way.add(event.task_id)
        elif isinstance(event, TaskEnded):
            self._under_way.discard(event.task_id)
        elif isinstance(event, FellBack):
            self._fallbacks.add((event.backend, event.to, str(event.failure)))
        elif isinstance(event, AttemptCancelled):
            self._ended(event.attempt)
        elif isinstance(event, Drifted):
            self._drifts[event.backend, event.kind, event.signal] = event.score, event.at

    def redis_took(self, seconds: float) -> None:
        """A command of Redis has been answered."""
        self._redis.observe(seconds)

    def _ended(self, attempt: Attempt) -> None:
        backend, provider = self._names(attempt)
        failure, usage, verdict = attempt.failure, attempt.usage, attempt.verdict
        if attempt.cancelled:
            outcome = "stopped"
        elif failure is None:
            outcome = "answered"
        elif failure is FailureCode.REFUSED:
            outcome = "refused"
            self._refusals.add((backend, verdict.source if verdict is not None else "provider"))
        else:
            outcome = "failed"
        self._attempts.add((backend, attempt.kind, outcome))
        seconds = attempt.latency_ms / 1000.0
        self._seconds.observe((backend,), seconds)
        self._gen_ai_seconds.observe((provider,), seconds)
        if attempt.first_token_ms is not None:
            seconds = attempt.first_token_ms / 1000.0
            self._first_token.observe((backend,), seconds)
            self._gen_ai_first.observe((provider,), seconds)
        if usage.input_tokens or usage.output_tokens:
            tokens = self._tokens
            tokens.add((backend, "input"), usage.input_tokens)
            tokens.add((backend, "output"), usage.output_tokens)
            if usage.cached_tokens:
                tokens.add((backend, "cached"), usage.cached_tokens)
            if usage.reasoning_tokens:
                tokens.add((backend, "reasoning"), usage.reasoning_tokens)
            self._gen_ai_tokens.observe((provider, "input"), usage.input_tokens)
            self._gen_ai_tokens.observe((provider, "output"), usage.output_tokens)
        if attempt.cost_usd:
            self._cost.add((backend,), attempt.cost_usd)

    def _names(self, attempt: Attempt) -> tuple[str, str]:
        """What an attempt's backend and its provider are called here; looked up once."""
        found = self._providers.get((attempt.backend, attempt.practice))
        if found is None:
            if attempt.practice:
                found = f"practice/{attempt.backend}", "uniwizard.practice"
            elif attempt.backend in self._router.registry:
                found = attempt.backend, provider_of(self._router.configured(attempt.backend))
            else:
                found = attempt.backend, "other"
            if len(self._providers) < MOST_SERIES:
                self._providers[attempt.backend, attempt.practice] = found
        return found

    # -- for /metrics --------------------------------------------------------------------------------------------

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Every family; the client library calls this."""
        yield _counter("uniwizard_attempts", "Attempts at backends that have ended.", self._attempts)
        yield _histogram("uniwizard_attempt_seconds", "Seconds that attempts took.", self._seconds)
        yield _histogram("uniwizard_first_token_seconds", "Seconds to the first words of a stream.", self._first_token)
        yield _counter("uniwizard_tokens", "Tokens; input counts the cached, output the reasoning ones.", self._tokens)
        yield _counter("uniwizard_cost_usd", "USD that attempts cost.", self._cost)
        yield _counter("uniwizard_fallbacks", "Turns from one backend to the next.", self._fallbacks)
        yield _counter("uniwizard_refusals", "Answers that declined, by what said so.", self._refusals)
        yield self._breakers()
        yield self._quotas()
        yield _gauge("uniwizard_thoughts_in_flight", "Tasks under way.", (), [((), float(len(self._under_way)))])
        yield _gauge("uniwizard_drift_score", "Drifts of the last hour; 1 is the limit.", _DRIFT, self._drift_scores())
        redis = HistogramMetricFamily("uniwizard_redis_seconds", "Seconds that Redis took to answer.")
        redis.add_metric([], self._redis.cumulative(), self._redis.sum)
        yield redis
        for gauge in self.gauges:
            yield _gauge(gauge.name, gauge.help, (), [((), gauge.value())])
        yield from self._gen_ai()

    def _breakers(self) -> Metric:
        states = [((health.backend.key,), _STATES[health.state]) for health in self._router.states()]
        return _gauge("uniwizard_breaker_state", "0 closed, 1 half-open, 2 open.", ("backend",), states[:34])

    def _quotas(self) -> Metric:
        shares = [
            ((key, status.name), status.share)
            for key in self._router.backend_keys()
            for status in self._router.quota_status(key)
        ]
        labels = ("backend", "window")
        return _gauge("uniwizard_quota_used_ratio", "Share of a quota that is used.", labels, shares[:60])

    def _drift_scores(self) -> list[tuple[Labels, float]]:
        since = self._router.clock.seconds() - DRIFT_SHOWN
        self._drifts = {key: found for key, found in self._drifts.items() if found[1] >= since}
        shown: list[tuple[Labels, float]] = [(key, score) for key, (score, _) in self._drifts.items()]
        return shown[:100]

    def _gen_ai(self) -> Iterator[Metric]:
        """The same under the names of OpenTelemetry's conventions, as Prometheus writes them."""
        names = ("gen_ai_operation_name", "gen_ai_provider_name")
        for name, found in (
            ("gen_ai_client_operation_duration_seconds", self._gen_ai_seconds),
            ("gen_ai_client_operation_time_to_first_chunk_seconds", self._gen_ai_first),
        ):
            family = HistogramMetricFamily(name, "GenAI operation.", labels=names)
            for (provider,), histogram in found.values.items():
                family.add_metric(["chat", provider], histogram.cumulative(), histogram.sum)
            yield family
        family = HistogramMetricFamily(
            "gen_ai_client_token_usage", "Tokens of an operation.", labels=(*names, "gen_ai_token_type")
        )
        for (provider, which), histogram in self._gen_ai_tokens.values.items():
            family.add_metric(["chat", provider, which], histogram.cumulative(), histogram.sum)
        yield family


#: Upper bounds in seconds; a Redis on the same network answers in under a millisecond.
SECONDS_OF_REDIS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_DRIFT = ("backend", "kind", "signal")


def _counter(name: str, told: str, counts: Counts) -> Metric:
    family = CounterMetricFamily(name, told, labels=counts.labels)
    for key, value in counts.values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, told: str, histograms: Histograms) -> Metric:
    family = HistogramMetricFamily(name, told, labels=histograms.labels)
    for key, histogram in histograms.values.items():
        family.add_metric(key, histogram.cumulative(), histogram.sum)
    return family


def _gauge(name: str, told: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
