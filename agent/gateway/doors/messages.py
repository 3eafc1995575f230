"""Anthropic's messages (https://docs.anthropic.com/en/api/messages)."""

from .messages_in import read
from .messages_out import Events as stream
from .messages_out import answer, error, tokens

__all__ = ["answer", "error", "read", "stream", "tokens"]
