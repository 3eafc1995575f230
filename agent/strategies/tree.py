"""Builds the tree of strategies that a backends file describes, and the ones that a model's name asks for.

tree = Tree(config)
tree.route                     # None: the plain ranking
tree.named("cheap_first")      # one of ``strategies:``, or a strategy's own name; raises KeyError
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from ..config.extensions import added_strategy
from ..config.routes import STRATEGIES
from ..config.settings import Config
from .base import One, Strategy

#: RouteLLM's names of models: https://github.com/lm-sys/RouteLLM
_ROUTER = re.compile(r"router-(?P<name>[a-z][a-z0-9_-]{0,31})-(?P<threshold>[0-9](?:\.[0-9]{1,9})?)")

#: The module of a strategy whose name is taken by what it is made of.
_MODULES = {"ranked": "by_rank"}


class Tree:
    """The strategies of one config. Each named one is built once, however often it is referred to."""

    def __init__(self, config: Config):
        self._config = config
        self._named: dict[str, Strategy] = {}
        route = config.route
        plain = route is None or route == "ranked" or route == {"use": "ranked"}
        #: Where every task begins that names no strategy; None for the plain ranking.
        self.route: Strategy | None = None if plain else self._branch(route)

    def named(self, name: str) -> Strategy:
        """The strategy that ``auto:<name>`` or ``router-<name>-<threshold>`` means. Raises KeyError."""
        if name in self._named:
            return self._named[name]
        if match := _ROUTER.fullmatch(name):
            spec = self._config.strategies.get(match["name"], {"use": match["name"]})
            if not isinstance(spec, dict) or "threshold" not in STRATEGIES.get(spec["use"], ()):
                raise KeyError(f"no strategy {match['name']!r} with a threshold")
            rest = {k: v for k, v in spec.items() if k not in ("strong_share", "quality")}
            found = self._build(rest | {"threshold": min(1.0, float(match["threshold"]))})
        elif name in self._config.strategies:
            found = self._branch(self._config.strategies[name])
        elif name in STRATEGIES and not required(name):
            found = self._build({"use": name})
        else:
            raise KeyError(f"no strategy {name!r}; there are: {', '.join(self.names())}")
        if len(self._named) >= 1000:
            # Thresholds come from whoever asks.
            self._named.clear()
        self._named[name] = found
        return found

    def names(self) -> list[str]:
        """Everything that :meth:`named` takes, thresholds excepted."""
        return [*self._config.strategies, *(name for name in STRATEGIES if not required(name))]

    def _branch(self, written: Any) -> Strategy:
        if not isinstance(written, str):
            return self._build(written)
        return One(written) if written in self._config.backends else self.named(written)

    def _build(self, spec: dict[str, Any]) -> Strategy:
        name = spec["use"]
        if "model" in spec:
            spec = spec | {"model": str(Path(self._config.source).parent / spec["model"])}
        strategy: type[Strategy] | None = added_strategy(name)
        if strategy is None:
            strategy = import_module(f"{__package__}.{_MODULES.get(name, name)}").STRATEGY
        return strategy.build(spec, self._branch)


def required(name: str) -> bool:
    """Whether a strategy needs options to mean anything."""
    return bool(STRATEGIES[name].required)
