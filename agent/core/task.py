"""What is asked: the :class:`Task`, and the parts it is made of.

Pure data. A task says *what* is to be done and nothing of *who* asks::

    Task("review this diff")
    Task("what is on this picture?", images=(Image("image/png", data),))
    Task("list three rivers", schema={"type": "array", "items": {"type": "string"}})

Everything but the prompt is optional. The game keeps who asked beside the task, under ``task.id``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

#: The kinds of work a task can be, as the rules in ``configs/backends.yaml`` name them. A game may add some of its own
#: (:func:`add_kinds`); :func:`known_kinds` has them all.
KINDS: tuple[str, ...] = (
    "read",
    "write",
    "status",
    "reasoning",
    "analysis",
    "code_review",
    "architecture",
    "long_document",
    "bulk_code",
    "knowledge",
    "summarize",
    "multimodal",
    "quick_answer",
    "chat",
    "roleplay",
    "describe",
    "story",
    "dialogue",
)

_ADDED: dict[str, None] = {}


def known_kinds() -> tuple[str, ...]:
    """Every kind of work there is in this process: the built-in ones, then those that were added, in their order."""
    return (*KINDS, *_ADDED)


def add_kinds(names: Iterable[str]) -> None:
    """Let tasks be of these kinds, too; a kind that is known already stays what it is."""
    _ADDED.update(dict.fromkeys(name for name in names if name not in KINDS))


#: English prose runs at about four characters a token, by OpenAI's rule of thumb
#: (https://help.openai.com/en/articles/4936856). Used only where nothing better is known.
CHARS_PER_TOKEN = 4.0

#: What one image costs in a context window; a 1024 x 1024 picture is 765 tokens at OpenAI and about
#: 1,400 at Anthropic (both providers' vision guides), so the larger is assumed.
IMAGE_TOKENS = 1400


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that belongs to a message; or a sound, for backends with the ``audio`` capability, or a PDF file.

    ``media_type`` is a MIME type such as ``image/png``; ``data`` the raw bytes. With ``url`` there are none: the
    backend fetches the picture itself, where its api can. ``name`` is a file's.
    """

    media_type: str
    data: bytes = field(default=b"", repr=False)
    url: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool run. ``arguments`` is the JSON text exactly as the model wrote it.

    ``signature`` is Gemini's sign that it made the call itself; empty elsewhere.
    """

    id: str
    name: str
    arguments: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model thought before it spoke, as its api tells it.

    ``api`` is the wire format that it came from, which alone can take it back; ``signature`` proves that nobody has
    changed it; ``sealed`` is the provider's ciphertext in the place of ``text``.
    """

    text: str = ""
    api: str = ""
    signature: str = ""
    sealed: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the model may call; ``parameters`` is a JSON Schema of type object.

    ``strict`` asks the provider to hold the arguments to it; None leaves that to the provider. ``cache`` marks the
    tools up to here as worth keeping in the provider's cache, for ``5m`` or ``1h``.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is ``system``, ``user``, ``assistant`` or ``tool``.

    An assistant's turn may carry ``tool_calls`` and the ``thoughts`` before them; a tool's turn answers the call
    ``tool_call_id``. ``cache`` marks all up to here as worth keeping in the provider's cache, for ``5m`` or ``1h``.
    """

    role: str
    text: str = ""
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    thoughts: tuple[Thought, ...] = ()
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is to be made, beyond its temperature. None, and no stops, leave it to the provider.

    effort    how hard a reasoning model thinks: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh`` or
              ``max``
    thinking  the most tokens it may think, where the api counts them
    verbosity ``low``, ``medium`` or ``high``
    stop      texts at which the answer ends

    An api without a field for one of them leaves it out; :func:`agent.wire.dropped` tells which.
    """

    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    effort: str | None = None
    thinking: int | None = None
    verbosity: str | None = None
    stop: tuple[str, ...] = ()


