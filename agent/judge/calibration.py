"""How far to believe a backend that says how sure it is: recorded outcomes in, one temperature out.

calibration = Calibration()
calibration.add(0.9, right=False)
calibration.temperature              # 1.0 until enough is known; above 1 for a backend that is too sure of itself
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .confidence import fit_temperature

#: Outcomes that are remembered per backend; older ones say little of the model that answers today.
REMEMBERED = 400


class Calibration:
    """The outcomes of one backend's answers, and the temperature that fits them."""

    def __init__(self, outcomes: Iterable[tuple[float, bool]] = ()):
        self._outcomes: deque[tuple[float, bool]] = deque(outcomes, REMEMBERED)
        self.temperature = fit_temperature(self._outcomes)

    def add(self, sure: float, *, right: bool) -> None:
        """Record that an answer given with confidence ``sure`` (0 to 1) turned out right or wrong."""
        self._outcomes.append((sure, right))
        self.temperature = fit_temperature(self._outcomes)

    def snapshot(self) -> list[tuple[float, bool]]:
        """The outcomes as plain data; give them to a new Calibration to go on."""
        return list(self._outcomes)
