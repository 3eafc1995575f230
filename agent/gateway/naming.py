"""What a model's name stands for: a backend, a kind of work, an alias of the config, or what the client knows it by.

    known = Names.of(router)
    known.resolve("auto:code_review")         # Target(kind="code_review")
    known.resolve("gpt-4o")                   # by the config's aliases, or a backend whose model is called so
    known.resolve("router-mf-0.11593")        # RouteLLM's way to say: choose

The names, the first that fits counts: a backend's key; an alias, also one that ends in ``*``; ``auto``, ``auto:<kind>``
and ``auto:<strategy>``; RouteLLM's ``router-<name>-<threshold>``, which is the strategy of that name or else ``auto``;
a backend's model, with or without LiteLLM's ``provider/`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ..core.task import known_kinds
from ..router import Router
from .errors import Rejected

#: RouteLLM's own (https://github.com/lm-sys/RouteLLM, "the router name and cost threshold").
_ROUTE_LLM = re.compile(r"router-(?P<name>[a-z0-9_]{1,40})-(?P<threshold>[0-9.]{1,20})")

#: Gemini puts it before every model.
_PREFIX = "models/"


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask: the backend ``pin``, else by the strategy of that name, for work of that kind."""

    pin: str | None = None
    kind: str | None = None
    strategy: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The names there are. ``models`` are the backends' own names of theirs, by key."""

    keys: Collection[str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    strategies: Collection[str] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    is_strategy: Callable[[str], bool] = lambda name: False

    @classmethod
    def of(cls, router: Router) -> Names:
        config = router.registry.config
        # Any strategy may be named that needs no options, whether or not the config has one of that name.
        models = {backend.model: key for key, backend in reversed(list(config.backends.items()))}
        return cls(config.backends.keys(), config.aliases, tuple(config.strategies), models, router.has_strategy)

    def resolve(self, name: str) -> Target:
        """What ``name`` stands for. Raises Rejected (404)."""
        name = name.removeprefix(_PREFIX)
        found = self._known(name)
        if found is None and (target := self._alias(name)) is not None:
            found = self._known(target) or self._known(f"auto:{target}")
        found = found or self._foreign(name)
        if found is None:
            known = ", ".join(("auto", *self.keys, *self.aliases))
            message = (
                f"The model `{name[:80]}` does not exist. There are: {known}; and auto:<kind> for a kind of work, "
                "auto:<strategy> for a strategy."
            )
            raise Rejected(404, message, code="model_not_found", param="model")
        return found

    def _known(self, name: str) -> Target | None:
        if name in self.keys:
            return Target(pin=name)
        if name == "auto":
            return Target()
        bare = name.removeprefix("auto:")
        if bare is not name and bare in known_kinds():
            return Target(kind=bare)
        if bare is not name and (bare in self.strategies or self.is_strategy(bare)):
            return Target(strategy=bare)
        return None

    def _alias(self, name: str) -> str | None:
        if name in self.aliases:
            return self.aliases[name]
        fitting = [alias for alias in self.aliases if alias.endswith("*") and name.startswith(alias[:-1])]
        return self.aliases[max(fitting, key=len)] if fitting else None

    def _foreign(self, name: str) -> Target | None:
        if (match := _ROUTE_LLM.fullmatch(name)) is not None:
            # With its threshold where a strategy here knows what to do with it.
            strategy = name if self.is_strategy(name) else match["name"]
            return Target(strategy=strategy if strategy == name or strategy in self.strategies else None)
        bare = name.partition("/")[2]
        key = self.models.get(name) or self.models.get(bare)
        return Target(pin=key) if key else self._known(bare) if bare else None
