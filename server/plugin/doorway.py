"""The addresses of the doors on a web server that other pages stand on as well.

    mount(web_root, door)       # in the Server the gateway, in the Portal the relay to it

What begins with a version (``/v1``, ``/v1beta``) is the doors' alone. The others (``/chat/completions``,
``/openai/...``, ``/models/...``) could be addresses of the game's own pages, and are, unless the request presents one
of its tokens. A page that the game has put at one of them already keeps it.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource, getChildForRequest

#: How every token begins (:data:`uniwizard.world.tokens.PREFIX`); known here without loading the world in the Portal.
TOKEN = b"uwz-"

OWN = (b"v1", b"v1beta", b"v1alpha")
SHARED = (
    *(b"chat", b"completions", b"messages", b"responses", b"embeddings", b"rerank", b"moderations", b"feedback"),
    *(b"models", b"tunedModels", b"openai", b"anthropic", b"api"),
)

#: Where clients put their key.
KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


def mount(web_root: Any, door: Resource) -> None:
    """Put ``door`` at every address where nothing of the game's own stands."""
    for name in OWN:
        _put(web_root, name, door)
    for name in SHARED:
        _put(web_root, name, _Doorway(web_root, door))


def _put(web_root: Any, name: bytes, resource: Resource) -> None:
    if name not in web_root.listStaticNames():
        web_root.putChild(name, resource)


class _Doorway(Resource):
    """Requests with a token go to ``door``, all others where they would have gone without it."""

    isLeaf = True

    def __init__(self, web_root: Any, door: Resource):
        super().__init__()
        self._web_root = web_root
        self._door = door

    def render(self, request: Any) -> Any:
        """Take up a request; twisted.web calls this."""
        if _has_token(request):
            return self._door.render(request)
        found = self._web_root.getChild(request.prepath[-1], request)
        return getChildForRequest(found, request).render(request)


def _has_token(request: Any) -> bool:
    for name in KEY_HEADERS:
        for value in request.requestHeaders.getRawHeaders(name, ()):
            if value.strip().rpartition(b" ")[2].startswith(TOKEN):
                return True
    return b"key=" + TOKEN in (request.uri or b"").partition(b"?")[2]
