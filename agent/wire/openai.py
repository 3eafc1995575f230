"""OpenAI's chat completions, and the many servers that speak them: Moonshot, xAI, vLLM, llama.cpp, LM Studio ...

``backend.url`` is the address up to the version, such as ``https://api.openai.com/v1``. Field names are those of the
types in OpenAI's Python SDK (``openai.types.chat``).

OpenAI's own servers ask for two things that others do not know: the limit is called ``max_completion_tokens`` (newer
models refuse ``max_tokens``), and a schema must be an object at its root. Both are decided by the host of
``backend.url``: ``api.openai.com`` and ``*.openai.azure.com`` are OpenAI's own. For another server that wants the new
name, take the old one away in the backend's options, and the limit moves to the other; a number there replaces it::

    options: {max_tokens: null}

The usage of a stream is asked for where the server is known to take the question. For another, or to leave it out::

    options: {stream_options: {include_usage: true}}
    options: {stream_options: null}

Where a refusal ends and a filter begins
    ``message.refusal`` is the model's own word: declined. ``finish_reason: content_filter`` with text is an answer the
    filter cut short: declined. The same with no text, and the error codes ``content_filter`` and
    ``content_policy_violation``, are the provider's filter: ``content_filter``, with the categories that Azure names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from ..core.answer import Answer, Declined, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.limits import answer_limit
from ..core.task import PLAIN, Image, Message, Sampling, Task, Thought, Tool, ToolCall
from .assembler import Assembly, Spoken
from .body import (
    JSON_ALONE,
    Json,
    Malformed,
    any_object,
    base64_of,
    child,
    children,
    count,
    dumps,
    mean_logprob,
    rewritten,
    spoken,
    text,
)
from .errors import Complaint, filtered, status_in, strings

PROBE = "/models"

_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}

#: The keywords that strict schemas may use (https://platform.openai.com/docs/guides/structured-outputs); there are a
#: few more by now, but a schema that is not marked strict is never turned down for one.
_STRICT = {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "title",
    "description",
}


#: Servers that report a stream's usage when asked with ``stream_options``, by their references; Mistral, for one, turns
#: the field down and reports unasked. On this machine run llama.cpp, vLLM, Ollama and LM Studio, which all take it.
_REPORTING = (
    "api.openai.com",
    ".openai.azure.com",
    "api.moonshot.ai",
    "api.moonshot.cn",
    "api.x.ai",
    "api.groq.com",
    "api.deepseek.com",
    "api.fireworks.ai",
    "api.together.xyz",
    "openrouter.ai",
    "dashscope.aliyuncs.com",
    "dashscope-intl.aliyuncs.com",
    "generativelanguage.googleapis.com",
)
#: Hosts of models that want their own thoughts back with their tool calls, by their references; others turn an unknown
#: field of a message down.
_THOUGHTFUL = ("api.deepseek.com", "api.moonshot.ai", "api.moonshot.cn", "openrouter.ai")

#: Fields of :class:`Sampling` by their names here.
_SAMPLING = {
    "seed": "seed",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "effort": "reasoning_effort",
    "verbosity": "verbosity",
}

#: Texts at which an answer ends that OpenAI takes; :mod:`agent.gateway` sees to the others.
_MOST_STOPS = 4


def path(backend: Backend, stream: bool = False) -> str:
    return "/chat/completions"


def credentials(backend: Backend) -> dict[str, str]:
    return {"authorization": f"Bearer {backend.api_key}"} if backend.api_key else {}


def carries(backend: Backend) -> frozenset[str]:
    """What of :class:`Sampling` and of temperature the api has a field for."""
    names = {"temperature", "stop", *_SAMPLING}
    if _is_private(backend.url):
        names.add("top_k")  # vLLM, llama.cpp, LM Studio
    return frozenset(names)


def body(task: Task, backend: Backend, system: str, stream: bool = False) -> Json:
    own = _is_openai(backend.url)
    guide = system
    whole = task.schema is None or task.schema.get("type") == "object"
    anything = task.schema is not None and any_object(task.schema)
    if task.schema is not None and not anything and (backend.json_mode != "schema" or (own and not whole)):
        guide = f"{system}\n\nAnswer with JSON alone, valid against this JSON Schema: {dumps(task.schema)}".strip()
    elif anything and (backend.json_mode == "prompt" or not _says_json(system, task)):
        # OpenAI turns JSON mode down where the messages do not mention it.
        guide = f"{system}\n\n{JSON_ALONE}".strip()
    messages: list[Json] = [{"role": "system", "content": guide}] if guide else []
    messages += _messages(task.turns, thoughtful=_host(backend.url).endswith(_THOUGHTFUL))
    request: Json = {"model": backend.model, "messages": messages, "stream": stream}
    if stream and _reports_on_streams(backend.url):
        request["stream_options"] = {"include_usage": True}
    request |= _limit(task, backend, own)
    if task.temperature is not None:
        request["temperature"] = task.temperature
    if task.sampling is not PLAIN:
        request |= _sampling(task.sampling, backend)
    if task.tools:
        request["tools"] = [{"type": "function", "function": _function(tool)} for tool in task.tools]
        if task.must_call:
            one = {"type": "function", "function": {"name": task.tools[0].name}}
            request["tool_choice"] = one if len(task.tools) == 1 else "required"
        if task.one_call:
            request["parallel_tool_calls"] = False
    if anything and backend.json_mode != "prompt":
        request["response_format"] = {"type": "json_object"}
    elif task.schema is not None and guide is system:
        named: Json = {"name": "answer", "schema": task.schema}
        if task.schema.get("type") == "object" and _is_strict(task.schema):
            named["strict"] = True
        request["response_format"] = {"type": "json_schema", "json_schema": named}
    elif task.schema is not None and whole and backend.json_mode == "object":
        request["response_format"] = {"type": "json_object"}
    return request


def _function(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def _sampling(sampling: Sampling, backend: Backend) -> Json:
    named = {theirs: getattr(sampling, ours) for ours, theirs in _SAMPLING.items()}
    if sampling.top_k is not None and _is_private(backend.url):
        named["top_k"] = sampling.top_k
    if sampling.stop:
        named["stop"] = list(sampling.stop[:_MOST_STOPS])
    return {name: value for name, value in named.items() if value is not None}


def _says_json(system: str, task: Task) -> bool:
    return "json" in system.lower() or any("json" in turn.text.lower() for turn in task.turns)


@lru_cache(maxsize=256)
def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_openai(url: str) -> bool:
    host = _host(url)
    return host == "api.openai.com" or host.endswith(".openai.azure.com")


@lru_cache(maxsize=256)
def _is_private(url: str) -> bool:
    """Whether the server is on this machine or in this network: vLLM, llama.cpp, Ollama, LM Studio."""
    host = _host(url)
    if host == "localhost" or host.endswith((".local", ".lan", ".internal")):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _reports_on_streams(url: str) -> bool:
    """Whether the server is known to take ``stream_options``; others turn unknown fields down."""
    return _host(url).endswith(_REPORTING) or _is_private(url)


def _limit(task: Task, backend: Backend, own: bool) -> Json:
    limit = answer_limit(task, backend)
    if limit is None:
        return {}
    names = ("max_completion_tokens", "max_tokens") if own else ("max_tokens", "max_completion_tokens")
    if any(backend.options.get(name) is not None for name in names):
        return {}
    return next(({name: limit} for name in names if name not in backend.options), {})


def _is_strict(schema: object) -> bool:
    """Whether strict mode takes the schema: known keywords, every object closed and all its properties required."""
    if not isinstance(schema, Mapping):
        return False
    if not _STRICT.issuperset(schema):
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" or "properties" in schema:
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            return False
    below = [*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    return all(map(_is_strict, below + ([schema["items"]] if "items" in schema else [])))


def _messages(turns: tuple[Message, ...], *, thoughtful: bool) -> list[Json]:
    messages: list[Json] = []
    shown: list[Image] = []  # by tools; their messages hold text alone, so a user's follows them
    for turn in turns:
        if shown and turn.role != "tool":
            messages.append({"role": "user", "content": [_part(image) for image in shown]})
            shown = []
        if turn.role == "tool":
            shown += turn.images
        messages.append(_turn(turn, thoughtful))
    if shown:
        messages.append({"role": "user", "content": [_part(image) for image in shown]})
    return messages


def _turn(message: Message, thoughtful: bool) -> Json:
    turn: Json = {"role": message.role, "content": message.text}
    if thoughtful and message.thoughts:
        turn["reasoning_content"] = "".join(thought.text for thought in message.thoughts)
    if message.images and message.role != "tool":
        parts: list[Json] = [{"type": "text", "text": message.text}] if message.text else []
        turn["content"] = parts + [_part(image) for image in message.images]
    if message.tool_calls:
        if not message.text:
            turn["content"] = None
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        turn["tool_call_id"] = message.tool_call_id or ""
    return turn


def _part(image: Image) -> Json:
    if image.url:
        return {"type": "image_url", "image_url": {"url": image.url}}
    if image.media_type == "application/pdf":
        data = f"data:{image.media_type};base64,{base64_of(image.data)}"
        return {"type": "file", "file": {"filename": image.name or "document.pdf", "file_data": data}}
    if image.media_type.startswith("audio/"):
        sound = _SOUNDS.get(image.media_type)
        if sound is None:
            raise AttemptFailed(FailureCode.BAD_REQUEST, f"the openai api takes wav and mp3, not {image.media_type}")
        return {"type": "input_audio", "input_audio": {"data": base64_of(image.data), "format": sound}}
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{base64_of(image.data)}"}}


def answer(node: Json) -> Answer:
    choices = children(node, "choices")
    if not choices:
        raise Malformed("the body has no choices")
    choice = choices[0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed("the choice has no message")
    said = _content(message)
    reason = text(choice, "finish_reason")
    finish = _FINISH.get(reason, "other")
    declined = None
    if refusal := text(message, "refusal"):
        finish, declined = "refusal", Declined("message.refusal", explanation=refusal)
    elif finish == "content_filter":
        category = filtered(choice.get("content_filter_results"))
        if not said.strip():
            raise AttemptFailed(FailureCode.CONTENT_FILTER, f"finish_reason content_filter {category}".strip())
        declined = Declined("finish_reason", category or reason)
    logprobs = child(choice, "logprobs")
    return Answer(
        text=said,
        model=text(node, "model"),
        finish_reason=finish,
        usage=_usage(child(node, "usage")),
        tool_calls=tuple(_call(call) for call in children(message, "tool_calls")),
        declined=declined,
        logprob=mean_logprob(children(logprobs, "content"), "logprob") if logprobs else None,
        thoughts=(Thought(thought, "openai"),) if (thought := _reasoned(message)) else (),
    )


def _reasoned(message: Json) -> str:
    """Thoughts beside the answer: DeepSeek's field and those who follow it, or OpenRouter's."""
    return next((said for name in _REASONED if isinstance(said := message.get(name), str) and said), "")


#: Where a message or a delta has the model's thoughts.
_REASONED = ("reasoning_content", "reasoning")


def _content(message: Json) -> str:
    # Some servers split the answer into parts and put reasoning among them.
    said = _piece(message)
    return said if isinstance(message.get("content"), list) else spoken(said)


#: Where a delta has something that the model made, beside its content.
_OTHER_WORDS = ("refusal", "tool_calls", "reasoning_content", "reasoning")


class _Stream:
    """A chat completion in the making (``chat.completion.chunk``)."""

    marks = (b'"choices"', b'"delta"')

    def __init__(self) -> None:
        self.tokens = 0
        self.finished = self.ended = False
        self._head: Json = {}
        self._choice: Json = {}
        self._said: list[str] = []
        self._refused: list[str] = []
        self._thought: list[str] = []
        self._calls: dict[int, Json] = {}
        self._logprobs: list[Json] = []
        self._spoken = Spoken()

    def take(self, node: Json) -> str:
        if "model" not in self._head and (model := text(node, "model")):
            self._head["model"] = model
        if node.get("usage"):
            self._head["usage"] = child(node, "usage")
        for choice in children(node, "choices"):
            if not choice.get("index"):
                return self._hear(choice)
        return ""

    def _hear(self, choice: Json) -> str:
        delta = child(choice, "delta") or child(choice, "message")
        said = _piece(delta)
        if said:
            self.tokens += 1
            self._said.append(said)
        elif any(map(delta.get, _OTHER_WORDS)):
            self.tokens += 1
            if thought := _reasoned(delta):
                self._thought.append(thought)
        if delta.get("refusal"):
            self._refused.append(text(delta, "refusal"))
        if delta.get("tool_calls"):
            for call in children(delta, "tool_calls"):
                self._add(call)
        if choice.get("logprobs"):
            tokens = children(child(choice, "logprobs"), "content")
            self._logprobs += ({"logprob": token.get("logprob")} for token in tokens)
        if choice.get("finish_reason"):
            reason = text(choice, "finish_reason")
            self.finished = True
            self._choice = {"finish_reason": reason, "content_filter_results": choice.get("content_filter_results")}
            if usage := child(choice, "usage"):  # Moonshot
                self._head["usage"] = usage
        return self._spoken.hear(said) if said else ""

    def _add(self, call: Json) -> None:
        index = call.get("index")
        if not isinstance(index, int):  # against the documentation, but some servers send whole calls like this
            index = len(self._calls) if text(call, "id") or not self._calls else len(self._calls) - 1
        known = self._calls.setdefault(index, {"id": "", "name": "", "arguments": []})
        function = child(call, "function")
        known["id"] = known["id"] or text(call, "id")
        known["name"] = known["name"] or text(function, "name")
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            known["arguments"].append(rewritten("arguments", arguments))
        else:
            known["arguments"].append(text(function, "arguments"))

    def node(self) -> Json:
        message: Json = {"content": "".join(self._said), "refusal": "".join(self._refused)}
        if self._thought:
            message["reasoning_content"] = "".join(self._thought)
        message["tool_calls"] = [
            {"id": call["id"], "function": {"name": call["name"], "arguments": "".join(call["arguments"])}}
            for call in self._calls.values()
        ]
        return {
            **self._head,
            "choices": [{**self._choice, "message": message, "logprobs": {"content": self._logprobs}}],
        }

    def usage(self) -> Usage | None:
        return _usage(child(self._head, "usage"))


def assembly() -> Assembly:
    return _Stream()


def _piece(delta: Json) -> str:
    if isinstance(delta.get("content"), list):
        parts = (part for part in children(delta, "content") if part.get("type") in ("text", "output_text"))
        return "".join(text(part, "text") for part in parts)
    return text(delta, "content")


def _call(call: Json) -> ToolCall:
    function = child(call, "function")
    name = text(function, "name")
    if not name:
        raise Malformed("a tool call has no name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # against the documentation, but some servers do it
        return ToolCall(text(call, "id"), name, rewritten("arguments", arguments))
    return ToolCall(text(call, "id"), name, text(function, "arguments"))


def _usage(usage: Json) -> Usage | None:
    if not usage:
        return None
    asked, answered = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    reasoned = count(child(usage, "completion_tokens_details"), "reasoning_tokens")
    # xAI counts reasoning beside completion_tokens, OpenAI within it; the total tells which.
    if reasoned and count(usage, "total_tokens") >= asked + answered + reasoned:
        answered += reasoned
    cached = count(child(usage, "prompt_tokens_details"), "cached_tokens") or count(usage, "cached_tokens")
    return Usage(asked, answered, cached, reasoned)


def complaint(node: object) -> Complaint | None:
    if not isinstance(node, dict):
        return None
    error = node.get("error")
    if isinstance(error, str) and error:  # xAI and LM Studio
        return Complaint(words=strings(node.get("code")), message=error)
    if not isinstance(error, dict) or not error:
        if node.get("object") == "error":  # vLLM
            return _reading(node)
        return None
    return _reading(error)


def _reading(error: Json) -> Complaint:
    inner = error.get("innererror")
    inner = inner if isinstance(inner, dict) else {}
    code = error.get("code")
    return Complaint(
        words=strings(code, inner.get("code"), error.get("type")),
        message="".join(strings(error.get("message"))),
        category=filtered(inner.get("content_filter_result")),
        status=status_in(code),
    )
