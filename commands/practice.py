"""``practice``: Builders stage a scene, to see what the world does with it."""

from __future__ import annotations

from uniwizard.agent import Scenario
from uniwizard.commands.base import UniwizardCommand
from uniwizard.world.harmless import line
from uniwizard.world.routers import GameRouter


class CmdPractice(UniwizardCommand):
    """
    have a straw dummy play a scene in the place of a brain

    Usage:
      practice
      practice <backend> = <scene>

    Scenes:
      answer  - answers, simulated
      refuse  - a friendly 200 OK that is really a refusal
      decline - a refusal in the provider's own field for it
      hedge   - a paragraph that says nothing
      empty   - a 200 OK with nothing in it
      lie     - plausible, and about something else
      503     - overloaded
      429     - out of breath, asks for a pause
      slow    - answers after a while, word by word
      cut     - the connection breaks in mid-sentence
      stall   - falls silent in mid-sentence
      silent  - never says a word
      real    - the scene is over; the real brain is asked again

    Simulated answers always say that they are. Nothing is sent
    anywhere.

    Examples:
      practice claude = refuse
      practice claude = real
    """

    key = "practice"
    locks = "cmd:perm(Builder)"

    def do(self, router: GameRouter) -> None:
        scenes = [*Scenario, "real"]
        if not self.task:
            self.say("\n".join(_playbill(router)))
            return
        key, scene = (self.lhs or "").strip().lower(), (self.rhs or "").strip().lower()
        if not scene:
            self.say(f"Usage: practice <backend> = {'|'.join(scenes)}".replace("|", "||"))
            return
        if not self.is_backend(router, key):
            return
        try:
            router.stage(key, scene)
        except ValueError:
            self.say(f"There is no scene '{line(scene, 40)}'; there are: {', '.join(scenes)}.")
            return
        if scene == "real":
            rest = " (all of them are in practice now)" if router.brain.practising else ""
            self.say(f"The scene is over for {key}{rest}.")
        else:
            self.say(f"A straw dummy plays '{scene}' in the place of {key}.")


def _playbill(router: GameRouter) -> list[str]:
    """What every backend plays now: a scene that was staged, or whatever is to be had without one."""
    staged = router.scenes()
    lines = []
    for health in router.brain.states():
        unstaged = "answer, for want of a real one" if health.backend.practice else "real"
        lines.append(f"  |w{health.backend.key:<8}|n {staged.get(health.backend.key, unstaged)}")
    return [*lines, "Stage one: practice <backend> = <scene>; see 'help practice'."]
