"""The road of a thought that has ended, for ``think/why``: who was asked, what came of it, what it cost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from uniwizard.agent import Attempt, practised
from uniwizard.world.harmless import line, show
from uniwizard.world.soul import voice
from uniwizard.world.thoughts import Thought
from uniwizard.world.times import ago


def road(thought: Thought, width: int) -> list[str]:
    """The story of a thought that has ended."""
    decision = thought.decision
    lines = [f"|wYou asked:|n {line(thought.text, width - 11)}"]
    lines.append(f"|wKind:|n {decision.kind} ({decision.confidence:.0%} sure)")
    if decision.kind_reasons:
        because = ", ".join(map(voice.reason, decision.kind_reasons))
        lines += [f"  {piece}" for piece in show(f"because of {because}", width - 2)]
    for step in decision.path:
        lines += [f"  > {piece}" for piece in show(step, width - 4)]
    ranking = ", ".join(f"{entry.backend} {entry.score:.2f}" for entry in decision.ranking[:6])
    lines.append(f"|wRanking:|n {ranking or 'nobody could be asked'}")
    if thought.pin:
        lines.append(f"|wYou wanted:|n {thought.pin}")
    if thought.passed:
        lines.append(f"|wTaken from:|n {', '.join(thought.passed)}, for being slow")
    for number, repeats in enumerate(_repeated(thought.attempts), 1):
        lines += _told(number, repeats, width)
    known = thought.result.memory if thought.result is not None else None
    if known is not None:
        lines.append(f"|wRemembered:|n {known.backend} has answered this, {ago(time.time() - known.learned)}")
        lines.append(f"     {line(known.model, 40)}, saved {known.saved_ms / 1000.0:.1f} s, ${known.saved_usd:.4f}")
    if thought.why_not and not thought.attempts:
        lines.append(f"  {line(thought.why_not)}")
    if thought.short:
        lines += [f"  {piece}" for piece in show(f"the answer {'; '.join(thought.short)}", width - 2)]
    total = sum(attempt.cost_usd for attempt in thought.attempts)
    lines.append(f"|wIn all:|n {thought.ended - thought.started:.1f} s, ${total:.4f}")
    return lines


def _repeated(attempts: Iterable[Attempt]) -> Iterator[tuple[Attempt, ...]]:
    """The attempts, those in a row that came to the same end together."""
    for _, same in groupby(
        attempts, key=lambda attempt: (attempt.backend, attempt.model, attempt.failure, attempt.reason)
    ):
        yield tuple(same)


def _told(number: int, repeats: Sequence[Attempt], width: int) -> list[str]:
    """What became of one backend, which was asked once or several times in a row."""
    last = repeats[-1]
    what = "answered" if last.failure is None else voice.failure(last.failure)
    times = f", {len(repeats)} times" if len(repeats) > 1 else ""
    # A simulated brain names itself so where it answers; where it fails, nobody has named it.
    model = practised(last.model) if last.practice else last.model
    seconds = sum(attempt.latency_ms for attempt in repeats) / 1000.0
    given = sum(attempt.usage.input_tokens for attempt in repeats)
    written = sum(attempt.usage.output_tokens for attempt in repeats)
    about = "about " if any(attempt.usage.estimated for attempt in repeats) else ""
    cost = f"{about}${sum(attempt.cost_usd for attempt in repeats):.4f}"
    lines = [
        f"  {number}. |w{last.backend}|n {what}{times}",
        f"     {line(model, 40)}, {seconds:.1f} s, {given}+{written} tokens, {cost}",
    ]
    if last.reason:
        verdict = last.verdict
        sure = f" [{verdict.kind or last.failure}, {verdict.score:.2f}]" if verdict is not None else ""
        lines += [f"     {piece}" for piece in show(f'"{last.reason[:200]}"{sure}', width - 6)]
    return lines
