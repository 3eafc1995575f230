"""What a backends file says, ready to use: :class:`Config` and its parts. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.backend import Backend


@dataclass(frozen=True, slots=True)
class Rule:
    """Tasks of these kinds prefer these backends, the first one most. ``*`` stands for any kind."""

    kinds: frozenset[str]
    prefer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a refusal does: go on to the next brain, until ``max_refusals`` of them have declined.

    provider  what is different for a refusal that a provider gives in a field of its own, with a category
    kinds     what is different for a kind of work
    backends  what is different for a backend; the last word, before kinds and provider
    """

    reroute: bool = True
    max_refusals: int = 2
    provider: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def rule(self, kind: str, backend: str, source: str) -> tuple[bool, int]:
        """Whether this refusal is rerouted, and how many brains must agree. ``source``: ``provider`` or ``prose``."""
        rule: dict[str, Any] = {"reroute": self.reroute, "max_refusals": self.max_refusals}
        if source == "provider":
            rule.update(self.provider)
        rule.update(self.kinds.get(kind, {}))
        rule.update(self.backends.get(backend, {}))
        return rule["reroute"], rule["max_refusals"]


@dataclass(frozen=True, slots=True)
class Headroom:
    """How much quota weighs in the ranking.

    pull   the most that unused quota adds, as a share of the fit
    push   the most that quota ahead of its pace takes away, as a share of the fit
    price  how much the price of scarce quota counts: 1 as it is worked out, 0 not at all
    save   whether a task is turned away when every quota it could use is worth more to the tasks still expected
    reserve  the share of a window of a week or longer that is kept, as long as all is calm, for a surge nobody foresees
    """

    pull: float = 0.1
    push: float = 0.1
    price: float = 1.0
    save: bool = True
    reserve: float = 0.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the door for other programs behaves.

    stream           what a stream is by default: ``eager`` shows an answer from its first judged sentence on, ``whole``
                     once all of it has been judged
    unsupported      a field that the backend's api does not have: ``drop`` it and say so, or ``reject`` the request
    max_connections  open at once; beyond it they are answered with 503 and Retry-After
    max_requests     under way at once; the same
    max_held_mb      megabytes of requests that are held at once before they are understood; the same
    cors_origins     web pages that may ask, by their origins; ``*`` for any; empty for none
    store_hours      how long what ``/v1/responses`` stores is kept; 0 refuses to store
    """

    stream: str = "eager"
    unsupported: str = "drop"
    max_connections: int = 4000
    max_requests: int = 2000
    max_held_mb: int = 256
    cors_origins: tuple[str, ...] = ()
    store_hours: float = 24.0


@dataclass(frozen=True, slots=True)
class MemoryRule:
    """What the memory does with tasks of one kind.

    match        ``exact``: the same canonical text; ``similar``: also one above ``above`` that the guard lets through;
                 ``never``: nothing is remembered
    keep         seconds
    max_entries  answers of this kind
    above        the cosine that similar questions must pass
    """

    match: str = "exact"
    keep: float = 7 * 86_400.0
    max_entries: int = 10_000
    above: float = 0.97


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """Which answers are remembered, how many, how long, and where.

    rule_of  the rules of the kinds that have one of their own
    store    ``process``, ``database`` (the game's ledger), or ``redis``
    redis    its address, which may hold a password
    """

    max_entries: int = 10_000
    default: MemoryRule = MemoryRule()
    rule_of: Mapping[str, MemoryRule] = field(default_factory=dict)
    store: str = "process"
    redis: str = field(default="", repr=False)

    def rule(self, kind: str) -> MemoryRule:
        """What holds for tasks of ``kind``."""
        return self.rule_of.get(kind, self.default)


@dataclass(frozen=True, slots=True)
class Config:
    """A valid backends file, ready to use.

    backends        by key, in the file's order
    content_filter  ``surface`` tells the caller of a provider's hard filter, ``reroute`` asks the next backend
    practice        ``auto``, ``always`` or ``never``
    probe_interval  seconds between health checks
    identity        terms that must never leave, whoever asks
    judge           how strict the judge is, by backend; see :class:`agent.judge.JudgeSettings`
    headroom        how much quota weighs in the ranking
    aliases         names that programs may ask for, and what they stand for: a backend, ``auto``, ``auto:<kind>`` ...
    gateway         how the door for other programs behaves
    route           the strategy that decides: a name, or a mapping with ``use``; None for the plain ranking
    strategies      named ones, by name; what stands in them is valid, and refers to what there is
    memory          which answers are remembered; None for none
    redis           the address of a Redis, which may hold a password; empty for none
    """

    backends: Mapping[str, Backend]
    rules: tuple[Rule, ...] = ()
    refusals: Refusals = Refusals()
    content_filter: str = "surface"
    practice: str = "auto"
    probe_interval: float = 60.0
    identity: frozenset[str] = frozenset()
    judge: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headroom: Headroom = Headroom()
    aliases: Mapping[str, str] = field(default_factory=dict)
    gateway: GatewaySettings = GatewaySettings()
    route: str | Mapping[str, Any] | None = None
    strategies: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
    memory: MemorySettings | None = None
    redis: str = field(default="", repr=False)
    source: str = ""
