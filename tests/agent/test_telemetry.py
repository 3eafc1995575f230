"""What is counted, what has drifted, what an operator is told, and what a trace says: each of its own parts."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from examples import examples
from faults import CLASSIFIER
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from uniwizard.agent import Router
from uniwizard.agent.config.settings import Config, TraceSettings
from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.attempt import Attempt
from uniwizard.agent.core.backend import Backend, Quota
from uniwizard.agent.core.events import (
    AttemptCancelled,
    AttemptEnded,
    BreakerOpened,
    Drifted,
    Event,
    FellBack,
    TaskBegan,
    TaskEnded,
)
from uniwizard.agent.core.failures import FailureCode
from uniwizard.agent.core.task import Message
from uniwizard.agent.core.verdict import Verdict
from uniwizard.agent.telemetry import Alert, Alerts, Gauge, Metrics, Telemetry
from uniwizard.agent.telemetry.channel import GATHER, MOST_TOGETHER, MOST_UNDER_WAY, Channel
from uniwizard.agent.telemetry.drift import DAY, ENOUGH, Cusum, Drift
from uniwizard.agent.telemetry.metrics import MOST_SERIES
from uniwizard.agent.telemetry.thoughts import Gathering, Thought

NOW = 1_795_291_200.0


def attempt(backend: str = "a", failure: FailureCode | None = None, kind: str = "chat", **more: object) -> Attempt:
    made = Attempt(backend, "model-1", kind, failure, "", NOW, 800.0, Usage(100, 20), 0.01, Verdict(failure))
    return replace(made, **more)  # type: ignore[arg-type]


def router(*keys: str, **more: object) -> Router:
    backends = {key: Backend(key, "anthropic", "http://127.0.0.1:1", "m", **more) for key in keys}  # type: ignore[arg-type]
    clock = Clock()
    clock.advance(NOW)
    return Router(Config(backends, practice="never"), clock, classifier=CLASSIFIER)


def series(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def ended(metrics: Metrics, *attempts: Attempt) -> None:
    for each in attempts:
        metrics(AttemptEnded(NOW, "t", each))


class TestMetrics:
    def test_an_attempt_is_counted_under_every_name(self) -> None:
        metrics = Metrics(router("a"))
        ended(metrics, attempt(first_token_ms=300.0, usage=Usage(100, 20, 50, 5)))
        found = series(metrics)
        assert found["uniwizard_attempts_total", "a", "chat", "answered"] == 1
        assert found["uniwizard_attempt_seconds_sum", "a"] == 0.8
        assert found["uniwizard_first_token_seconds_bucket", "a", "0.32"] == 1
        assert found["uniwizard_first_token_seconds_bucket", "a", "0.16"] == 0
        assert [found["uniwizard_tokens_total", "a", kind] for kind in ("input", "output", "cached", "reasoning")] == [
            *(100, 20, 50, 5)
        ]
        assert found["uniwizard_cost_usd_total", "a"] == 0.01
        assert found["gen_ai_client_operation_duration_seconds_count", "chat", "anthropic"] == 1
        assert found["gen_ai_client_token_usage_sum", "chat", "anthropic", "output"] == 20

    def test_refusals_failures_and_what_was_stopped_are_told_apart(self) -> None:
        metrics = Metrics(router("a", "b"))
        refused = attempt(failure=FailureCode.REFUSED, verdict=Verdict(FailureCode.REFUSED, source="provider"))
        ended(metrics, refused, attempt(failure=FailureCode.TIMEOUT))
        metrics(AttemptCancelled(NOW, "t", attempt(cancelled=True)))
        metrics(FellBack(NOW, "t", "a", "b", FailureCode.REFUSED, "it declined"))
        found = series(metrics)
        for outcome in ("refused", "failed", "stopped"):
            assert found["uniwizard_attempts_total", "a", "chat", outcome] == 1
        assert found["uniwizard_refusals_total", "a", "provider"] == 1
        assert found["uniwizard_fallbacks_total", "refused", "a", "b"] == 1

    def test_practice_and_real_are_never_added_together(self) -> None:
        metrics = Metrics(router("a"))
        ended(metrics, attempt(), attempt(practice=True), attempt(practice=True))
        found = series(metrics)
        assert found["uniwizard_attempts_total", "a", "chat", "answered"] == 1
        assert found["uniwizard_attempts_total", "practice/a", "chat", "answered"] == 2
        assert found["gen_ai_client_operation_duration_seconds_count", "chat", "uniwizard.practice"] == 2

    def test_states_quotas_and_what_is_under_way_are_looked_up(self) -> None:
        brain = router("a", quota=(Quota(10, "requests", "day"),), allowed_fails=0)
        metrics = Metrics(brain)
        metrics.gauges.append(Gauge("uniwizard_ledger_spill_rows", "rows", lambda: 7.0))
        metrics(TaskBegan(NOW, "t", "chat"))
        brain.replay_usage(NOW, "a", 10, 10, 0.1)
        brain.state("a").failed(FailureCode.SERVER_ERROR, "503")
        metrics(Drifted(NOW, "a", "chat", "refusal", 1.5, "why"))
        found = series(metrics)
        assert found["uniwizard_thoughts_in_flight",] == 1
        assert found["uniwizard_breaker_state", "a"] == 2
        assert found["uniwizard_quota_used_ratio", "a", "10 requests per day"] == 0.1
        assert found["uniwizard_ledger_spill_rows",] == 7
        assert found["uniwizard_drift_score", "a", "chat", "refusal"] == 1.5
        metrics(TaskEnded(NOW, "t", "chat", "", "answered", "a", 1.0, 0.0))
        brain.clock.advance(3601)  # type: ignore[attr-defined]
        found = series(metrics)
        assert found["uniwizard_thoughts_in_flight",] == 0
        assert ("uniwizard_drift_score", "a", "chat", "refusal") not in found

    def test_the_series_stay_below_their_bound_whatever_comes(self) -> None:
        metrics = Metrics(router(*(f"b{n}" for n in range(100)), quota=(Quota(1, "usd", "day"),) * 2))
        codes = list(FailureCode)
        for n in range(5000):
            failure = codes[n % len(codes)]
            ended(metrics, attempt(f"b{n}", failure, f"kind{n}", first_token_ms=1.0))
            ended(metrics, attempt(f"b{n}", None, f"kind{n}", usage=Usage(1, 1, 1, 1)))
            metrics(FellBack(NOW, "t", f"b{n}", f"b{n + 1}", failure, ""))
            metrics(Drifted(NOW, f"b{n}", f"kind{n}", "refusal", 1.0, ""))
        found = series(metrics)
        assert len(found) <= MOST_SERIES
        answered = [value for (name, *labels), value in found.items() if name == "uniwizard_attempts_total"]
        assert sum(answered) == 10_000
        assert found["uniwizard_attempts_total", "other", "other", "other"] > 5000

    def test_no_model_and_no_reason_is_a_label(self) -> None:
        metrics = Metrics(router("a"))
        ended(metrics, attempt(model="secret-model", reason="Anna asked", failure=FailureCode.BAD_REQUEST))
        assert b"secret-model" not in metrics.text()
        assert b"Anna" not in metrics.text()


class TestDrift:
    def alarms(self, *rates: tuple[int, float], seed: int = 3) -> list[int]:
        rng, watched, found, number = random.Random(seed), Cusum(), [], 0
        for calls, rate in rates:
            for _ in range(calls):
                if watched.observe(rng.random() < rate):
                    found.append(number)
                    watched.accept()
                number += 1
        return found

    def test_a_change_from_2_to_10_percent_is_found_within_250_calls(self) -> None:
        late = 0
        for seed in range(60):
            found = [at - 1000 for at in self.alarms((1000, 0.02), (600, 0.10), seed=seed) if at >= 1000]
            late += not found or found[0] >= 250
        assert late <= 6

    def test_a_steady_rate_raises_no_alarm(self) -> None:
        assert len(self.alarms((180_000, 0.02))) <= 1

    def test_what_declines_much_and_always_did_raises_one_alarm_at_the_most(self) -> None:
        assert len(self.alarms((20_000, 0.3))) <= 2

    def test_an_alarm_names_backend_kind_and_signal_and_practice_is_left_out(self) -> None:
        told: list[Event] = []
        drift = Drift(told.append)
        for _ in range(300):
            drift(AttemptEnded(NOW, "t", attempt(kind="code_review", practice=True, failure=FailureCode.REFUSED)))
        assert told == []
        for _ in range(40):
            drift(AttemptEnded(NOW, "t", attempt(kind="code_review", failure=FailureCode.REFUSED)))
        assert [(e.backend, e.kind, e.signal) for e in told if isinstance(e, Drifted)] == [
            ("a", "code_review", "refusal")
        ]

    def test_a_day_of_other_work_is_told_once_it_is_over(self) -> None:
        told: list[Event] = []
        drift = Drift(told.append)

        def day(number: int, kind: str, count: int = ENOUGH) -> None:
            for _ in range(count):
                drift(AttemptEnded(NOW + number * DAY, "t", attempt(kind=kind)))

        for number, kind in enumerate(("chat", "chat", "chat")):
            day(number, kind)
        assert told == []
        day(3, "story")
        assert told == []
        day(4, "story", 1)
        assert [e.signal for e in told if isinstance(e, Drifted)] == ["kinds"]


class TestAlerts:
    def test_an_event_is_posted_as_slack_takes_it_and_once(self) -> None:
        sent: list[bytes] = []
        clock = Clock()

        async def post(body: bytes) -> None:
            sent.append(body)

        alerts = Alerts(post, clock)
        for _ in range(3):
            alerts(BreakerOpened(NOW, "claude", "overloaded: <Anna> & co", NOW + 60))
        assert [json.loads(body) for body in sent] == [
            {"text": "Uniwizard: claude: its breaker is open for 60 s (overloaded)."}
        ]
        clock.advance(601)
        alerts(Drifted(NOW, "a", "", "kinds", 2.0, "a < b & c"))
        assert json.loads(sent[-1])["text"] == "Uniwizard: Drift: a &lt; b &amp; c."

    def test_what_is_watched_is_told_when_it_begins_and_when_it_comes_again(self) -> None:
        clock, sent, now = Clock(), [], []  # type: ignore[var-annotated]

        async def post(body: bytes) -> None:
            sent.append(json.loads(body)["text"])

        alerts = Alerts(post, clock)
        alerts.watch(lambda: list(now))
        alerts.start()
        budget = Alert("budget:game:80", "The game's budget is used by 80%.")
        for standing in ([], [budget], [budget], [], *([[]] * 20), [budget]):
            now[:] = standing
            clock.advance(31)
        assert sent == ["Uniwizard: The game's budget is used by 80%."] * 2
        alerts.stop()

    def test_a_webhook_that_fails_holds_up_nothing(self) -> None:
        sent: list[bytes] = []

        async def post(body: bytes) -> None:
            sent.append(body)
            raise OSError("https://hooks.example/secret")

        alerts = Alerts(post, Clock())
        alerts.tell(Alert("a", "one"))
        alerts.tell(Alert("b", "two"))
        assert len(sent) == 2
        assert [alert.text for _, alert in alerts.recent] == ["one", "two"]

    def test_a_quota_that_will_expire_unused_is_told(self) -> None:
        brain = router("a", quota=(Quota(100, "requests", "day"), Quota(5, "requests", "minute")))
        telemetry = Telemetry(brain, brain.clock)
        brain.clock.advance(0.95 * DAY - NOW % DAY)  # type: ignore[attr-defined]
        assert [alert.text for alert in telemetry._expiring()] == [
            "100% of a's 100 requests per day will expire unused."
        ]
        brain.replay_usage(brain.clock.seconds(), "a", 1, 1, 0.0)
        for _ in range(60):
            brain.replay_usage(brain.clock.seconds(), "a", 1, 1, 0.0)
        assert list(telemetry._expiring()) == []


class FakeRedis:
    """Keeps what it is told to publish, and answers when it is told to."""

    def __init__(self) -> None:
        self.published: list[tuple[object, ...]] = []
        self.waiting: list[Deferred[int]] = []

    def execute_command(self, *command: object) -> Deferred[int]:
        self.published.append(command)
        reply: Deferred[int] = Deferred()
        self.waiting.append(reply)
        return reply

    def disconnect(self) -> None:
        """Nothing is connected."""


class TestChannel:
    def thought(self) -> Thought:
        turned = FellBack(NOW, "t", "b", "a", FailureCode.REFUSED, "Anna's words")
        refused = attempt("b", FailureCode.REFUSED, reason="Anna's words")
        failed = attempt("b", FailureCode.TIMEOUT, latency_ms=12.3456)
        made = Thought("t", "chat", "supervisor.reconcile", NOW, NOW + 2.0, "answered", "a")
        made.attempts, made.turns = [failed, refused, attempt()], [turned]
        return made

    def test_a_task_is_one_object_with_the_fields_of_the_first_router(self) -> None:
        redis, clock = FakeRedis(), Clock()
        channel = Channel(redis, clock)  # type: ignore[arg-type]
        channel.publish(self.thought())
        clock.advance(GATHER)
        ((command, name, body),) = redis.published
        assert (command, name) == ("PUBLISH", "llm_router_metrics")
        assert isinstance(body, str)
        assert json.loads(body) == {
            "model_used": "a",
            "attempts": [
                {"model": "b", "outcome": "invalid", "reason": "timeout", "latency_ms": 12.346},
                {"model": "b", "outcome": "rejected", "reason": "refused", "latency_ms": 800.0},
                {"model": "a", "outcome": "success", "reason": None, "latency_ms": 800.0},
            ],
            "latency_ms": 2000.0,
            "metrics_snapshot": {
                "a": {"success": 1, "fallback": 0, "error": 0},
                "b": {"success": 0, "fallback": 1, "error": 2},
            },
            "timestamp": NOW + 2.0,
            "context": "supervisor.reconcile",
        }

    def test_what_redis_does_not_answer_is_bounded_and_counted(self) -> None:
        redis, clock = FakeRedis(), Clock()
        channel = Channel(redis, clock)  # type: ignore[arg-type]
        for _ in range(MOST_UNDER_WAY + 5):
            channel.publish(self.thought())
        clock.advance(GATHER)
        assert sum(len(command) - 4 for command in redis.published) == MOST_UNDER_WAY
        assert channel.dropped == 5
        redis.waiting[0].callback(MOST_TOGETHER)
        for _ in range(MOST_TOGETHER + 1):
            channel.publish(self.thought())
        assert channel.dropped == 6
        redis.waiting[1].errback(ConnectionError("gone"))
        assert channel.dropped == 6 + MOST_TOGETHER

    def test_what_has_gathered_is_sent_before_the_end(self) -> None:
        redis = FakeRedis()
        channel = Channel(redis, Clock())  # type: ignore[arg-type]
        channel.publish(self.thought())
        channel.close()
        assert len(redis.published) == 1


class TestTraces:
    pb = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

    def sent(self, wanted: TraceSettings, *thoughts: Thought) -> list[object]:
        from uniwizard.agent.telemetry.traces import GATHER, Tracer

        bodies: list[bytes] = []

        async def post(body: bytes) -> None:
            bodies.append(body)

        clock = Clock()
        tracer = Tracer(wanted, post, clock, lambda key: "anthropic")
        for thought in thoughts:
            tracer.export(thought)
        clock.advance(GATHER)
        found = []
        for body in bodies:
            request = self.pb.ExportTraceServiceRequest.FromString(body)
            found += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        return found

    @staticmethod
    def attributes(span: object) -> dict[str, object]:
        pairs = span.attributes  # type: ignore[attr-defined]
        return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}

    def thought(self, **more: object) -> Thought:
        made = Thought("t" * 32, "chat", "supervisor.plan", NOW, NOW + 2.0, "answered", "a")
        made.attempts = [attempt("b", FailureCode.TIMEOUT), attempt("a", first_token_ms=120.0)]
        made.turns = [FellBack(NOW + 1, "t", "b", "a", FailureCode.TIMEOUT, "Anna's words")]
        made.veiled = lambda: ((Message("user", "Praise Person1Q."),), "Person1Q is praised.")
        return replace(made, **more)  # type: ignore[arg-type]

    def test_a_thought_is_a_tree_of_a_chain_and_its_attempts(self) -> None:
        root, first, second = self.sent(TraceSettings(to="x"), self.thought())  # type: ignore[misc]
        assert root.trace_id == first.trace_id == second.trace_id
        assert (len(root.trace_id), len(root.span_id), root.parent_span_id) == (16, 8, b"")
        assert first.parent_span_id == second.parent_span_id == root.span_id
        assert len({root.span_id, first.span_id, second.span_id}) == 3
        assert [event.name for event in root.events] == ["fallback"]
        told = self.attributes(second)
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.provider.name"] == "anthropic"
        assert told["gen_ai.request.model"] == "model-1"
        assert (told["gen_ai.usage.input_tokens"], told["llm.token_count.completion"]) == (100, 20)
        assert told["gen_ai.response.time_to_first_chunk"] == 0.12
        assert told["openinference.span.kind"] == "LLM"
        assert self.attributes(root)["openinference.span.kind"] == "CHAIN"
        assert self.attributes(root)["uniwizard.context"] == "supervisor.plan"
        assert (first.status.code, self.attributes(first)["error.type"]) == (2, "timeout")
        assert second.end_time_unix_nano - second.start_time_unix_nano == pytest.approx(0.8e9)

    def test_texts_go_along_only_where_the_config_says_so(self) -> None:
        for span in self.sent(TraceSettings(to="x"), self.thought()):
            assert "Praise" not in str(span)
        root, _, last = self.sent(TraceSettings(to="x", texts=True), self.thought())
        for span in (root, last):
            assert self.attributes(span)["input.value"] == "Praise Person1Q."
            assert self.attributes(span)["output.value"] == "Person1Q is praised."

    def test_troubled_thoughts_are_always_kept_and_of_the_others_the_share(self) -> None:
        calm = [Thought(f"{n}", "chat", "", NOW, NOW, "answered", "a", attempts=[attempt()]) for n in range(400)]
        troubled = [
            self.thought(id="1"),
            replace(calm[0], id="2", outcome="failed"),
            replace(calm[0], id="3", outcome="refused"),
            replace(calm[0], id="4", outcome="stopped"),
            replace(calm[0], id="5", leaked=True),
        ]
        assert len(self.sent(TraceSettings(to="x", keep=0.0), *calm)) == 0
        roots = [span for span in self.sent(TraceSettings(to="x", keep=0.0), *troubled) if not span.parent_span_id]  # type: ignore[attr-defined]
        assert len(roots) == 5
        kept = [span for span in self.sent(TraceSettings(to="x", keep=0.25), *calm) if not span.parent_span_id]  # type: ignore[attr-defined]
        assert 60 <= len(kept) <= 140

    @settings(max_examples=examples(60))
    @given(model=st.text(max_size=30), text=st.text(max_size=60))
    def test_whatever_a_provider_calls_its_model_can_be_sent(self, model: str, text: str) -> None:
        thought = self.thought(attempts=[attempt(model=model)], outcome="failed")
        thought.veiled = lambda: ((Message("user", text),), text)
        assert len(self.sent(TraceSettings(to="x", texts=True), thought)) == 2


class TestGathering:
    def test_a_task_that_nobody_ended_is_forgotten_and_late_attempts_are_not_its_own(self) -> None:
        told: list[Thought] = []
        gathering = Gathering([told.append])
        gathering(TaskBegan(NOW, "t", "chat", "x"))
        gathering(AttemptEnded(NOW, "t", attempt()))
        gathering(TaskEnded(NOW + 1, "t", "chat", "x", "answered", "a", 1000.0, 0.01))
        gathering(AttemptEnded(NOW, "t", attempt()))
        assert [(len(thought.attempts), thought.ended - thought.began, thought.troubled) for thought in told] == [
            (1, 1.0, False)
        ]
        for number in range(10_010):
            gathering(TaskBegan(NOW, str(number), "chat"))
        assert len(gathering._under_way) == 10_000
