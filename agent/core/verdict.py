"""The :class:`Verdict`: what the judge says of one answer. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from .failures import FailureCode


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted, or one failure with its evidence.

    failure   None when the answer is accepted
    score     how surely the answer declines, 0 to 1 (calibrated: of answers at 0.9, nine in ten do)
    evidence  the words that gave it away, or the validator's path and message; empty when there is nothing to show
    kind      for a refusal: ``policy``, ``capability`` or ``deflection``; else empty
    refuses   how surely it refuses in full, 0 to 1: what decides whether the task moves on
    source    ``provider`` when a structured field said so, ``prose`` when it was read out of the text
    partial   useful text with a part declined; accepted unless the config says otherwise
    content   the parsed JSON, when the task gave a schema and the answer satisfies it
    sure      how sure the model was of its answer, 0 to 1 and uncalibrated; None where nothing tells
    """

    failure: FailureCode | None = None
    score: float = 0.0
    evidence: str = ""
    kind: str = ""
    source: str = "prose"
    partial: bool = False
    content: object = None
    sure: float | None = None
    refuses: float = 0.0

    @property
    def accepted(self) -> bool:
        return self.failure is None

    @property
    def refused(self) -> bool:
        return self.failure is FailureCode.REFUSED
