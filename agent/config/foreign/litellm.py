"""LiteLLM's ``config.yaml`` (https://docs.litellm.ai/docs/proxy/configs): model_list, router_settings and the rest.

A deployment becomes a backend; deployments of one ``model_name`` become a strategy of that name, and an alias where the
name is no key of ours. Fallbacks between groups become each backend's ``fallbacks``.
"""

from __future__ import annotations

from .draft import Draft, Json, key_of, mapping, period, plain, seconds, secret, variables
from .providers import endpoint, provider_of

#: ``routing_strategy`` to the strategy of the same meaning.
_STRATEGIES: dict[str, Json] = {
    "simple-shuffle": {"use": "weighted"},
    "least-busy": {"use": "least_busy"},
    "latency-based-routing": {"use": "latency"},
    "usage-based-routing": {"use": "usage", "by": "tokens"},
    "usage-based-routing-v2": {"use": "usage", "by": "tokens"},
    "cost-based-routing": {"use": "cost"},
}

#: Parameters of a call that go into its body as they are.
_OPTIONS = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "extra_body",
    "reasoning_effort",
)
#: Read elsewhere in this module, or of no meaning here.
_READ = {
    *("model", "api_key", "api_base", "base_url", "rpm", "tpm", "weight", "max_parallel_requests", "timeout"),
    *("stream_timeout", "max_retries", "max_tokens", "input_cost_per_token", "output_cost_per_token", "max_budget"),
    *("budget_duration", "order", "custom_llm_provider", "organization", "extra_headers", *_OPTIONS),
}


def read(document: Json) -> Draft:
    """What becomes of a LiteLLM config."""
    draft = Draft("a LiteLLM config.yaml")
    router = mapping(document.get("router_settings"))
    settings = mapping(document.get("litellm_settings"))
    groups = _groups(document, draft)
    _defaults(draft, router, settings)
    _fallbacks(draft, groups, router, settings)
    _choose(draft, groups, router)
    for name, target in mapping(router.get("model_group_alias")).items():
        model = target.get("model") if isinstance(target, dict) else target
        draft.alias(str(name), _name_of(str(model), groups, draft))
    _budgets(draft, router)
    _lose_rest(draft, document, router, settings)
    return draft


def _groups(document: Json, draft: Draft) -> dict[str, list[tuple[str, Json]]]:
    """Every deployment as a backend: by group, its key and its parameters."""
    groups: dict[str, list[tuple[str, Json]]] = {}
    for index, entry in enumerate(document.get("model_list") or ()):
        where = f"model_list[{index}]"
        params = {**mapping(entry.get("litellm_params"))} if isinstance(entry, dict) else {}
        name, model = str(entry.get("model_name", "")), params.get("model")
        if not name or not isinstance(model, str):
            draft.lose(where, "it names no model")
            continue
        backend = _backend(name, model, params, mapping(entry.get("model_info")))
        if backend is None:
            draft.lose(
                f"{where}: {name} ({model})", "its provider is in no catalogue of ours; give it an api and a url"
            )
            continue
        key = draft.add(name, backend)
        groups.setdefault(name, []).append((key, params))
        _lose_of(draft, key, name, params)
    return groups


