"""Goals at the door: begun, followed as events, priced first, stopped, and nobody else's."""

from __future__ import annotations

import json
import sqlite3
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_llm import Reply, Request
from gateway_server import Aside, Program, Provider, says

from uniwizard.agent.gateway.auth import Caller

LONG = "The moon pulls on the water of every sea, twice a day, and the harbour has learnt to wait for it."


def brain(request: Request) -> Reply:
    return says(json.dumps({"yes": True, "evidence": "so it is"}) if "Answer yes or no" in request.text else LONG)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Aside, Provider]]:
    with Provider(default=brain) as provider, Aside(provider.config("a", "b")) as aside:
        yield aside, provider


def call(served: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{served.url}{path}", data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            read = answer.read().decode()
            return answer.status, read if "event-stream" in answer.headers["content-type"] else json.loads(read)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [block for block in text.split("\n\n") if "data: " in block]
    parsed = [dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")) for block in blocks]
    return [(block["event"], json.loads(block["data"])) for block in parsed]


def test_a_goal_is_begun_and_followed_to_its_end(served: tuple[Aside, Provider]) -> None:
    aside, _ = served
    status, begun = call(aside, "POST", "/goals", {"goal": "a line on the tides", "checks": ["Is it a line?"]})
    assert (status, begun["object"], begun["status"]) == (202, "goal", "working")
    status, streamed = call(aside, "GET", f"/goals/{begun['id']}", accept="text/event-stream")
    heard = events_of(streamed)
    assert [what for what, _ in heard if what in ("planned", "done", "ended")] == ["planned", "done", "done", "ended"]
    assert heard[-1][0] == "state" and heard[-1][1]["result"] == LONG
    _, told = call(aside, "GET", f"/goals/{begun['id']}")
    assert (told["status"], told["checks"]) == ("reached", [{"check": "Is it a line?", "passed": True}])
    assert told["plan"]["edges"] == [[1, 2]] and told["cost_usd"] > 0
    last = heard[-2][1]["id"]
    _, again = call(aside, "GET", f"/goals/{begun['id']}?stream=true", **{"last-event-id": str(last)})
    assert [what for what, _ in events_of(again)] == ["state", "state"], "each event once"
    assert begun["id"] in [goal["id"] for goal in call(aside, "GET", "/goals")[1]["data"]]


def test_a_goal_can_be_priced_first_and_stopped(served: tuple[Aside, Provider]) -> None:
    aside, provider = served
    before = len(provider.log)
    _, offer = call(aside, "POST", "/goals", {"goal": "a castle", "plan_only": True})
    assert (offer["status"], offer["price"]["usd"] > 0) == ("offered", True)
    assert [r for r in list(provider.log)[before:] if r.method == "POST"] == []
    status, stopped = call(aside, "DELETE", f"/goals/{offer['id']}")
    assert (status, stopped["status"]) == (200, "stopped")
    _, offer = call(aside, "POST", "/goals", {"goal": "a castle", "plan_only": True})
    assert call(aside, "POST", f"/goals/{offer['id']}", {})[1]["status"] in ("working", "reached")
    call(aside, "GET", f"/goals/{offer['id']}?stream=true")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "goal"), ([], "object"), ({"goal": ""}, "goal"), ({"goal": "x", "checks": [{"pattern": "(a"}]}, "pattern"),
        ({"goal": "x", "checks": [{"schema": {"type": 3}}]}, "$.type"), ({"goal": "x", "budget": {"usd": -1}}, "usd"),
        ({"goal": "x", "wants": ["Not A Fact"]}, "fact"), ({"goal": "x", "nonsense": 1}, "nonsense"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_goal_is_told_and_costs_nothing(served: tuple[Aside, Provider], body: Any, said: str) -> None:
    aside, provider = served
    before = len(provider.log)
    status, told = call(aside, "POST", "/goals", body)
    assert status == 400 and said in told["error"]["message"]
    assert len(provider.log) == before


def test_a_goal_that_is_not_there_is_not_found(served: tuple[Aside, Provider]) -> None:
    assert call(served[0], "GET", "/goals/goal_nowhere")[0] == 404


def test_a_goal_is_its_keys_alone_also_where_another_key_has_the_same_label() -> None:
    callers = {name: Caller("my editor", id=name) for name in ("anna", "bert")}
    keys = {name: {"authorization": f"Bearer {name}"} for name in callers}
    with Provider(default=brain) as provider, Aside(provider.config("a"), check=lambda key: callers[key]) as aside:
        _, offer = call(aside, "POST", "/goals", {"goal": "a secret", "plan_only": True}, **keys["anna"])
        for method, body in (("GET", None), ("POST", {}), ("DELETE", None)):
            assert call(aside, method, f"/goals/{offer['id']}", body, **keys["bert"])[0] == 404
        assert call(aside, "GET", "/goals", **keys["bert"])[1]["data"] == []
        assert [goal["status"] for goal in call(aside, "GET", "/goals", **keys["anna"])[1]["data"]] == ["offered"]


def test_what_is_given_to_a_goal_is_bounded(served: tuple[Aside, Provider]) -> None:
    aside, _ = served
    for field, most in (("given", 200_000), ("options", 20_000)):
        status, told = call(aside, "POST", "/goals", {"goal": "tides", field: {"notes": "y" * most}})
        assert (status, told["error"]["param"]) == (400, field)
        assert f"more than {most:,} characters" in told["error"]["message"]


def test_offers_do_not_use_up_a_keys_goals_and_the_oldest_gives_way(served: tuple[Aside, Provider]) -> None:
    aside, _ = served
    offers = [call(aside, "POST", "/goals", {"goal": f"castle {n}", "plan_only": True}) for n in range(23)]
    assert {status for status, _ in offers} == {202}
    assert call(aside, "GET", f"/goals/{offers[0][1]['id']}")[0] == 404
    assert call(aside, "GET", f"/goals/{offers[-1][1]['id']}")[1]["status"] == "offered"
    status, begun = call(aside, "POST", "/goals", {"goal": "a line on the tides"})
    assert (status, begun["status"]) == (202, "working")
    call(aside, "GET", f"/goals/{begun['id']}?stream=true")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (None, None), ("a goal", None), (3, None), ({"goal": None}, "goal"), ({"goal": "x", "budget": 3}, "budget"),
        ({"goal": "x", "budget": {"usd": "much"}}, "budget.usd"), ({"goal": "x", "deadline": []}, "deadline"),
        ({"goal": "x", "checks": [3]}, "checks[0]"),
        ({"goal": "x", "checks": [{"question": "?", "of": 3}]}, "checks[0].of"),
        ({"goal": "x", "wants": "answered"}, "wants"), ({"goal": "x", "plan_only": "yes"}, "plan_only"),
        ({"goal": "x", "spend": {}}, "spend"), ({"goal": "x", "schema": 3}, "schema"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_told_with_the_name_of_its_field(
    served: tuple[Aside, Provider], body: Any, param: str | None
) -> None:
    request = urllib.request.Request(f"{served[0].url}/goals", data=json.dumps(body).encode(), method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    assert refused.value.code == 400
    assert json.loads(refused.value.read())["error"]["param"] == param


def test_a_server_that_has_not_taken_up_its_goals_is_not_ready(served: tuple[Aside, Provider]) -> None:
    aside, _ = served
    root = SimpleNamespace(url=aside.root)
    assert call(root, "GET", "/health/ready")[0] == 200
    aside._desk.started = False
    try:
        status, told = call(root, "GET", "/health/ready")
        assert (status, told) == (503, {"status": "taking up what was left"})
        assert call(aside, "GET", "/goals")[0] == 503
    finally:
        aside._desk.started = True


@pytest.mark.slow
def test_a_server_ends_in_good_order_and_keeps_what_it_has_to_itself_whatever_becomes_of_its_goals() -> None:
    with Provider(default=brain) as provider, Program(provider.config("a", "b")) as served:
        status, offer = call(served, "POST", "/goals", {"goal": "a castle", "plan_only": True})
        assert status == 202
        (goals,) = Path(served._directory.name).glob("uniwizard/*.goals.db3")
        lock = sqlite3.connect(goals, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        status, told = call(served, "POST", "/goals", {"goal": "a line on the tides"})
        assert (status, told["error"]["message"]) == (503, "The goal could not be written down.")
        assert [goal["id"] for goal in call(served, "GET", "/goals")[1]["data"]] == [offer["id"]]
        served.signal()
        assert served.ended() == 0
        lock.close()
        files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in goals.parent.iterdir()}
        assert any(name.endswith(".json") for name in files), "what is written after the goals are closed"
        assert set(files.values()) == {0o600}, files
