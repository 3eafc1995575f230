"""Sends every thought as a trace to an OTLP collector, over HTTP: Jaeger, Tempo, Phoenix, LangSmith, Langfuse ...

    tracer = Tracer(settings, post, clock, provider_of)
    tracer.export(thought)            # once it is over; sent with others, some seconds later
    await tracer.flush()

A thought is one trace: its root is the chain, and every attempt is a child. Spans carry OpenTelemetry's conventions for
GenAI (``gen_ai.*``), and what Phoenix (``openinference.span.kind``, ``llm.*``), LangSmith and Langfuse need to show a
tree. Sampling is done at the tail: a thought that had a failure, a fallback, a refusal or no answer is always sent, of
the others the share ``keep``, chosen by the task's id, so that several processes choose alike.

Who asked is in none of it. What was asked and answered goes along only where the config says ``texts: true``, and then
with every name veiled.

Raises ImportError at its making where opentelemetry-proto is missing: ``pip install 'uniwizard[traces]'``.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Coroutine
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..config.settings import TraceSettings
from ..core.attempt import Attempt
from ..core.clock import Clock, DelayedCall
from ..core.task import Message
from .thoughts import Thought

_log = Logger()

#: Seconds that thoughts gather before they are sent, and how many wait at most; beyond it they are dropped.
GATHER, MOST_WAITING = 5.0, 2000
#: Thoughts in one request.
BATCH = 200
#: Characters of a text that go along.
LONGEST = 32_000

Value = str | int | float | bool
#: Sends a body to the collector; fails where that does not work.
Post = Callable[[bytes], Coroutine[Any, Any, None]]


class Tracer:
    """Everything belongs to the reactor's thread. ``provider_of`` knows a backend's provider by its key."""

    def __init__(self, settings: TraceSettings, post: Post, clock: Clock, provider_of: Callable[[str], str]):
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
        from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
        from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

        self._request, self._span, self._status = ExportTraceServiceRequest, Span, Status
        self._any, self._pair = AnyValue, KeyValue
        self._settings = settings
        self._post = post
        self._clock = clock
        self._provider_of = provider_of
        self._waiting: deque[Thought] = deque()
        self._due: DelayedCall | None = None
        self._sending = False
        self._trouble = False
        #: Thoughts that nobody was told of.
        self.dropped = 0

    def export(self, thought: Thought) -> None:
        """Send a thought that is over, if it is chosen."""
        if not (thought.troubled or _share(thought.id) < self._settings.keep):
            return
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(thought)
        if self._due is None:
            self._due = self._clock.callLater(GATHER, self._send)

    async def flush(self) -> None:
        """Send what waits now, one request at the most; the end of the process."""
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None
        if self._waiting and not self._sending:
            self._sending = True
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._post(self.encoded(batch))
                self._trouble = False
            except Exception as error:
                self._fail(error, len(batch))
            finally:
                self._sending = False

    def _send(self) -> None:
        self._due = None
        sent = Deferred.fromCoroutine(self.flush())
        sent.addBoth(self._go_on)

    def _go_on(self, result: object) -> None:
        if isinstance(result, Failure):
            _log.failure("a trace cannot be made", failure=result)
        if self._waiting and self._due is None:
            self._due = self._clock.callLater(GATHER if len(self._waiting) < BATCH else 0.0, self._send)

    def _fail(self, error: Exception, count: int) -> None:
        self.dropped += count
        if not self._trouble:
            self._trouble = True
            _log.error("traces cannot be sent: {why}", why=type(error).__name__)

    # -- the messages --------------------------------------------------------------------------------------------

    def encoded(self, thoughts: list[Thought]) -> bytes:
        """The body of an export."""
        request = self._request()
        spans = request.resource_spans.add()
        self._put(spans.resource, {"service.name": "uniwizard", "service.version": _version()})
        scope = spans.scope_spans.add()
        scope.scope.name = "uniwizard.telemetry"
        for thought in thoughts:
            self._add(scope.spans, thought)
        return bytes(request.SerializeToString())

    def _add(self, spans: Any, thought: Thought) -> None:
        trace = _trace_id(thought.id)
        asked: tuple[Message, ...] = ()
        answer = ""
        if self._settings.texts and thought.veiled is not None:
            asked, answer = thought.veiled()
        root = self._begun(spans, trace, _span_id(thought.id, 0), b"", "think", thought.began, thought.ended)
        root.kind = self._span.SPAN_KIND_INTERNAL
        told: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "uniwizard",
            "openinference.span.kind": "CHAIN",
            "langsmith.span.kind": "chain",
            "langfuse.observation.type": "chain",
            "uniwizard.kind": thought.kind,
            "uniwizard.outcome": thought.outcome,
            "uniwizard.backend": thought.backend,
            "uniwizard.attempts": len(thought.attempts),
            "uniwizard.cost_usd": thought.cost_usd,
            "uniwizard.practice": thought.practice,
        }
        if thought.context:
            told["uniwizard.context"] = thought.context
        self._put(root, told | _texts(asked, answer))
        if thought.outcome in ("failed", "stopped"):
            root.status.code = self._status.STATUS_CODE_ERROR
            root.status.message = thought.outcome
        for turn in thought.turns:
            event = root.events.add()
            event.time_unix_nano, event.name = _nanos(turn.at), "fallback"
            turned: dict[str, Value] = {"from": turn.backend, "to": turn.to, "failure": str(turn.failure)}
            self._put(event, {f"uniwizard.{name}": value for name, value in turned.items()})
        for number, attempt in enumerate(thought.attempts, 1):
            ended = attempt.started + attempt.latency_ms / 1000.0
            name = f"chat {attempt.model}"
            identifier = _span_id(thought.id, number)
            span = self._begun(spans, trace, identifier, root.span_id, name, attempt.started, ended)
            span.kind = self._span.SPAN_KIND_CLIENT
            last = attempt.failure is None and not attempt.cancelled and attempt.backend == thought.backend
            self._put(span, self._of_attempt(attempt) | (_texts(asked, answer) if last else {}))
            if attempt.failure is not None:
                # Its reason may be a provider's words, and repeat a question.
                span.status.code = self._status.STATUS_CODE_ERROR
                span.status.message = str(attempt.failure)

    def _of_attempt(self, attempt: Attempt) -> dict[str, Value]:
        usage = attempt.usage
        told: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "uniwizard.practice" if attempt.practice else self._provider_of(attempt.backend),
            "gen_ai.request.model": attempt.model,
            "gen_ai.response.model": attempt.model,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "openinference.span.kind": "LLM",
            "langsmith.span.kind": "llm",
            "langfuse.observation.type": "generation",
            "llm.model_name": attempt.model,
            "llm.token_count.prompt": usage.input_tokens,
            "llm.token_count.completion": usage.output_tokens,
            "llm.token_count.total": usage.input_tokens + usage.output_tokens,
            "uniwizard.backend": attempt.backend,
            "uniwizard.cost_usd": attempt.cost_usd,
            "uniwizard.estimated": usage.estimated,
        }
        if usage.cached_tokens:
            told["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
        if attempt.first_token_ms is not None:
            told["gen_ai.response.time_to_first_chunk"] = attempt.first_token_ms / 1000.0
        if attempt.status is not None:
            told["http.response.status_code"] = attempt.status
        if attempt.failure is not None:
            told["error.type"] = str(attempt.failure)
        if attempt.verdict is not None:
            told["uniwizard.refusal_score"] = attempt.verdict.score
        return told

    def _begun(
        self, spans: Any, trace: bytes, identifier: bytes, parent: bytes, name: str, began: float, ended: float
    ) -> Any:
        span = spans.add()
        span.trace_id, span.span_id, span.parent_span_id, span.name = trace, identifier, parent, name
        span.start_time_unix_nano, span.end_time_unix_nano = _nanos(began), _nanos(max(began, ended))
        return span

    def _put(self, message: Any, attributes: dict[str, Value]) -> None:
        for key, value in attributes.items():
            if isinstance(value, bool):
                held = self._any(bool_value=value)
            elif isinstance(value, int):
                held = self._any(int_value=value)
            elif isinstance(value, float):
                held = self._any(double_value=value)
            else:
                # Half a character, which no UTF-8 can carry, becomes a question mark.
                held = self._any(string_value=value.encode("utf-8", "replace").decode())
            message.attributes.append(self._pair(key=key, value=held))


def _texts(asked: tuple[Message, ...], answer: str) -> dict[str, Value]:
    """What was asked and answered, as the conventions want it and as Phoenix shows it."""
    if not asked:
        return {}
    turns = [{"role": turn.role, "parts": [{"type": "text", "content": turn.text[:LONGEST]}]} for turn in asked]
    told = [{"role": "assistant", "parts": [{"type": "text", "content": answer[:LONGEST]}], "finish_reason": "stop"}]
    return {
        "gen_ai.input.messages": json.dumps(turns),
        "gen_ai.output.messages": json.dumps(told),
        "input.value": asked[-1].text[:LONGEST],
        "output.value": answer[:LONGEST],
    }


def _share(task_id: str) -> float:
    """A number from 0 to 1 that belongs to a task."""
    return int.from_bytes(hashlib.blake2b(task_id.encode(), digest_size=4).digest(), "big") / 2.0**32


def _trace_id(task_id: str) -> bytes:
    """16 bytes; the task's id is in the ledger, and is not shown to those outside."""
    return hashlib.blake2b(task_id.encode(), digest_size=16).digest()


def _span_id(task_id: str, number: int) -> bytes:
    return hashlib.blake2b(f"{task_id}/{number}".encode(), digest_size=8).digest()


def _nanos(seconds: float) -> int:
    return max(0, int(seconds * 1e9))


def _version() -> str:
    try:
        return version("uniwizard")
    except PackageNotFoundError:
        return "unknown"
