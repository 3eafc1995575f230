"""OpenAI's responses (https://platform.openai.com/docs/api-reference/responses)."""

from .responses_in import continued, read
from .responses_out import Events as stream
from .responses_out import answer, error, turn_of

__all__ = ["answer", "continued", "error", "read", "stream", "turn_of"]
