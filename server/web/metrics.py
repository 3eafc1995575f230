"""``/metrics`` of the game, for Prometheus: with a Builder's token, or from this machine.

The Portal, which is what the world can reach, marks what does not come from this machine (:data:`FROM_ELSEWHERE`).
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource

from uniwizard.agent.gateway.incoming import presented_key
from uniwizard.agent.gateway.watched import PROMETHEUS
from uniwizard.server.plugin.relay import FROM_ELSEWHERE
from uniwizard.world import watching


class MetricsPage(Resource):
    """The text, or why it is not shown."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        elsewhere = bool(request.requestHeaders.getRawHeaders(FROM_ELSEWHERE))
        if elsewhere and not watching.may_read(presented_key(request)):
            return _told(request, 401, "Metrics are for this machine, or for a Builder's token.\n")
        text = watching.metrics()
        if text is None:
            return _told(request, 503, "No BackendRouter is awake.\n")
        request.setHeader(b"content-type", PROMETHEUS.encode())
        request.setHeader(b"cache-control", b"no-store")
        return text


def _told(request: Any, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    if status == 401:
        request.setHeader(b"www-authenticate", b"Bearer")
    return text.encode()
