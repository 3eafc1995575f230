"""Many connections at once: as many files as they need, and a bound beyond which the next ones wait to be accepted.

most = make_room(4000)
service.args = (port, Crowd(site, most))
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

#: Connections that the kernel holds until they are accepted, as far as the system allows.
BACKLOG = 4096
#: Files of a game beside its web connections: players, logs, databases.
_OTHERS = 1000
#: Files that one web connection may need: its own, and one on the other side of a relay.
_EACH = 2


def make_room(connections: int) -> int:
    """Let the process open the files that ``connections`` need; how many there is room for."""
    try:
        import resource
    except ImportError:  # not on Windows
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _EACH * connections + _OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(16, min(connections, (soft - min(_OTHERS, soft // 2)) // _EACH))


class _Counted(ProtocolWrapper):
    """A connection of a :class:`Crowd`."""


class Crowd(WrappingFactory):
    """``wrapped``, with at most ``most`` connections at once. Those beyond it are not cut: the kernel keeps them."""

    protocol = _Counted
    noisy = False

    def __init__(self, wrapped: Any, most: int):
        super().__init__(wrapped)
        self.most = most
        self._port: Any = None
        self._waiting = False

    def registerProtocol(self, p: Any) -> None:
        super().registerProtocol(p)
        # What a connection was accepted on: the port is made by Twisted's service, after this factory.
        self._port = getattr(p.transport, "server", None)
        if len(self.protocols) >= self.most and not self._waiting and self._port is not None:
            self._waiting = True
            self._port.stopReading()

    def unregisterProtocol(self, p: Any) -> None:
        super().unregisterProtocol(p)
        if self._waiting and len(self.protocols) < self.most and not self._port.disconnected:
            self._waiting = False
            self._port.startReading()
