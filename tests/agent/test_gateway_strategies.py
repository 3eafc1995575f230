"""Strategies at the door: names of models that choose one, the way that was taken, thumbs with an answer's id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from gateway_server import Aside, Provider, Served

STRATEGIES = """strategies:
  second: {use: fallback, over: [b, a]}
  pair: {use: strong_weak, strong: b, weak: a}
"""


@pytest.fixture(scope="module")
def door(providing: Provider) -> Iterator[Served]:
    with Aside(providing.config("a", "b", more=STRATEGIES)) as server:
        yield server


def asked(door: Served, model: str, **more: Any) -> Any:
    return door.sdk().chat.completions.create(
        model=model, messages=[{"role": "user", "content": "How do the tides work?"}], **more
    )


def test_auto_may_name_a_strategy_and_the_answer_tells_its_path(door: Served, provider: Provider) -> None:
    about = asked(door, "auto:second").model_extra["uniwizard"]
    assert about["backend"] == "b"
    assert about["path"] == ["fallback: b is the first that can be asked"]
    assert asked(door, "auto").model_extra["uniwizard"]["path"] == []
    assert asked(door, "auto:cost").model_extra["uniwizard"]["path"]


def test_routellms_names_of_models_carry_a_threshold(door: Served, provider: Provider) -> None:
    assert asked(door, "router-pair-0.0").model_extra["uniwizard"]["backend"] == "b"
    assert asked(door, "router-pair-0.99").model_extra["uniwizard"]["backend"] == "a"


@pytest.mark.parametrize("model", ["auto:nobody", "second", "router-pair", "auto:conditional"])
def test_a_name_that_is_no_strategy_is_an_unknown_model(door: Served, provider: Provider, model: str) -> None:
    with pytest.raises(openai.NotFoundError):
        asked(door, model)


def test_named_strategies_are_listed_as_models(door: Served, provider: Provider) -> None:
    names = [model.id for model in door.sdk().models.list()]
    assert {"auto", "a", "b", "auto:second", "auto:pair"} <= set(names)
    assert door.sdk().models.retrieve("auto:second").id == "auto:second"


def test_a_stream_may_be_decided_by_a_strategy(door: Served, provider: Provider) -> None:
    pieces = list(asked(door, "auto:second", stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert provider.seen["b"]


def judge(door: Served, **body: Any) -> httpx.Response:
    return httpx.post(f"{door.url}/feedback", json=body, headers={"authorization": "Bearer none"})


def test_an_answer_is_judged_once_by_its_id(door: Served, provider: Provider) -> None:
    whole, streamed = asked(door, "auto").id, next(piece.id for piece in asked(door, "auto", stream=True))
    for identifier, said in ((whole, {"good": True}), (streamed, {"rating": "down"})):
        told = judge(door, id=identifier, **said)
        assert told.status_code == 200, told.text
        assert told.json()["good"] is (said.get("good") is True)
        assert judge(door, id=identifier, good=True).status_code == 404
    for wrong in ({}, {"id": 5, "good": True}, {"id": "x"}, {"id": "x", "good": 1}, {"id": "x", "rating": "sideways"}):
        assert judge(door, **wrong).status_code == 400, wrong
    assert judge(door, id="chatcmpl-nobody", good=True).status_code == 404
