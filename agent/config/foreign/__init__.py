"""Other gateways' configurations as ours: LiteLLM's, Portkey's, RouteLLM's, OpenRouter's.

    draft = read_foreign("config.yaml", text)        # raises Unknown
    draft.written()                                  # a backends.yaml, with a comment on what could not be carried over
    draft.document                                   # the same as data

Each module reads one of them; :mod:`~.draft` is what they make. No secret that stands in a file is written again: in
its place stands the name of an environment variable.
"""

from .draft import Draft
from .recognize import Unknown, read_foreign

__all__ = ["Draft", "Unknown", "read_foreign"]
