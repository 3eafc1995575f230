"""Thumbs at the door: ``POST /v1/feedback`` with an answer's id says whether it was good.

    {"id": "chatcmpl-...", "good": true}          # what was answered with that id; or "rating": "up" or "down"

Only the key that got an answer may judge it, once; answers of the last while are remembered, in this process.
"""

from __future__ import annotations

from collections import OrderedDict

from ..core.attempt import Attempt
from .errors import Rejected

#: Answers that may still be judged.
REMEMBERED = 2000
_RATINGS = {"up": True, "down": False}


class Answers:
    """The answers of late, by the id under which they were sent."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, str, Attempt]] = OrderedDict()

    def sent(self, identifier: str, owner: str, task_id: str, attempt: Attempt) -> None:
        """``owner`` was sent the answer that ``attempt`` gave to a task."""
        self._known[identifier] = owner, task_id, attempt
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def judged(self, node: object, owner: str) -> tuple[str, Attempt, bool]:
        """The task, its attempt, and whether it was good, as ``owner`` says. Raises Rejected."""
        if not isinstance(node, dict) or not isinstance(node.get("id"), str):
            raise Rejected(400, "`id` must be the id of an answer.", param="id")
        good = node.get("good")
        if good is None and isinstance(rating := node.get("rating"), str):
            good = _RATINGS.get(rating)
        if not isinstance(good, bool):
            raise Rejected(400, "`good` must be true or false, or `rating` up or down.", param="good")
        known = self._known.get(node["id"])
        if known is None or known[0] != owner:
            raise Rejected(404, "There is no such answer of yours that can be judged.", code="not_found", param="id")
        del self._known[node["id"]]
        return known[1], known[2], good
