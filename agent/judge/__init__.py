"""The judgement of a 200 OK: is this an answer, or a refusal, empty talk or garbage in an answer's clothes?

    verdict = judge("How do tides work?", Answer("I'm sorry, but I can't help with that."))
    verdict.failure       # Failure.REFUSED
    verdict.evidence      # "I'm sorry, but I can't help with that."
    verdict.kind          # "policy"

:class:`JudgeSettings` says how strict to be; README.md beside this file says what is looked at, and how well it works.
"""

from ..core.verdict import Verdict
from .batch import FitReport, fit, judge_rows
from .judging import judge, opening
from .settings import JudgeSettings

__all__ = ["FitReport", "JudgeSettings", "Verdict", "fit", "judge", "judge_rows", "opening"]
