"""Whose configuration a file is, and the reading of it."""

from __future__ import annotations

import json
from typing import Any

import yaml

from . import litellm, openrouter, portkey, routellm
from .draft import Draft

#: Characters of a file that are read.
MAX_CHARS = 2_000_000


class Unknown(ValueError):
    """Nobody's configuration that is known here; the message is one line, and quotes nothing of the file."""


def read_foreign(text: str) -> Draft:
    """What becomes of a configuration. Raises Unknown."""
    if len(text) > MAX_CHARS:
        raise Unknown(f"is longer than {MAX_CHARS} characters")
    if "routellm" in text and "--" in text:
        try:
            return _filled(routellm.read_command(text))
        except (ValueError, StopIteration):
            raise Unknown("is no command line of RouteLLM that can be read") from None
    document = _document(text)
    if not isinstance(document, dict):
        raise Unknown("is neither a mapping in YAML or JSON nor a command line")
    try:
        if "model_list" in document:
            return _filled(litellm.read(document))
        if "targets" in document or "strategy" in document or "virtual_key" in document:
            return _filled(portkey.read(document))
        if document.keys() & set(routellm.ROUTERS):
            return _filled(routellm.read(document))
        if "models" in document or ("model" in document and "provider" in document):
            return _filled(openrouter.read(document))
    except (TypeError, AttributeError, KeyError, IndexError):
        raise Unknown("does not have the shape that its first lines promise") from None
    raise Unknown("is no configuration of LiteLLM, Portkey, RouteLLM or OpenRouter")


def _filled(draft: Draft) -> Draft:
    if not draft.backends:
        raise Unknown("names no model that could be carried over")
    return draft


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Unknown("is neither YAML nor JSON") from None
