"""Who else is told what happens to a router's tasks: Prometheus, a Redis channel, a collector of traces, a webhook.

    telemetry = Telemetry(router, clock)
    telemetry.start()
    telemetry.metrics.text()        # for /metrics
    await telemetry.stop()

All of them are listeners, and none delays a task. README.md beside this file has the formats.
"""

from .alerts import Alert, Alerts
from .metrics import Gauge, Metrics
from .outlets import Telemetry

__all__ = ["Alert", "Alerts", "Gauge", "Metrics", "Telemetry"]
