"""Puts the listeners of one router together, as its config wants them: :class:`Telemetry`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from twisted.logger import Logger

from ..config.settings import Config
from ..core.backend import Timeout
from ..core.clock import Clock
from ..core.failures import AttemptFailed, failure_of
from ..core.windows import length
from ..router import Router
from ..state.redis import connect
from ..transport.client import fetch
from ..transport.http import TwistedTransport
from .alerts import Alert, Alerts, Post
from .channel import Channel
from .drift import Drift
from .metrics import Gauge, Metrics, provider_of
from .thoughts import Gathering, Thought
from .traces import Tracer

_log = Logger()

#: Seconds for one alert, or one export.
_TIMEOUT = Timeout(connect=5.0, total=10.0)
#: Of a window of a day or longer: the share of its time that is over, and of its quota that is used, when what is left
#: is told to expire.
ALMOST_OVER, UNUSED, LONG = 0.9, 0.6, 86_400.0


class Telemetry:
    """The metrics of ``router``, and whoever else its config names. Everything belongs to the reactor's thread."""

    def __init__(self, router: Router, clock: Clock):
        self._router = router
        self._clock = clock
        self._transport = TwistedTransport(clock)
        self.metrics = Metrics(router)
        self.alerts = Alerts(None, clock)
        self.alerts.watch(self._expiring)
        self._drift = Drift(router.events.emit)
        self.channel: Channel | None = None
        self._tracer: Tracer | None = None
        self._gathering: Gathering | None = None
        self._of: Config | None = None
        self.metrics.gauges += [
            Gauge("uniwizard_channel_dropped", "Tasks that could not be published in Redis.", self._channel_dropped),
            Gauge("uniwizard_traces_dropped", "Thoughts that could not be sent as traces.", self._traces_dropped),
        ]

    def start(self) -> None:
        """Begin to tell."""
        for listener in (self.metrics, self._drift, self.alerts):
            self._router.events.subscribe(listener)
        self.alerts.start()
        self.reload()

    def reload(self) -> None:
        """Tell whoever the router's config names now; does nothing where that has not changed."""
        config, before = self._router.registry.config, self._of
        if before is not None and (before.redis, before.telemetry) == (config.redis, config.telemetry):
            return
        self._of = config
        self._close()
        wanted = config.telemetry
        self.alerts.post = self._poster(wanted.webhook, "application/json", {}) if wanted.webhook else None
        told: list[Callable[[Thought], None]] = []
        if config.redis and wanted.channel:
            try:
                self.channel = Channel(connect(config.redis), self._clock, self.metrics.redis_took)
                told.append(self.channel.publish)
            except ImportError:
                _log.error("redis: txredisapi is not installed; pip install 'uniwizard[redis]'")
        if wanted.traces.to:
            try:
                post = self._poster(_traces_at(wanted.traces.to), "application/x-protobuf", wanted.traces.headers)
                self._tracer = Tracer(wanted.traces, post, self._clock, self._provider)
                told.append(self._tracer.export)
            except ImportError:
                _log.error("telemetry: traces need opentelemetry-proto; pip install 'uniwizard[traces]'")
        if told:
            self._gathering = Gathering(told)
            self._router.events.subscribe(self._gathering)

    async def stop(self) -> None:
        """Send what waits, and tell nobody any more."""
        for listener in (self.metrics, self._drift, self.alerts):
            self._router.events.unsubscribe(listener)
        self.alerts.stop()
        tracer = self._tracer
        self._close()
        self._of = None
        if tracer is not None:
            await tracer.flush()
        await self._transport.aclose()

    def _close(self) -> None:
        if self._gathering is not None:
            self._router.events.unsubscribe(self._gathering)
        if self.channel is not None:
            self.channel.close()
        self._gathering = self.channel = self._tracer = None

    def watch(self, look: Callable[[], Iterable[Alert]]) -> None:
        """Have ``look`` called now and then; what it finds is an alert."""
        self.alerts.watch(look)

    def _poster(self, url: str, media_type: str, headers: Mapping[str, str]) -> Post:

        async def post(body: bytes) -> None:
            sent = {**headers, "content-type": media_type}
            response = await fetch(self._transport, "POST", url, sent, body, _TIMEOUT, self._clock)
            if not 200 <= response.status < 300:
                raise AttemptFailed(failure_of(response.status), f"it answered {response.status}")

        return post

    def _provider(self, key: str) -> str:
        return provider_of(self._router.configured(key)) if key in self._router.registry else "other"

    def _channel_dropped(self) -> float:
        return float(self.channel.dropped) if self.channel is not None else 0.0

    def _traces_dropped(self) -> float:
        return float(self._tracer.dropped) if self._tracer is not None else 0.0

    def _expiring(self) -> Iterator[Alert]:
        """Quotas that nearly all of the time of is over, and much is left of."""
        for key in self._router.backend_keys():
            for number, status in enumerate(self._router.quota_status(key)):
                quota = self._router.configured(key).quota
                long = number < len(quota) and length(quota[number].per) >= LONG
                if long and status.gone is not None and status.gone >= ALMOST_OVER and status.share < UNUSED:
                    left = f"{1.0 - status.share:.0%} of {key}'s {status.name}"
                    yield Alert(f"expiring:{key}:{status.name}", f"{left} will expire unused.")


def _traces_at(address: str) -> str:
    """An export's address: ``/v1/traces`` where none other is given."""
    return address if urlsplit(address).path.strip("/") else f"{address.rstrip('/')}/v1/traces"
