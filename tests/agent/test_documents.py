"""The examples in the documents run as they stand there, and what they point to exists."""

from __future__ import annotations

import ast
import inspect
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("*/*/README.md"),
        *ROOT.glob("*/*/FAULTS.md"),
    )
    if ".venv" not in path.parts
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)\)")


def blocks(document: str, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall((ROOT / document).read_text("utf-8")) if kind == language]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_points_to_is_there(document: Path) -> None:
    missing = [link for link in _LINK.findall(document.read_text("utf-8")) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_python_example_is_python(document: Path) -> None:
    for text in blocks(str(document.relative_to(ROOT)), "python"):
        compile(text, str(document), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_a_provider_in_three_lines_is_a_backend() -> None:
    from uniwizard.agent import load

    for text in blocks("README.md", "yaml"):
        document = {"version": 1, "backends": yaml.safe_load(text)}
        file = ROOT / ".pytest_cache" / "example.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(document))
        assert load(file, {}).backends["fast"].unconfigured == "GROQ_API_KEY is not set"


class Examples(TestCase):
    """The examples for programmers, in a reactor."""

    timeout = 60

    def setUp(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(ROOT)
        for name in [name for name in os.environ if name.endswith("_API_KEY")]:
            self.patch(os, "environ", {key: value for key, value in os.environ.items() if key != name})

    async def play(self, *texts: str, **known: Any) -> dict[str, Any]:
        """Run the examples one after the other; what they have defined."""
        names: dict[str, Any] = {"reactor": reactor, **known}
        for text in texts:
            code = compile(text, "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            done = eval(code, names)
            if inspect.iscoroutine(done):
                await done
            if "router" in names:
                self.addCleanup(lambda router=names["router"]: Deferred.fromCoroutine(router.stop()))
        return names

    async def test_the_readmes_first_program_asks_and_is_answered(self) -> None:
        names = await self.play(*blocks("README.md", "python"))
        assert names["result"].text.startswith("[practice]")
        assert names["result"].backend == "claude"

    async def test_the_listener_of_the_brains_readme_hears_of_a_fallback(self) -> None:
        from uniwizard.agent import Router, Task

        router = Router.from_file("configs/backends.yaml", clock=reactor)  # type: ignore[arg-type]
        await router.start()
        said: list[str] = []
        (listener,) = [text for text in blocks("agent/README.md", "python") if "subscribe" in text]
        await self.play(listener.replace("from agent", "from uniwizard.agent"), router=router, print=said.append)
        router.stage("claude", "refuse")
        result = await router.call_with_fallback(Task("review this diff: - return x + return x/0"))
        assert result.backend != "claude"
        assert said == [f"claude: refused, turns to {result.backend}"]
