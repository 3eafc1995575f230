"""One request to one backend and what came of it: :class:`Attempt`. Pure data; the ledger keeps one row for each."""

from __future__ import annotations

from dataclasses import dataclass

from .answer import Usage
from .failures import FailureCode
from .verdict import Verdict


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one backend and its outcome.

    failure     None when the answer was accepted
    reason      one line: the provider's words or the judge's evidence; empty when accepted
    latency_ms  from the moment a slot was free to the last byte, in milliseconds
    usage       tokens; reported by the provider, or estimated for an answer that came without
    cost_usd    USD; of estimated tokens where the provider reported none and had begun to work
    reported    the tokens that the provider reported, where they were not believed; else None
    cancelled   whoever asked has let go of it; what was known of it by then is counted
    verdict     the judge's, when there was an answer to judge
    chars       characters of an answer that broke off in mid-sentence; 0 for one that was never begun, or is whole
    first_token_ms  from the same moment to the first words of a stream, in milliseconds; None where none came, or whole
    """

    backend: str
    model: str
    kind: str
    failure: FailureCode | None
    reason: str
    started: float
    latency_ms: float
    usage: Usage
    cost_usd: float
    verdict: Verdict | None = None
    status: int | None = None
    practice: bool = False
    chars: int = 0
    first_token_ms: float | None = None
    reported: Usage | None = None
    cancelled: bool = False

    @property
    def words(self) -> int:
        """The former name of ``chars``."""
        return self.chars
