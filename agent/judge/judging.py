"""One verdict for one answer: the order in which everything in this folder is asked.

1  the provider's own word        Answer.declined, finish content_filter or refusal
2  nothing there                  empty
3  prose that declines            refused (policy, capability, deflection), or partial
4  broken                         malformed: cut off, looping, template left-overs, the wrong language
5  not the JSON that was asked    invalid_output
6  talk without substance         low_confidence
7  too unsure of itself           low_confidence, if the settings name a threshold
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..core.answer import Answer
from ..core.failures import FailureCode
from ..core.task import Task
from ..core.verdict import Verdict
from . import structure
from .confidence import calibrated, confidence, logit
from .context import NO_CONTEXT, context_of, last_user_text
from .features.hedging import hedging
from .model import sigmoid
from .refusal import Refusal, detect_refusal
from .schema import InvalidOutput, has_json, parse, strings_in
from .settings import JudgeSettings

_DEFAULT = JudgeSettings()


def judge(task: Task | str, answer: Answer | str, settings: JudgeSettings = _DEFAULT) -> Verdict:
    """Judge ``answer`` to ``task``. Deterministic; raises nothing, whatever the text."""
    asked, schema, context = (
        (task, None, NO_CONTEXT) if isinstance(task, str) else (last_user_text(task), task.schema, context_of(task))
    )
    answer = Answer(answer) if isinstance(answer, str) else answer
    if settings.provider and (verdict := _provider(answer)):
        return verdict
    cut = answer.finish_reason == "length" and isinstance(task, Task) and task.may_be_cut
    if isinstance(task, Task) and task.must_call and (answer.tool_calls or not answer.text.strip()):
        fault = "" if cut else _miscalled(task, answer)
        return Verdict(FailureCode.INVALID_OUTPUT, evidence=fault) if fault else Verdict()
    if nothing := structure.empty(answer.text):
        if answer.tool_calls and (cut or answer.finish_reason != "length"):
            return Verdict()
        if (not answer.text.strip() or not answer.tool_calls) and not (cut and answer.thoughts):
            return Verdict(FailureCode.EMPTY, evidence=nothing)
    found = detect_refusal(asked, answer.text, context)
    verdict = _prose(found, settings)
    if verdict.failure and not (schema is not None and has_json(answer.text)):
        return verdict
    if broken := _broken(asked, answer, schema is not None, isinstance(task, Task) and task.may_be_cut):
        return Verdict(FailureCode.MALFORMED, verdict.score, broken)
    content: object = None
    if schema is not None and cut:
        # A part of the JSON is what was asked for, and its finish_reason says so; mended, it would look whole.
        return Verdict(score=verdict.score)
    if schema is not None:
        try:
            content = parse(answer.text, schema)
        except InvalidOutput as fault:
            return Verdict(FailureCode.INVALID_OUTPUT, verdict.score, str(fault))
        inside = _prose(detect_refusal(asked, "\n\n".join(strings_in(content)), context), settings)
        verdict = Verdict(
            inside.failure,
            inside.score,
            inside.evidence,
            inside.kind,
            inside.source,
            inside.partial,
            content,
            refuses=inside.refuses,
        )
        if verdict.failure:
            return verdict
    elif isinstance(task, Task) and task.must_call:
        return Verdict(FailureCode.INVALID_OUTPUT, verdict.score, _miscalled(task, answer))
    elif settings.prose and not verdict.partial and hedging(found.features) >= settings.hedge_at:
        return Verdict(FailureCode.LOW_CONFIDENCE, verdict.score, found.features.own[0].text[:120])
    sure = confidence(asked, answer.text, content, answer.logprob)
    if sure is None:
        return verdict
    believed = calibrated(sure, settings.temperature)
    if settings.min_confidence is not None and believed < settings.min_confidence:
        evidence = f"confidence {believed:.2f} below {settings.min_confidence:.2f}"
        return Verdict(FailureCode.LOW_CONFIDENCE, verdict.score, evidence, sure=sure)
    return replace(verdict, sure=sure)


#: Characters after which a beginning is judged, once a sentence has ended; "Sure!" says nothing yet. And after which it
#: is judged in any case: code and lists have no sentences.
_BEGINNING, _LONG_BEGINNING = 40, 400
_SENTENCE_END = re.compile(r"[.!?…]++[\"”’'»)\]*_]*+\s|[。！？]|\n[ \t\r]*+\n")


def opening(task: Task, text: str, settings: JudgeSettings = _DEFAULT) -> Verdict | None:
    """Judge how an answer begins, while the rest is still coming: accepted, refused, or None before a sentence is over.

    An answer may begin well and decline later; who shows it before its end takes that on.
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, _LONG_BEGINNING)]
    end = next((end for end in ends if end >= _BEGINNING), _LONG_BEGINNING if len(text) >= _LONG_BEGINNING else 0)
    if not end:
        return None
    verdict = _prose(detect_refusal(last_user_text(task), text[:end], context_of(task)), settings)
    # A beginning that declines a part may be followed by anything.
    return Verdict(FailureCode.REFUSED, verdict.score, verdict.evidence, verdict.kind) if verdict.partial else verdict


