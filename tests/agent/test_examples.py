"""Every file in configs/examples, run: with its keys set it decides as it says, and practice answers in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from gateway_server import Aside, create
from twisted.internet.task import Clock

from uniwizard.agent import FailureCode, Router, Task
from uniwizard.agent.config.loader import load
from uniwizard.agent.config.yaml_files import CONFIGS

EXAMPLES = sorted((CONFIGS / "examples").glob("*.yaml"))

#: Example to kinds, and whom work of that kind goes to.
DECIDES = {
    "local-small-large": {"chat": "local", "architecture": "local"},
    "factory-layers": {"read": "layer1", "knowledge": "layer2", "architecture": "layer3"},
    "strong-and-weak": {"code_review": "strong", "chat": "weak"},
    "nested-gateway": {"chat": "team", "architecture": "team"},
    "many-by-health": {},
}


class AllSet(dict[str, str]):
    """An environment in which every key is set, and every address left to its default."""

    def get(self, name: str, default: Any = None) -> Any:
        return default if name.endswith("_URL") else "set"


def router(path: Path) -> Router:
    return Router(load(path, AllSet()), Clock())


def test_there_is_one_for_each_system() -> None:
    assert {path.stem for path in EXAMPLES} == set(DECIDES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_decides_as_it_says(path: Path) -> None:
    brain = router(path)
    for kind, key in DECIDES[path.stem].items():
        assert brain.route(Task("Do it.", kind=kind)) == key
    decision = brain.explain("How do tides work?")
    assert len(decision.ranking) == len(brain.registry)
    if path.stem == "many-by-health":
        worst = brain.registry[decision.backend]
        for _ in range(3):
            worst.failed(FailureCode.OVERLOADED, "down")
        assert brain.route("How do tides work?") != decision.backend


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_practice_answers_in_its_place(path: Path) -> None:
    text = path.read_text().replace("version: 1", "version: 1\npractice: always", 1)
    with Aside(text) as served, openai.OpenAI(base_url=served.url, api_key="any", max_retries=0) as sdk:
        answer = create(sdk, model="auto")
        assert answer.model_extra is not None and answer.model_extra["uniwizard"]["practice"]
        for alias in {"strong-and-weak": ["gpt-4", "router-mf-0.11593"], "many-by-health": ["gpt-oss-120b"]}.get(
            path.stem, []
        ):
            assert create(sdk, model=alias).choices[0].message.content.startswith("[practice]")
