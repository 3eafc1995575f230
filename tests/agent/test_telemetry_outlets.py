"""Everybody who is told, in earnest: /metrics over HTTP, a real Redis, a webhook and a collector on loopback."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from fake_llm import FakeLLM, Reply, answer, refusal, status
from faults import QUESTION, RouterTest, gives_up, tick
from redis_subscriber import subscribed
from test_memory_redis import RedisServer
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from uniwizard.agent import Router, Task
from uniwizard.agent.config.settings import TelemetrySettings, TraceSettings
from uniwizard.agent.core.clock import sleep
from uniwizard.agent.telemetry import Telemetry
from uniwizard.agent.telemetry.channel import CHANNEL

WHO = "Wilhelmina"


class OutletsTest(RouterTest):
    def setUp(self) -> None:
        super().setUp()
        self.outside = FakeLLM(reactor, default=Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.outside.stop()))

    def telling(self, *keys: str, redis: str = "", **wanted: Any) -> tuple[Router, Telemetry]:
        backends = [self.server.backend(key, allowed_fails=0) for key in keys]
        router = self.router(*backends, redis=redis, telemetry=TelemetrySettings(**wanted))
        telemetry = Telemetry(router, reactor)  # type: ignore[arg-type]
        telemetry.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(telemetry.stop()))
        return router, telemetry

    async def sent(self, path: str, count: int = 1) -> list[bytes]:
        """The bodies that came to ``path``, once there are so many."""
        while len(found := [each.body for each in self.outside.log if each.path.startswith(path)]) < count:
            await tick()
        return found


class Telling(OutletsTest):
    async def test_a_breaker_that_opens_is_posted_to_the_webhook(self) -> None:
        self.server.script("a", status(503))
        router, _ = self.telling("a", webhook=f"{self.outside.url}/hook/secret")
        await gives_up(router)
        (body,) = await self.sent("/hook")
        assert json.loads(body)["text"].startswith("Uniwizard: a: its breaker is open for 60 s")

    async def test_a_webhook_that_is_gone_is_logged_without_its_address(self) -> None:
        self.server.script("a", status(503))
        router, telemetry = self.telling("a", webhook="http://127.0.0.1:1/hook/secret")
        await gives_up(router)
        assert [alert.key for _, alert in telemetry.alerts.recent] == ["breaker:a"]
        await sleep(reactor, 0.2)  # type: ignore[arg-type]

    async def test_a_collector_gets_every_troubled_thought_and_no_name(self) -> None:
        collector = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        self.server.script("a", refusal())
        self.server.script("b", answer("Person1Q is praised, as was asked for."))
        traces = TraceSettings(to=self.outside.url, headers={"x-key": "k"}, keep=0.0, texts=True)
        router, telemetry = self.telling("a", "b", traces=traces)
        task = Task(
            f"Praise {WHO} of Aldermere.",
            kind="chat",
            identity=frozenset({WHO, "Aldermere"}),
            asker=WHO,
            context=f"for.{WHO}",
        )
        result = await router.call_with_fallback(task)
        assert WHO in result.text
        await telemetry.stop()
        (body,) = await self.sent("/v1/traces")
        assert self.outside.log[-1].headers["x-key"] == "k"
        assert self.outside.log[-1].headers["content-type"] == "application/x-protobuf"
        request = collector.ExportTraceServiceRequest.FromString(body)
        spans = [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        assert [bool(span.parent_span_id) for span in spans] == [False, True, True]
        for term in (WHO, "Aldermere", task.id):
            assert term not in str(request)
        assert "is praised" in str(request)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
class Publishing(OutletsTest):
    def setUp(self) -> None:
        super().setUp()
        self.redis = RedisServer()
        self.addCleanup(self.redis.close)
        self.timeout = 60

    async def test_every_task_is_on_the_channel_and_none_waits_for_a_redis_that_is_gone(self) -> None:
        self.server.script("a", status(503), status(503), status(503))
        router, telemetry = self.telling("a", "b", redis=self.redis.url)
        heard = await subscribed(self.redis.port, CHANNEL)
        self.addCleanup(heard.close)
        await router.call_with_fallback(Task("Hi", kind="chat", context="supervisor.reconcile"))
        while not heard.messages:
            await tick()
        told = json.loads(heard.messages[0])
        assert (told["model_used"], told["context"]) == ("b", "supervisor.reconcile")
        assert [each["outcome"] for each in told["attempts"]] == ["invalid", "success"]
        assert b"uniwizard_redis_seconds_count 1.0" in telemetry.metrics.text()
        self.redis.freeze()
        await router.call_with_fallback(QUESTION)
        self.redis.thaw()
        while len(heard.messages) < 2:
            await tick()
        self.redis.stop()
        for _ in range(3):
            await router.call_with_fallback(QUESTION)
        self.redis.start()
        channel = telemetry.channel
        assert channel is not None
        # What waited is published once Redis is back, or was on its way when it went, and is counted.
        while channel._under_way:
            await tick()
        self.flushLoggedErrors()
