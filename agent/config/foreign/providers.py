"""How other gateways name the providers, and which of ours that is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ..catalogue import catalogue

Json = dict[str, Any]

#: LiteLLM's, Portkey's and OpenRouter's names that are not the catalogue's own.
_NAMES = {
    "azure_ai": "azure",
    "azure-openai": "azure",
    "azure-ai": "azure",
    "google": "gemini",
    "cohere_chat": "cohere",
    "dashscope": "qwen",
    "fireworks_ai": "fireworks",
    "fireworks-ai": "fireworks",
    "hosted_vllm": "vllm",
    "lm_studio": "lmstudio",
    "mistral-ai": "mistral",
    "nvidia_nim": "nvidia",
    "ollama_chat": "ollama",
    "perplexity-ai": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "together-ai": "together",
    "vertex_ai": "vertex",
    "vertex-ai": "vertex",
    "x-ai": "xai",
    "zhipu": "zai",
}

#: Whose a model without a provider is, by how it begins (LiteLLM's get_llm_provider does the same).
_BY_MODEL = {
    "gpt-": "openai",
    "chatgpt-": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude-": "anthropic",
    "gemini-": "gemini",
    "command-": "cohere",
    "mistral-": "mistral",
    "deepseek-": "deepseek",
    "grok-": "xai",
}

#: The wire formats of providers that are served from elsewhere than their own address.
_APIS = {"anthropic": "anthropic", "gemini": "gemini", "ollama": "ollama"}


def provider_of(name: str) -> str | None:
    """The catalogue's key for a provider; None where it has none."""
    known = catalogue()
    key = _NAMES.get(name, name)
    return key if key in known else None


def provider_of_model(model: str) -> str | None:
    """Whose model this is, by its name alone."""
    return next((key for start, key in _BY_MODEL.items() if model.startswith(start)), None)


def endpoint(provider: str | None, model: str, base: str | None) -> Json | None:
    """What a backend says of its endpoint: the provider, or an address and its format; None where neither is known."""
    key = provider_of(provider) if provider else provider_of_model(model)
    if base:
        api = _APIS.get(key or "", "openai")
        url = base.rstrip("/")
        if api == "anthropic" and not url.endswith("/v1"):
            url += "/v1"
        if urlsplit(url).hostname and str(urlsplit(url).hostname).endswith(".openai.azure.com"):
            url = url if "/openai" in url else f"{url}/openai/v1"
        # Portkey and LiteLLM let the path of a call stand in the address.
        return {"api": api, "url": url.removesuffix("/chat/completions"), "model": model}
    return {"provider": key, "model": model} if key is not None else None
