"""``route``: who would be asked, and why."""

from __future__ import annotations

import time

from uniwizard.agent import Task
from uniwizard.commands.base import UniwizardCommand
from uniwizard.world import identity
from uniwizard.world.harmless import line, show
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.times import ago


class CmdRoute(UniwizardCommand):
    """
    see whom Timmy would ask, and why; asks nobody and costs
    nothing

    Usage:
      route <task>

    Shows what kind of work the task is taken for, every brain
    that could do it with the reasons for its place, and those
    that cannot be asked.

    Examples:
      route review this diff
      route Summarize the history of Rome
    """

    key = "route"
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        if not self.task:
            self.say("Route what? Usage: route <task>")
            return
        router.heed_edits()
        decision = router.explain(Task(self.task, identity=identity.of_thinker(self.caller, self.task)))
        width = self.client_width()
        insider = self.caller.check_permstring("Builder")
        who = decision.backend or "nobody"
        lines = [f"Would ask: {who} ({decision.kind}, {decision.confidence:.0%} sure)"]
        if (known := decision.memory) is not None:
            lines = [
                f"Would ask: memory of {known.backend} ({decision.kind}, {decision.confidence:.0%} sure)",
                f"|gRemembered|n {ago(time.time() - known.learned)}; saves ${known.saved_usd:.4f} and "
                f"{known.saved_ms / 1000.0:.1f} s. think/fresh asks {who}.",
            ]
        if decision.kind_reasons:
            lines += show(f"Taken for {decision.kind}: {', '.join(map(voice.reason, decision.kind_reasons))}.", width)
        for step in decision.path:
            lines += _entry("  > ", 4, step, width)
        for place, entry in enumerate(decision.ranking, 1):
            lines += _entry(
                f" {place}. |w{entry.backend:<8}|n {entry.score:.2f}  ", 18, ", ".join(entry.reasons), width
            )
        for skipped in decision.skipped:
            why = skipped.reason if insider else voice.obstacle(skipped.reason)
            lines += _entry(f"  - |x{skipped.backend:<8}|n skipped: ", 21, why, width)
        if decision.ranking and known is None:
            lines.append(f"Estimated cost: ${decision.ranking[0].cost_usd:.4f}")
        elif decision.ranking:
            lines.append("Estimated cost: $0.0000")
        if decision.practice:
            lines.append("|mPractice: simulated brains would answer, and it would cost nothing.|n")
        self.say("\n".join(lines))


def _entry(head: str, indent: int, text: str, width: int) -> list[str]:
    """``text`` behind ``head``, wrapped under itself; ``indent`` is the columns that the head takes."""
    first, *rest = show(text, width - indent) or [""]
    return [head + first, *(" " * indent + line(piece, width) for piece in rest)]
