"""What the tests with blocking clients have beside them, in threads: ``with practice_aside("refuse") as url: ...``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reactor_thread import ReactorThread

from uniwizard.agent.practice import PracticeServer


@contextmanager
def practice_aside(*scenes: str) -> Iterator[str]:
    """The address of a practice server; for each scene there is a key of its name that plays it, without pauses."""
    with ReactorThread() as aside:
        server = PracticeServer(aside.reactor, pace=0.0)
        for scene in scenes:
            server.set_scenario(scene, scene)
        url = aside.call(server.start)
        try:
            yield url
        finally:
            aside.call(server.stop)