def _backend(name: str, model: str, params: Json, info: Json) -> Json | None:
    provider, _, bare = model.partition("/")
    known = params.get("custom_llm_provider") or (provider if bare and provider_of(provider) else None)
    bare = bare if bare and (known == provider or provider_of(provider)) else model
    base = variables(params.get("api_base") or params.get("base_url"))
    # ``openai/`` before an address means its format, whoever answers there.
    told = endpoint(known, bare, base if isinstance(base, str) else None)
    if told is None:
        return None
    held, _ = secret(params.get("api_key"), name)
    per_token = params.get("input_cost_per_token", info.get("input_cost_per_token"))
    out = params.get("output_cost_per_token", info.get("output_cost_per_token"))
    quota = [
        {"limit": params[field], "unit": unit, "per": "minute"}
        for field, unit in (("rpm", "requests"), ("tpm", "tokens"))
        if isinstance(params.get(field), int)
    ]
    if isinstance(params.get("max_budget"), int | float) and (per := period(params.get("budget_duration"))):
        quota.append({"limit": params["max_budget"], "unit": "usd", "per": per})
    total, first = seconds(params.get("timeout")), seconds(params.get("stream_timeout"))
    options = {field: params[field] for field in _OPTIONS if params.get(field) is not None}
    options.update(mapping(options.pop("extra_body", None)))
    headers = {str(k): str(v) for k, v in mapping(params.get("extra_headers")).items() if not _is_secret(str(k))}
    cost = {"input": per_token * 1000, "output": (out or 0) * 1000} if isinstance(per_token, int | float) else None
    return plain(
        {
            **told,
            "api_key": held,
            "cost_per_1k": cost,
            "max_context": info.get("max_input_tokens"),
            "max_output": info.get("max_output_tokens"),
            "max_tokens": params.get("max_tokens"),
            "timeout": {"first_token": first, "total": total or 600.0} if first else total,
            "retries": params.get("max_retries"),
            "max_parallel": params.get("max_parallel_requests"),
            "quota": quota or None,
            "options": options or None,
            "headers": headers or None,
            "capabilities": {"embedding": ["embeddings"], "rerank": ["rerank"]}.get(str(info.get("mode"))),
        }
    )


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("auth", "key", "token", "secret", "cookie"))


def _lose_of(draft: Draft, key: str, name: str, params: Json) -> None:
    _, stood = secret(params.get("api_key"), name)
    if stood:
        draft.lose("api_key", f"a secret stood in the file; set {draft.backends[key]['api_key'][2:-1]} instead", key)
    for field in params:
        if field not in _READ:
            draft.lose(field, "has no counterpart here", key)
    if params.get("order") is not None:
        draft.lose(f"order: {params['order']}", "write the order into `over` of a fallback strategy", key)
    if params.get("organization") is not None:
        draft.lose("organization", "send it as a header, if the provider wants it", key)
    if params.get("max_budget") is not None and not period(params.get("budget_duration")):
        draft.lose("max_budget", "a budget without a window; write a quota in usd with `per`", key)


def _defaults(draft: Draft, router: Json, settings: Json) -> None:
    """What holds for every deployment that says nothing else."""
    retries = router.get("num_retries", settings.get("num_retries"))
    fails = router.get("allowed_fails", settings.get("allowed_fails"))
    cooldown = router.get("cooldown_time", settings.get("cooldown_time"))
    total = seconds(router.get("timeout", settings.get("request_timeout")))
    given = plain({"retries": retries, "allowed_fails": fails, "cooldown_time": cooldown, "timeout": total})
    for backend in draft.backends.values():
        for field, value in given.items():
            backend.setdefault(field, value)


def _fallbacks(draft: Draft, groups: dict[str, list[tuple[str, Json]]], router: Json, settings: Json) -> None:
    listed = router.get("fallbacks") or settings.get("fallbacks") or []
    after = {str(name): list(to) for each in listed if isinstance(each, dict) for name, to in each.items()}
    default = list(router.get("default_fallbacks") or settings.get("default_fallbacks") or ())
    for group, members in groups.items():
        keys = [key for key, _ in members]
        following = [
            key for name in after.get(group, default) for key, _ in groups.get(str(name), ()) if key not in keys
        ]
        for name in after.get(group, ()):
            if name not in groups:
                draft.lose(f"fallbacks: {group} -> {name}", "there is no such model in model_list")
        for key in keys:
            rest = list(dict.fromkeys([*(other for other in keys if other != key), *following]))
            if rest and (following or len(keys) > 1):
                draft.backends[key]["fallbacks"] = rest
    if router.get("context_window_fallbacks") or settings.get("context_window_fallbacks"):
        draft.lose("context_window_fallbacks", "needs none: whoever is too small for a task is not asked")
    if router.get("content_policy_fallbacks") or settings.get("content_policy_fallbacks"):
        draft.sections["content_filter"] = "reroute"


