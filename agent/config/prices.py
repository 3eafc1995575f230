"""What a model costs where the config does not say: a lookup in genai-prices, which is data in a package, no network.

    listing = look_up("kimi-k3", url="https://api.moonshot.ai/v1")
    listing.price.input         # USD per 1,000 tokens
    listing.max_context         # tokens, or None

Asked once per backend, when a config is read; the package is imported then and not before (0.2 s, 30 MB). Where it is
not installed, nothing is known.

The price is the plain one of the day: no batch discount, and of prices that rise with the length of the input the
first step, so that a very long input may cost more than is counted here. A price in the config beats all of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.backend import Price


@dataclass(frozen=True, slots=True)
class Listing:
    """What the library knows of one model. ``max_context`` is in tokens, None where it has none."""

    price: Price
    max_context: int | None = None


def look_up(model: str, *, provider: str = "", url: str = "") -> Listing | None:
    """The listing of ``model`` at ``provider`` (the library's id), else at the owner of ``url``; None if unknown."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    seller: dict[str, Any] = {"provider_id": provider} if provider else {"provider_api_url": url}
    thousand = 1000

    def cost(**tokens: int) -> float:
        return float(calc_price(Usage(**tokens), model, **seller).total_price)

    try:
        listed = calc_price(Usage(), model, **seller)
        rates = vars(listed.model_price)
        if rates.get("input_mtok") is None and rates.get("output_mtok") is None:
            return None
        cached = None
        if rates.get("cache_read_mtok") is not None:
            cached = cost(input_tokens=thousand, cache_read_tokens=thousand)
        price = Price(cost(input_tokens=thousand), cost(output_tokens=thousand), cached)
        return Listing(price, listed.model.context_window)
    except (LookupError, ValueError):
        return None


def installed() -> bool:
    """Whether there is a library to ask."""
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        return False
    return True
