"""What a client's HTTP request says, read so that no byte of it can break anything: headers, key, address, body.

key = presented_key(request)              # from any of the places where clients put it
place = Place.of(request)                 # Place(door="chat", act="answer", model="")
node = json_body(request, limit)          # raises Rejected
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from twisted.web.http import Request

from ..wire.body import Malformed, parse
from .errors import Rejected

#: Bytes of a request; pictures count a third more than they weigh. The same as OpenAI's own limit for pictures.
BODY_LIMIT = 20 * 1024 * 1024

#: Objects and lists, and values, in one request's JSON: more of them would hold the reactor for longer than a turn may
#: last. A context of a million tokens of source code has some 60,000 braces.
MAX_NESTS, MAX_VALUES = 150_000, 1_000_000

#: Where clients put their key when it is not in ``Authorization``: Anthropic's SDKs, Azure's, Google's.
_KEY_HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key")


def header(request: Request, name: bytes) -> str:
    """A header's value as text, whatever its bytes; empty where there is none."""
    values = request.requestHeaders.getRawHeaders(name)
    return values[-1].decode("utf-8", "replace").strip() if values else ""


def presented_key(request: Request, query: bytes = b"") -> str:
    """The key that a request presents; empty where it presents none."""
    scheme, _, key = header(request, b"authorization").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    for name in _KEY_HEADERS:
        if found := header(request, name):
            return found
    return query_of(query).get("key", [""])[0]


def query_of(query: bytes) -> dict[str, list[str]]:
    """The fields of an address; none where there are more of them than anybody asks with."""
    try:
        return parse_qs(query.decode("utf-8", "replace"), max_num_fields=50) if query else {}
    except ValueError:
        return {}


def from_here(request: Request) -> bool:
    """Whether a request comes from this machine, and not through a proxy on it."""
    if header(request, b"x-forwarded-for") or header(request, b"forwarded"):
        return False
    try:
        return ipaddress.ip_address(getattr(request.getClientAddress(), "host", "")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Place:
    """What an address asks for.

    door   whose format is spoken: ``chat``, ``completions``, ``messages``, ``responses``, ``gemini``
    act    ``answer``, ``tokens``, ``models``, ``embeddings``, ``rerank``, ``moderations``, ``stored``, ``feedback``,
           ``goals``, ``goal``, ``health``, ``live``, ``ready``, ``metrics``; empty for nothing known
    model  the model, where the address names it; for ``models``, ``stored`` and ``goal``, which
    stream  whether the address asks for a stream
    """

    door: str = "chat"
    act: str = ""
    model: str = ""
    stream: bool = False

    @classmethod
    def of(cls, path: bytes) -> Place:
        """The place at ``path``, which may end in a slash, and may leave ``/v1`` out."""
        if path == b"/v1/chat/completions":
            return _CHAT
        return cls._found(path)

    @classmethod
    def _found(cls, path: bytes) -> Place:
        said = unquote(path.decode("utf-8", "replace")).rstrip("/")
        if (match := _AZURE.fullmatch(said)) is not None:
            door, act = _ACTS[match["rest"]]
            return cls(door, act, match["model"])
        if (match := _GEMINI.fullmatch(said)) is not None:
            verb = match["verb"]
            return cls("gemini", _VERBS[verb], match["model"], verb == "streamGenerateContent")
        google = said.startswith("/v1beta")
        said = _PREFIX.sub("/", said, count=1)
        if said.startswith("/models"):
            return cls("gemini" if google else "chat", "models", said[7:].strip("/"))
        if said.startswith("/responses/"):
            return cls("responses", "stored", said.removeprefix("/responses/"))
        if said.startswith("/goals/"):
            return cls("chat", "goal", said.removeprefix("/goals/"))
        return cls(*_ACTS.get(said.removeprefix("/"), ("chat", "")))


_CHAT = Place("chat", "answer")

#: What follows the version: the door and the act.
_ACTS = {
    "chat/completions": ("chat", "answer"),
    "completions": ("completions", "answer"),
    "messages": ("messages", "answer"),
    "messages/count_tokens": ("messages", "tokens"),
    "responses": ("responses", "answer"),
    "embeddings": ("chat", "embeddings"),
    "rerank": ("chat", "rerank"),
    "moderations": ("chat", "moderations"),
    "feedback": ("chat", "feedback"),
    "goals": ("chat", "goals"),
    "health": ("chat", "health"),
    "health/live": ("chat", "live"),
    "health/ready": ("chat", "ready"),
    "metrics": ("chat", "metrics"),
    "api/v1/generate": ("generate", "answer"),
}

_VERBS = {
    "generateContent": "answer",
    "streamGenerateContent": "answer",
    "countTokens": "tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}

_PREFIX = re.compile(r"\A/(?:openai/v1|anthropic/v1|v1beta|v1|openai|anthropic)(?:/|\Z)")
_AZURE = re.compile(
    r"(?:/v1)?/openai/deployments/(?P<model>[^/]{1,200})/(?P<rest>chat/completions|completions|embeddings)"
)
_GEMINI = re.compile(
    rf"(?:/v1alpha|/v1beta|/v1)?/(?:models|tunedModels)/(?P<model>.{{1,200}}):(?P<verb>{'|'.join(_VERBS)})"
)


def body_of(request: Request) -> tuple[bytes, str]:
    """A request's body, and how it is packed. Raises Rejected."""
    content: Any = request.content
    if content is None or content.seek(0, 2) > BODY_LIMIT:
        raise too_large()
    content.seek(0)
    return content.read(), header(request, b"content-encoding").lower()


def json_body(request: Request) -> Any:
    """The JSON of a request's body, unpacked where it is packed. Raises Rejected."""
    return read_json(*body_of(request))


def read_json(body: bytes, encoding: str) -> Any:
    """The JSON in ``body``, unpacked where it is packed. Raises Rejected."""
    body = _unpacked(body, encoding)
    if body.count(b"{") + body.count(b"[") > MAX_NESTS or body.count(b",") > MAX_VALUES:
        raise Rejected(400, "The request holds more values than are read.", code="too_many_values")
    try:
        return parse(body)
    except Malformed as broken:
        raise Rejected(400, f"The request cannot be read: {broken}.", code="invalid_json") from None


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        told = {"accept-encoding": "gzip, deflate"}
        raise Rejected(415, f"Unsupported content-encoding {encoding[:40]!r}; send gzip.", headers=told)
    # Deflate is zlib's format by its standard, and raw by the habit of some clients.
    for window in (47, -15) if encoding == "deflate" else (47,):
        unpacker = zlib.decompressobj(window)
        try:
            unpacked = unpacker.decompress(body, BODY_LIMIT + 1)
        except zlib.error:
            continue
        if len(unpacked) > BODY_LIMIT:
            raise too_large()
        if unpacker.eof:
            return unpacked
    raise Rejected(400, f"The request cannot be read: it is no {encoding}.", code="invalid_encoding")


def too_large() -> Rejected:
    """The error for a body over :data:`BODY_LIMIT`."""
    return Rejected(413, f"The request is larger than {BODY_LIMIT // 1024**2} MB.", code="request_too_large")


def crowded(what: str) -> Rejected:
    """The error for a request that comes while too much is under way."""
    return Rejected(
        503, f"Too much is under way: {what}. Ask again soon.", code="overloaded", headers={"retry-after": "1"}
    )
