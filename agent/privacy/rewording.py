"""Every word of a task that a person may have written, wherever it stands, and the task with other words in its place.

    pieces = finished(wording(task))                    # (mode, text), in order
    task = reworded(task, lambda mode, text: ...)       # the same pieces, changed

A JSON Schema is its author's own words but for the keywords of the specification: what these say (the names of types
and formats) stays, everything else may name somebody, keys included. References within it are changed like the keys
that they point to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from operator import is_
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from ..core.task import Image, Message, Task, Tool, ToolCall
from .names import IDENTIFIER, JSON, PROSE, VALUE

T = TypeVar("T")
Steps = Generator[None, None, T]
Change = Callable[[str, str], str]

#: Messages that are reworded in one step.
_TURNS = 50
#: A dict is told at once, another Mapping only by asking.
_OBJECT = (dict, Mapping)

#: Characters of the name of a tool, and of a tool call's id, that every provider takes.
LONGEST_IDENTIFIER = 64


def reworded(task: Task, change: Change) -> Task:
    """``task`` with ``change(mode, text)`` for each of its texts: not for roles, numbers, nor a schema's keywords."""
    return finished(rewording(task, change))


def rewording(task: Task, change: Change) -> Steps[Task]:
    """The same in steps of some milliseconds."""
    said = task.turns
    turns: list[Message] = []
    for message in said:
        turns.append(_turn(message, change))
        if len(turns) % _TURNS == 0:
            yield
    if not task.tools and task.schema is None and all(map(is_, turns, said)):
        return task
    tools: list[Tool] = []
    for tool in task.tools:
        tools.append(_tool(tool, change))
        yield
    schema = None if task.schema is None else _schema(task.schema, change)
    return replace(task.with_turns(tuple(turns)), tools=tuple(tools), schema=schema)


def wording(task: Task) -> Steps[list[tuple[str, str]]]:
    """The texts of ``task``, each once, with their modes, in the order in which they are sent; in steps."""
    found: dict[tuple[str, str], None] = {}

    def note(mode: str, text: str) -> str:
        found[mode, text] = None
        return text

    yield from rewording(task, note)
    return list(found)


def finished(steps: Steps[T]) -> T:
    """What comes of ``steps``, gone through at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def _turn(message: Message, change: Change) -> Message:
    text = message.text
    if text:
        text = change(JSON if _looks_like_json(text) else PROSE, text)
    # A thought is signed as it is: one that names somebody is left out.
    thoughts = tuple(thought for thought in message.thoughts if change(PROSE, thought.text) == thought.text)
    if len(thoughts) != len(message.thoughts):
        message = replace(message, thoughts=thoughts)
    if not (message.images or message.tool_calls or message.tool_call_id):
        return message if text == message.text else replace(message, text=text)
    call_id = message.tool_call_id and _identifier(message.tool_call_id, change)
    calls = tuple(_call(call, change) for call in message.tool_calls)
    images = tuple(_image(image, change) for image in message.images)
    return replace(message, text=text, images=images, tool_calls=calls, tool_call_id=call_id)


def _looks_like_json(text: str) -> bool:
    """Whether a message is a tool's result or the like: then a line break in it is written as two letters."""
    return "\\" in text and text.lstrip()[:1] in ("{", "[") and text.rstrip()[-1:] in ("}", "]")


def _call(call: ToolCall, change: Change) -> ToolCall:
    arguments = change(JSON, call.arguments)
    return ToolCall(_identifier(call.id, change), _identifier(call.name, change), arguments, call.signature)


def _image(image: Image, change: Change) -> Image:
    kind, slash, form = image.media_type.partition("/")
    if image.name and (name := change(PROSE, image.name)) != image.name:
        image = replace(image, name=name)
    named = change(IDENTIFIER, form)
    # A form that names somebody is none; and none is written with capitals.
    return image if named == form else replace(image, media_type=f"{kind}{slash}{named.lower()}")


def _tool(tool: Tool, change: Change) -> Tool:
    description = change(PROSE, tool.description) if tool.description else ""
    name, parameters = _identifier(tool.name, change), _schema(tool.parameters, change)
    return replace(tool, name=name, description=description, parameters=parameters)


