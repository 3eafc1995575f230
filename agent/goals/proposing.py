"""Steps that a brain proposes where the library does not reach: JSON, which counts once it is validated.

    proposal_prompt(record, fact, actions), PROPOSAL       # what is asked, and the JSON Schema of the answer
    actions, faults = accepted(content, known, wants)      # what of it can be used

What comes back is a stranger's text: names are words, a step can only be a question to a brain, never a function, and
its words go no further than into that question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from .actions import Action
from .goal import CHECK, FACT
from .planner import Option, Unreachable, search
from .record import Record

#: Steps that one proposal may have, and characters of what one of them says.
MOST_STEPS, MOST_CHARS = 12, 2000

#: Loose on purpose: one bad step must not spoil the others; :func:`accepted` is strict.
PROPOSAL: dict[str, Any] = {
    "type": "object",
    "required": ["steps"],
    "properties": {
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_STEPS,
            "items": {
                "type": "object",
                "required": ["name", "needs", "makes", "instruction"],
                "properties": {
                    "name": {"type": "string"},
                    "needs": {"type": "array", "maxItems": 8, "items": {"type": "string"}},
                    "makes": {"type": "array", "minItems": 1, "maxItems": 4, "items": {"type": "string"}},
                    "instruction": {"type": "string"},
                },
            },
        }
    },
}


def proposal_prompt(record: Record, fact: str, actions: Iterable[Action]) -> str:
    """What a brain is told that shall propose steps."""
    known = "\n".join(f"- {a.name}: needs {', '.join(sorted(a.needs)) or 'nothing'}, makes {', '.join(sorted(a.makes))}"
                      for a in actions if not a.proposed)  # fmt: skip
    lessons = "".join(f"\n- {lesson}" for lesson in record.lessons)
    failed = f"\nEarlier tries were turned down:{lessons}\n" if lessons else ""
    return (
        f"This is wanted:\n\n{record.goal.words}\n\nIn the end these facts must be true: "
        f"{', '.join(sorted(record.goal.wants))}. True by now: {', '.join(sorted(record.facts)) or 'none'}. "
        f"There is no way left to make this one true: {fact}.\n{failed}\nThese steps are known already:\n{known}\n\n"
        f"Propose at most {MOST_STEPS} new steps that lead there. Each has a name (lower-case letters and _), the "
        "facts that it needs, the facts that it makes, and an instruction to somebody who is shown the goal and the "
        "texts of those facts, and nothing else. Every needed fact must be true by now or be made by another step."
    )


def accepted(content: Any, record: Record, actions: Collection[Action]) -> tuple[list[Action], list[str]]:
    """The proposed steps that can be used, and what is wrong with the others, one line each."""
    faults: list[str] = []
    found: dict[str, Action] = {}
    names = {action.name for action in actions}
    said = content.get("steps") if isinstance(content, dict) else None
    for number, step in enumerate(said if isinstance(said, list) else [], start=1):
        why = _wrong(step, names | set(found), len(found))
        if why:
            faults.append(f"step {number}: {why}")
            continue
        needs, makes = frozenset(step["needs"]), frozenset(step["makes"])
        instruction = str(step["instruction"])
        found[step["name"]] = Action(
            step["name"], needs - makes, makes, instruction, why=instruction.split("\n")[0][:80], proposed=True
        )
    # A step whose needs nobody meets is of no use to anybody.
    options = [Option(a.needs, a.makes, 1.0, a.name) for a in (*actions, *found.values())]
    useful = []
    for action in found.values():
        try:
            search(action.needs, record.facts, options)
            useful.append(action)
        except Unreachable as unreachable:
            faults.append(f"{action.name}: needs {unreachable.fact}, which nothing makes true")
    return useful, faults


def _wrong(step: Any, names: set[str], count: int) -> str:
    if count >= MOST_STEPS:
        return f"is one more than the {MOST_STEPS} that are taken"
    if not isinstance(step, dict):
        return "is no object"
    name, needs, makes, said = (step.get(key) for key in ("name", "needs", "makes", "instruction"))
    if not isinstance(name, str) or not FACT.fullmatch(name):
        return "its name is no word in lower-case letters"
    if name in names or name.startswith(CHECK):
        return f"there is a step {name} already"
    for facts in (needs, makes):
        if not isinstance(facts, list) or not all(isinstance(fact, str) and FACT.fullmatch(fact) for fact in facts):
            return "its facts are no words in lower-case letters"
    if not makes or any(fact.startswith(CHECK) for fact in makes):
        return "it makes no fact that a step may make"
    if not isinstance(said, str) or not 0 < len(said.strip()) <= MOST_CHARS:
        return f"its instruction is no text of 1 to {MOST_CHARS} characters"
    return ""
