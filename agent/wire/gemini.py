"""Google's generateContent. ``backend.url`` ends in the version: ``https://generativelanguage.googleapis.com/v1beta``.

Field names are those that Google's Python SDK (``google.genai``) puts on the wire. The model stands in the path, the
key in a header and never in the address; pictures and sounds are both ``inlineData``; a tool's result is named by the
tool, so the calls of earlier turns are remembered while the turns are written.

``candidatesTokenCount`` leaves the thoughts out, so they are added to the output; ``promptTokenCount`` counts the
cached tokens in, but not the results of tools that ran at the provider.

Where a refusal ends and a filter begins
    ``promptFeedback.blockReason`` without a candidate, and a safety finish that left no text, are the provider's
    filter: ``content_filter`` with the reason and the categories it names. A safety finish with text is declined. So is
    a recitation, with or without text: it says nothing against the question.
"""

from __future__ import annotations

from urllib.parse import quote

from ..core.answer import Answer, Declined, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.limits import answer_limit
from ..core.task import PLAIN, Image, Message, Sampling, Task, Thought, ToolCall
from .assembler import Assembly
from .body import (
    Json,
    Malformed,
    any_object,
    base64_of,
    child,
    children,
    count,
    mean_logprob,
    number,
    object_of,
    rewritten,
    text,
)
from .errors import Complaint, delay_in, status_in, strings

PROBE = "/models"

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "length"}

_FILTERS = {
    "SAFETY",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "MODEL_ARMOR",
    "ESCALATION",
}
_RECITATIONS = {"RECITATION", "IMAGE_RECITATION"}

#: What stands in for the signature of a call that another model made, or an earlier one whose signature is gone
#: (https://ai.google.dev/gemini-api/docs/thought-signatures); Gemini 3 turns unsigned calls down.
_UNSIGNED = "skip_thought_signature_validator"


#: Fields of :class:`Sampling` by their names here.
_SAMPLING = {
    "seed": "seed",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}

#: How hard a model thinks (https://ai.google.dev/gemini-api/docs/thinking): OpenAI's words, as Gemini 3 has them.
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}

#: Texts at which an answer ends that the api takes.
_MOST_STOPS = 5

_CARRIED = frozenset({"temperature", "stop", "effort", "thinking", *_SAMPLING})


def carries(backend: Backend) -> frozenset[str]:
    """What of :class:`Sampling` and of temperature the api has a field for."""
    return _CARRIED


def path(backend: Backend, stream: bool = False) -> str:
    model = backend.model if "/" in backend.model else f"models/{backend.model}"
    return f"/{quote(model)}:streamGenerateContent?alt=sse" if stream else f"/{quote(model)}:generateContent"


def credentials(backend: Backend) -> dict[str, str]:
    return {"x-goog-api-key": backend.api_key} if backend.api_key else {}


def body(task: Task, backend: Backend, system: str, stream: bool = False) -> Json:
    turns = task.turns
    request: Json = {"contents": _contents(turns)}
    guide = "\n\n".join(said for said in (system, *(m.text for m in turns if m.role == "system")) if said)
    if guide:
        request["systemInstruction"] = {"parts": [{"text": guide}]}
    config: Json = {}
    if (limit := answer_limit(task, backend)) is not None:
        config["maxOutputTokens"] = limit
    if task.temperature is not None:
        config["temperature"] = task.temperature
    if task.schema is not None:
        config["responseMimeType"] = "application/json"
        if not any_object(task.schema):
            config["responseJsonSchema"] = task.schema
    if task.sampling is not PLAIN:
        config |= _sampling(task.sampling)
    request["generationConfig"] = config
    if task.tools:
        declarations = [
            {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters}
            for tool in task.tools
        ]
        request["tools"] = [{"functionDeclarations": declarations}]
        if task.must_call:
            names = [tool.name for tool in task.tools]
            request["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": names}}
    return request


