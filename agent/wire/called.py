"""A tool call that a model wrote down as text, because its api has no way to insist on one.

call_format(task.tools)            # the JSON Schema of such a call: {"name": ..., "arguments": ...}
called(task, answer)               # the answer with the call in its place; itself where there is none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.answer import Answer
from ..core.task import Task, Tool, ToolCall
from .body import Json, Malformed, dumps, parse

#: Characters of a text in which a call is looked for.
_LONGEST = 200_000


def call_guide(tools: Sequence[Tool]) -> str:
    """What to tell a model that has to call one of ``tools`` in this way."""
    listed = "\n".join(f"{tool.name}: {tool.description} Arguments: {dumps(tool.parameters)}" for tool in tools)
    return (
        f'Call one of these tools. Answer with JSON alone: {{"name": the tool, "arguments": its arguments}}.\n{listed}'
    )


def call_format(tools: Sequence[Tool]) -> Json:
    """The JSON Schema of a call of one of ``tools``."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"type": "string", "enum": [tool.name]}, "arguments": dict(tool.parameters)},
            "required": ["name", "arguments"],
        }
        for tool in tools
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def called(task: Task, answer: Answer) -> Answer:
    """``answer`` with the call that its text is, where one must be made and none was."""
    if not task.must_call or answer.tool_calls or len(answer.text) > _LONGEST:
        return answer
    text = answer.text.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        wish = parse(text.encode("utf-8", "replace"))
    except Malformed:
        return answer
    if not isinstance(wish, dict):
        return answer
    if wish.get("name") in {tool.name for tool in task.tools}:
        name, arguments = wish["name"], wish.get("arguments", wish.get("parameters", {}))
    elif len(task.tools) == 1:
        # Of one tool there is nothing to say but its arguments.
        name, arguments = task.tools[0].name, wish
    else:
        return answer
    if not isinstance(arguments, dict):
        return answer
    call = ToolCall("call_0", name, dumps(arguments))
    return replace(answer, text="", tool_calls=(call,), finish_reason="tool_calls")
