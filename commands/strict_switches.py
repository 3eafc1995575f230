"""Switches that are understood or told: a mistyped one stops a command instead of being dropped."""

from __future__ import annotations

from uniwizard.world.harmless import line


class StrictSwitches:
    """For a MuxCommand: ``fault_in_switches`` completes what was typed, ``think/w`` to ``think/with``."""

    key: str
    switches: list[str]
    #: The switches there are. Not ``switch_options``: with those, Evennia drops a switch it does not know and goes
    #: on, and a mistyped ``think/wiht claude`` would be paid for.
    known_switches: tuple[str, ...] = ()

    def fault_in_switches(self) -> str:
        """Complete every switch; what is wrong with the first that cannot be, else the empty string."""
        for index, switch in enumerate(self.switches):
            meant = [known for known in self.known_switches if known.startswith(switch)]
            if switch not in meant and len(meant) != 1:
                known = f"there are: /{', /'.join(self.known_switches)}" if self.known_switches else "it has none"
                return f"{self.key} knows no switch /{line(switch, 40)}; {known}."
            self.switches[index] = switch if switch in meant else meant[0]
        return ""