def _sampling(sampling: Sampling) -> Json:
    config = {theirs: value for ours, theirs in _SAMPLING.items() if (value := getattr(sampling, ours)) is not None}
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop[:_MOST_STOPS])
    if sampling.thinking is not None or sampling.effort == "none":
        config["thinkingConfig"] = {"thinkingBudget": sampling.thinking or 0}
    elif sampling.effort in _LEVELS:
        config["thinkingConfig"] = {"thinkingLevel": _LEVELS[sampling.effort]}
    return config


def _contents(turns: tuple[Message, ...]) -> list[Json]:
    contents: list[Json] = []
    names: dict[str, str] = {}  # of the tools called so far, by the id of the call
    after_tool = False
    for turn in turns:
        if turn.role == "system":
            continue
        parts = _parts(turn, names)
        if after_tool and turn.role == "tool":
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": "model" if turn.role == "assistant" else "user", "parts": parts})
        after_tool = turn.role == "tool"
    return contents


def _parts(turn: Message, names: dict[str, str]) -> list[Json]:
    pictures = [_picture(image) for image in turn.images]
    if turn.role == "tool":
        call = turn.tool_call_id or ""
        result = {"id": call, "name": names.get(call, call), "response": {"output": turn.text}}
        return [{"functionResponse": result}, *pictures]
    parts: list[Json] = []
    if turn.text or not (pictures or turn.tool_calls):
        parts.append({"text": turn.text})
    parts += pictures
    for made in turn.tool_calls:
        names[made.id] = made.name
        wish = {"id": made.id, "name": made.name, "args": object_of(made.arguments)}
        parts.append({"functionCall": wish, "thoughtSignature": made.signature or _UNSIGNED})
    return parts


def _picture(image: Image) -> Json:
    if image.url:
        raise AttemptFailed(FailureCode.BAD_REQUEST, "the gemini api fetches no pictures from elsewhere")
    return {"inlineData": {"mimeType": image.media_type, "data": base64_of(image.data)}}


def answer(node: Json) -> Answer:
    candidates = children(node, "candidates")
    if not candidates:
        feedback = child(node, "promptFeedback")
        if blocked := text(feedback, "blockReason"):
            raise AttemptFailed(FailureCode.CONTENT_FILTER, f"blockReason {blocked} {_categories(feedback)}".strip())
        raise Malformed("the body has no candidates")
    candidate = candidates[0]
    parts = [part for part in children(child(candidate, "content"), "parts") if part.get("thought") is not True]
    said = "".join(text(part, "text") for part in parts)
    calls = [part for part in parts if "functionCall" in part]
    reason = text(candidate, "finishReason")
    finish, declined = _FINISH.get(reason, "other"), None
    if reason in _FILTERS or reason in _RECITATIONS:
        category = _categories(candidate)
        if reason in _FILTERS and not said.strip():
            raise AttemptFailed(FailureCode.CONTENT_FILTER, f"finishReason {reason} {category}".strip())
        finish, declined = (
            "content_filter",
            Declined("finishReason", category or reason, text(candidate, "finishMessage")),
        )
    elif calls and finish == "stop":
        finish = "tool_calls"
    elif reason == "PUP_LIMITED_DISABLED":
        raise AttemptFailed(FailureCode.AUTH, "finishReason PUP_LIMITED_DISABLED: the account is limited or disabled")
    return Answer(
        text=said,
        model=text(node, "modelVersion"),
        finish_reason=finish,
        usage=_usage(child(node, "usageMetadata")),
        tool_calls=tuple(_call(call, nth) for nth, call in enumerate(calls)),
        declined=declined,
        logprob=_logprob(candidate),
        thoughts=(Thought(thought, "gemini"),) if (thought := _thought(candidate)) else (),
    )


def _thought(candidate: Json) -> str:
    parts = children(child(candidate, "content"), "parts")
    return "".join(text(part, "text") for part in parts if part.get("thought") is True)


def _categories(node: Json) -> str:
    """What the filter objects to, such as ``HARM_CATEGORY_HARASSMENT``."""
    blocked = (rating for rating in children(node, "safetyRatings") if rating.get("blocked") is True)
    return ", ".join(text(rating, "category") for rating in blocked)


