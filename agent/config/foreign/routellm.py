"""RouteLLM (https://github.com/lm-sys/RouteLLM): a strong and a weak model, and routers that choose between them.

Its command line (``python -m routellm.openai_server --routers mf --strong-model ... --weak-model ...``) or its
``config.yaml``, whose sections are the routers. Each router becomes a strategy of its name, so that its clients' names
of models (``router-mf-0.11593``) go on working. The weights of its routers cannot be carried over: they were trained on
other models; ``python -m agent learn`` makes one's own.
"""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from .draft import Draft, Json, mapping, plain, secret
from .providers import endpoint, provider_of

ROUTERS = ("mf", "sw_ranking", "bert", "causal_llm", "random")

#: Its own defaults.
STRONG, WEAK = "gpt-4-1106-preview", "anyscale/mistralai/Mixtral-8x7B-Instruct-v0.1"


def read_command(line: str) -> Draft:
    """What becomes of a command line. Raises ValueError."""
    words = shlex.split(line.replace("\\\n", " "), comments=True)
    start = next(index for index, word in enumerate(words) if "routellm" in word) + 1
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--routers", nargs="+", default=["random"])
    parser.add_argument("--strong-model", default=STRONG)
    parser.add_argument("--weak-model", default=WEAK)
    for name in ("--base-url", "--api-key", "--config", "--workers", "--port"):
        parser.add_argument(name)
    parser.add_argument("--verbose", action="store_true")
    try:
        told, rest = parser.parse_known_args(words[start:])
    except argparse.ArgumentError as error:
        raise ValueError(str(error)) from None
    draft = Draft("a RouteLLM command line")
    _pair(draft, told.strong_model, told.weak_model, told.base_url, told.api_key)
    for router in told.routers:
        _router(draft, router, {})
    for name in ("config", "workers", "port"):
        if getattr(told, name):
            draft.lose(f"--{name} {getattr(told, name)}", "see `python -m agent serve --help`")
    for word in rest:
        draft.lose(word, "has no counterpart here")
    return draft


def read(document: Json) -> Draft:
    """What becomes of a config."""
    draft = Draft("a RouteLLM config")
    ranking = mapping(document.get("sw_ranking"))
    _pair(draft, str(ranking.get("strong_model") or STRONG), str(ranking.get("weak_model") or WEAK), None, None)
    for name, told in document.items():
        if name in ROUTERS:
            _router(draft, str(name), told if isinstance(told, dict) else {})
        else:
            draft.lose(str(name), "has no counterpart here")
    return draft


def _pair(draft: Draft, strong: str, weak: str, base: str | None, key: str | None) -> None:
    for name, model in (("strong", strong), ("weak", weak)):
        provider, _, bare = model.partition("/")
        known = provider if bare and provider_of(provider) else None
        told = endpoint(known, bare if known else model, base)
        held, stood = secret(key, name)
        if told is None:
            told = {"api": "openai", "url": f"https://{provider}.invalid/v1", "model": bare or model}
            draft.lose(f"{name}: {model}", "its provider is in no catalogue of ours; write its api and url", name)
        draft.backends[name] = plain({**told, "api_key": held})
        if stood:
            draft.lose("--api-key", f"a secret stood there; set {str(held)[2:-1]} instead", name)
    draft.backends["strong"]["strengths"] = ["reasoning", "analysis", "code-review", "architecture"]
    draft.backends["weak"]["weaknesses"] = ["reasoning", "depth"]


def _router(draft: Draft, name: str, told: dict[str, Any]) -> None:
    if name == "random":
        draft.strategy(name, {"use": "weighted", "weights": {"strong": 1, "weak": 1}})
    else:
        draft.strategy(name, {"use": "strong_weak", "strong": "strong", "weak": "weak"})
    draft.sections.setdefault("route", name)
    for field, value in told.items():
        if field not in ("strong_model", "weak_model"):
            draft.lose(
                f"{name}.{field}: {value}", "was trained on other models; `python -m agent learn` makes one's own"
            )
