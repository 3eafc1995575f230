"""What those who run the door see of it: metrics, readiness, a line for every request, and a label for a task."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from types import SimpleNamespace
from typing import Any

import pytest
from gateway_server import Program, Provider, create, error, says
from twisted.internet.address import IPv4Address
from twisted.web.http_headers import Headers

from uniwizard.agent.gateway.access_log import AccessLog
from uniwizard.agent.gateway.incoming import from_here


def get(root: str, path: str, **headers: str) -> tuple[int, str]:
    asked = urllib.request.Request(root + path, headers={name.replace("_", "-"): v for name, v in headers.items()})
    try:
        with urllib.request.urlopen(asked, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as failed:
        return failed.code, failed.read().decode()


@pytest.mark.slow
def test_a_served_door_shows_metrics_readiness_and_a_line_a_request() -> None:
    with Provider() as provider, Program(provider.config("a", "b"), "--json-logs", key="secret") as served:
        provider.say("a", error(503))
        provider.say("b", says())
        create(served.sdk(), model="auto", metadata={"context": "supervisor.reconcile"})
        assert get(served.root, "/health/live")[0] == get(served.root, "/health/ready")[0] == 200
        status, text = get(served.root, "/metrics")
        assert status == 200
        assert 'uniwizard_fallbacks_total{failure="overloaded",from="a",to="b"} 1.0' in text
        assert 'uniwizard_attempts_total{backend="b",kind="knowledge",outcome="answered"} 1.0' in text
        # Through a proxy it may be anybody, who then needs the key.
        assert get(served.root, "/metrics", X_Forwarded_For="203.0.113.9")[0] == 401
        assert get(served.root, "/metrics", X_Forwarded_For="203.0.113.9", Authorization="Bearer secret")[0] == 200
        assert get(served.root, "/v1/models?key=secret")[0] == 200
        served.signal()
        served.ended()
        logged = served.log.read_text()
    assert "secret" not in logged
    rows = [json.loads(line) for line in logged.splitlines()]
    assert {"event": "fell_back", "backend": "a", "to": "b", "failure": "overloaded"}.items() <= rows[0].items()
    asked = rows[1]
    assert (asked["method"], asked["path"], asked["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (asked["backend"], asked["attempts"]) == ("b", 2)
    assert [row["path"] for row in rows[2:]] == [
        *("/health/live", "/health/ready", "/metrics", "/metrics", "/metrics", "/v1/models")
    ]
    assert [row["status"] for row in rows[2:]] == [200, 200, 200, 401, 200, 200]


def request(path: bytes = b"/v1/models", code: int = 200, host: str = "127.0.0.1", **headers: str) -> Any:
    given = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
    return SimpleNamespace(
        path=path,
        method=b"GET",
        code=code,
        responseHeaders=given,
        requestHeaders=given,
        getClientAddress=lambda: IPv4Address("TCP", host, 1),
    )


class TestTheLog:
    def test_a_line_says_what_was_asked_and_who_answered(self) -> None:
        lines: list[str] = []
        told = {"x_uniwizard_backend": "claude", "x_uniwizard_attempts": "2", "x_uniwizard_cost_usd": "0.001200"}
        AccessLog(lambda: 1_795_291_201.5, lines.append)(request(**told), 1_795_291_200.0)
        assert lines == ["2026-11-21T20:00:01Z GET /v1/models 200 1.500 s claude 2 attempts $0.0012"]

    def test_no_client_can_write_a_line_of_its_own(self) -> None:
        lines: list[str] = []
        AccessLog(lambda: 1.0, lines.append)(request(b"/v1\n2026 POST /x\x1b[2J\xff" + b"x" * 500, 404), 0.0)
        (line,) = lines
        assert line.isprintable()
        assert len(line) < 260


class TestFromHere:
    def test_only_this_machine_and_no_proxy_on_it(self) -> None:
        assert from_here(request())
        assert from_here(request(host="::1"))
        assert not from_here(request(host="203.0.113.9"))
        assert not from_here(request(host="a-name"))
        assert not from_here(request(x_forwarded_for="203.0.113.9"))
        assert not from_here(request(forwarded="for=203.0.113.9"))