def _call(part: Json, nth: int) -> ToolCall:
    call = child(part, "functionCall")
    name = text(call, "name")
    if not name:
        raise Malformed("a tool call has no name")
    arguments, signature = rewritten("args", child(call, "args")), text(part, "thoughtSignature")
    return ToolCall(text(call, "id") or f"call_{nth}", name, arguments, signature)


def _usage(usage: Json) -> Usage | None:
    if not usage:
        return None
    thoughts = count(usage, "thoughtsTokenCount")
    return Usage(
        count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount"),
        count(usage, "candidatesTokenCount") + thoughts,
        count(usage, "cachedContentTokenCount"),
        thoughts,
    )


def _logprob(candidate: Json) -> float | None:
    mean = number(candidate, "avgLogprobs")
    if mean is not None:
        return min(0.0, mean)
    return mean_logprob(children(child(candidate, "logprobsResult"), "chosenCandidates"), "logProbability")


class _Stream:
    """A response in the making: every event is a whole response with the parts that are new."""

    marks = (b'"candidates"', b'"parts"')
    ended = False

    def __init__(self) -> None:
        self.tokens = 0
        self.finished = False
        self._head: Json = {}
        self._candidate: Json | None = None
        self._said: list[str] = []
        self._thought: list[str] = []
        self._calls: list[Json] = []
        self._chosen: list[Json] = []

    def take(self, node: Json) -> str:
        for name in ("modelVersion", "usageMetadata", "promptFeedback"):
            if node.get(name):
                self._head[name] = node[name]
        candidate = next((entry for entry in children(node, "candidates") if not entry.get("index")), None)
        if candidate is None:
            self.finished = self.finished or bool(text(child(node, "promptFeedback"), "blockReason"))
            return ""
        parts = children(child(candidate, "content"), "parts")
        self.tokens += bool(parts)
        said = "".join(text(part, "text") for part in parts if part.get("thought") is not True)
        if said:
            self._said.append(said)
        self._thought += (text(part, "text") for part in parts if part.get("thought") is True)
        self._calls += (part for part in parts if "functionCall" in part and part.get("thought") is not True)
        self._chosen += children(child(candidate, "logprobsResult"), "chosenCandidates")
        told = {name: value for name, value in candidate.items() if name not in ("content", "logprobsResult")}
        self._candidate = {**(self._candidate or {}), **told}
        self.finished = self.finished or bool(text(candidate, "finishReason"))
        return said

    def node(self) -> Json:
        if self._candidate is None:
            return self._head
        said: list[Json] = [{"text": "".join(self._said)}, *({**call, "text": None} for call in self._calls)]
        if self._thought:
            said.insert(0, {"text": "".join(self._thought), "thought": True})
        content = {"parts": said}
        chosen = {"chosenCandidates": self._chosen}
        return {**self._head, "candidates": [{**self._candidate, "content": content, "logprobsResult": chosen}]}

    def usage(self) -> Usage | None:
        return _usage(child(self._head, "usageMetadata"))


def assembly() -> Assembly:
    return _Stream()


def complaint(node: object) -> Complaint | None:
    if isinstance(node, list) and len(node) == 1:  # as streams wrap it
        node = node[0]
    error = node.get("error") if isinstance(node, dict) else None
    if not error:
        return None
    if not isinstance(error, dict):
        return Complaint(message="".join(strings(error)))
    listed = error.get("details")
    details = [detail for detail in listed if isinstance(detail, dict)] if isinstance(listed, list) else []
    return Complaint(
        words=strings(*(detail.get("reason") for detail in details), error.get("status")),
        message=" ".join((*strings(error.get("message")), *_quotas(details))),
        status=status_in(error.get("code")),
        retry_after=delay_in(details),
    )


def _quotas(details: list[Json]) -> tuple[str, ...]:
    """The ids of the quotas that google.rpc.QuotaFailure says are used up."""
    found: list[object] = []
    for detail in details:
        violations = detail.get("violations")
        if isinstance(violations, list):
            found += [violation.get("quotaId") for violation in violations if isinstance(violation, dict)]
    return strings(*found)
