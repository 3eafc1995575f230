"""``POST /v1/moderations``: this house's judge, for whoever asks it, in OpenAI's form and under its own name.

    {"input": "I'm sorry, but I can't help with that."}
    {"model": "uniwizard-judge", "results": [{"flagged": true, "categories": {"refusal": true, ...}, ...}]}

It tells whether a text, read as an answer, declines, in full or in part, says nothing, or is broken. It knows nothing
of hate, violence and the like: OpenAI's categories are absent from its answers rather than false, and every answer
says so. ``prompt`` may hold what the text answers. Nobody is asked, and nothing is charged but the request.
"""

from __future__ import annotations

import secrets
from typing import Any

from ..core.clock import Clock, sleep
from ..core.failures import FailureCode
from ..judge import judge
from ..wire.body import Json
from . import fields
from .errors import Rejected

MODEL = "uniwizard-judge"
#: What clients call OpenAI's: they get this one, by its own name.
_THEIRS = ("omni-moderation", "text-moderation")
#: Texts of a request, and characters of all of them. The judge reads 10,000 characters in some milliseconds.
MAX_TEXTS, MAX_CHARS = 256, 400_000

NOTE = (
    "The judge tells whether a text declines, says nothing or is broken. It does not look for hate, violence, "
    "sexual content, self-harm or other harm; those categories are absent, not false."
)

#: By category, the failures that it stands for.
_FAILURES = {
    "empty": FailureCode.EMPTY,
    "malformed": FailureCode.MALFORMED,
    "low_confidence": FailureCode.LOW_CONFIDENCE,
}


async def answer(node: Any, clock: Clock) -> Json:
    """What is sent. Raises Rejected (400, 404)."""
    if not isinstance(node, dict):
        raise Rejected(400, "The body must be a JSON object.")
    model = fields.text(node, "model")
    if model and model not in (MODEL, "auto") and not model.startswith(_THEIRS):
        message = f"The model `{model[:80]}` does not exist. There is: {MODEL}."
        raise Rejected(404, message, code="model_not_found", param="model")
    prompt = fields.text(node, "prompt")
    results = []
    for text in _texts(node):
        results.append(_judged(prompt, text))
        # Others have their turn.
        await sleep(clock, 0)
    identifier = f"modr-{secrets.token_hex(16)}"
    return {"id": identifier, "model": MODEL, "results": results, "uniwizard": {"judge": MODEL, "note": NOTE}}


def _texts(node: Json) -> list[str]:
    given = node.get("input")
    entries = [given] if isinstance(given, str) else given
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_TEXTS:
        raise Rejected(400, f"`input` must be a text or a list of 1 to {MAX_TEXTS} texts.", param="input")
    said = [entry.get("text") if isinstance(entry, dict) else entry for entry in entries]
    texts = [text for text in said if isinstance(text, str)]
    if len(texts) != len(said):
        raise Rejected(400, "`input` must be texts; nothing else can be judged.", param="input")
    if sum(map(len, texts)) > MAX_CHARS:
        raise Rejected(400, f"`input` holds more than {MAX_CHARS} characters.", param="input")
    if any(isinstance(entry, dict) for entry in entries):
        # Parts of one message, as OpenAI has it, get one result.
        return ["\n".join(texts)]
    return texts


def _judged(prompt: str, text: str) -> Json:
    verdict = judge(prompt, text)
    categories = {"refusal": verdict.refused, "partial_refusal": verdict.partial}
    categories |= {name: verdict.failure is failure for name, failure in _FAILURES.items()}
    scores = {name: float(found) for name, found in categories.items()}
    # Chances where the judge has them: that the text declines in full, and that it does so in a part alone.
    refuses = verdict.refuses or scores["refusal"]
    scores |= {"refusal": refuses, "partial_refusal": max(0.0, verdict.score - refuses)}
    return {
        "flagged": not verdict.accepted,
        "categories": categories,
        "category_scores": {name: round(score, 4) for name, score in scores.items()},
        "category_applied_input_types": {name: ["text"] for name in categories},
        "uniwizard": {"failure": verdict.failure, "kind": verdict.kind, "evidence": verdict.evidence},
    }
