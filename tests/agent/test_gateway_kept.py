"""A served gateway over a restart keeps quotas and health; quota is told as quota. And the API of Evennia's contrib."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_server import Aside, Program, Provider, Served, says

QUOTA = "    quota: [{limit: 3, unit: requests, per: month}]\n"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as told:
        yield told


def post(served: Served, path: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    request = urllib.request.Request(
        served.url.removesuffix("/v1") + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, dict(response.headers.items()), json.load(response)
    except urllib.error.HTTPError as failed:
        return failed.code, {name.lower(): value for name, value in failed.headers.items()}, json.load(failed)


def chat(served: Served) -> tuple[int, dict[str, str], Any]:
    asked = {"model": "auto", "messages": [{"role": "user", "content": "How do tides work?"}]}
    return post(served, "/v1/chat/completions", asked)


def with_quota(provider: Provider) -> str:
    text: str = provider.config("a")
    return text.replace("    retries: 0\n", f"    retries: 0\n{QUOTA}", 1)


@pytest.mark.slow
def test_a_restart_forgets_no_quota_and_quota_is_answered_with_429_and_when(provider: Provider, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with Program(with_quota(provider), "--state", str(state)) as served:
        assert [chat(served)[0] for _ in range(2)] == [200, 200]
    assert json.loads(state.read_text())["kept"]["quota"]["a"]
    with Program(with_quota(provider), "--state", str(state)) as served:
        assert chat(served)[0] == 200
        status, headers, body = chat(served)
    assert (status, body["error"]["code"], body["error"]["type"]) == (429, "insufficient_quota", "rate_limit_error")
    assert 0 < int(headers["retry-after"]) <= 31 * 86_400
    assert len(provider.seen["a"]) == 3


def test_where_health_is_the_obstacle_it_is_503(provider: Provider) -> None:
    provider.say("a", (401, {}, {"error": {"message": "no", "code": "invalid_api_key"}}))
    with Aside(with_quota(provider)) as served:
        chat(served)
        status, headers, _ = chat(served)
    assert status == 503
    assert "retry-after" not in headers


@pytest.mark.slow
def test_a_state_that_cannot_be_read_is_told_and_begun_anew(provider: Provider, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"version": 1, "kept": {"quota": {"a": {"windows": 3}}}}')
    with Program(with_quota(provider), "--state", str(state)) as served:
        assert chat(served)[0] == 200
        assert "windows: is not a mapping" in served.log.read_text()


def test_evennias_contrib_is_answered_in_its_own_format(provider: Provider) -> None:
    provider.say("a", says("Bread and ale."))
    with Aside(provider.config("a")) as served:
        prompt = "You are roleplaying as Mira.\nAnna: Hello\nMira: Good day.\nAnna: What is there to eat?"
        status, _, body = post(
            served, "/api/v1/generate", {"prompt": prompt, "max_new_tokens": 250, "temperature": 0.7}
        )
        assert (status, body) == (200, {"results": [{"text": "Bread and ale."}]})
        assert post(served, "/api/v1/generate", {"prompt": ""})[0] == 400
    (asked,) = provider.seen["a"]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][0]["content"].startswith("You are roleplaying as Mira.")
    assert asked["messages"][1]["content"] == "Anna: What is there to eat?"
    assert asked["max_tokens"] == 250
