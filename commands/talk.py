"""``talk``: say something to a character who can answer."""

from __future__ import annotations

from typing import Any

from evennia.commands.default.muxcommand import MuxCommand

from uniwizard.commands.strict_switches import StrictSwitches
from uniwizard.world.harmless import escape, plain


class CmdTalk(StrictSwitches, MuxCommand):
    """
    talk to a character who can answer

    Usage:
      talk <character> <something>
      talk <character with spaces> = <something>
      talk/memory <character>
      talk/forget <character>

    Switches:
      memory - see what the character remembers of your talk
      forget - have it forget all of that

    Whoever is in the room hears both of you. Your name does not leave
    the game; what you say does.

    Examples:
      talk Mira What is there to eat?
      talk the old smith = Can you mend this?
    """

    key = "talk"
    known_switches = ("memory", "forget")
    locks = "cmd:all()"
    help_category = "Workshop"

    def access(self, srcobj: Any, access_type: str = "cmd", default: bool = False, **more: Any) -> bool:
        """Whoever is in the world may use it."""
        return hasattr(srcobj, "location") and super().access(srcobj, access_type, default=default, **more)

    def func(self) -> None:
        if fault := self.fault_in_switches():
            self.caller.msg(fault)
            return
        if self.switches:
            self._memory(self.args.strip())
            return
        name, speech = (self.lhs, self.rhs) if self.rhs is not None else _split(self.args.strip())
        if not name:
            self.caller.msg("Talk to who?")
            return
        target = self.caller.search(name)
        if not target:
            return
        if not speech:
            self.caller.msg(f"What do you say to {target.get_display_name(self.caller)}?")
            return
        # Put in last, so that what a player types is neither markup nor a function.
        words = {"target": target, "speech": escape(plain(speech, 2000))}
        if self.caller.location:
            said = "$You() $conj(say) (to $You(target)): {speech}"
            self.caller.location.msg_contents(said, mapping=words, from_obj=self.caller)
        if hasattr(target, "at_talked_to"):
            target.at_talked_to(plain(speech, 2000), self.caller)
        else:
            self.caller.msg(f"{target.get_display_name(self.caller)} doesn't seem to want to talk to you.")

    def _memory(self, name: str) -> None:
        target = self.caller.search(name) if name else self.caller.msg("Whose memory?")
        if not target:
            return
        shown = target.get_display_name(self.caller)
        if not hasattr(target, "memory_of"):
            self.caller.msg(f"{shown} keeps nothing in mind.")
        elif "forget" in self.switches:
            target.forget(self.caller)
            self.caller.msg(f"{shown} remembers nothing of you now.")
        else:
            self.caller.msg(target.memory_of(self.caller) or f"{shown} remembers nothing of you.")


def _split(typed: str) -> tuple[str, str]:
    name, _, speech = typed.partition(" ")
    return name, speech.strip()
