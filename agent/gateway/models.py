"""The list of models, as OpenAI, Anthropic or Google write it: ``auto``, every backend by its key, every alias."""

from __future__ import annotations

import time
from typing import Any

from ..core.backend import Backend
from ..router import Router
from ..wire.body import Json
from .errors import Rejected
from .naming import Names, Target

#: What each door's clients can do with a model (https://ai.google.dev/api/models).
_GEMINI_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


class Models:
    """The models of one router. ``born`` is since when they are there, in seconds since the epoch."""

    def __init__(self, router: Router, born: int):
        self._router = router
        self._names = Names.of(router)
        self._born = born

    def listed(self, style: str) -> Json:
        """All of them; ``style`` is ``openai``, ``anthropic`` or ``gemini``."""
        strategies = (f"auto:{name}" for name in self._names.strategies)
        names = [
            "auto",
            *self._names.keys,
            *strategies,
            *(alias for alias in self._names.aliases if not alias.endswith("*")),
        ]
        shown = [self._shown(name, style) for name in names]
        match style:
            case "gemini":
                return {"models": shown}
            case "anthropic":
                return {"data": shown, "has_more": False, "first_id": names[0], "last_id": names[-1]}
        return {"object": "list", "data": shown}

    def one(self, name: str, style: str) -> Json:
        """One of them. Raises Rejected (404)."""
        self._names.resolve(name)
        return self._shown(name.removeprefix("models/"), style)

    def _shown(self, name: str, style: str) -> Json:
        backend = self._backend(name)
        match style:
            case "gemini":
                shown: Json = {"name": f"models/{name}", "displayName": name, "version": "1"}
                limits = {"inputTokenLimit": self._context(backend), "outputTokenLimit": self._longest(backend)}
                return {**shown, **limits, "supportedGenerationMethods": _GEMINI_METHODS}
            case "anthropic":
                born = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._born))
                return {"type": "model", "id": name, "display_name": name, "created_at": born}
        head: Json = {"id": name, "object": "model", "created": self._born, "owned_by": "uniwizard"}
        head["context_length"] = self._context(backend)
        return head if backend is None else {**head, **self._described(backend)}

    def _backend(self, name: str) -> Backend | None:
        try:
            target = self._names.resolve(name)
        except Rejected:
            target = Target()
        return self._router.registry[target.pin].backend if target.pin else None

    def _context(self, backend: Backend | None) -> int:
        if backend is not None:
            return backend.max_context
        return max(health.backend.max_context for health in self._router.registry)

    def _longest(self, backend: Backend | None) -> int:
        if backend is not None:
            return backend.max_output or backend.max_tokens
        return max(self._longest(health.backend) for health in self._router.registry)

    def _described(self, backend: Backend) -> Json:
        price = backend.price
        told: dict[str, Any] = {
            "model": backend.model,
            "max_context": backend.max_context,
            "max_output": backend.max_output,
            "capabilities": sorted(backend.capabilities),
            "price_per_1k_usd": {"input": price.input, "output": price.output, "cached_input": price.cached_input},
            "price_source": backend.price_source,
            "available": self._router.registry[backend.key].available() == "",
            "practice": backend.practice,
        }
        # USD per token as text, where OpenRouter's clients look for it.
        pricing = {"prompt": f"{price.input / 1000:.10f}", "completion": f"{price.output / 1000:.10f}"}
        return {"pricing": pricing, "max_output_tokens": backend.max_output, "uniwizard": told}
