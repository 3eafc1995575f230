"""Has an answer weighed before it is shown: one that does not heed what was asked is sent back once.

result = await heeded(script, thought)      # thought.short says what the answer still does not heed
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from uniwizard.agent import AllBackendsFailed, Message, RouteResult
from uniwizard.world import weighing
from uniwizard.world.harmless import line
from uniwizard.world.manner import plain_spoken
from uniwizard.world.routers import GameRouter


async def heeded(script: GameRouter, thought: Any) -> RouteResult:
    """The answer to ``thought``; one that is not shown yet is put in plain words, and weighed. Raises as a Router."""
    result = await script.brain.run(thought.plan, deliver=None if thought.live is None else thought.live.hear)
    if result.refused:
        return result
    shown = thought.live is not None and thought.live.shown
    text = result.text if shown else plain_spoken(result.text)
    result = replace(result, text=text)
    thought.short = tuple(weighing.shortcomings(thought.text, text))
    if thought.short and not (shown or result.practice or result.memory is not None):
        return await _sent_back(script, thought, result)
    return result


async def _sent_back(script: GameRouter, thought: Any, first: RouteResult) -> RouteResult:
    """Ask the same backend once more, saying what its answer did not heed; the better of the two."""
    why = thought.short[0]
    script.narrator.tell("sent_back", thought.thinker, {"key": first.backend, "why": line(why, 90)})
    turns = (*thought.task.turns, Message("assistant", first.text))
    words = f"This answer {' and '.join(thought.short)}. Give the whole answer again, with that put right."
    task = replace(thought.task, messages=turns, prompt=words, images=(), kind=thought.decision.kind)
    brain = script.brain
    try:
        again = await brain.run(brain.plan(task, first.backend, memory="fresh"), attempts=first.attempts)
    except AllBackendsFailed as failed:
        return replace(first, attempts=failed.attempts, cost_usd=failed.cost_usd)
    text = plain_spoken(again.text)
    short = tuple(weighing.shortcomings(thought.text, text))
    took = first.latency_ms + again.latency_ms
    if again.refused or len(short) >= len(thought.short):
        return replace(first, attempts=again.attempts, cost_usd=again.cost_usd, latency_ms=took)
    thought.short = short
    return replace(again, text=text, kind=first.kind, latency_ms=took)
