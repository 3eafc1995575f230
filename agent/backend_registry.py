"""The backends of one config, each with its health and its quotas; reloadable while a game runs.

registry = Registry(load(path, os.environ), clock, events)
registry["claude"].available()
registry.reload(load(path, os.environ))     # keeps the health of every backend that stays
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from .config.settings import Config
from .core.backend import APIS, Backend
from .core.clock import Clock
from .core.events import Events
from .health.breaker import Health, State
from .quota import Quotas, QuotaTracker


class Registry:
    """Every configured backend's :class:`Health`, by key, in the config's order."""

    def __init__(self, config: Config, clock: Clock, events: Events):
        self._clock = clock
        self._events = events
        self.config = config
        #: What is used of every backend's quota.
        self.quotas = Quotas(config.backends, clock.seconds())
        self._healths: dict[str, Health] = {}
        #: In the place of those, by key, where a simulated backend stands in: nothing of its work is counted.
        self._uncounted: dict[str, QuotaTracker] = {}
        #: Where simulated backends stand in for the real ones; empty when they do not.
        self._stand_ins: dict[str, str] = {}
        self.reload(config)

    def __getitem__(self, key: str) -> Health:
        """The health of the backend ``key``. Raises KeyError, naming those there are."""
        try:
            return self._healths[key]
        except KeyError:
            raise KeyError(f"no backend {key!r}; there are: {', '.join(self._healths)}") from None

    def __contains__(self, key: object) -> bool:
        return key in self._healths

    def __iter__(self) -> Iterator[Health]:
        return iter(self._healths.values())

    def __len__(self) -> int:
        return len(self._healths)

    def reload(self, config: Config) -> None:
        """Use another config. A backend that stays keeps its health and what is used of it.

        A breaker that waits for the config to change closes.
        """
        healths: dict[str, Health] = {}
        for key, backend in config.backends.items():
            health = self._healths.get(key)
            if health is None:
                health = Health(backend, self._clock.seconds, self._events.emit)
            elif self.config.backends.get(key) != backend:
                health.backend = backend
                health.reachable = None
                if health.state is State.OPEN and math.isinf(health.cooldown_until):
                    health.close()
            healths[key] = health
        self._healths = healths
        self.config = config
        self.quotas.reload(config.backends, self._clock.seconds())
        self._apply_stand_ins()

    def reset(self, key: str) -> None:
        """Trust the backend again, because an admin says so: close its breaker, end the pause it has asked for."""
        self[key].close()
        self.quotas[key].hold_until = 0.0

    def quota(self, key: str) -> QuotaTracker:
        """What is counted of the backend that answers as ``key`` now. Raises KeyError."""
        return self._uncounted.get(key) or self.quotas[key]

    def stand_in(self, urls: dict[str, str]) -> None:
        """Let simulated backends at ``urls`` (by key) answer in place of the real ones; ``{}`` ends it."""
        self._stand_ins = dict(urls)
        self._apply_stand_ins()

    @property
    def practising(self) -> bool:
        """Whether simulated backends stand in."""
        return bool(self._stand_ins)

    def real(self, key: str) -> Backend:
        """The backend as configured, also while a simulated one stands in."""
        return self.config.backends[key]

    def _apply_stand_ins(self) -> None:
        for key, health in self._healths.items():
            backend = self.config.backends[key]
            if key in self._stand_ins:
                # A simulated backend must never see the real key.
                backend = replace(
                    simulated(backend), url=self._stand_ins[key], api_key="practice-key", unconfigured="", practice=True
                )
            health.play(backend)
        now = self._clock.seconds()
        self._uncounted = {
            key: QuotaTracker(replace(health.backend, quota=()), now)
            for key, health in self._healths.items()
            if health.backend.practice
        }


def simulated(backend: Backend) -> Backend:
    """The backend as a simulated one speaks for it: in OpenAI's format where its own is an extension's."""
    return backend if backend.api in APIS else replace(backend, api="openai", options={}, headers={})