def _choose(draft: Draft, groups: dict[str, list[tuple[str, Json]]], router: Json) -> None:
    """A strategy for every group of several deployments, and an alias for every name that is no key."""
    named = str(router.get("routing_strategy") or "simple-shuffle")
    if named not in _STRATEGIES:
        draft.lose(f"routing_strategy: {named}", "there is no such strategy here; simple-shuffle is used")
    for group, members in groups.items():
        keys = [key for key, _ in members]
        if len(keys) == 1:
            draft.alias(group, keys[0])
            continue
        how = dict(_STRATEGIES.get(named, _STRATEGIES["simple-shuffle"]))
        if how["use"] == "weighted":
            # LiteLLM weighs by ``weight``, else by ``rpm``, else by ``tpm``, else not at all.
            field = next((f for f in ("weight", "rpm", "tpm") if all(f in params for _, params in members)), None)
            how["weights"] = {key: params[field] if field else 1 for key, params in members}
        else:
            how["over"] = keys
        draft.alias(group, draft.strategy(f"{key_of(group, ())}-group", how))


def _name_of(name: str, groups: dict[str, list[tuple[str, Json]]], draft: Draft) -> str:
    """What stands for a group here."""
    return str(draft.sections.get("aliases", {}).get(name, groups[name][0][0] if name in groups else name))


def _budgets(draft: Draft, router: Json) -> None:
    for provider, told in mapping(router.get("provider_budget_config")).items():
        key, per = provider_of(str(provider)), period(mapping(told).get("time_period"))
        limit = mapping(told).get("budget_limit", mapping(told).get("max_budget"))
        held = [name for name, backend in draft.backends.items() if key and backend.get("provider") == key]
        if not held or per is None or not isinstance(limit, int | float):
            draft.lose(f"provider_budget_config: {provider}", "no backend of this provider, or a window there is not")
            continue
        for name in held:
            draft.backends[name].setdefault("quota", []).append({"limit": limit, "unit": "usd", "per": per})
        if len(held) > 1:
            draft.lose(f"provider_budget_config: {provider}", "was one budget for all of them; here each has its own")


#: Settings that were read, or that say nothing about what is answered.
_KNOWN_ROUTER = {
    *("num_retries", "allowed_fails", "cooldown_time", "timeout", "fallbacks", "default_fallbacks"),
    *("context_window_fallbacks", "content_policy_fallbacks", "routing_strategy", "model_group_alias"),
    *("provider_budget_config",),
}
_KNOWN_SETTINGS = {
    *("num_retries", "allowed_fails", "cooldown_time", "request_timeout", "fallbacks", "default_fallbacks"),
    *("context_window_fallbacks", "content_policy_fallbacks"),
}
_WHY = {
    "drop_params": "what a backend does not know is dropped and told in x-uniwizard-dropped",
    "master_key": "set UNIWIZARD_SERVE_KEY instead",
    "cache": "see `memory:`",
    "callbacks": "see telemetry",
    "success_callback": "see telemetry",
}


def _lose_rest(draft: Draft, document: Json, router: Json, settings: Json) -> None:
    for section, held, known in (
        ("router_settings", router, _KNOWN_ROUTER),
        ("litellm_settings", settings, _KNOWN_SETTINGS),
        ("general_settings", mapping(document.get("general_settings")), set()),
    ):
        for name in held:
            if name not in known:
                draft.lose(f"{section}.{name}", _WHY.get(name, "has no counterpart here"))
    for name in document:
        if name not in ("model_list", "router_settings", "litellm_settings", "general_settings"):
            draft.lose(str(name), "has no counterpart here")