def _miscalled(task: Task, answer: Answer) -> str:
    """What is wrong with the calls of an answer that had to call a tool; empty when nothing is."""
    tools = {tool.name: tool for tool in task.tools}
    if not answer.tool_calls:
        return "no tool was called, and one had to be"
    for call in answer.tool_calls:
        if call.name not in tools:
            return "a tool was called that there is not"
        try:
            parse(call.arguments or "{}", tools[call.name].parameters)
        except InvalidOutput as fault:
            return f"the arguments of {call.name}: {fault}"
    return ""


def reconsider(verdict: Verdict, refuses: bool, settings: JudgeSettings) -> Verdict:
    """The verdict once a second opinion has said whether the answer ``refuses``: one more feature of the regression.

    Only a verdict on prose is reconsidered, accepted or refused; a fault of form is none of its business.
    """
    asked = settings.second_opinion
    if asked is None or verdict.source != "prose" or not (verdict.accepted or verdict.refused):
        return verdict
    chance = sigmoid(logit(verdict.refuses) + (asked.weight if refuses else -asked.weight))
    refused = chance >= settings.reroute_at
    declines = refused or (verdict.score >= settings.refuse_at and (verdict.refused or verdict.partial))
    failure = FailureCode.REFUSED if refused or (declines and settings.partial == "refuse") else None
    evidence = verdict.evidence or (f"second opinion of {asked.backend}: refuses" if refused else "")
    return replace(
        verdict,
        failure=failure,
        score=max(verdict.score, chance),
        refuses=chance,
        evidence=evidence if declines else "",
        kind=(verdict.kind or "policy") if declines else "",
        partial=declines and not refused,
    )


def _provider(answer: Answer) -> Verdict | None:
    """The verdict of a field made for it: a classifier's refusal has a category, a model's own has words."""
    if answer.declined is not None:
        said = answer.declined
        evidence = ": ".join(part for part in (said.category, said.explanation) if part) or said.source
        return Verdict(FailureCode.REFUSED, 1.0, evidence, "policy", "provider")
    if answer.finish_reason in ("content_filter", "refusal"):
        return Verdict(FailureCode.REFUSED, 1.0, answer.finish_reason, "policy", "provider")
    return None


def _prose(found: Refusal, settings: JudgeSettings) -> Verdict:
    """Refused where another brain would do better, partial where something of use is there, else accepted."""
    refused = found.refuses >= settings.reroute_at
    if not settings.prose or not (refused or found.score >= settings.refuse_at):
        return Verdict(score=found.score, refuses=found.refuses)
    failure = FailureCode.REFUSED if refused or settings.partial == "refuse" else None
    return Verdict(failure, found.score, found.evidence, found.kind, "prose", not refused, refuses=found.refuses)


def _broken(asked: str, answer: Answer, structured: bool, may_be_cut: bool) -> str:
    """Evidence that the answer is broken, or an empty string."""
    if answer.finish_reason == "length" and not may_be_cut:
        return "cut at the length limit" + (f": {cut}" if (cut := structure.cut_off(answer.text)) else "")
    if not structured and answer.finish_reason != "length" and (cut := structure.cut_off(answer.text)):
        return cut
    return (
        structure.template_residue(asked, answer.text)
        or structure.loop(answer.text)
        or structure.wrong_language(asked, answer.text)
    )
