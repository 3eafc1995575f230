"""The door for other programs: OpenAI's chat completions protocol over a Router.

    gateway = Gateway(lambda: router, clock, OneKey("secret"))
    reactor.listenTCP(8000, GatewaySite(gateway), interface="127.0.0.1")     # a server of its own
    web_root.putChild(b"v1", gateway)                                        # or below another's

Rooms of this house, each below the one before it:

    serve      ``python -m agent serve``
    site       a server of its own: bounded bodies, bounded patience, an orderly end
    door       the resource: which path, who knocks, what is sent back
    streaming  server-sent events: keep-alive while the answer is judged, then the answer
    responses  a RouteResult in OpenAI's words
    requests   a request's JSON as a Task
    keys       who may come in, and how much of it
    rejection  every error in OpenAI's format
"""

from .auth import Allowance, Caller, KeyCheck, OneKey, hashed, month_of, open_door
from .bodies import Bodies, HeldBody, Keeper
from .errors import Rejected
from .resource import Gateway
from .site import GatewaySite

__all__ = [
    "Allowance", "Bodies", "Caller", "Gateway", "GatewaySite", "HeldBody", "Keeper", "KeyCheck", "OneKey", "Rejected",
    "hashed", "month_of", "open_door",
]  # fmt: skip
