"""The blindfold: what keeps identity out of every outbound byte.

It works in two independent steps. ``redact`` replaces every identity term in a task's words by a placeholder, and
``restore`` puts the words back into the answer. ``scan`` is the last step before the socket: it looks for the terms
in the encoded bytes themselves, so that a mistake anywhere above it is caught rather than sent::

    blindfold = Blindfold(["Timmy", "Anna Kowalska", "10.0.0.7"])
    veiled = blindfold.redact(task)            # "ask [NAME_1] about tides"
    blindfold.scan(outbound_text(...))       # the terms that were found; () is what is wanted
    veiled.restore("[NAME_1] says: the moon") # "Anna Kowalska says: the moon"

A term is matched as whole words and without regard to case; in scripts that put no blanks between words, every letter
counts as one. The cost is one pass over the words, however many terms there are, so a game may name all of its players.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..core.task import Message, Task, Tool, ToolCall

#: Letters that follow each other without blanks: Thai to Khmer, kana, ideographs, and Hangul with its particles.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
#: A word, without what may hold words together: ``anna.k@example.com`` and ``10.0.0.7`` are found by their parts.
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
#: A word, and what is before it where it begins a sentence.
_IN_PROSE = re.compile(r"((?:\A|[.!?]\s|\n)\W*)?(\w+)")
#: What a model may make of a placeholder: the brackets dropped, the case changed, a blank for the underscore.
_PLACEHOLDER = re.compile(r"\[?\bNAME[ _](\d{1,4})\b\]?", re.IGNORECASE)
#: The same, as a task's own words may contain it before anything was veiled.
_TAKEN = re.compile(r"NAME[ _](\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Redacted:
    """A task without its names, and the names to put back."""

    task: Task
    names: Mapping[int, str]

    def restore(self, text: str) -> str:
        """``text`` with every placeholder turned into the words it stood for; unknown ones stay."""
        if not self.names:
            return text
        return _PLACEHOLDER.sub(lambda match: self.names.get(int(match[1]), match[0]), text)

    def restore_content(self, content: object) -> object:
        """The same for parsed JSON, in every string of it and every key."""
        if not self.names:
            return content
        return map_strings(content, self.restore)

    def restore_calls(self, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """The same for what a model wants to hand to a tool."""
        if not self.names:
            return calls
        return tuple(replace(call, arguments=_in_json(call.arguments, self.restore)) for call in calls)


class Blindfold:
    """Knows the terms that must not leave. Terms of less than two letters or digits are ignored.

    ``soul`` are terms that have no place even in a prompt of our own; a player may well be called like a word of one.
    """

    def __init__(self, terms: Iterable[str] = (), soul: Iterable[str] = ()):
        self._by_first: dict[str, tuple[tuple[str, ...], ...]] = {}
        soul = frozenset(soul)
        self._add((*terms, *soul))
        #: The soul's terms, as :meth:`scan` tells them.
        self.soul = frozenset(" ".join(_words(term)) for term in soul)

    def plus(self, terms: Iterable[str]) -> Blindfold:
        """A blindfold that knows these terms too."""
        if not terms:
            return self
        both = Blindfold()
        both._by_first = dict(self._by_first)
        both.soul = self.soul
        both._add(terms)
        return both

    @property
    def empty(self) -> bool:
        """Whether it knows no term at all."""
        return not self._by_first

    def _add(self, terms: Iterable[str]) -> None:
        for term in terms:
            words = _words(term)
            if sum(map(len, words)) < 2:
                continue
            known = self._by_first.get(words[0], ())
            if words not in known:
                self._by_first[words[0]] = tuple(sorted((*known, words), key=len, reverse=True))

    def redact(self, task: Task) -> Redacted:
        """The task with placeholders for every term in its messages, its tools' descriptions and its schemas."""
        if self.empty:
            return Redacted(task, {})
        numbers: dict[tuple[str, ...], int] = {}
        names: dict[int, str] = {}
        taken = {int(number) for number in _TAKEN.findall(repr((task.turns, task.tools, task.schema)))}

        def hide(text: str) -> str:
            text = _composed(text)
            if "\\u" in text and next(iter(self._find(spelled := _spelled_out(text))), None):
                text = spelled
            pieces: list[str] = []
            shown = 0
            for start, end, words in self._find(text):
                if words not in numbers:
                    # Of so many numbers, one at least is neither taken nor given.
                    candidates = range(1, len(taken) + len(numbers) + 2)
                    number = next(n for n in candidates if n not in taken and n not in names)
                    numbers[words] = number
                    names[number] = text[start:end]
                pieces += (text[shown:start], f"[NAME_{numbers[words]}]")
                shown = end
            return "".join((*pieces, text[shown:]))

        veiled = reworded(task, hide)
        return Redacted(veiled, names) if names else Redacted(task, {})

    def scan(self, outbound: str) -> tuple[str, ...]:
        """The terms that stand in ``outbound``, as sorted folded text; the empty tuple when there are none."""
        if self.empty:
            return ()
        return tuple(sorted({" ".join(words) for _, _, words in self._find(_composed(outbound))}))

    def _find(self, text: str) -> Iterable[tuple[int, int, tuple[str, ...]]]:
        """Where terms stand: start, end, the term's folded words; longest first, never overlapping."""
        if self._by_first.keys().isdisjoint(map(_fold, _WORD.findall(text))):
            return
        spans = [(match.start(), match.end(), _fold(match[0])) for match in _WORD.finditer(text)]
        index = 0
        while index < len(spans):
            for words in self._by_first.get(spans[index][2], ()):
                after = spans[index : index + len(words)]
                if len(after) == len(words) and all(span[2] == word for span, word in zip(after, words, strict=True)):
                    yield after[0][0], after[-1][1], words
                    index += len(words)
                    break
            else:
                index += 1


