"""OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat)."""

from .chat_in import read
from .chat_out import Chunks as stream
from .chat_out import answer, error

__all__ = ["answer", "error", "read", "stream"]
