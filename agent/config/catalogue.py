"""The providers in ``configs/providers.yaml``: what a backend need not say because its provider is known.

    groq = catalogue()["groq"]
    groq.defaults            # {"api": "openai", "url": "https://api.groq.com/openai/v1", ...}, as a backend has them
    nearest("kimi", catalogue())    # ["moonshot"]

The file is data with its sources: every entry names the page its facts stand on and the day it was read. Adding one
takes no code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .yaml_files import CONFIGS, read_checked

CATALOGUE = CONFIGS / "providers.yaml"

#: The settings of a backend that its provider may give.
SETTINGS = ("api", "url", "api_key", "capabilities", "options", "headers", "json_mode")

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of the catalogue.

    name       what people call it
    defaults   what its backends have where they say nothing else, in the words of ``configs/backends.yaml``
    prices     its id in the price library; empty leaves that to the address
    max_output  the longest answers of its models, in tokens, by how their names begin
    local      it runs on the player's own machines, and so costs nothing
    source     the page that the facts come from
    read       the day it was read, YYYY-MM-DD
    note       what else is worth knowing
    """

    key: str
    name: str
    defaults: Mapping[str, Any]
    source: str
    read: str
    prices: str = ""
    local: bool = False
    note: str = ""
    max_output: Mapping[str, int] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it cannot do without: its key first, then those in its address."""
        found = [name for field in ("api_key", "url") for name in _VARIABLE.findall(str(self.defaults.get(field, "")))]
        return tuple(dict.fromkeys(found))

    def longest_answer(self, model: str) -> int | None:
        """The longest answer that ``model`` can make, in tokens; None where the catalogue does not know."""
        known = [name for name in self.max_output if model.startswith(name)]
        return self.max_output[max(known, key=len)] if known else None

    def under(self, backend: Mapping[str, Any]) -> dict[str, Any]:
        """``backend`` with this provider's settings below its own; of ``options`` and ``headers`` each field counts."""
        whole = {**deepcopy(dict(self.defaults)), **backend}
        for name in ("options", "headers"):
            own = backend.get(name)
            if isinstance(own, dict) and name in self.defaults:
                whole[name] = {**deepcopy(self.defaults[name]), **own}
        return whole


@cache
def catalogue(path: Path = CATALOGUE) -> Mapping[str, Provider]:
    """Every provider by its key, in the file's order. Raises ConfigError when the file has faults."""
    document = read_checked(path, "providers")
    return {key: _provider(key, raw) for key, raw in document["providers"].items()}


def _provider(key: str, raw: Mapping[str, Any]) -> Provider:
    own = {name: value for name, value in raw.items() if name not in SETTINGS}
    return Provider(key=key, defaults={name: raw[name] for name in SETTINGS if name in raw}, **own)


def provider_at(url: str, known: Mapping[str, Provider]) -> Provider | None:
    """The provider whose host ``url`` has; None where nobody's is."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    for provider in known.values():
        if host and host == urlsplit(str(provider.defaults.get("url", "")).partition("${")[0]).hostname:
            return provider
    return None


def nearest(name: str, known: Mapping[str, Provider]) -> list[str]:
    """The keys that somebody who wrote ``name`` may have meant, the likeliest first; at most four."""
    wanted = name.strip().lower()
    close = difflib.get_close_matches(wanted, known, n=4, cutoff=0.6)
    within = [key for key in known if key in wanted]
    called = [key for key, provider in known.items() if wanted and wanted in f"{key} {provider.name}".lower()]
    return list(dict.fromkeys([*within, *close, *called]))[:4]
