"""Portkey's gateway config (https://portkey.ai/docs/product/ai-gateway/configs): targets under strategies, nested.

A target that asks a model becomes a backend; ``fallback`` and ``loadbalance`` become strategies of the same tree;
``conditional`` keeps the conditions that there are here (metadata becomes ``tier`` or ``context``).
"""

from __future__ import annotations

from typing import Any

from .draft import Draft, Json, mapping, plain, secret, variables
from .providers import endpoint, provider_of

#: Metadata that a condition here can ask for, by the names that it goes by.
_CONTEXTS = {
    "user_plan": "tier",
    "plan": "tier",
    "tier": "tier",
    "user_tier": "tier",
    "context": "context",
    "task": "context",
    "feature": "context",
}

_TARGET = {
    *("name", "provider", "virtual_key", "virtualKey", "api_key", "apiKey", "custom_host", "customHost", "weight"),
    *(
        "override_params",
        "overrideParams",
        "retry",
        "request_timeout",
        "requestTimeout",
        "strategy",
        "targets",
        "cache",
    ),
}


def read(document: Json) -> Draft:
    """What becomes of a Portkey config."""
    draft = Draft("a Portkey config")
    top = _branch(document, draft, {}, "config")
    if top is not None and not (isinstance(top, str) and len(draft.backends) == 1):
        draft.sections["route"] = top
    for name in document:
        if name not in _TARGET:
            draft.lose(str(name), "has no counterpart here")
    return draft


def _branch(node: Json, draft: Draft, above: Json, where: str) -> Any:
    """A backend's key, or the strategy over its targets; None where nothing of it could be carried over."""
    here: Json = {
        **above,
        **{name: node[name] for name in ("retry", "request_timeout", "requestTimeout") if name in node},
    }
    _lose_cache(node, draft, where)
    targets = node.get("targets")
    if not isinstance(targets, list):
        return _backend(node, draft, here, where)
    strategy = mapping(node.get("strategy"))
    mode = strategy.get("mode", "single")
    if codes := strategy.get("on_status_codes", strategy.get("onStatusCodes")):
        draft.lose(
            f"{where}.strategy.on_status_codes: {codes}", "what moves on is the failure table's, for every status"
        )
    kept = [
        (target, below)
        for index, target in enumerate(targets)
        if (below := _branch(mapping(target), draft, here, f"{where}.targets[{index}]")) is not None
    ]
    if not kept:
        return None
    match mode:
        case "fallback":
            return {"use": "fallback", "over": [below for _, below in kept]}
        case "loadbalance":
            return _weighted(kept, draft)
        case "conditional":
            return _conditional(strategy, kept, draft, where)
    return kept[0][1]


def _weighted(kept: list[tuple[Any, Any]], draft: Draft) -> Any:
    weights = {}
    for target, below in kept:
        weight = mapping(target).get("weight", 1)
        name = below if isinstance(below, str) else draft.strategy(str(mapping(target).get("name") or "branch"), below)
        if isinstance(weight, int | float) and weight > 0:
            weights[name] = weight
    return {"use": "weighted", "weights": weights} if len(weights) != 1 else next(iter(weights))


def _conditional(strategy: Json, kept: list[tuple[Any, Any]], draft: Draft, where: str) -> Any:
    by_name = {str(mapping(target).get("name")): below for target, below in kept}
    cases = []
    for index, condition in enumerate(strategy.get("conditions") or ()):
        then = by_name.get(str(mapping(condition).get("then")))
        when = _when(mapping(mapping(condition).get("query")))
        if when is None or then is None:
            what = f"{where}.strategy.conditions[{index}]: {mapping(condition).get('query')}"
            draft.lose(what, "no condition here asks for that, or its target is gone")
            continue
        cases.append({"when": when, "then": then})
    otherwise = by_name.get(str(strategy.get("default")), kept[-1][1])
    return {"use": "conditional", "cases": cases, "otherwise": otherwise} if cases else otherwise


def _when(query: Json) -> Json | None:
    """A query as a condition; None where it asks for something that no condition here knows."""
    if len(query) != 1:
        parts = [_when({name: value}) for name, value in query.items()]
        return {"all": parts} if parts and None not in parts else None
    name, asked = next(iter(query.items()))
    if name in ("$and", "$or") and isinstance(asked, list):
        parts = [_when(mapping(each)) for each in asked]
        return {"all" if name == "$and" else "any": parts} if parts and None not in parts else None
    field = _CONTEXTS.get(name.removeprefix("metadata."))
    if field is None:
        return None
    asked = asked if isinstance(asked, dict) else {"$eq": asked}
    match asked:
        case {"$eq": str(value)}:
            return {field: value}
        case {"$in": [*values]} if values and all(isinstance(value, str) for value in values):
            return {field: values}
        case {"$ne": str(value)}:
            return {"not": {field: value}}
        case {"$nin": [*values]} if values and all(isinstance(value, str) for value in values):
            return {"not": {field: values}}
    return None


def _backend(node: Json, draft: Draft, above: Json, where: str) -> str | None:
    params = mapping(node.get("override_params", node.get("overrideParams")))
    provider = str(node.get("provider") or "").lstrip("@")
    virtual = node.get("virtual_key", node.get("virtualKey"))
    if not provider and isinstance(virtual, str):
        # A virtual key is named after its provider, mostly.
        provider = next((part for part in (virtual, virtual.split("-")[0]) if provider_of(part)), "")
    host = variables(node.get("custom_host", node.get("customHost")))
    model = str(params.get("model") or "")
    told = endpoint(provider or None, model, host if isinstance(host, str) else None)
    if told is None:
        draft.lose(f"{where}: {node.get('name') or provider or virtual}", "its provider is in no catalogue of ours")
        return None
    if not model:
        told["model"] = "auto"
    name = str(node.get("name") or provider or "target")
    held, stood = secret(node.get("api_key", node.get("apiKey")), name)
    retry = mapping(node.get("retry", above.get("retry")))
    limit = node.get("request_timeout", node.get("requestTimeout", above.get("request_timeout")))
    options = {field: value for field, value in params.items() if field not in ("model", "max_tokens")}
    key = draft.add(
        name,
        plain(
            {
                **told,
                "api_key": held,
                "max_tokens": params.get("max_tokens"),
                "retries": retry.get("attempts"),
                "timeout": limit / 1000.0 if isinstance(limit, int | float) and limit > 0 else None,
                "options": options or None,
            }
        ),
    )
    if not model:
        draft.lose("model", "the request named it; here a backend is of one model, so write it in", key)
    if stood:
        draft.lose("api_key", f"a secret stood in the file; set {str(held)[2:-1]} instead", key)
    if virtual is not None:
        draft.lose(f"virtual_key: {virtual}", "keys come from the environment", key)
    if codes := retry.get("on_status_codes", retry.get("onStatusCodes")):
        draft.lose(f"retry.on_status_codes: {codes}", "what is retried is the failure table's, for every status", key)
    for field in node:
        if field not in _TARGET:
            draft.lose(str(field), "has no counterpart here", key)
    return key


def _lose_cache(node: Json, draft: Draft, where: str) -> None:
    cache = node.get("cache")
    if isinstance(cache, str):
        cache = {"mode": cache}
    if isinstance(cache, dict) and cache:
        age = f"; keep: {int(cache['max_age'])}s" if isinstance(cache.get("max_age"), int) else ""
        how = "`memory: {match: exact" + age.replace("; ", ", ") + "}`"
        draft.lose(f"{where}.cache: {cache.get('mode')}", f"answers that are known already are {how} here")
