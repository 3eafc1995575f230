"""What a config may say about judging::

    JudgeSettings.from_mapping({"refuse_at": 0.7, "partial": "refuse"})

One :class:`JudgeSettings` judges one answer; a backend with its own settings has its own instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class SecondOpinionSettings:
    """Whom to ask about a doubtful answer, and what counts as one.

    backend   the key of the backend that is asked; a cheap and quick one
    between   the bounds of doubt: the probability of a full refusal from, and up to, which it is asked
    weight    what its reply counts, in log-odds: 2.2 is a judge that is right nine times in ten (ln 9)
    timeout   seconds it has; then the verdict stays as it was
    """

    backend: str
    between: tuple[float, float] = (0.15, 0.85)
    weight: float = 2.2
    timeout: float = 5.0

    def __post_init__(self) -> None:
        low, high = self.between
        if not 0 <= low <= high <= 1:
            raise ValueError(f"second_opinion: between: {list(self.between)} is not two rising numbers from 0 to 1")
        if not self.weight >= 0:
            raise ValueError(f"second_opinion: weight: {self.weight!r} is not 0 or more")
        if not self.timeout > 0:
            raise ValueError(f"second_opinion: timeout: {self.timeout!r} is not above 0")


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How strict the judge is. Every figure is a probability, 0 to 1.

    provider        believe a provider's own structured refusal (``Answer.declined``, ``finish``)
    prose           read refusals, and empty talk, out of the text
    refuse_at       the score from which an answer declines at all, and is marked as partial if it is accepted
    reroute_at      the probability of a full refusal from which the answer fails; what it costs to be wrong either way
                    decides it (README.md beside this file has the table)
    partial         ``accept`` or ``refuse`` useful text with a part declined
    hedge_at        the share of empty talk from which an answer has said nothing; above 1 switches this off
    min_confidence  below this confidence an answer is ``low_confidence``; None switches this off
    second_opinion  whom to ask about a doubtful answer; None asks nobody
    temperature     the backend's calibration, as :func:`agent.judge.confidence.fit_temperature` finds it; 1 is none
    """

    provider: bool = True
    prose: bool = True
    refuse_at: float = 0.7
    reroute_at: float = 0.45
    partial: str = "accept"
    hedge_at: float = 0.65
    min_confidence: float | None = None
    temperature: float = 1.0
    second_opinion: SecondOpinionSettings | None = None

    def __post_init__(self) -> None:
        for name in ("provider", "prose"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: {getattr(self, name)!r} is not true or false")
        if self.partial not in ("accept", "refuse"):
            raise ValueError(f"partial: {self.partial!r}; allowed: accept, refuse")
        for name, high in (("refuse_at", 1.0), ("reroute_at", 1.0), ("hedge_at", 2.0), ("min_confidence", 1.0)):
            value = getattr(self, name)
            if value is None and name == "min_confidence":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
                raise ValueError(f"{name}: {value!r} is not a number from 0 to {high:g}")
        if isinstance(self.temperature, bool) or not isinstance(self.temperature, int | float):
            raise ValueError(f"temperature: {self.temperature!r} is not a number")
        if not 0 < self.temperature < 1000:
            raise ValueError(f"temperature: {self.temperature!r} is not above 0 and below 1000")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> JudgeSettings:
        """The settings a config gives; what it leaves out keeps its default.

        Raises ValueError: which key, what it was, what is allowed.
        """
        allowed = [f.name for f in fields(cls)]
        for key in mapping:
            if key not in allowed:
                raise ValueError(f"{key}: unknown; allowed: {', '.join(allowed)}")
        given = dict(mapping)
        if isinstance(asked := given.get("second_opinion"), Mapping):
            listed = {**asked, "between": tuple(asked["between"])} if "between" in asked else asked
            given["second_opinion"] = SecondOpinionSettings(**listed)
        return cls(**given)
