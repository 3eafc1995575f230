"""OpenRouter's routing preferences (https://openrouter.ai/docs/features/provider-routing): ``models`` and ``provider``.

A request's ``models`` are tried in their order: each becomes a backend at OpenRouter with the next ones as fallbacks.
``provider`` is OpenRouter's to heed, so it goes on with every request, in the backend's options.
"""

from __future__ import annotations

from typing import Any

from .draft import Draft, Json, mapping, plain

#: What may stand in ``provider``; OpenRouter's own names.
_PREFERENCES = {
    *("order", "allow_fallbacks", "require_parameters", "data_collection", "only", "ignore", "quantizations", "sort"),
    *("max_price", "zdr", "enforce_distillable_text"),
}
_OPTIONS = ("temperature", "top_p", "seed", "transforms", "reasoning", "plugins")


def read(document: Json) -> Draft:
    """What becomes of a request with preferences."""
    draft = Draft("OpenRouter's routing preferences")
    first = [document["model"]] if isinstance(document.get("model"), str) else []
    models = list(dict.fromkeys([*first, *(m for m in document.get("models") or () if isinstance(m, str))]))
    preferences = mapping(document.get("provider"))
    options: dict[str, Any] = {name: document[name] for name in _OPTIONS if name in document}
    if known := {name: value for name, value in preferences.items() if name in _PREFERENCES}:
        options["provider"] = known
    keys = []
    for model in models:
        backend = {"provider": "openrouter", "model": model, "max_tokens": document.get("max_tokens")}
        keys.append(
            draft.add(model.rpartition("/")[2].replace(":", "-"), plain({**backend, "options": options or None}))
        )
        draft.alias(model, keys[-1])
    for place, key in enumerate(keys[:-1]):
        draft.backends[key]["fallbacks"] = keys[place + 1 :]
    if keys:
        draft.sections["rules"] = [{"kinds": ["*"], "prefer": keys}]
    for name in preferences.keys() - _PREFERENCES:
        draft.lose(f"provider.{name}", "OpenRouter knows no such preference")
    for name in document:
        if name not in (
            "model",
            "models",
            "provider",
            "messages",
            "prompt",
            "max_tokens",
            "stream",
            "route",
            *_OPTIONS,
        ):
            draft.lose(str(name), "has no counterpart here")
    return draft
