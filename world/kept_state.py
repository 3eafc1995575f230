"""What a Router must not forget, as Attributes of the BackendRouter: each backend's health and quota, and the rest.

    kept = KeptState(script.attributes, brain)
    kept.take_up()                   # at the start: what is written, and what the ledger knows beyond that
    brain.events.subscribe(kept)     # writes at once what a crash must not take
    kept.persist()                   # now and then: what has changed
    faults = kept.heed_edits()       # what a person has changed in the admin

An Attribute has the backend's key, and its category says what it is: ``health``, ``quota``, ``learned``.
"""

from __future__ import annotations

import time
from typing import Any

from evennia.utils import logger
from evennia.utils.dbserialize import deserialize

from uniwizard.agent import Router
from uniwizard.agent.core.events import BreakerClosed, BreakerOpened, Event, Feedback
from uniwizard.world.ledger import history

#: Seconds; a month, the longest window there is.
LONGEST_WINDOW = 31 * 86_400
#: In each Attribute, when it was written, in seconds since the epoch.
WRITTEN_AT = "written_at"
#: Categories of Attributes that the next BackendRouter takes over when this one is deleted.
INHERITED = ("health", "quota", "learned", "judge", "practice")


class KeptState:
    """The state of one Router, and the Attributes that it is written to."""

    def __init__(self, attributes: Any, brain: Router):
        self._attributes = attributes
        self._brain = brain
        #: What each Attribute held when it was last written or read.
        self._written: dict[tuple[str, str], Any] = {}

    def take_up(self) -> None:
        """Restore everything that is written, and count what the ledger has of the time since."""
        outcomes = deserialize(self._attributes.get("outcomes", category="judge")) or {}
        self._brain.restore_calibrations({key: map(tuple, pairs) for key, pairs in outcomes.items()})
        for key, category in self._brain.kept():
            found = self._found(key, category)
            if isinstance(found, dict):
                self._restore(key, category, found)
        try:
            self._catch_up()
        except Exception as error:
            logger.log_err(f"Uniwizard: what happened before the start cannot be read from the ledger: {error}")

    def heed_edits(self) -> list[str]:
        """Take over what somebody has changed in the Attributes. Returns what could not be used, one line each.

        Of an edit that is right in part, that part is taken over; the rest stays as it was.
        """
        faults: list[str] = []
        for key, category in self._brain.kept():
            found = self._found(key, category)
            if found != self._written.get((key, category)):
                if isinstance(found, dict):
                    faults += [f"{key} ({category}): {fault}" for fault in self._restore(key, category, found)]
                elif found is not None:
                    faults.append(
                        f"{key} ({category}): is not a dict, or not written as Python writes one; it stays as it was"
                    )
                self._write(key, category)
        for fault in faults:
            logger.log_warn(f"Uniwizard: an edited Attribute cannot be used: {fault}")
        return faults

    def persist(self) -> None:
        """Write what has changed since it was last written."""
        for key, category in self._brain.kept():
            written = self._written.get((key, category))
            if not isinstance(written, dict) or self._brain.snapshot(key, category) != _without_time(written):
                self._write(key, category)

    def __call__(self, event: Event) -> None:
        """Write at once what a kill must not take."""
        if isinstance(event, BreakerOpened | BreakerClosed):
            self._write(event.backend, "health")
        elif isinstance(event, Feedback):
            self._attributes.add("outcomes", self._brain.calibrations(), category="judge")

    def _found(self, key: str, category: str) -> Any:
        return deserialize(self._attributes.get(key, category=category))

    def _restore(self, key: str, category: str, found: dict[str, Any]) -> list[str]:
        self._written[key, category] = found
        return self._brain.restore(key, category, _without_time(found))

    def _write(self, key: str, category: str) -> None:
        snapshot = self._brain.snapshot(key, category) | {WRITTEN_AT: time.time()}
        self._attributes.add(key, snapshot, category=category)
        self._written[key, category] = snapshot

    def _catch_up(self) -> None:
        """Let health and quotas know of the attempts in the ledger that a crash kept from the Attributes."""
        brain = self._brain
        for key in brain.backend_keys():
            since = self._written_at(key, "health")
            for past in history.attempts_since(key, since) if since is not None else ():
                brain.replay_attempt(key, past.kind, past.failure, past.evidence, past.latency_ms, past.cost_usd)
        # What was never written is counted as far back as the longest window reaches.
        longest = time.time() - LONGEST_WINDOW
        counted = {key: self._written_at(key, "quota") or longest for key in brain.backend_keys()}
        for used in history.usage_since(min(counted.values(), default=time.time())):
            if used.at > counted.get(used.backend, used.at):
                brain.replay_usage(*used)

    def _written_at(self, key: str, category: str) -> float | None:
        written = self._written.get((key, category), {}).get(WRITTEN_AT)
        return float(written) if isinstance(written, int | float) and not isinstance(written, bool) else None


def _without_time(written: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name != WRITTEN_AT}
