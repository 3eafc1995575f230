"""``think``: have a task done by a borrowed brain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from django.conf import settings

from uniwizard.agent import Attempt, practised
from uniwizard.commands.base import UniwizardCommand
from uniwizard.world.harmless import line, show
from uniwizard.world.ledger.budgets import BudgetReached
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.thoughts import Thought


class CmdThink(UniwizardCommand):
    """
    ask Timmy something; he borrows the brain that fits it best

    Usage:
      think <task>
      think/with <backend> <task>
      think/why
      think/good
      think/bad
      think/stop

    Switches:
      with - ask this backend first; its fallbacks still apply
      why  - the whole road of your last thought: who was asked, what came
             of it, what it cost
      good - the last answer was good; Timmy remembers who gave it
      bad  - the last answer was bad
      stop - let go of the thought that is under way

    Nothing of you leaves the game: no name, no place. The answer ends with
    a line that says which brain gave it, how long it took and what it cost.
    You have one thought at a time. Whom Timmy would ask: see 'route'.

    Examples:
      think What is 17*23?
      think/with claude Review this: def f(x): return x/0
    """

    key = "think"
    known_switches = ("with", "why", "good", "bad", "stop")
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        if "why" in self.switches:
            self._why(router)
        elif "good" in self.switches or "bad" in self.switches:
            self._feedback(router, good="good" in self.switches)
        elif "stop" in self.switches:
            if not router.thoughts.stop(self.caller):
                self.say("You have no thought under way.")
        else:
            self._think(router)

    def _think(self, router: GameRouter) -> None:
        text, pin = self.task, None
        if "with" in self.switches:
            pin, _, text = text.partition(" ")
            text = text.strip()
            if pin and not self.is_backend(router, pin := pin.lower()):
                return
        if not text:
            self.say("Think about what? Usage: think <task>, or think/with <backend> <task>")
        elif len(text) > settings.UNIWIZARD_MAX_TASK_LENGTH:
            most = settings.UNIWIZARD_MAX_TASK_LENGTH
            self.say(f"That is too long for one thought: {len(text)} characters, {most} are allowed.")
        elif router.thoughts.of(self.caller) is not None:
            self.say("Timmy is still on your last thought. Wait for it, or let go of it with think/stop.")
        elif wait := self._cooldown(router):
            self.say(f"Give Timmy a moment: you may think again in {wait:.0f} s.")
        else:
            try:
                router.thoughts.begin(self.caller, text, pin, aloud=True)
            except BudgetReached as reached:
                self.say(f"|yTimmy shakes his head.|n {reached}")

    def _feedback(self, router: GameRouter, *, good: bool) -> None:
        key = router.thoughts.feedback(self.caller, good=good)
        if key:
            self.say(f"Timmy nods and makes a mark on {key}'s jar.")
        else:
            self.say("There is no answer of yours to judge, or you have said so already.")

    def _cooldown(self, router: GameRouter) -> float:
        """Seconds until the caller may think again; 0 for now."""
        last = router.thoughts.last(self.caller)
        if last is None:
            return 0.0
        left = last.ended + settings.UNIWIZARD_THINK_COOLDOWN - time.time()
        return max(1.0, left) if left > 0 else 0.0

    def _why(self, router: GameRouter) -> None:
        thought = router.thoughts.last(self.caller)
        if thought is None:
            waiting = router.thoughts.of(self.caller)
            self.say("Your thought is still under way." if waiting else "You have not thought of anything lately.")
            return
        self.say("\n".join(_road(thought, self.client_width())))


def _road(thought: Thought, width: int) -> list[str]:
    """The story of a thought that has ended."""
    decision = thought.decision
    lines = [f"|wYou asked:|n {line(thought.text, width - 11)}"]
    lines.append(f"|wKind:|n {decision.kind} ({decision.confidence:.0%} sure)")
    if decision.kind_reasons:
        because = ", ".join(map(voice.reason, decision.kind_reasons))
        lines += [f"  {piece}" for piece in show(f"because of {because}", width - 2)]
    ranking = ", ".join(f"{entry.backend} {entry.score:.2f}" for entry in decision.ranking[:6])
    lines.append(f"|wRanking:|n {ranking or 'nobody could be asked'}")
    if thought.pin:
        lines.append(f"|wYou wanted:|n {thought.pin}")
    for number, repeats in enumerate(_repeated(thought.attempts), 1):
        lines += _told(number, repeats, width)
    if thought.why_not and not thought.attempts:
        lines.append(f"  {line(thought.why_not)}")
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
