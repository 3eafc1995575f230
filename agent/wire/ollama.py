"""Ollama's native chat. ``backend.url`` is the server's address alone: ``http://127.0.0.1:11434``.

Field names are those of Ollama's Python SDK and https://docs.ollama.com/api/chat. Limits and temperature stand in
``options``, under llama.cpp's names. A server gives a model the context it was started with and cuts longer prompts
without a word; to have the ``max_context`` that the config promises, ask for it there::

    options: {options: {num_ctx: 32768}}

Where a refusal ends and a filter begins
    Ollama has neither: an open model refuses in prose, which is the judge's business.
"""

from __future__ import annotations

from ..core.answer import Answer, Usage
from ..core.backend import Backend
from ..core.failures import AttemptFailed, FailureCode
from ..core.limits import answer_limit
from ..core.task import Image, Message, Task, Thought, ToolCall
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
    mean_logprob,
    object_of,
    rewritten,
    spoken,
    text,
)
from .called import call_format, call_guide
from .errors import Complaint, status_in, strings

PROBE = "/api/tags"

_FINISH = {"stop": "stop", "length": "length"}


#: Fields of :class:`Sampling` that llama.cpp's options have, by the same names.
_SAMPLING = ("seed", "top_p", "top_k", "frequency_penalty", "presence_penalty")

_CARRIED = frozenset({"temperature", "stop", *_SAMPLING})


def carries(backend: Backend) -> frozenset[str]:
    """What of :class:`Sampling` and of temperature the api has a field for."""
    return _CARRIED


def path(backend: Backend, stream: bool = False) -> str:
    return "/api/chat"


def credentials(backend: Backend) -> dict[str, str]:
    return {"authorization": f"Bearer {backend.api_key}"} if backend.api_key else {}


def body(task: Task, backend: Backend, system: str, stream: bool = False) -> Json:
    names: dict[str, str] = {}  # of the tools called so far, by the id of the call
    if task.must_call:
        # The api cannot insist on a call, but on its form.
        system = f"{system}\n\n{call_guide(task.tools)}".strip()
    elif task.schema is not None and any_object(task.schema):
        system = f"{system}\n\n{JSON_ALONE}".strip()
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    messages += [_turn(turn, names) for turn in task.turns]
    options: Json = {name: value for name in _SAMPLING if (value := getattr(task.sampling, name)) is not None}
    if task.sampling.stop:
        options["stop"] = list(task.sampling.stop)
    if (limit := answer_limit(task, backend)) is not None:
        options["num_predict"] = limit
    if task.temperature is not None:
        options["temperature"] = task.temperature
    request: Json = {"model": backend.model, "messages": messages, "stream": stream, "options": options}
    if task.must_call:
        request["format"] = call_format(task.tools)
    elif task.tools:
        request["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in task.tools
        ]
    if task.schema is not None:
        request["format"] = "json" if any_object(task.schema) else task.schema
    return request


def _turn(turn: Message, names: dict[str, str]) -> Json:
    written: Json = {"role": turn.role, "content": turn.text}
    if turn.images:
        written["images"] = [_picture(image) for image in turn.images]
    if turn.tool_calls:
        if not turn.text:
            del written["content"]
        names.update((call.id, call.name) for call in turn.tool_calls)
        written["tool_calls"] = [
            {"function": {"name": call.name, "arguments": object_of(call.arguments)}} for call in turn.tool_calls
        ]
    if turn.role == "tool":
        call_id = turn.tool_call_id or ""
        written["tool_name"] = names.get(call_id, call_id)
    return written


def _picture(image: Image) -> str:
    if image.url or not image.media_type.startswith("image/"):
        what = "addresses of pictures" if image.url else "sound" if image.media_type.startswith("audio/") else "files"
        raise AttemptFailed(FailureCode.BAD_REQUEST, f"the ollama api takes no {what}")
    return base64_of(image.data)


def answer(node: Json) -> Answer:
    message = node.get("message")
    if not isinstance(message, dict):
        raise Malformed("the body has no message")
    calls = tuple(_call(call, nth) for nth, call in enumerate(children(message, "tool_calls")))
    finish = _FINISH.get(text(node, "done_reason"), "other")
    return Answer(
        text=spoken(text(message, "content")),
        model=text(node, "model"),
        finish_reason="tool_calls" if calls and finish == "stop" else finish,
        usage=_usage(node),
        tool_calls=calls,
        logprob=mean_logprob(children(node, "logprobs"), "logprob"),
        thoughts=(Thought(thought, "ollama"),) if (thought := text(message, "thinking")) else (),
    )


def _call(call: Json, nth: int) -> ToolCall:
    function = child(call, "function")
    name = text(function, "name")
    if not name:
        raise Malformed("a tool call has no name")
    return ToolCall(text(call, "id") or f"call_{nth}", name, rewritten("arguments", child(function, "arguments")))


def _usage(node: Json) -> Usage | None:
    if node.get("prompt_eval_count") is None and node.get("eval_count") is None:
        return None
    return Usage(count(node, "prompt_eval_count"), count(node, "eval_count"), count(node, "prompt_eval_cached_count"))


class _Stream:
    """A chat response in the making; the last object, which is ``done``, has the reason and the counts."""

    marks = (b'"message"', b'"content"')

    def __init__(self) -> None:
        self.tokens = 0
        self.finished = self.ended = False
        self._last: Json = {}
        self._said: list[str] = []
        self._thought: list[str] = []
        self._calls: list[Json] = []
        self._logprobs: list[Json] = []
        self._spoken = Spoken()

    def take(self, node: Json) -> str:
        message = child(node, "message")
        said, calls = text(message, "content"), children(message, "tool_calls")
        if said:
            self._said.append(said)
        self._calls += calls
        if message.get("thinking"):
            self._thought.append(text(message, "thinking"))
        self._logprobs += ({"logprob": token.get("logprob")} for token in children(node, "logprobs"))
        self.tokens += bool(said or calls or message.get("thinking"))
        if node.get("done") is True:
            self.finished = self.ended = True
            self._last = node
        elif not self._last:
            self._last = {"model": node.get("model")}
        return self._spoken.hear(said) if said else ""

    def node(self) -> Json:
        message = {"content": "".join(self._said), "tool_calls": self._calls, "thinking": "".join(self._thought)}
        return {**self._last, "message": message, "logprobs": self._logprobs}

    def usage(self) -> Usage | None:
        return _usage(self._last)


def assembly() -> Assembly:
    return _Stream()


def complaint(node: object) -> Complaint | None:
    error = node.get("error") if isinstance(node, dict) else None
    if not error:
        return None
    if isinstance(error, dict):  # a proxy in front of it
        return Complaint(message="".join(strings(error.get("message"))), status=status_in(error.get("code")))
    return Complaint(message="".join(strings(error)))
