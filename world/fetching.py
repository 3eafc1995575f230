"""Fetches a picture from an address that a player names, where the operator has allowed its host. Otherwise nothing.

    data = await fetch("https://upload.wikimedia.org/...")      # raises NotFetched, saying why in words

``UNIWIZARD_PICTURE_HOSTS`` lists the hosts, such as ``["upload.wikimedia.org", "*.example.org"]``; it is empty by
default, and then this server goes nowhere on a player's word. An allowed host is asked over https alone, on port 443,
at an address that was looked up once and is public: a name that leads into the machine or its network (server-side
request forgery, also by a name that changes its address between two look-ups) leads nowhere. Redirects are not
followed.
"""

from __future__ import annotations

import ipaddress
import socket
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from uniwizard.world.pictures import LARGEST
from uniwizard.world.reactor import reactor

#: Seconds for the whole fetch.
PATIENCE = 15.0


class NotFetched(Exception):
    """Nothing was fetched; the message says why, to the player."""


async def fetch(address: str) -> bytes:
    """The bytes at ``address``, at most :data:`LARGEST`. Raises NotFetched."""
    host = allowed(address)
    try:
        found = await deferToThread(socket.getaddrinfo, host, 443, type=socket.SOCK_STREAM)
    except OSError:
        raise NotFetched("that host is not known.") from None
    ip = public([str(entry[4][0]) for entry in found])
    agent = Agent.usingEndpointFactory(reactor, _Pinned(host, ip))
    headers = Headers({b"user-agent": [b"uniwizard"], b"accept": [b"image/*"]})
    asked = agent.request(b"GET", address.encode("ascii"), headers).addTimeout(PATIENCE, reactor)
    try:
        response = await asked
    except Exception:
        raise NotFetched("that host does not answer.") from None
    if response.code != 200:
        response.deliverBody(_Taking(0))
        raise NotFetched("there is nothing at that address." if response.code < 500 else "that host has trouble.")
    if isinstance(response.length, int) and response.length > LARGEST:
        response.deliverBody(_Taking(0))
        raise NotFetched(f"it is too large: {LARGEST // 1024**2} MB at the most.")
    taking = _Taking()
    response.deliverBody(taking)
    try:
        return await taking.done.addTimeout(PATIENCE, reactor)
    except Exception as why:
        raise why if isinstance(why, NotFetched) else NotFetched("it broke off.") from None


def allowed(address: str) -> str:
    """The host of ``address``, if the operator lets it be asked. Raises NotFetched."""
    hosts = settings.UNIWIZARD_PICTURE_HOSTS
    if not hosts:
        raise NotFetched("this game fetches nothing from addresses. think/see without one gives you a link.")
    try:
        address.encode("ascii")
        parts = urlsplit(address)
        host, port = (parts.hostname or "").rstrip(".").lower(), parts.port
    except (ValueError, UnicodeEncodeError):
        raise NotFetched("that is no web address.") from None
    if (
        parts.scheme != "https"
        or port not in (None, 443)
        or parts.username is not None
        or any(c <= " " for c in address)
    ):
        raise NotFetched("only plain https addresses are fetched.")
    if not any(fnmatchcase(host, pattern.lower()) for pattern in hosts):
        raise NotFetched(f"only these hosts are asked: {', '.join(hosts)}.")
    return host


def public(addresses: list[str]) -> str:
    """The first of the addresses of a host, if all of them are public ones. Raises NotFetched."""
    for address in addresses:
        ip = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
        if not ip.is_global or ip.is_multicast or (mapped is not None and not mapped.is_global):
            raise NotFetched("that host is not on the public internet.")
    if not addresses:
        raise NotFetched("that host is not known.")
    return addresses[0]


@implementer(IAgentEndpointFactory)
class _Pinned:
    """Connects to the one address that was looked at, with the certificate of the host that was named."""

    def __init__(self, host: str, ip: str):
        self._host, self._ip = host, ip

    def endpointForURI(self, uri: Any) -> Any:
        plain: Any = HostnameEndpoint(reactor, self._ip, 443, timeout=PATIENCE)
        return wrapClientTLS(optionsForClientTLS(self._host), plain)


class _Taking(Protocol):
    """Takes a body up to ``most`` bytes, and hangs up on one that is longer."""

    def __init__(self, most: int = LARGEST) -> None:
        self.done: Deferred[bytes] = Deferred()
        if not most:
            # Nobody waits for what is thrown away.
            self.done.addErrback(lambda _: None)
        self._most = most
        self._got: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most:
            self._end(NotFetched(f"it is too large: {LARGEST // 1024**2} MB at the most."))
            transport: Any = self.transport
            transport.abortConnection()
        else:
            self._got.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        whole = reason is not None and reason.check(ResponseDone)
        self._end(b"".join(self._got) if whole else NotFetched("it broke off."))

    def _end(self, what: bytes | NotFetched) -> None:
        if self.done.called:
            return
        if isinstance(what, NotFetched):
            self.done.errback(what)
        else:
            self.done.callback(what)
