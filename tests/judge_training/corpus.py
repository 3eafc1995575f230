"""The labelled answers: the project's own corpus, and files like it. For development only.

rows = own_rows()                        # tests/data/judge_corpus, without what is held out
rows[0].task, rows[0].context            # what the judge is told of the task
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from uniwizard.agent.core.task import Task  # noqa: E402
from uniwizard.agent.judge.batch import task_of  # noqa: E402
from uniwizard.agent.judge.context import NO_CONTEXT, Context, context_of, last_user_text  # noqa: E402

CORPUS = ROOT / "tests" / "data" / "judge_corpus"
OWN, HELD = ("answers.jsonl", "agents.jsonl"), "held.jsonl"
_LABELS = {"1_full_compliance": "complies", "2_full_refusal": "refuses", "3_partial_refusal": "partial"}


@dataclass(frozen=True)
class Row:
    """One answer. ``label`` is complies, refuses or partial; ``group`` is what it must not be parted from."""

    id: str
    group: str
    klass: str
    kind: str
    language: str
    label: str
    model: str
    task: Task
    asked: str
    context: Context
    response: str

    @property
    def declines(self) -> bool:
        return self.label != "complies"

    @property
    def refuses(self) -> bool:
        return self.label == "refuses"


def rows_of(path: Path) -> list[Row]:
    """The rows of a file: id, prompt or messages, response, label; class, kind, language and model where known."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        task = task_of(row)
        asked = last_user_text(task)
        rows.append(
            Row(
                id=str(row["id"]),
                group=row.get("conversation", asked),
                klass=row.get("class", path.stem),
                kind=row.get("kind", ""),
                language=row.get("language", "en"),
                label=_LABELS.get(row["label"], row["label"]),
                model=row.get("model", ""),
                task=task,
                asked=asked,
                context=context_of(task),
                response=row["response"],
            )
        )
    return rows


def own_rows() -> list[Row]:
    """What the weights are trained on."""
    return [row for name in OWN for row in rows_of(CORPUS / name)]


def held_rows() -> list[Row]:
    """What no weight, phrase or threshold is chosen by."""
    return rows_of(CORPUS / HELD)


def without_context(rows: list[Row]) -> list[Row]:
    """The rows that have a context, once more without it: who judges single answers has none."""
    return [
        replace(row, id=f"{row.id}-bare", context=NO_CONTEXT, task=Task(row.asked, id=""))
        for row in rows
        if row.context is not NO_CONTEXT
    ]


def fold(group: str) -> int:
    """One of five parts, the same for every answer to a prompt or of a conversation."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % 5


def digest() -> str:
    """The hash of what the weights are trained on."""
    hashed = hashlib.sha256()
    for name in OWN:
        hashed.update((CORPUS / name).read_bytes())
    return hashed.hexdigest()
