"""Why an attempt gave no usable answer, and what follows from each failure.

This is the one place that decides what a failure means. Everything else asks the table::

    HANDLING[FailureCode.OVERLOADED].retry_here        # True
    failure_of(429)                                # FailureCode.RATE_LIMITED
    failure_of(429, "openai", ["insufficient_quota"])    # FailureCode.QUOTA_EXHAUSTED

Theory of operation
    An attempt ends in an answer or in :class:`AttemptFailed`. The router looks the failure up here and does what the
    row says, in this order: ask the same backend again (``retry_here``), else turn to the next one (``fall_back``),
    else tell the caller. ``counts`` says whether the backend's success rate suffers; ``opens`` says when its breaker
    opens.

The exceptions
    UniwizardError
      · ConfigError          agent.config.loader: the backends file has faults
      · AttemptFailed        one attempt at one backend
        · NotSent            the request has not left
          · LeakFound        because it would have named somebody
      · AllBackendsFailed    agent.core.result: nobody gave a usable answer; carries every attempt
        · ContentFiltered    a provider's hard filter, told to the caller instead of shopped around
        · AnswerBroken       an answer that was shown as it came broke off, and nobody could continue it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .answer import Usage


class FailureCode(StrEnum):
    """The failures, by the words used everywhere."""

    TIMEOUT = "timeout"
    NETWORK = "network"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    MALFORMED = "malformed"
    REFUSED = "refused"
    EMPTY = "empty"
    INVALID_OUTPUT = "invalid_output"
    LOW_CONFIDENCE = "low_confidence"
    QUOTA_EXHAUSTED = "quota_exhausted"


class Opens(StrEnum):
    """When a failure opens the breaker of the backend that failed."""

    NEVER = "never"
    AFTER_ALLOWED_FAILS = "after allowed_fails in a row"
    AT_ONCE = "at once"
    UNTIL_RESET = "at once, and until the config changes or an admin resets it"


@dataclass(frozen=True, slots=True)
class Handling:
    """One row of the table; the columns are explained at the head of this module."""

    retry_here: bool
    fall_back: bool
    counts: bool
    opens: Opens


_ALLOWED = Opens.AFTER_ALLOWED_FAILS

#: A time-out is not retried: a silent route is not asked twice.
HANDLING: dict[FailureCode, Handling] = {
    #                                 retry  fall   counts
    #                                 here   back
    FailureCode.TIMEOUT:           Handling(False, True,  True,  _ALLOWED),
    FailureCode.NETWORK:           Handling(True,  True,  True,  _ALLOWED),
    FailureCode.RATE_LIMITED:      Handling(True,  True,  True,  _ALLOWED),
    FailureCode.OVERLOADED:        Handling(True,  True,  True,  _ALLOWED),
    FailureCode.SERVER_ERROR:      Handling(True,  True,  True,  _ALLOWED),
    FailureCode.AUTH:              Handling(False, True,  True,  Opens.UNTIL_RESET),
    FailureCode.NOT_FOUND:         Handling(False, True,  True,  Opens.UNTIL_RESET),
    FailureCode.BAD_REQUEST:       Handling(False, True,  False, Opens.NEVER),
    FailureCode.CONTEXT_OVERFLOW:  Handling(False, True,  False, Opens.NEVER),
    FailureCode.CONTENT_FILTER:    Handling(False, False, False, Opens.NEVER),
    FailureCode.MALFORMED:         Handling(False, True,  True,  _ALLOWED),
    FailureCode.REFUSED:           Handling(False, True,  False, Opens.NEVER),
    FailureCode.EMPTY:             Handling(False, True,  True,  _ALLOWED),
    FailureCode.INVALID_OUTPUT:    Handling(False, True,  False, Opens.NEVER),
    FailureCode.LOW_CONFIDENCE:    Handling(False, True,  False, Opens.NEVER),
    FailureCode.QUOTA_EXHAUSTED:   Handling(False, True,  False, Opens.AT_ONCE),
}  # fmt: skip

#: HTTP status to failure, where the error body says nothing better. 529 is Anthropic's "overloaded"
#: (https://docs.anthropic.com/en/api/errors); the rest is RFC 9110 and RFC 6585.
_BY_STATUS: dict[int, FailureCode] = {
    400: FailureCode.BAD_REQUEST,
    401: FailureCode.AUTH,
    402: FailureCode.QUOTA_EXHAUSTED,
    403: FailureCode.AUTH,
    404: FailureCode.NOT_FOUND,
    408: FailureCode.TIMEOUT,
    409: FailureCode.OVERLOADED,
    413: FailureCode.CONTEXT_OVERFLOW,
    422: FailureCode.BAD_REQUEST,
    425: FailureCode.OVERLOADED,
    429: FailureCode.RATE_LIMITED,
    500: FailureCode.SERVER_ERROR,
    502: FailureCode.SERVER_ERROR,
    503: FailureCode.OVERLOADED,
    504: FailureCode.TIMEOUT,
    529: FailureCode.OVERLOADED,
}


#: The word of an error body to failure, by api: OpenAI's ``code`` and ``type``, Anthropic's ``error.type`` and
#: ``details.error_code``, Gemini's google.rpc status and ErrorInfo reason. Taken from the providers' error pages and
#: the types of their SDKs; the openai rows also hold the words of Azure, Moonshot, llama.cpp, vLLM and LiteLLM.
_BY_WORD: dict[tuple[str, str], FailureCode] = {
    ("openai", "insufficient_quota"): FailureCode.QUOTA_EXHAUSTED,
    ("openai", "billing_hard_limit_reached"): FailureCode.QUOTA_EXHAUSTED,
    ("openai", "billing_not_active"): FailureCode.QUOTA_EXHAUSTED,
    ("openai", "exceeded_current_quota_error"): FailureCode.QUOTA_EXHAUSTED,
    ("openai", "budget_exceeded"): FailureCode.QUOTA_EXHAUSTED,
    ("openai", "context_length_exceeded"): FailureCode.CONTEXT_OVERFLOW,
    ("openai", "string_above_max_length"): FailureCode.CONTEXT_OVERFLOW,
    ("openai", "exceed_context_size_error"): FailureCode.CONTEXT_OVERFLOW,
    ("openai", "content_filter"): FailureCode.CONTENT_FILTER,
    ("openai", "content_policy_violation"): FailureCode.CONTENT_FILTER,
    ("openai", "responsibleaipolicyviolation"): FailureCode.CONTENT_FILTER,
    ("openai", "invalid_prompt"): FailureCode.CONTENT_FILTER,
    ("openai", "model_not_found"): FailureCode.NOT_FOUND,
    ("openai", "deploymentnotfound"): FailureCode.NOT_FOUND,
    ("openai", "resource_not_found_error"): FailureCode.NOT_FOUND,
    ("openai", "notfounderror"): FailureCode.NOT_FOUND,
    ("openai", "not_found_error"): FailureCode.NOT_FOUND,
    ("openai", "invalid_api_key"): FailureCode.AUTH,
    ("openai", "account_deactivated"): FailureCode.AUTH,
    ("openai", "authentication_error"): FailureCode.AUTH,
    ("openai", "invalid_authentication_error"): FailureCode.AUTH,
    ("openai", "permission_denied_error"): FailureCode.AUTH,
    ("openai", "unsupported_country_region_territory"): FailureCode.AUTH,
    ("openai", "rate_limit_exceeded"): FailureCode.RATE_LIMITED,
    ("openai", "rate_limit_error"): FailureCode.RATE_LIMITED,
    ("openai", "rate_limit_reached_error"): FailureCode.RATE_LIMITED,
    ("openai", "engine_overloaded_error"): FailureCode.OVERLOADED,
    ("openai", "overloaded_error"): FailureCode.OVERLOADED,
    ("openai", "unavailable_error"): FailureCode.OVERLOADED,
    ("openai", "server_error"): FailureCode.SERVER_ERROR,
    ("openai", "internal_server_error"): FailureCode.SERVER_ERROR,
    ("anthropic", "authentication_error"): FailureCode.AUTH,
    ("anthropic", "permission_error"): FailureCode.AUTH,
    ("anthropic", "organization_on_hold"): FailureCode.AUTH,
    ("anthropic", "billing_error"): FailureCode.QUOTA_EXHAUSTED,
    ("anthropic", "contract_spend_limit_reached"): FailureCode.QUOTA_EXHAUSTED,
    ("anthropic", "enforced_spend_limit_reached"): FailureCode.QUOTA_EXHAUSTED,
    ("anthropic", "linked_organization_spend_limit_reached"): FailureCode.QUOTA_EXHAUSTED,
    ("anthropic", "not_found_error"): FailureCode.NOT_FOUND,
    ("anthropic", "request_too_large"): FailureCode.CONTEXT_OVERFLOW,
    ("anthropic", "invalid_request_error"): FailureCode.BAD_REQUEST,
    ("anthropic", "rate_limit_error"): FailureCode.RATE_LIMITED,
    ("anthropic", "overloaded_error"): FailureCode.OVERLOADED,
    ("anthropic", "timeout_error"): FailureCode.TIMEOUT,
    ("anthropic", "api_error"): FailureCode.SERVER_ERROR,
    ("gemini", "api_key_invalid"): FailureCode.AUTH,
    ("gemini", "api_key_service_blocked"): FailureCode.AUTH,
    ("gemini", "unauthenticated"): FailureCode.AUTH,
    ("gemini", "permission_denied"): FailureCode.AUTH,
    ("gemini", "resource_exhausted"): FailureCode.RATE_LIMITED,
    ("gemini", "unavailable"): FailureCode.OVERLOADED,
    ("gemini", "deadline_exceeded"): FailureCode.TIMEOUT,
    ("gemini", "not_found"): FailureCode.NOT_FOUND,
    ("gemini", "invalid_argument"): FailureCode.BAD_REQUEST,
    ("gemini", "failed_precondition"): FailureCode.BAD_REQUEST,
    ("gemini", "internal"): FailureCode.SERVER_ERROR,
}

#: LiteLLM's proxy, whichever door it is asked at, names its own exception in the message and calls the rest a bad
#: request (tests/witnesses).
_LITELLM: tuple[tuple[str, FailureCode], ...] = (
    ("contextwindowexceedederror", FailureCode.CONTEXT_OVERFLOW),
    ("contentpolicyviolationerror", FailureCode.CONTENT_FILTER),
    ("invalid model name passed", FailureCode.NOT_FOUND),
)

#: What a provider says only in prose, in lower case; the first that the message contains decides, before any word.
_BY_PHRASE: dict[str, tuple[tuple[str, FailureCode], ...]] = {
    "openai": (
        ("maximum context length", FailureCode.CONTEXT_OVERFLOW),
        ("available context size", FailureCode.CONTEXT_OVERFLOW),
        ("exceeded model token limit", FailureCode.CONTEXT_OVERFLOW),
        ("maximum prompt length", FailureCode.CONTEXT_OVERFLOW),
        ("content violates usage guidelines", FailureCode.CONTENT_FILTER),
        ("exceeded your current quota", FailureCode.QUOTA_EXHAUSTED),
        ("incorrect api key", FailureCode.AUTH),
        ("currently overloaded", FailureCode.OVERLOADED),
        *_LITELLM,
    ),
    "anthropic": (
        ("prompt is too long", FailureCode.CONTEXT_OVERFLOW),
        ("exceed context limit", FailureCode.CONTEXT_OVERFLOW),
        ("credit balance is too low", FailureCode.QUOTA_EXHAUSTED),
        ("specified api usage limits", FailureCode.QUOTA_EXHAUSTED),
        ("blocked by content filtering policy", FailureCode.CONTENT_FILTER),
        *_LITELLM,
    ),
    "gemini": (
        ("token count exceeds", FailureCode.CONTEXT_OVERFLOW),
        ("exceeds the maximum number of tokens", FailureCode.CONTEXT_OVERFLOW),
        ("api key not valid", FailureCode.AUTH),
        # The id of a daily quota, which no wait of seconds refills.
        ("perday", FailureCode.QUOTA_EXHAUSTED),
    ),
    "ollama": (
        ("exceeds the context", FailureCode.CONTEXT_OVERFLOW),
        ("exceeds maximum context", FailureCode.CONTEXT_OVERFLOW),
        ("exceeds the available context", FailureCode.CONTEXT_OVERFLOW),
        ("usage limit", FailureCode.QUOTA_EXHAUSTED),
        ("server busy", FailureCode.OVERLOADED),
        ("unauthorized", FailureCode.AUTH),
        ("does not support", FailureCode.BAD_REQUEST),
        ("not found", FailureCode.NOT_FOUND),
    ),
}


def failure_of(status: int, api: str = "", words: Iterable[str] = (), message: str = "") -> FailureCode:
    """The failure that an error response means: by its message, else its words, else its HTTP status.

    ``api`` is one of :data:`agent.core.backend.APIS`; ``words`` the machine-readable codes of the error body, the most
    telling first; ``message`` its prose. Unknown words are passed over. A 2xx that carries no answer and a 3xx that
    nobody follows are both ``malformed``.
    """
    said = message.lower()
    for phrase, failure in _BY_PHRASE.get(api, ()):
        if phrase in said:
            return failure
    for word in words:
        if found := _BY_WORD.get((api, word.lower())):
            return found
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return FailureCode.BAD_REQUEST
    if status >= 500:
        return FailureCode.SERVER_ERROR
    return FailureCode.MALFORMED


#: The former name.
Failure = FailureCode


class UniwizardError(Exception):
    """The root of everything this package raises on purpose."""


class AttemptFailed(UniwizardError):
    """One attempt at one backend gave no usable answer.

    ``reason`` is one line for people, free of secrets; ``retry_after`` is in seconds from now, where the provider
    gave one; ``status`` the HTTP status, where there was a response. Of a stream that broke, ``chars`` counts the
    characters that had come, and ``usage`` holds the tokens that the provider had reported by then.
    """

    chars = 0
    usage: Usage | None = None

    def __init__(
        self, failure: FailureCode, reason: str, *, retry_after: float | None = None, status: int | None = None
    ):
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
        self.retry_after = retry_after
        self.status = status


class NotSent(AttemptFailed):
    """The request has not left, so nobody has counted it."""


class LeakFound(NotSent):
    """An identity term stood in the encoded request, which was therefore not sent. The term is not repeated."""

    def __init__(self) -> None:
        super().__init__(FailureCode.BAD_REQUEST, "the request would have named someone and was not sent")
