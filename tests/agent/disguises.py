"""Names that players have, the ways in which they get into a text, and the places of a request in which they stand.

for piece in disguised("Łukasz"): ...
task = PLACES["the pattern of a schema"](piece)
reveals(name, request)          # by reading it as a person would, not as the blindfold does
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

from uniwizard.agent.core.task import Image, Message, Task, Tool, ToolCall
from uniwizard.agent.wire import WireRequest

#: None of them is an everyday word.
NAMES = (
    "Timmy",
    "Zephyrine",
    "Łukasz",
    "Zuzanka",
    "José",
    "İsmet",
    "Anna Kowalska",
    "Wüstenfuchs",
    "O'Brien",
    "nthe",
    "xX_Grimdark_Xx",
    "Blorko77",
    "Владимир",
    "Ανδρέας",
    "أحمد",
    "אברהם",
    "सुरेश",
    "名前",
    "さくらこ",
    "철수",
    "สมชาย",
)
#: What is an everyday word, looks like a placeholder, or is a word of the request itself.
AWKWARD = (
    "The",
    "of",
    "Rose",
    "city",
    "search",
    "a",
    "I",
    "NAME_1",
    "Person1Q",
    "person",
    "Place",
    "user",
    "role",
    "content",
    "messages",
    "JSON",
    "type",
    "http",
    "Bearer",
    "model",
    "max_tokens",
    "Anthropic",
    "tides",
)

#: How some of the names are declined.
INFLECTED = {
    "Timmy": ("Timmy'ego", "Timmym", "Timmys", "Timmy's"),
    "Łukasz": ("Łukasza", "Łukaszowi", "Łukaszem", "Łukaszu"),
    "Zuzanka": ("Zuzanki", "Zuzance", "Zuzankę", "Zuzanką"),
    "Anna Kowalska": ("Anny Kowalskiej", "Annę Kowalską", "Annie Kowalskiej", "Annas"),
    "Владимир": ("Владимира", "Владимиру", "Владимиром"),
}


def disguised(name: str) -> Iterator[str]:
    """``name`` as it gets past a search for letters."""
    yield name
    yield name.upper()
    yield name.lower()
    yield f"{name}_the_wizard"
    yield f"my_{name}_file.txt"
    yield f"{name}2"
    yield f"@{name}"
    yield f"seen\\n{name}"
    yield f"„{name}”"
    yield "\u200b".join(name)
    yield name[:2] + "\u00ad" + name[2:]
    yield unicodedata.normalize("NFD", name)
    yield "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in name)
    yield quote(name, safe="")
    yield "".join(f"%{byte:02X}" for byte in name.encode())
    yield quote(quote(name, safe=""))
    yield "".join(f"&#{ord(char)};" for char in name)
    yield "".join(f"&#x{ord(char):x};" for char in name)
    yield json.dumps(name)[1:-1] if name.isascii() else json.dumps(name)
    yield "".join(f"\\u{ord(char):04x}" for char in name)
    if name.isascii():
        yield "".join(f"\\x{ord(char):02x}" for char in name)
    if " " in name:
        yield name.split()[0]
        yield name.split()[-1]
        yield name.replace(" ", "_")
        yield name.replace(" ", "\n")
    plain = plainly(name)
    if plain.isascii():
        yield plain
    yield from INFLECTED.get(name, ())


Place = Callable[[str], Task]


def _in_schema(make: Callable[[str], dict[str, Any]]) -> tuple[Place, Place]:
    def answer(said: str) -> Task:
        return Task("Answer as the schema says.", schema={"type": "object", **make(said)})

    def tool(said: str) -> Task:
        return Task("Look.", tools=(Tool("look", "looks", {"type": "object", **make(said)}),))

    return answer, tool


def _called(call: ToolCall) -> Task:
    turns = (Message("user", "Look."), Message("assistant", "", tool_calls=(call,)))
    return Task("And?", messages=(*turns, Message("tool", "seen", tool_call_id=call.id)))


#: By what they are called: how a text gets there.
PLACES: dict[str, Place] = {
    "the prompt": lambda said: Task(f"What does {said} want?"),
    "the prompt alone": Task,
    "a system message": lambda said: Task("Go on.", messages=(Message("system", f"Speak like {said} does."),)),
    "an earlier turn": lambda said: Task("And?", messages=(Message("user", said), Message("assistant", f"{said}!"))),
    "a tool's result": lambda said: Task(
        "And?", messages=(*_called(ToolCall("c", "look", "{}")).messages[:-1], Message("tool", said, tool_call_id="c"))
    ),
    "a tool's result as JSON": lambda said: Task(
        "And?",
        messages=(
            *_called(ToolCall("c", "look", "{}")).messages[:-1],
            Message("tool", json.dumps({"seen": [f"line\n{said}"], said: 1}), tool_call_id="c"),
        ),
    ),
    "the arguments of a call": lambda said: _called(ToolCall("c", "look", json.dumps({"who": said, "n": f"\n{said}"}))),
    "a key of the arguments": lambda said: _called(ToolCall("c", "look", json.dumps({said: [1]}, ensure_ascii=False))),
    "the id of a call": lambda said: _called(ToolCall(said, "look", "{}")),
    "the name of a call": lambda said: _called(ToolCall("c", said, "{}")),
    "the name of a tool": lambda said: Task("Look.", tools=(Tool(said),)),
    "the description of a tool": lambda said: Task("Look.", tools=(Tool("look", f"looks at {said}"),)),
    "the media type of a picture": lambda said: Task("Look.", images=(Image(f"image/{said}", b"\x89PNG"),)),
}
_SCHEMAS: dict[str, Callable[[str], dict[str, Any]]] = {
    "title": lambda said: {"title": said},
    "description": lambda said: {"description": f"what {said} says"},
    "properties": lambda said: {"properties": {said: {"type": "string"}}, "required": [said]},
    "patternProperties": lambda said: {"patternProperties": {f"^{said}$": {"type": "string"}}},
    "$defs": lambda said: {"$defs": {said: {"type": "string"}}, "properties": {"a": {"$ref": f"#/$defs/{said}"}}},
    "dependentRequired": lambda said: {"dependentRequired": {said: [said]}},
    "pattern": lambda said: {"properties": {"a": {"type": "string", "pattern": f"^{said}$"}}},
    "format": lambda said: {"properties": {"a": {"type": "string", "format": said}}},
    "enum": lambda said: {"properties": {"a": {"enum": [said, "b"]}}},
    "enumNames": lambda said: {"properties": {"a": {"enum": [1], "enumNames": [said]}}},
    "const": lambda said: {"properties": {"a": {"const": {"who": said}}}},
    "default": lambda said: {"properties": {"a": {"default": said}}},
    "example": lambda said: {"properties": {"a": {"example": said, "examples": [said]}}},
    "x-": lambda said: {"x-owner": said, f"x-{said}": {said: [said]}},
    "$comment": lambda said: {"$comment": said, "$id": f"https://example.com/{said}"},
    "items": lambda said: {"properties": {"a": {"type": "array", "items": [{"title": said}]}}},
    "anyOf": lambda said: {"anyOf": [{"title": said}], "allOf": [{"not": {"const": said}}]},
}
for _what, _make in _SCHEMAS.items():
    PLACES[f"{_what} in a schema"], PLACES[f"{_what} in a tool's schema"] = _in_schema(_make)


# -- what a person would see -------------------------------------------------------------------------------------

_SPECIAL = str.maketrans({"ł": "l", "ı": "i", "ø": "o"})


def plainly(text: str) -> str:
    """``text`` without case, accents, width, and what cannot be seen."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in apart if unicodedata.category(c) not in ("Mn", "Cf")).translate(_SPECIAL)


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.startswith(("{", "[")):
            with suppress(ValueError):
                yield from _said(json.loads(value))
    elif isinstance(value, list):
        for item in value:
            yield from _said(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _said(item)


def _undone(text: str) -> str:
    """``text`` with one layer of escapes undone."""
    text = html.unescape(unquote(text))
    return re.sub(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))", lambda m: chr(int(m[1] or m[2], 16)), text)


def reveals(name: str, request: WireRequest) -> str:
    """The text in ``request`` from which a reader learns ``name``, or one of its longer words; else nothing."""
    wanted = [part for part in re.split(r"[\W_\d]+", plainly(name)) if len(part) > 2] or [plainly(name)]
    said = [request.url, *request.headers.values(), *_said(json.loads(request.body))]
    for text in said:
        shown = text
        for _ in range(3):
            if any(part in plainly(shown) for part in wanted):
                return text
            shown = _undone(shown)
    return ""