def _identifier(text: str, change: Change) -> str:
    return change(IDENTIFIER, text) if text else text


# -- schemas -----------------------------------------------------------------------------------------------------


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: Keywords whose value is a schema, or a list of them.
_BELOW = _set(
    "items prefixItems additionalItems unevaluatedItems contains additionalProperties unevaluatedProperties "
    "propertyNames allOf anyOf oneOf not if then else contentSchema"
)
#: Keywords whose value is an object of schemas (or lists of names) by names that their author has chosen.
_BY_NAME = _set("properties patternProperties $defs definitions dependentSchemas dependentRequired dependencies")
_PROSE = _set("title description $comment")
_REFERENCES = _set("$ref $dynamicRef $recursiveRef")
_NAMES = _set("required $anchor $dynamicAnchor")
#: Keywords whose values the specification, or a provider, has chosen.
_FIXED = {
    "type": _set("object array string number integer boolean null"),
    "format": _set(
        "date-time date time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference iri "
        "iri-reference uuid uri-template json-pointer relative-json-pointer regex int32 int64 float double byte binary "
        "password enum"
    ),
    "contentEncoding": _set("7bit 8bit binary quoted-printable base16 base32 base64"),
}
#: The rest of the specification's keywords, whose values are numbers or flags, or an author's own words.
_OTHER = _set(
    "$schema enum const default examples pattern minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum "
    "multipleOf minItems maxItems uniqueItems minContains maxContains minProperties maxProperties readOnly writeOnly "
    "deprecated contentMediaType $id id $vocabulary nullable discriminator propertyOrdering strict"
)
_KEYWORDS = _BELOW | _BY_NAME | _PROSE | _REFERENCES | _NAMES | _OTHER | frozenset(_FIXED)


def _schema(schema: Any, change: Change) -> Any:
    if isinstance(schema, list | tuple):
        return [_schema(item, change) for item in schema]
    if not isinstance(schema, _OBJECT):
        return map_strings(schema, change)
    return {
        key if key in _KEYWORDS else change(IDENTIFIER, str(key)): _valued(str(key), value, change)
        for key, value in schema.items()
    }


def _valued(key: str, value: Any, change: Change) -> Any:
    """What a keyword says."""
    if key in _PROSE and isinstance(value, str):
        return change(PROSE, value)
    if key in _BELOW:
        return _schema(value, change)
    if key in _BY_NAME and isinstance(value, _OBJECT):
        return {change(IDENTIFIER, str(name)): _named(below, change) for name, below in value.items()}
    if key in _REFERENCES and isinstance(value, str):
        return _reference(value, change)
    if key in _NAMES or key == "pattern":
        return map_strings(value, lambda _, text: change(IDENTIFIER, text))
    if key in _FIXED:
        return map_strings(value, lambda _, text: text if text in _FIXED[key] else change(IDENTIFIER, text))
    return map_strings(value, change)


def _named(below: Any, change: Change) -> Any:
    """What stands under a name: a schema, or for ``dependentRequired`` a list of names."""
    if isinstance(below, list | tuple) and all(isinstance(item, str) for item in below):
        return [change(IDENTIFIER, item) for item in below]
    return _schema(below, change)


def _reference(value: str, change: Change) -> str:
    """A reference, each step of its pointer changed like the key that it names."""
    where, sharp, pointer = value.partition("#")
    steps = []
    for step in pointer.split("/"):
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        changed = key if key in _KEYWORDS else change(IDENTIFIER, key)
        if changed != key:
            changed = changed.replace("~", "~0").replace("/", "~1")
            step = quote(changed, safe="~!$&'()*+,;=:@") if "%" in step else changed
        steps.append(step)
    return (change(IDENTIFIER, where) if where else "") + sharp + "/".join(steps)


def map_strings(value: Any, change: Change) -> Any:
    """JSON-like data with ``change`` applied to every string and key of it."""
    if isinstance(value, str):
        return change(VALUE, value)
    if isinstance(value, list | tuple):
        return [map_strings(item, change) for item in value]
    if isinstance(value, _OBJECT):
        return {change(IDENTIFIER, str(key)): map_strings(item, change) for key, item in value.items()}
    return value
