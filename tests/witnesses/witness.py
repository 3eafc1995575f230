"""What the tests with witnesses share: routers from a config file that points at a running server."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from uniwizard.agent import AllBackendsFailed, Router, RouteResult, Task
from uniwizard.agent.config.loader import load
from uniwizard.agent.core.failures import FailureCode

SCHEMA = {
    "type": "object",
    "properties": {"rivers": {"type": "array", "items": {"type": "string"}}},
    "required": ["rivers"],
    "additionalProperties": False,
}


class WitnessTest(TestCase):
    """A test that asks a real server through the whole brain, its config included."""

    timeout = 60
    url: str

    def router(self, env: dict[str, str], **backends: dict[str, Any]) -> Router:
        """A router from a backends file; only ``env`` is in its environment. Nothing is retried, nothing practised."""
        quick: dict[str, Any] = {"retries": 0, "timeout": 30}
        document = {
            "version": 1,
            "practice": "never",
            "backends": {key: quick | settings for key, settings in backends.items()},
        }
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "backends.yaml"
            file.write_text(json.dumps(document))
            config = load(file, env)
        router = Router(config, reactor)  # type: ignore[arg-type]
        self.addCleanup(lambda: Deferred.fromCoroutine(router.stop()))
        return router

    async def failure(self, router: Router, key: str, prompt: str = "Why are there tides?") -> FailureCode:
        """How the attempt at ``key`` fails."""
        try:
            got = await router.call(key, Task(prompt, kind="knowledge"))
        except AllBackendsFailed as failed:
            (attempt,) = failed.attempts
            assert attempt.failure is not None
            return FailureCode(attempt.failure)
        raise AssertionError(f"answered {got!r}")

    async def ask(self, router: Router, key: str, **task: Any) -> RouteResult:
        return await router.call_with_fallback(
            Task(**{"prompt": "Why are there tides?", "kind": "knowledge"} | task), key
        )
