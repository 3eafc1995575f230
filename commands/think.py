"""``think``: have a task done by a borrowed brain."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from uniwizard.commands.base import UniwizardCommand
from uniwizard.commands.bench import see
from uniwizard.commands.reading import again, forget, history, share, stream
from uniwizard.commands.road import road
from uniwizard.commands.writing import begin as begin_writing
from uniwizard.world import answers, pictures
from uniwizard.world.ledger.budgets import BudgetReached
from uniwizard.world.mark import said
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import the as soul
from uniwizard.world.soul import voice
from uniwizard.world.thoughts import Thought


class CmdThink(UniwizardCommand):
    """
    ask Timmy something; he borrows the brain that fits it best

    Usage:
      think <task>
      think
      think/more <words>
      think/fresh <task>
      think/with <backend> <task>
      think/see [<url>]
      think/next
      think/stop
      think/again, think/history, think/share, think/forget
      think/why, think/good, think/bad
      think/stream [on || off]

    Switches:
      more    - go on from the last answer
      fresh   - ask anew, even where Timmy remembers an answer
      with    - ask this backend first; its fallbacks still
                apply
      see     - lay a picture on the bench, for your next
                question
      next    - too slow: hand the question to the next brain
      stop    - let go of the thought that is under way
      again   - the last answer once more
      history - your last twenty answers; 'think/history 3'
                shows one
      share   - read the last answer out to the room
      forget  - forget these answers
      why     - the whole road of your last thought: who was
                asked, what came of it, what it cost
      good    - the last answer was good; who gave it is
                remembered
      bad     - the last answer was bad; where Timmy remembers
                it, he forgets it
      stream  - whether answers are shown as they come

    A bare 'think' opens a page for many lines: '.' on a line of
    its own asks. What you paste behind 'think' is gathered.
    Nothing of you leaves the game: no name, no place. The
    answer ends with a line that says which brain gave it, how
    long it took and what it cost; 'memory of claude' there
    says that nobody was asked. You have one thought at a
    time. Whom would be asked: see 'route'.

    Examples:
      think What is 17*23?
      think/with claude Review this: def f(x): return x/0
      think/more And the other way round?
    """

    key = "think"
    known_switches = (
        "with", "fresh", "why", "good", "bad", "stop", "more", "next", "again", "history", "share", "see", "stream",
        "forget",
    )  # fmt: skip
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        switch = self.switches[0] if self.switches else ""
        act = _ACTS.get(switch)
        if act is not None:
            act(self, router)
        else:
            self._think(router, follows=switch == "more")

    def _think(self, router: GameRouter, *, follows: bool) -> None:
        text, pin = self.task, None
        if "with" in self.switches:
            pin, _, text = text.partition(" ")
            text = text.strip()
            if not pin:
                self.say("Whom? Usage: think/with <backend> <task>")
                return
            if not self.is_backend(router, pin := pin.lower()):
                return
        if follows and answers.last(self.caller) is None:
            self.say("There is no answer yet to go on from. Ask something first: |wthink|n <task>")
            return
        if not text:
            begin_writing(self.caller, router, pin=pin, follows=follows)
            return
        ask(self, router, text, pin, follows=follows, fresh="fresh" in self.switches)


def ask(
    command: UniwizardCommand,
    router: GameRouter,
    text: str,
    pin: str | None = None,
    *,
    follows: bool = False,
    fresh: bool = False,
) -> Thought | None:
    """Begin a thought for the command's caller, or say why not."""
    if why := obstacle(command.caller, router, text, pin):
        command.say(why)
        return None
    images = pictures.on_bench(command.caller)
    try:
        thought: Thought = router.thoughts.begin(
            command.caller, text, pin, aloud=True, follows=follows, fresh=fresh, images=images
        )
    except BudgetReached as reached:
        command.say(said(f"|y{soul().name} shakes {soul().pronouns[2]} head.|n {reached}"))
        return None
    pictures.clear(command.caller)
    return thought


def obstacle(caller: Any, router: GameRouter, text: str, pin: str | None = None) -> str:
    """Why ``caller`` cannot think of ``text`` now, in words; empty when they can. Asks nobody."""
    most = settings.UNIWIZARD_MAX_TASK_LENGTH
    if len(text) > most:
        return f"That is too long for one thought: {len(text):,} characters, {most:,} are allowed."
    if router.thoughts.of(caller) is not None:
        return (
            f"{soul().name} is still on your last thought. Wait for it, hand it to another brain with |wthink/next|n, "
            "or let go of it with |wthink/stop|n."
        )
    if wait := _cooldown(caller, router):
        return f"Give {soul().name} a moment: you may think again in {wait:.0f} s."
    about_a_picture = pin is None and len(text) < _SHORT and router.explain(text).kind == "multimodal"
    return said(voice.say("no_picture")) if about_a_picture and not pictures.on_bench(caller) else ""


#: Characters of a task that may be about a picture; a whole page that speaks of one brings its own words.
_SHORT = 400


def _cooldown(caller: Any, router: GameRouter) -> float:
    """Seconds until ``caller`` may think again; 0 for now."""
    last = router.thoughts.last(caller)
    if last is None:
        return 0.0
    left = last.ended + settings.UNIWIZARD_THINK_COOLDOWN - time.time()
    return max(1.0, left) if left > 0 else 0.0


def _feedback(command: UniwizardCommand, router: GameRouter) -> None:
    key = router.thoughts.feedback(command.caller, good="good" in command.switches)
    if key:
        command.say(f"{soul().name} nods and makes a mark on {key}'s jar.")
    else:
        command.say("There is no answer of yours to judge, or you have said so already.")


def _why(command: UniwizardCommand, router: GameRouter) -> None:
    thought = router.thoughts.last(command.caller)
    if thought is None:
        waiting = router.thoughts.of(command.caller)
        command.say("Your thought is still under way." if waiting else "You have not thought of anything lately.")
        return
    command.say("\n".join(road(thought, command.client_width())))


def _stop(command: UniwizardCommand, router: GameRouter) -> None:
    if not router.thoughts.stop(command.caller):
        command.say("You have no thought under way.")


def _next(command: UniwizardCommand, router: GameRouter) -> None:
    thought = router.thoughts.of(command.caller)
    if thought is None:
        command.say("You have no thought under way.")
    elif not router.thoughts.pass_on(command.caller):
        command.say(said(voice.say("no_one_else", key=thought.asked or soul().name)))


_ACTS: dict[str, Callable[[UniwizardCommand, GameRouter], None]] = {
    "why": _why,
    "good": _feedback,
    "bad": _feedback,
    "stop": _stop,
    "next": _next,
    "again": again,
    "history": history,
    "share": share,
    "see": see,
    "stream": stream,
    "forget": forget,
}