#: Nothing is asked for.
PLAIN = Sampling()


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of cognition to be done by whichever backend fits best.

    prompt       the last user message; with ``messages`` alone it may be empty
    messages     earlier turns, oldest first
    kind         one of :func:`known_kinds`; None lets the classifier decide
    images       pictures that belong to the prompt
    tools        tools the model may call; passed through, never run here
    schema       a JSON Schema the answer must satisfy
    max_tokens   the longest answer wanted, in tokens; None takes the backend's own setting
    temperature  None leaves it to the provider
    deadline     seconds from now in which the whole road must end, fallbacks included; None is no limit
    persona      a system prompt that stands in for the kind's own; None keeps that one
    prefer       keys of backends that are preferred for this task, before those that the rules name
    may_be_cut   an answer that ends at ``max_tokens`` is wanted all the same; its ``finish_reason`` says ``length``
    open_ended   without ``max_tokens``, the answer may be as long as the model can make it
    must_call    one of the tools must be called
    one_call     at most one tool call is wanted
    guided       the prompt of its kind goes before the messages; False sends the messages alone
    sampling     how the answer is to be made
    identity     terms that must not leave (names, rooms, addresses); veiled in the text, scanned for in the bytes
    context      the caller's label of what the task is part of, such as ``supervisor.plan``; for strategies, never sent
    conversation which tasks belong together: an opaque token; they stay with their backend; never sent
    avoid        keys of backends that are not turned to after others; who is asked first may be one of them
    background   nobody waits for it: it takes no place and no quota that a task of somebody's will want
    asker        who asks, as an opaque token that stays the same; for strategies, never sent
    tier         what whoever asks is entitled to, by a name that the config knows; for strategies, never sent
    cache        the prompt's :attr:`Message.cache`
    id           an opaque random token, for listeners; never sent
    """

    prompt: str = ""
    messages: tuple[Message, ...] = ()
    kind: str | None = None
    images: tuple[Image, ...] = ()
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    deadline: float | None = None
    persona: str | None = None
    prefer: tuple[str, ...] = ()
    may_be_cut: bool = False
    open_ended: bool = False
    must_call: bool = False
    one_call: bool = False
    guided: bool = True
    sampling: Sampling = PLAIN
    identity: frozenset[str] = frozenset()
    context: str = ""
    conversation: str = ""
    avoid: frozenset[str] = frozenset()
    background: bool = False
    asker: str = ""
    tier: str = ""
    cache: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    #: What :attr:`turns` has put together.
    _turns: tuple[Message, ...] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS and self.kind not in _ADDED:
            raise ValueError(f"unknown kind {self.kind!r}; allowed: {', '.join(known_kinds())}")

    @property
    def turns(self) -> tuple[Message, ...]:
        """Every message in order, the prompt as the last user turn."""
        known = self._turns
        if known is None:
            known = self.messages
            if self.prompt or self.images:
                known = (*known, Message("user", self.prompt, self.images, cache=self.cache))
            object.__setattr__(self, "_turns", known)
        return known

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities a backend must have for this task: of ``images``, ``audio``, ``tools``, ``json``."""
        needs = []
        for message in self.turns:
            for image in message.images:
                needs.append("audio" if image.media_type.startswith("audio/") else "images")
        if self.tools:
            needs.append("tools")
        if self.schema is not None:
            needs.append("json")
        return frozenset(needs)

    @property
    def estimated_tokens(self) -> int:
        """Input tokens, estimated from the characters and pictures (for choosing: in one pass, and roughly)."""
        chars = images = 0
        for turn in self.turns:
            chars += len(turn.text)
            images += len(turn.images)
            for call in turn.tool_calls:
                chars += len(call.arguments)
        for tool in self.tools:
            chars += len(tool.name) + len(tool.description) + len(str(tool.parameters))
        return round(chars / CHARS_PER_TOKEN) + IMAGE_TOKENS * images

    def with_turns(self, turns: tuple[Message, ...]) -> Task:
        """The same task with other words: the last user turn becomes the prompt, the rest the messages."""
        return replace(self, **spoken_as(turns))


def spoken_as(turns: tuple[Message, ...]) -> dict[str, Any]:
    """The fields of a :class:`Task` whose turns are ``turns``."""
    if turns and turns[-1].role == "user":
        last = turns[-1]
        return {"messages": turns[:-1], "prompt": last.text, "images": last.images, "cache": last.cache}
    return {"messages": turns, "prompt": "", "images": (), "cache": ""}
