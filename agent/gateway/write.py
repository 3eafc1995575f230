"""What is written to a twisted.web request: headers and whole JSON bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.web.http import Request

from ..wire.body import Json, dump
from .errors import Rejected


def put_headers(request: Request, headers: Mapping[str, str]) -> None:
    """Set headers; a value from outside, such as a model's name, cannot begin another header."""
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            value = "".join(char if " " <= char <= "~" else "?" for char in value)
        request.responseHeaders.setRawHeaders(name.encode(), [value.encode()])


def put_json(request: Request, status: int, content: object, headers: Mapping[str, str]) -> None:
    """Answer ``request`` with JSON, and be done with it."""
    body = dump(content)
    request.setResponseCode(status)
    put_headers(request, {**headers, "content-type": "application/json", "content-length": str(len(body))})
    request.write(body)
    request.finish()


def put_text(request: Request, body: bytes, media_type: str, headers: Mapping[str, str]) -> None:
    """Answer ``request`` with ``body`` as it is."""
    request.setResponseCode(200)
    put_headers(request, {**headers, "content-type": media_type, "content-length": str(len(body))})
    request.write(body)
    request.finish()


def put_nothing(request: Request, headers: Mapping[str, str]) -> None:
    """Answer that all is well and there is nothing to say."""
    request.setResponseCode(204)
    put_headers(request, headers)
    request.finish()


def put_rejection(
    request: Request, rejected: Rejected, headers: Mapping[str, str], written: Callable[[Rejected], Json]
) -> None:
    """Answer with an error, as ``written`` by the door that the request came through."""
    rejected.request_id = headers.get("x-request-id", "")
    put_json(request, rejected.status, written(rejected), {**headers, **rejected.headers})
