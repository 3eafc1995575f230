"""Every error in OpenAI's own format and status codes (https://platform.openai.com/docs/guides/error-codes).

    raise Rejected(400, "n must be 1", param="n")
    rejected = rejected_for(failed)          # an AllBackendsFailed, with every attempt in it

The table for a task that nobody did is at :data:`_BY_FAILURE`: it holds when every attempt failed in that way. The
attempts stand in the error's ``uniwizard`` field, whatever the status.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..core.attempt import Attempt
from ..core.failures import FailureCode, UniwizardError
from ..core.result import AllBackendsFailed, AnswerBroken, BudgetSpent, ContentFiltered

#: OpenAI's ``type`` by status.
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "server_error",
}

#: Status, code: what a task comes to when all its attempts failed in this one way.
_BY_FAILURE: dict[FailureCode, tuple[int, str]] = {
    FailureCode.RATE_LIMITED: (429, "rate_limit_exceeded"),
    FailureCode.QUOTA_EXHAUSTED: (429, "insufficient_quota"),
    FailureCode.TIMEOUT: (504, "timeout"),
    FailureCode.CONTEXT_OVERFLOW: (400, "context_length_exceeded"),
    FailureCode.BAD_REQUEST: (400, "invalid_request"),
}


class Rejected(UniwizardError):
    """A request that gets an error instead of an answer.

    status   HTTP's
    code     OpenAI's machine-readable word; None where there is none
    param    the field of the request that is at fault
    headers  to be sent with it
    more     the error's ``uniwizard`` field
    request_id  of the request; set where the error is sent
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = dict(headers or {})
        self.more = more
        self.request_id = ""

    def body(self) -> dict[str, Any]:
        """The JSON object that says so."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": _TYPES.get(self.status, "invalid_request_error"),
            "param": self.param,
            "code": self.code,
        }
        if self.more is not None:
            error["uniwizard"] = self.more
        return {"error": error}


#: Seconds beyond which nobody should wait with a request in hand.
_LONG = 60.0


def retry_after(seconds: float) -> dict[str, str]:
    """The headers that tell a client when to ask again, and whether to wait for that; the official SDKs heed both."""
    told = {"retry-after": str(max(1, math.ceil(seconds)))}
    return told if seconds <= _LONG else {**told, "x-should-retry": "false"}


def rejected_for(
    failed: AllBackendsFailed,
    *,
    too_long: bool = False,
    wait: float | None = None,
    quota_frees_in: float | None = None,
) -> Rejected:
    """The error for a task that nobody did.

    too_long        it fits no backend that there is
    wait            seconds after which somebody may be asked again; None where nobody knows
    quota_frees_in  seconds until a backend that only its quota kept from being asked has room; None where none was
    """
    status, code = _meaning(failed, too_long)
    by_quota = status == 503 and quota_frees_in is not None and not failed.attempts
    if by_quota:
        status, code = 429, "insufficient_quota"
    # The road has been walked to its end, retries and fallbacks included: asking again at once helps nobody. The
    # official SDKs heed this header (https://github.com/openai/openai-python, _should_retry).
    headers = {"x-should-retry": "false"}
    if status in (429, 503) and wait is not None:
        headers = retry_after(wait)
    headers["x-uniwizard-attempts"] = str(len(failed.attempts))
    headers["x-uniwizard-cost-usd"] = f"{failed.cost_usd:.6f}"
    if by_quota and quota_frees_in is not None:
        headers["retry-after"] = str(math.ceil(quota_frees_in))
    more = {
        "attempts": [attempt_of(attempt) for attempt in failed.attempts],
        "skipped": [{"backend": entry.backend, "reason": entry.reason} for entry in failed.skipped],
        "cost_usd": failed.cost_usd,
    }
    return Rejected(status, str(failed), code=code, headers=headers, more=more)


def _meaning(failed: AllBackendsFailed, too_long: bool) -> tuple[int, str]:
    if isinstance(failed, ContentFiltered):
        return 400, "content_filter"
    if isinstance(failed, BudgetSpent):
        return 429, "insufficient_quota"
    if isinstance(failed, AnswerBroken):
        return 503, "answer_broken"
    if too_long and not failed.attempts:
        return 400, "context_length_exceeded"
    if failed.why.startswith("the deadline"):
        return 504, "timeout"
    ways = {attempt.failure for attempt in failed.attempts}
    if ways == {FailureCode.RATE_LIMITED, FailureCode.QUOTA_EXHAUSTED}:
        ways = {FailureCode.RATE_LIMITED}
    if len(ways) == 1 and (only := ways.pop()) in _BY_FAILURE:
        return _BY_FAILURE[only]
    return 503, "all_backends_failed"


def attempt_of(attempt: Attempt) -> dict[str, Any]:
    """One attempt, for programs."""
    return {
        "backend": attempt.backend,
        "model": attempt.model,
        "failure": attempt.failure,
        "reason": attempt.reason,
        "status": attempt.status,
        "latency_ms": round(attempt.latency_ms, 3),
        "cost_usd": attempt.cost_usd,
    }
