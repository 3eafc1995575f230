"""One configured backend, as ``configs/backends.yaml`` describes it. Pure data; its state is in :mod:`agent.health`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The wire formats a backend can speak; each is a module of :mod:`agent.wire`.
APIS: tuple[str, ...] = ("openai", "anthropic", "gemini", "ollama")


@dataclass(frozen=True, slots=True)
class Price:
    """USD per 1,000 tokens. ``cached_input`` is for what the provider had in its cache; None charges that in full."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What may be used of a backend in one window of time.

    limit    of ``unit``: ``requests``, ``tokens`` (both directions), ``input_tokens``, ``output_tokens`` or ``usd``
    per      ``minute``, ``hour``, ``day``, ``week``, ``month``, or a number of ``m``, ``h`` or ``d`` such as ``5h``
    rolling  True counts the last ``per`` at any moment; False counts from one reset to the next
    zone     the IANA time zone in which days, weeks and months begin
    day      when a month begins (1 to 31; the last day where a month is shorter) or a week (0 is Monday)
    hour     of the day at which a window of days begins, 0 to 23
    """

    limit: float
    unit: str
    per: str
    rolling: bool = False
    zone: str = "UTC"
    day: int | None = None
    hour: int = 0

    def __str__(self) -> str:
        words = {"input_tokens": "input tokens", "output_tokens": "output tokens"}
        rolling = " (rolling)" if self.rolling else ""
        return f"{self.limit:,.10g} {words.get(self.unit, self.unit)} per {self.per}{rolling}"


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds. ``total`` bounds the attempt; ``first_token`` and ``idle`` bound the silences of a stream."""

    connect: float = 10.0
    first_token: float = 30.0
    idle: float = 30.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Backend:
    """One LLM endpoint.

    key           what the game and the rules call it, such as ``claude``
    api           one of :data:`APIS`
    url           the base address, without the path of a single call: ``https://api.anthropic.com/v1``
    model         the provider's name of the model
    api_key       the secret; None when the config names none (a local server)
    unconfigured  why this backend cannot be asked at all (its key is unset), or empty
    provider      its key in ``configs/providers.yaml``; empty where the config describes the endpoint itself
    price         USD per 1,000 tokens
    price_source  where the price comes from: ``config`` gives it; ``library`` had it; ``local`` servers cost nothing;
                  ``unknown`` counts as 0 and is said so
    max_context   tokens, input and output together
    max_tokens    the longest answer asked for when the task does not say, in tokens
    limited       whether the config itself says ``max_tokens``; then open-ended tasks keep to it, too
    max_output    the longest answer that the model can make, in tokens; None where neither config nor catalogue knows
    retries       more tries on this backend after a transient failure
    allowed_fails failures in a row that the breaker tolerates; 0 opens it at the first
    cooldown_time seconds an open breaker waits before it lets a probe through
    max_parallel  attempts under way at once
    quota         what may be used of it in which time
    fallbacks     the order to turn to when this one fails; empty leaves it to the ranking
    options       extra top-level fields for the request body, as the config gives them
    headers       extra headers of every request; nothing secret, and never anything about who asks
    json_mode     how a JSON Schema is asked for (openai api only): ``schema`` hands it to the server; ``object`` asks
                  for any JSON object and tells the model the schema in words; ``prompt`` does that alone
    practice      True when a simulated backend answers in its place
    """

    key: str
    api: str
    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    unconfigured: str = ""
    provider: str = ""
    price: Price = Price()
    price_source: str = "config"
    strengths: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()
    max_context: int = 8192
    max_tokens: int = 1024
    limited: bool = False
    max_output: int | None = None
    timeout: Timeout = Timeout()
    retries: int = 2
    allowed_fails: int = 3
    cooldown_time: float = 60.0
    max_parallel: int = 8
    quota: tuple[Quota, ...] = ()
    fallbacks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json_mode: str = "schema"
    practice: bool = False
