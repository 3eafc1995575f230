"""Which tool a practice backend calls, and with what: so that an agent's loop can be tried without keys.

    offer = Offer(tools=(Offered("weather", "The weather of a place.", schema),), must=False, results=())
    wish("What is the weather in Ulm?", offer)        # ("weather", {"place": "Ulm"})
    wish("How do tides work?", offer)                 # None: no tool fits

A tool fits when the question shares a word with its name, or two with its description. Its arguments are the smallest
that its schema allows, with words of the question where it asks for text. Once its result is there, nothing more is
called: what the tool said is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .samples import sample

_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_QUOTED = re.compile(r"[\"'`“„]([^\"'`”“]{1,200})[\"'`”]")
_PATH = re.compile(r"(?:[\w.-]+/)*[\w-]+\.\w{1,8}\b|(?:/[\w.-]+)+")
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-ZŁŚŻŹĆ]\w+")

#: Letters by which two words are the same: "reading" is "read", "files" is "file".
_STEM = 4

#: Characters of a question that are looked at, and of a result that are said again.
_READ, _SAID = 4000, 400


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool that may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a request says of tools: those there are, whether one must be called, what those called have said."""

    tools: tuple[Offered, ...] = ()
    must: bool = False
    results: tuple[str, ...] = ()


def wish(question: str, offer: Offer, stop_words: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]] | None:
    """The tool to call and its arguments; None where none fits, or what was called has answered already."""
    if not offer.tools or (offer.results and not offer.must):
        return None
    question = question[:_READ]
    asked = _stems(question, stop_words)
    scores = [_score(asked, tool, stop_words) for tool in offer.tools]
    best = max(range(len(scores)), key=lambda index: scores[index])
    if scores[best] < 2 and not offer.must:
        return None
    tool = offer.tools[best]
    return tool.name, _arguments(tool.parameters, question)


def told(offer: Offer) -> str:
    """What the tools have said, as an answer."""
    return f"[practice] The tool says: {offer.results[-1][:_SAID]}"


def _stems(text: str, stop_words: frozenset[str]) -> set[str]:
    words = (word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text)))
    return {word[:_STEM] for word in words if word not in stop_words and len(word) > 2}


def _score(asked: set[str], tool: Offered, stop_words: frozenset[str]) -> int:
    named = _stems(tool.name.replace("_", " "), stop_words)
    return 2 * len(asked & named) + len(asked & (_stems(tool.description[:400], stop_words) - named))


def _arguments(schema: Mapping[str, Any], question: str) -> dict[str, Any]:
    made = sample({"type": "object", **schema})
    arguments = made if isinstance(made, dict) else {}
    properties = schema.get("properties")
    for name, value in list(arguments.items()):
        asked = properties.get(name) if isinstance(properties, Mapping) else None
        if (
            value == "practice"
            and isinstance(asked, Mapping)
            and not asked.keys() & {"enum", "const", "format", "pattern"}
        ):
            arguments[name] = _text_for(name, question)
    return arguments


def _text_for(name: str, question: str) -> str:
    """Words of the question that an argument of this name may want."""
    if re.search("file|path|dir|url", name, re.IGNORECASE) and (path := _PATH.search(question)):
        return path[0]
    if quoted := _QUOTED.search(question):
        return quoted[1]
    if re.search("query|question|prompt|text|input|expression", name, re.IGNORECASE):
        return question[:200]
    names = _NAME.findall(question)
    words = [word for word in _WORD.findall(question) if len(word) > 3]
    return names[-1] if names else words[-1] if words else "practice"
