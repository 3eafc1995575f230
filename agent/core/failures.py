"""Why an attempt gave no usable answer, and what follows from each failure.

This is the one place that decides what a failure means. Everything else asks the table::

    POLICIES[Failure.OVERLOADED].retry_here        # True
    failure_of(429)                                # Failure.RATE_LIMITED
    failure_of(429, "openai", ["insufficient_quota"])    # Failure.QUOTA_EXHAUSTED

Theory of operation
    An attempt ends in an answer or in :class:`AttemptFailed`. The router looks the failure up here and does what the
    row says, in this order: ask the same backend again (``retry_here``), else turn to the next one (``fall_back``),
    else tell the caller. ``counts`` says whether the backend's success rate suffers; ``opens`` says when its breaker
    opens.

The exceptions
    UniwizardError
      · ConfigError          agent.config.loader: the backends file has faults
      · AttemptFailed        one attempt at one backend
      · AllBackendsFailed    agent.core.result: nobody gave a usable answer; carries every attempt
        · ContentFiltered    a provider's hard filter, told to the caller instead of shopped around
        · AnswerBroken       an answer that was shown as it came broke off, and nobody could continue it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .answer import Usage


class Failure(StrEnum):
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
class Policy:
    """One row of the table; the columns are explained at the head of this module."""

    retry_here: bool
    fall_back: bool
    counts: bool
    opens: Opens


_ALLOWED = Opens.AFTER_ALLOWED_FAILS

#: A time-out is not retried: a silent route is not asked twice.
POLICIES: dict[Failure, Policy] = {
    #                                 retry  fall   counts
    #                                 here   back
    Failure.TIMEOUT:           Policy(False, True,  True,  _ALLOWED),
    Failure.NETWORK:           Policy(True,  True,  True,  _ALLOWED),
    Failure.RATE_LIMITED:      Policy(True,  True,  True,  _ALLOWED),
    Failure.OVERLOADED:        Policy(True,  True,  True,  _ALLOWED),
    Failure.SERVER_ERROR:      Policy(True,  True,  True,  _ALLOWED),
    Failure.AUTH:              Policy(False, True,  True,  Opens.UNTIL_RESET),
    Failure.NOT_FOUND:         Policy(False, True,  True,  Opens.UNTIL_RESET),
    Failure.BAD_REQUEST:       Policy(False, True,  False, Opens.NEVER),
    Failure.CONTEXT_OVERFLOW:  Policy(False, True,  False, Opens.NEVER),
    Failure.CONTENT_FILTER:    Policy(False, False, False, Opens.NEVER),
    Failure.MALFORMED:         Policy(False, True,  True,  _ALLOWED),
    Failure.REFUSED:           Policy(False, True,  False, Opens.NEVER),
    Failure.EMPTY:             Policy(False, True,  True,  _ALLOWED),
    Failure.INVALID_OUTPUT:    Policy(False, True,  False, Opens.NEVER),
    Failure.LOW_CONFIDENCE:    Policy(False, True,  False, Opens.NEVER),
    Failure.QUOTA_EXHAUSTED:   Policy(False, True,  False, Opens.AT_ONCE),
}  # fmt: skip

#: HTTP status to failure, where the error body says nothing better. 529 is Anthropic's "overloaded"
#: (https://docs.anthropic.com/en/api/errors); the rest is RFC 9110 and RFC 6585.
_BY_STATUS: dict[int, Failure] = {
    400: Failure.BAD_REQUEST,
    401: Failure.AUTH,
    402: Failure.QUOTA_EXHAUSTED,
    403: Failure.AUTH,
    404: Failure.NOT_FOUND,
    408: Failure.TIMEOUT,
    409: Failure.OVERLOADED,
    413: Failure.CONTEXT_OVERFLOW,
    422: Failure.BAD_REQUEST,
    425: Failure.OVERLOADED,
    429: Failure.RATE_LIMITED,
    500: Failure.SERVER_ERROR,
    502: Failure.SERVER_ERROR,
    503: Failure.OVERLOADED,
    504: Failure.TIMEOUT,
    529: Failure.OVERLOADED,
}


#: The word of an error body to failure, by api: OpenAI's ``code`` and ``type``, Anthropic's ``error.type`` and
#: ``details.error_code``, Gemini's google.rpc status and ErrorInfo reason. Taken from the providers' error pages and
#: the types of their SDKs; the openai rows also hold the words of Azure, Moonshot, llama.cpp, vLLM and LiteLLM.
_BY_WORD: dict[tuple[str, str], Failure] = {
    ("openai", "insufficient_quota"): Failure.QUOTA_EXHAUSTED,
    ("openai", "billing_hard_limit_reached"): Failure.QUOTA_EXHAUSTED,
    ("openai", "billing_not_active"): Failure.QUOTA_EXHAUSTED,
    ("openai", "exceeded_current_quota_error"): Failure.QUOTA_EXHAUSTED,
    ("openai", "budget_exceeded"): Failure.QUOTA_EXHAUSTED,
    ("openai", "context_length_exceeded"): Failure.CONTEXT_OVERFLOW,
    ("openai", "string_above_max_length"): Failure.CONTEXT_OVERFLOW,
    ("openai", "exceed_context_size_error"): Failure.CONTEXT_OVERFLOW,
    ("openai", "content_filter"): Failure.CONTENT_FILTER,
    ("openai", "content_policy_violation"): Failure.CONTENT_FILTER,
    ("openai", "responsibleaipolicyviolation"): Failure.CONTENT_FILTER,
    ("openai", "invalid_prompt"): Failure.CONTENT_FILTER,
    ("openai", "model_not_found"): Failure.NOT_FOUND,
    ("openai", "deploymentnotfound"): Failure.NOT_FOUND,
    ("openai", "resource_not_found_error"): Failure.NOT_FOUND,
    ("openai", "notfounderror"): Failure.NOT_FOUND,
    ("openai", "not_found_error"): Failure.NOT_FOUND,
    ("openai", "invalid_api_key"): Failure.AUTH,
    ("openai", "account_deactivated"): Failure.AUTH,
    ("openai", "authentication_error"): Failure.AUTH,
    ("openai", "invalid_authentication_error"): Failure.AUTH,
    ("openai", "permission_denied_error"): Failure.AUTH,
    ("openai", "unsupported_country_region_territory"): Failure.AUTH,
    ("openai", "rate_limit_exceeded"): Failure.RATE_LIMITED,
    ("openai", "rate_limit_error"): Failure.RATE_LIMITED,
    ("openai", "rate_limit_reached_error"): Failure.RATE_LIMITED,
    ("openai", "engine_overloaded_error"): Failure.OVERLOADED,
    ("openai", "overloaded_error"): Failure.OVERLOADED,
    ("openai", "unavailable_error"): Failure.OVERLOADED,
    ("openai", "server_error"): Failure.SERVER_ERROR,
    ("openai", "internal_server_error"): Failure.SERVER_ERROR,
    ("anthropic", "authentication_error"): Failure.AUTH,
    ("anthropic", "permission_error"): Failure.AUTH,
    ("anthropic", "organization_on_hold"): Failure.AUTH,
    ("anthropic", "billing_error"): Failure.QUOTA_EXHAUSTED,
    ("anthropic", "contract_spend_limit_reached"): Failure.QUOTA_EXHAUSTED,
    ("anthropic", "enforced_spend_limit_reached"): Failure.QUOTA_EXHAUSTED,
    ("anthropic", "linked_organization_spend_limit_reached"): Failure.QUOTA_EXHAUSTED,
    ("anthropic", "not_found_error"): Failure.NOT_FOUND,
    ("anthropic", "request_too_large"): Failure.CONTEXT_OVERFLOW,
    ("anthropic", "invalid_request_error"): Failure.BAD_REQUEST,
    ("anthropic", "rate_limit_error"): Failure.RATE_LIMITED,
    ("anthropic", "overloaded_error"): Failure.OVERLOADED,
    ("anthropic", "timeout_error"): Failure.TIMEOUT,
    ("anthropic", "api_error"): Failure.SERVER_ERROR,
    ("gemini", "api_key_invalid"): Failure.AUTH,
    ("gemini", "api_key_service_blocked"): Failure.AUTH,
    ("gemini", "unauthenticated"): Failure.AUTH,
    ("gemini", "permission_denied"): Failure.AUTH,
    ("gemini", "resource_exhausted"): Failure.RATE_LIMITED,
    ("gemini", "unavailable"): Failure.OVERLOADED,
    ("gemini", "deadline_exceeded"): Failure.TIMEOUT,
    ("gemini", "not_found"): Failure.NOT_FOUND,
    ("gemini", "invalid_argument"): Failure.BAD_REQUEST,
    ("gemini", "failed_precondition"): Failure.BAD_REQUEST,
    ("gemini", "internal"): Failure.SERVER_ERROR,
}

#: LiteLLM's proxy, whichever door it is asked at, names its own exception in the message and calls the rest a bad
#: request (tests/witnesses).
_LITELLM: tuple[tuple[str, Failure], ...] = (
    ("contextwindowexceedederror", Failure.CONTEXT_OVERFLOW),
    ("contentpolicyviolationerror", Failure.CONTENT_FILTER),
    ("invalid model name passed", Failure.NOT_FOUND),
)

#: What a provider says only in prose, in lower case; the first that the message contains decides, before any word.
_BY_PHRASE: dict[str, tuple[tuple[str, Failure], ...]] = {
    "openai": (
        ("maximum context length", Failure.CONTEXT_OVERFLOW),
        ("available context size", Failure.CONTEXT_OVERFLOW),
        ("exceeded model token limit", Failure.CONTEXT_OVERFLOW),
        ("maximum prompt length", Failure.CONTEXT_OVERFLOW),
        ("content violates usage guidelines", Failure.CONTENT_FILTER),
        ("exceeded your current quota", Failure.QUOTA_EXHAUSTED),
        ("incorrect api key", Failure.AUTH),
        ("currently overloaded", Failure.OVERLOADED),
        *_LITELLM,
    ),
    "anthropic": (
        ("prompt is too long", Failure.CONTEXT_OVERFLOW),
        ("exceed context limit", Failure.CONTEXT_OVERFLOW),
        ("credit balance is too low", Failure.QUOTA_EXHAUSTED),
        ("specified api usage limits", Failure.QUOTA_EXHAUSTED),
        ("blocked by content filtering policy", Failure.CONTENT_FILTER),
        *_LITELLM,
    ),
    "gemini": (
        ("token count exceeds", Failure.CONTEXT_OVERFLOW),
        ("exceeds the maximum number of tokens", Failure.CONTEXT_OVERFLOW),
        ("api key not valid", Failure.AUTH),
        # The id of a daily quota, which no wait of seconds refills.
        ("perday", Failure.QUOTA_EXHAUSTED),
    ),
    "ollama": (
        ("exceeds the context", Failure.CONTEXT_OVERFLOW),
        ("exceeds maximum context", Failure.CONTEXT_OVERFLOW),
        ("exceeds the available context", Failure.CONTEXT_OVERFLOW),
        ("usage limit", Failure.QUOTA_EXHAUSTED),
        ("server busy", Failure.OVERLOADED),
        ("unauthorized", Failure.AUTH),
        ("does not support", Failure.BAD_REQUEST),
        ("not found", Failure.NOT_FOUND),
    ),
}


def failure_of(status: int, api: str = "", words: Iterable[str] = (), message: str = "") -> Failure:
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
        return Failure.BAD_REQUEST
    if status >= 500:
        return Failure.SERVER_ERROR
    return Failure.MALFORMED


class UniwizardError(Exception):
    """The root of everything this package raises on purpose."""


class AttemptFailed(UniwizardError):
    """One attempt at one backend gave no usable answer.

    ``reason`` is one line for people, free of secrets; ``retry_after`` is in seconds from now, where the provider
    gave one; ``status`` the HTTP status, where there was a response. Of a stream that broke, ``words`` counts the
    characters that had come, and ``usage`` holds the tokens that the provider had reported by then.
    """

    words = 0
    usage: Usage | None = None

    def __init__(self, failure: Failure, reason: str, *, retry_after: float | None = None, status: int | None = None):
        super().__init__(f"{failure}: {reason}")
        self.failure = failure
        self.reason = reason
        self.retry_after = retry_after
        self.status = status
