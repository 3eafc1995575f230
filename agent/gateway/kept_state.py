"""What ``serve`` must not forget when it ends: quotas and health, in a file of its own.

    state = KeptState(path, router, reactor)
    state.restore()        # what could not be used, one line each
    state.begin()          # from now on what changed is written, at most once in INTERVAL seconds
    state.write()          # at the end

The file is JSON, its owner's alone (0600), written whole and then put in place, so that a kill leaves the old one or
the new one. It holds figures alone: no text, no key, nobody's name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from ..core.clock import Clock
from ..core.events import AttemptEnded, AttemptStarted, BreakerClosed, BreakerOpened, Event
from ..router import Router

_log = Logger()

#: Seconds between a change and its writing down; the most that a kill can forget.
INTERVAL = 1.0
_VERSION = 1


def default_path(config: str | Path, environ: Mapping[str, str]) -> Path:
    """Where the state of a server of this config is kept: a file of its own below XDG_STATE_HOME.

    https://specifications.freedesktop.org/basedir-spec/latest/: ``~/.local/state`` where the variable is not set.
    """
    home = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    name = hashlib.sha256(str(Path(config).resolve()).encode()).hexdigest()[:16]
    return Path(home) / "uniwizard" / f"serve-{name}.json"


class KeptState:
    """Keeps the quotas and the health of one router in the file at ``path``."""

    def __init__(self, path: Path, router: Router, clock: Clock):
        self.path = path
        self._router = router
        self._clock = clock
        self._writing: Any = None
        self._complained = False

    def restore(self) -> list[str]:
        """Take up what was kept; what could not be used, one line each. A file that is not there is none."""
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            return [f"{self.path}: cannot be read ({error}); quotas begin anew"]
        faults: list[str] = []
        sections = kept.get("kept") if isinstance(kept, dict) and kept.get("version") == _VERSION else None
        if not isinstance(sections, dict):
            return [f"{self.path}: is no state of this version; quotas begin anew"]
        for key, category in list(self._router.kept()):
            section = sections.get(category)
            snapshot = section.get(key) if isinstance(section, dict) else None
            if isinstance(snapshot, dict):
                faults += [f"{self.path}: {key}: {fault}" for fault in self._router.restore(key, category, snapshot)]
        return faults

    def begin(self) -> None:
        """Write from now on what changes."""
        self._router.events.subscribe(self._changed)

    def _changed(self, event: Event) -> None:
        told = isinstance(event, AttemptStarted | AttemptEnded | BreakerOpened | BreakerClosed)
        if told and self._writing is None:
            self._writing = self._clock.callLater(INTERVAL, self.write)

    def write(self) -> None:
        """Write all of it now."""
        if self._writing is not None and self._writing.active():
            self._writing.cancel()
        self._writing = None
        kept: dict[str, dict[str, Any]] = {}
        for key, category in self._router.kept():
            kept.setdefault(category, {})[key] = self._router.snapshot(key, category)
        beside = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A new file each time, which nobody but its owner may read from its first moment.
            beside.unlink(missing_ok=True)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump({"version": _VERSION, "kept": kept}, file)
            beside.replace(self.path)
        except OSError as error:
            if not self._complained:
                self._complained = True
                _log.error("{path}: cannot be written ({why}); a restart will forget", path=self.path, why=error)
