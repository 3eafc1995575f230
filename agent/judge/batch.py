"""Many answers at once, for the command line: judge them, or ask what other thresholds would have done.

for row in judge_rows(parse_rows(open("answers.jsonl"))): print(json.dumps(row))
print(fit(parse_rows(open("outcomes.jsonl"))))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..core.jsonlines import objects
from ..core.task import Message, Task, Tool
from .judging import judge
from .settings import JudgeSettings

_DEFAULT = JudgeSettings()

#: What a label or a feedback may say, and whether it means that the answer declined.
_TRUTHS: dict[object, bool] = {
    True: True, False: False, "bad": True, "good": False, "refused": True, "accepted": False, "refuses": True,
    "partial": True, "complies": False, "1_full_compliance": False, "2_full_refusal": True, "3_partial_refusal": True,
}  # fmt: skip


def parse_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """JSON Lines to rows. A bad line becomes a row with ``line`` and ``error`` and nothing else."""
    for number, row, fault in objects(lines):
        yield {"line": number, "error": fault} if fault else {**row, "line": number}


def judge_rows(rows: Iterable[Mapping[str, Any]], settings: JudgeSettings = _DEFAULT) -> Iterator[dict[str, Any]]:
    """Judge rows with ``id``, ``response``, and ``prompt`` or else ``messages`` and ``tools`` (:func:`task_of`).

    Each becomes ``{"id", "refused", "score", "failure", "evidence", "kind", "partial"}``. ``refused`` is true for
    every answer that declines, in full or in part; ``failure`` is null where the answer is accepted, as a partial one
    is by default. A bad row becomes ``{"id", "line", "error"}``.
    """
    for row in rows:
        if fault := _fault(row):
            yield {"id": row.get("id"), "line": row.get("line"), "error": fault}
            continue
        verdict = judge(task_of(row), str(row["response"]), settings)
        yield {
            "id": row.get("id"),
            "refused": verdict.refused or verdict.partial,
            "score": round(verdict.score, 4),
            "failure": None if verdict.failure is None else str(verdict.failure),
            "evidence": verdict.evidence,
            "kind": verdict.kind,
            "partial": verdict.partial,
        }


def task_of(row: Mapping[str, Any]) -> Task:
    """The task of a row: its ``prompt``, or ``messages`` as OpenAI has them, with ``tools`` by name or as objects.

    Raises ValueError where they have another shape.
    """
    tools = row.get("tools") or ()
    if not isinstance(tools, list | tuple) or not all(isinstance(tool, str | Mapping) for tool in tools):
        raise ValueError("tools: not a list of names or objects")
    offered = tuple(Tool(tool if isinstance(tool, str) else "tool") for tool in tools)
    if "messages" not in row:
        if not isinstance(row.get("prompt"), str):
            raise ValueError("prompt: missing" if "prompt" not in row else "prompt: not a text")
        return Task(row["prompt"], tools=offered, id="")
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: not a list of messages")
    turns = []
    for message in messages:
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise ValueError(f"messages: a role is none of {', '.join(_ROLES)}")
        turns.append(Message(message["role"], _text(message.get("content"))))
    return Task(messages=tuple(turns), tools=offered, id="")


_ROLES = ("system", "developer", "user", "assistant", "tool")


def _text(content: object) -> str:
    """The text of a message's content, which may come in parts. Raises ValueError."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    raise ValueError("messages: content is neither a text nor a list of parts")


def _fault(row: Mapping[str, Any]) -> str:
    """What is wrong with a row, in one line; empty when it can be judged."""
    if "error" in row and "response" not in row:
        return str(row["error"])
    try:
        task_of(row)
    except ValueError as error:
        return str(error)
    if not isinstance(row.get("response"), str):
        return "response: missing" if "response" not in row else "response: not a text"
    return ""


@dataclass(frozen=True, slots=True)
class FitReport:
    """What recorded outcomes say of the thresholds.

    precision, recall    as judged now, of answers that truly declined
    refuse_at            the threshold in force
    best_refuse_at       the one with the highest F1 on these rows, in the middle of its range
    best_f1, f1          of either
    changes              ids whose verdict the better threshold would change, with the score and the true outcome
    faults               one line per row that could not be used: its line number and what is wrong
    """

    rows: int
    precision: float
    recall: float
    f1: float
    refuse_at: float
    best_refuse_at: float
    best_f1: float
    changes: tuple[tuple[str, float, bool], ...]
    faults: tuple[str, ...]


def fit(rows: Iterable[Mapping[str, Any]], settings: JudgeSettings = _DEFAULT) -> FitReport:
    """What the outcomes in ``rows`` (id, prompt, response, and label or feedback) would change. Changes nothing."""
    seen: list[tuple[str, float, bool]] = []
    faults: list[str] = []
    for number, row in enumerate(rows, 1):
        line = row.get("line", number)
        truth = row.get("label", row.get("feedback"))
        fault = _fault(row)
        if not fault and (not isinstance(truth, str | bool) or truth not in _TRUTHS):
            fault = f"label: {truth!r} is none of {', '.join(str(t) for t in _TRUTHS)}"
        if fault:
            faults.append(f"line {line}: {fault}")
            continue
        score = judge(task_of(row), str(row["response"]), settings).score
        seen.append((str(row.get("id", line)), score, _TRUTHS[truth]))
    now = _rates(seen, settings.refuse_at)
    best = _best_threshold(seen, settings.refuse_at)
    changes = tuple(s for s in seen if (s[1] >= settings.refuse_at) != (s[1] >= best))
    return FitReport(len(seen), *now, settings.refuse_at, best, _rates(seen, best)[2], changes, tuple(faults))


def _rates(seen: list[tuple[str, float, bool]], at: float) -> tuple[float, float, float]:
    """Precision, recall and F1 at a threshold; 0 where nothing is there to be right about."""
    hits = sum(1 for _, score, truth in seen if score >= at and truth)
    called = sum(1 for _, score, _ in seen if score >= at)
    true = sum(1 for _, _, truth in seen if truth)
    return hits / called if called else 0.0, hits / true if true else 0.0, 2 * hits / (called + true) if hits else 0.0


def _best_threshold(seen: list[tuple[str, float, bool]], now: float) -> float:
    """The threshold of highest F1; the one in force where none is better."""
    best, best_f1 = now, _rates(seen, now)[2]
    scores = sorted({score for _, score, _ in seen})
    for below, above in pairwise(scores):
        middle = (below + above) / 2
        f1 = _rates(seen, middle)[2]
        if f1 > best_f1 + 1e-9:
            best, best_f1 = middle, f1
    return best
