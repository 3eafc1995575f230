"""The judge as the engine asks it: each backend by its own settings, and by how far its own confidence can be believed.

judge = CalibratedJudge(config.judge)
verdict = judge(task, answer, "claude")
judge.learn(attempt, good=False)           # somebody said that this answer was bad
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..core.answer import Answer
from ..core.attempt import Attempt
from ..core.task import Task
from ..core.verdict import Verdict
from .calibration import Calibration
from .confidence import calibrated
from .judging import judge, reconsider
from .settings import JudgeSettings


class CalibratedJudge:
    """Judges by backend. ``settings`` is the config's, by backend key; see :class:`JudgeSettings`."""

    def __init__(self, settings: Mapping[str, Mapping[str, Any]]):
        self._configured = settings
        self._calibrations: dict[str, Calibration] = {}
        self._settings: dict[str, JudgeSettings] = {}

    def __call__(self, task: Task, answer: Answer, key: str) -> Verdict:
        """The verdict on what the backend ``key`` answered. Raises nothing, whatever the text."""
        return judge(task, answer, self.settings(key))

    def sureness(self, verdict: Verdict, key: str) -> float | None:
        """How sure ``key`` can be believed to be of its answer, 0 to 1; None where nothing tells."""
        return None if verdict.sure is None else calibrated(verdict.sure, self.settings(key).temperature)

    def adviser(self, verdict: Verdict, key: str) -> tuple[str, float]:
        """The backend to ask about a doubtful answer of ``key``, and the seconds it has; empty where there is no doubt.

        Nobody is asked about an answer of their own, nor where a provider's field has said it all.
        """
        asked = self.settings(key).second_opinion
        if asked is None or asked.backend == key or verdict.source != "prose":
            return "", 0.0
        if not (verdict.accepted or verdict.refused) or not asked.between[0] <= verdict.refuses <= asked.between[1]:
            return "", 0.0
        return asked.backend, asked.timeout

    def reconsider(self, verdict: Verdict, key: str, refuses: bool) -> Verdict:
        """The verdict once the adviser has said whether the answer of ``key`` ``refuses``."""
        return reconsider(verdict, refuses, self.settings(key))

    def settings(self, key: str) -> JudgeSettings:
        """How the answers of ``key`` are read: the config's settings, and its calibration."""
        found = self._settings.get(key)
        if found is None:
            found = JudgeSettings.from_mapping(self._configured.get(key, {}))
            if key in self._calibrations:
                found = replace(found, temperature=self._calibrations[key].temperature)
            self._settings[key] = found
        return found

    def reload(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Use another config's settings; what is known of the backends' confidence stays."""
        self._configured = settings
        self._settings.clear()

    def learn(self, attempt: Attempt, *, good: bool) -> None:
        """Take to heart whether the answer of ``attempt`` was good, if its backend said how sure it was."""
        if attempt.verdict is not None and attempt.verdict.sure is not None:
            self._calibrations.setdefault(attempt.backend, Calibration()).add(attempt.verdict.sure, right=good)
            self._settings.pop(attempt.backend, None)

    def told(self, key: str, sure: float, *, good: bool) -> None:
        """Another process has learned that ``key`` was right, or was not, having been so ``sure``."""
        self._calibrations.setdefault(key, Calibration()).add(sure, right=good)
        self._settings.pop(key, None)

    def snapshot(self) -> dict[str, list[tuple[float, bool]]]:
        """The outcomes by backend, as plain data."""
        return {key: calibration.snapshot() for key, calibration in self._calibrations.items()}

    def restore(self, kept: Mapping[str, Iterable[tuple[float, bool]]]) -> None:
        """Take up a snapshot."""
        self._calibrations.update({key: Calibration(outcomes) for key, outcomes in kept.items()})
        self._settings.clear()
