"""Error responses: what the provider complains of, and the :class:`AttemptFailed` it becomes.

A codec reads its provider's error object into a :class:`Complaint`; which failure that is, the table in
:mod:`agent.core.failures` says; :func:`failed` puts both into one line for people. What a provider wrote is shown for
at most 80 characters of letters, digits and plain punctuation: nothing that a terminal, a MUD client or a web page
would obey, and never the API key.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode, failure_of
from .body import Json

#: Characters of a provider's own words that a reason shows.
_SHOWN = 80

#: Characters in which it looks for them.
_GLANCE = 2000

#: Seconds; nobody waits longer for a provider than a day.
_LONGEST_WAIT = 86_400.0

_UNSAFE = re.compile(r"[^\w .,:;'!?()/=+%#@-]+|_{8,}")
_SPACES = re.compile(r"\s+")
#: ``1h2m3.5s``, ``6m0s``, ``20ms``.
_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?")
#: Numbers above these are moments, in seconds and in milliseconds since the epoch, and no durations.
_EPOCH, _EPOCH_MS = 1e9, 1e11
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A provider's error object.

    words        its machine-readable codes, the most telling first
    message      its prose
    category     what a content filter objects to, empty otherwise
    status       an HTTP status that the body repeats; it counts where the response itself says 2xx
    retry_after  seconds, where the body says so
    """

    words: tuple[str, ...] = ()
    message: str = ""
    category: str = ""
    status: int | None = None
    retry_after: float | None = None


def strings(*values: object) -> tuple[str, ...]:
    """Those of ``values`` that are text and not empty, in order: an error object is read without trust in its types."""
    return tuple(value for value in values if isinstance(value, str) and value)


def status_in(*values: object) -> int | None:
    """The first of ``values`` that is an HTTP error status."""
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and 400 <= v <= 599), None)


def filtered(results: object) -> str:
    """The categories that an Azure-style filter result names as filtered, such as ``hate, violence``."""
    if not isinstance(results, dict):
        return ""
    return ", ".join(
        name for name, said in sorted(results.items()) if isinstance(said, dict) and said.get("filtered") is True
    )


def delay_in(details: list[Json]) -> float | None:
    """Seconds of the google.rpc.RetryInfo among ``details``, such as ``"retryDelay": "34.07s"``."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (match := _DELAY.fullmatch(delay)):
            return sane(float(match[1]))
    return None


def sane(seconds: float) -> float | None:
    """``seconds`` if they can be waited, cut to a day; None for what no clock can mean."""
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, _LONGEST_WAIT)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``Retry-After`` (RFC 9110: seconds or a date), if they make sense.

    A date is counted from the response's own Date header, so that a wrong clock on either side does no harm.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = sane(float(lower.get(name, "")) * scale)
        except ValueError:
            continue
        if seconds is not None:
            return seconds
    until = _moment(lower.get("retry-after", ""))
    if until is None:
        return None
    sent = _moment(lower.get("date", ""))
    return sane(max(0.0, until - (time.time() if sent is None else sent)))


def resets_in(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limit that is used up is fresh again, by the provider's rate-limit headers; None without any.

    OpenAI's and those who follow it (``x-ratelimit-reset-requests: 6m0s``), Anthropic's
    (``anthropic-ratelimit-tokens-reset: 2026-11-20T10:00:00Z``), and the plain ``x-ratelimit-reset``, in seconds from
    now or since the epoch. A limit of which something remains is not the one that was hit.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    now = _moment(lower.get("date", ""))
    now = time.time() if now is None else now
    waits = []
    for name, value in lower.items():
        if (
            "ratelimit" in name
            and "reset" in name
            and not _some_left(lower.get(name.replace("reset", "remaining"), ""))
        ):
            wait = _until(value.strip(), now)
            if wait is not None:
                waits.append(wait)
    return max((wait for wait in waits if wait is not None), default=None)


def _some_left(remaining: str) -> bool:
    try:
        return float(remaining) > 0
    except ValueError:
        return False


def _until(value: str, now: float) -> float | None:
    """Seconds until what a reset header names: a duration, a number of seconds, a moment."""
    if value and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds, thousandths = (float(part or 0) for part in match.groups())
        return sane(hours * 3600 + minutes * 60 + seconds + thousandths / 1000)
    try:
        number = float(value)
    except ValueError:
        try:
            then = datetime.fromisoformat(value)
            return sane(max(0.0, then.timestamp() - now)) if then.tzinfo else None
        except (ValueError, OverflowError, OSError):
            return None
    if number > _EPOCH_MS:
        number /= 1000
    return sane(max(0.0, number - now) if number > _EPOCH else number)


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None


def shown(said: str, backend: Backend) -> str:
    """``said`` as a reason may show it: one short line, harmless, without the key."""
    key = backend.api_key
    glance = said[:_GLANCE]
    if key:
        glance = glance.replace(key, "...")
        if len(said) > _GLANCE:  # a key that the cut went through
            glance = glance[: -len(key)]
    line = _SPACES.sub(" ", _UNSAFE.sub(" ", glance)).strip()
    if key:
        line = line.replace(key, "...")
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3].rstrip() + "..."


def unnamed(node: object) -> Complaint:
    """What a gateway in front of the api says in its own way, where it says it in a field of the usual names."""
    if not isinstance(node, dict):
        return Complaint()
    return Complaint(message=" ".join(strings(node.get("message"), node.get("detail"))))


def failed(backend: Backend, status: int, headers: Mapping[str, str], complaint: Complaint) -> AttemptFailed:
    """The failure that this response is."""
    telling = status if not 200 <= status < 300 or complaint.status is None else complaint.status
    failure = failure_of(telling, backend.api, complaint.words, complaint.message)
    # Providers quote a part of a key that they turn down, so their prose about it is not repeated.
    prose = "" if failure is FailureCode.AUTH else complaint.message
    said = shown(": ".join(strings(complaint.category, *complaint.words[:1], prose)), backend)
    waits = [retry_after(headers), complaint.retry_after]
    if failure is FailureCode.RATE_LIMITED:
        waits.append(resets_in(headers))
    return AttemptFailed(
        failure,
        f"HTTP {status}: {said}" if said else f"HTTP {status}",
        retry_after=next((wait for wait in waits if wait is not None), None),
        status=status,
    )
