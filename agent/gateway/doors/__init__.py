"""The wire formats towards clients, without I/O: a request's JSON becomes an Asked, a RouteResult becomes theirs.

door = DOORS["messages"]
asked = door.read(node, names, asking)              # raises Rejected
door.answer(result, asked, seconds)                 # the JSON of a whole answer
stream = door.stream(asked, seconds)                # ... or, as bytes, its events
stream.begin(model); stream.text("The moon"); stream.end(result)

chat        OpenAI's chat completions
completions OpenAI's older completions: one prompt, one text
messages    Anthropic's messages
responses   OpenAI's responses
gemini      Google's generateContent
generate    text-generation-webui's former API, for Evennia's LLM contrib
"""

from . import chat, completions, gemini, generate, messages, responses
from .door import Door, Stream

DOORS: dict[str, Door] = {
    "chat": chat,
    "completions": completions,
    "gemini": gemini,
    "generate": generate,
    "messages": messages,
    "responses": responses,
}

__all__ = ["DOORS", "Door", "Stream", "chat", "completions", "gemini", "generate", "messages", "responses"]
