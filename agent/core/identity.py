"""Kinds of identity terms. A plain ``str`` is somebody's name, an e-mail address or a network address; a place says so.

Task("what grows here?", identity=frozenset({"Anna", Place("Old Mill"), "anna@example.com", "10.0.0.7"}))
"""

from __future__ import annotations


class Place(str):
    """The name of a room or another place, to be hidden like a person's but not called one."""

    __slots__ = ()