def outbound_text(url: str, headers: Mapping[str, str], body: bytes, payloads: Iterable[str] = ()) -> str:
    """All words that a request shows to its receiver, with JSON escapes undone so that nothing hides behind them.

    ``payloads`` are base64 texts of pictures and sounds: random letters, in which any short name turns up by chance.
    """
    text = body.decode("utf-8", "replace")
    for payload in payloads:
        text = text.replace(payload, "")
    if "\\" in text:
        inner = _unescaped(text)
        text = f"{text}\n{inner}\n{_spelled_out(inner)}"
    return "\n".join((url, *(f"{name}: {value}" for name, value in headers.items()), text))


#: Letters that somebody wrote as JSON does for ASCII: ``\\u0141ukasz``.
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")


def _spelled_out(text: str) -> str:
    """``text`` with letters instead of their escapes, in prose as well; escaped marks and controls stay as they are."""

    def letters(match: re.Match[str]) -> str:
        spelled: str = json.loads(f'"{match[0]}"')
        return spelled if spelled.isalpha() else match[0]

    return _ESCAPES.sub(letters, text)


def _unescaped(text: str) -> str:
    """Every string and key in the JSON ``text``, of JSON inside such strings as well; the text itself if it is none."""
    try:
        return "\n".join(_strings(json.loads(text)))
    except (ValueError, RecursionError):
        return text


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if "\\" in value and value.lstrip()[:1] in ("{", "[", '"'):
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _strings(inner)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def reworded(task: Task, change: Callable[[str], str]) -> Task:
    """``task`` with ``change`` applied to all that a person wrote in it: not to roles, names of tools, or keywords."""
    turns = tuple(_with_words(message, change) for message in task.turns)
    tools = tuple(_with_description(tool, change) for tool in task.tools)
    schema = None if task.schema is None else _with_annotations(task.schema, change)
    return replace(task.with_turns(turns), tools=tools, schema=schema)


def _with_words(message: Message, change: Callable[[str], str]) -> Message:
    calls = tuple(replace(call, arguments=_in_json(call.arguments, change)) for call in message.tool_calls)
    text = change(message.text)
    if "\\" in text and text.lstrip()[:1] in ("{", "["):
        # What a tool gave back, mostly: a line break in it hides the beginning of the next word.
        text = _in_json(text, change)
    return replace(message, text=text, tool_calls=calls)


def _with_description(tool: Tool, change: Callable[[str], str]) -> Tool:
    return replace(tool, description=change(tool.description), parameters=_with_annotations(tool.parameters, change))


#: Where a JSON Schema holds words of a person's own: in values, in keys, and in lists of such keys.
_OWN_WORDS = ("title", "description", "$comment", "enum", "const", "default", "examples")
_OWN_KEYS = ("properties", "dependentRequired", "dependentSchemas")


def _with_annotations(schema: Any, change: Callable[[str], str]) -> Any:
    """A JSON Schema with other words of its author's own; its keywords stay what they are."""
    if isinstance(schema, list):
        return [_with_annotations(item, change) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _OWN_WORDS or (key == "required" and isinstance(value, list)):
            result[key] = map_strings(value, change)
        elif key in _OWN_KEYS and isinstance(value, Mapping):
            result[key] = {change(name): _with_annotations(inner, change) for name, inner in value.items()}
        else:
            result[key] = _with_annotations(value, change)
    return result


def _in_json(text: str, change: Callable[[str], str]) -> str:
    """JSON text with its strings changed, so that a quotation mark in a name breaks nothing; other text as it is."""
    try:
        value = json.loads(text)
        changed = map_strings(value, change)
    except (ValueError, RecursionError):
        return change(text)
    return text if changed == value else json.dumps(changed, ensure_ascii=False)


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """JSON-like data with ``change`` applied to every string and key of it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [map_strings(item, change) for item in value]
    if isinstance(value, Mapping):
        return {change(str(key)): map_strings(item, change) for key, item in value.items()}
    return value


def written_small(text: str) -> str:
    """The words of ``text`` that are written small, and so are not meant as names."""
    return " ".join(word for word in _WORD.findall(text) if word.islower())


def ordinary(prose: str) -> str:
    """The same for prose, whose sentences begin with a capital whatever the word."""
    return " ".join(match[2] for match in _IN_PROSE.finditer(prose) if match[1] is not None or match[2].islower())


def _composed(text: str) -> str:
    """``text`` with every accent joined to its letter, however it was typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _fold(word: str) -> str:
    return word.casefold()


def _words(term: str) -> tuple[str, ...]:
    return tuple(_fold(word) for word in _WORD.findall(_composed(term)))
