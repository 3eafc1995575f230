"""Goals at the door: what done looks like, as JSON; its status and plan; what happens to it, as server-sent events.

    POST   /v1/goals          {"goal", "checks", "wants", "budget", "deadline" ...}; "plan_only" begins nothing
    GET    /v1/goals          the caller's own
    GET    /v1/goals/<id>     its status, plan, cost, result; as events with "Accept: text/event-stream", ?stream=true
    POST   /v1/goals/<id>     begin one that was only planned
    DELETE /v1/goals/<id>     stop it

A goal belongs to the key that it came with; another's is not found. Each of its attempts is reserved from that key's
allowance and charged to it. After a restart a goal of a key with an allowance goes on with the key's next request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http import Request

from ..core.clock import Clock
from ..core.task import Task
from ..goals import OFFERED, WORKING, Desk, Goal, InvalidGoal, NotKept, Record, state_of
from .answering import Answering, Headers
from .auth import Caller
from .errors import Rejected
from .incoming import header, query_of
from .sse import EventStream
from .write import put_json

#: Goals of one key under way at once.
MOST = 20


class GoalDoor:
    """The goals that come through one gateway, on the desk that ``desk`` returns; None where there is none (yet)."""

    def __init__(self, desk: Callable[[], Desk | None], answering: Answering, clock: Clock, keep_alive: float):
        self._desk, self._answering, self._clock, self._keep_alive = desk, answering, clock, keep_alive
        self._callers: dict[str, Caller] = {}
        self._paying: Desk | None = None

    async def serve(self, request: Request, headers: Headers, caller: Caller, identifier: str, body: Any) -> None:
        """Do what the request asks for. Raises Rejected."""
        desk = self._open(caller)
        method = request.method or b""
        if not identifier:
            if method == b"POST":
                await self._add(request, headers, caller, desk, body)
            else:
                own = [state_of(record) for record in desk if _owner(record) == caller.id]
                put_json(request, 200, {"object": "list", "data": own}, headers)
            return
        record = desk.get(identifier)
        if record is None or _owner(record) != caller.id:
            raise Rejected(404, f"Goal with id '{identifier[:80]}' not found.", code="not_found")
        if method == b"DELETE":
            desk.stop(identifier)
        elif method == b"POST":
            if record.state == OFFERED:
                _see_room(desk, caller)
            try:
                desk.begin(identifier)
            except OverflowError as full:
                raise _full(full) from None
        elif _wants_events(request):
            await self._follow(request, headers, desk, record)
            return
        put_json(request, 200, _told(record), headers)

    def _open(self, caller: Caller) -> Desk:
        desk = self._desk()
        if desk is None or not desk.started:
            raise Rejected(503, "No goals are taken here (yet).", headers={"retry-after": "5"})
        self._callers[caller.id] = caller
        if self._paying is not desk:
            self._paying = desk
            desk.pay(self._pay, self._paid)
        return desk

    async def _add(self, request: Request, headers: Headers, caller: Caller, desk: Desk, body: Any) -> None:
        said = dict(body) if isinstance(body, dict) else body
        plan_only = said.pop("plan_only", False) if isinstance(said, dict) else False
        if not isinstance(plan_only, bool):
            raise Rejected(400, "plan_only: is not true or false.", param="plan_only")
        try:
            goal = Goal.from_dict(said)
        except InvalidGoal as invalid:
            raise Rejected(400, f"{invalid}.", param=invalid.field or None) from None
        if not plan_only:
            _see_room(desk, caller)
        limited = any(one.allowance.usd_per_month is not None for one in (caller, caller.owner) if one is not None)
        owner = json.dumps({"door": caller.id, "limited": limited})
        try:
            record = await desk.add(goal, owner, start=not plan_only)
        except OverflowError as full:
            raise _full(full) from None
        except NotKept:
            raise Rejected(503, "The goal could not be written down.", headers={"retry-after": "60"}) from None
        put_json(request, 202, _told(record), {**headers, "location": f"/v1/goals/{record.id}"})

    def _pay(self, record: Record, task: Task) -> str:
        """Have the goal's key pay for a task; why that cannot be (now), or empty."""
        key = _owner(record)
        if not key:
            return ""
        caller = self._callers.get(key)
        if caller is None:
            return "its key has not come since the start" if json.loads(record.owner)["limited"] else ""
        desk = self._paying
        assert desk is not None
        try:
            self._answering.open(desk.router, caller, task)
        except Rejected as rejected:
            return str(rejected)
        return ""

    def _paid(self, record: Record, task: Task) -> None:
        if _owner(record) in self._callers:
            self._answering.close(task)

    async def _follow(self, request: Request, headers: Headers, desk: Desk, record: Record) -> None:
        """Send what happened by now and what happens until the end, each event once."""
        events = EventStream(request, self._clock, headers, lambda: b": still at it\n\n", self._keep_alive)
        after = header(request, b"last-event-id")
        sent = int(after) if after.isdecimal() and len(after) < 12 else 0
        over: Deferred[None] = Deferred()

        def send(of: Record, event: dict[str, Any]) -> None:
            nonlocal sent
            if of is record and event["id"] > sent:
                sent = event["id"]
                events.send(_event(event["what"], event, sent))
                if event["what"] == "ended" and not over.called:
                    over.callback(None)

        events.send(_event("state", _told(record)))
        desk.subscribe(send)
        try:
            for event in list(record.events):
                send(record, event)
            events.wait()
            if not record.over:
                await over
            events.send(_event("state", _told(record)))
            events.end()
        finally:
            desk.unsubscribe(send)
            events.rest()


def _see_room(desk: Desk, caller: Caller) -> None:
    """Raises Rejected where the key has enough goals under way; what is only offered is not."""
    if sum(record.state == WORKING and _owner(record) == caller.id for record in desk) >= MOST:
        raise Rejected(429, f"{MOST} goals of this key are under way.", code="rate_limit_exceeded")


def _full(why: OverflowError) -> Rejected:
    return Rejected(503, f"Too much is under way: {why}.", headers={"retry-after": "60"})


def _owner(record: Record) -> str:
    """The id of the key that a goal came with; empty for one that came another way."""
    if not record.owner.startswith("{"):
        return ""
    try:
        return str(json.loads(record.owner).get("door", ""))
    except (ValueError, AttributeError):
        return ""


def _told(record: Record) -> dict[str, Any]:
    return {"object": "goal", **state_of(record)}


def _event(what: str, data: Any, number: int | None = None) -> bytes:
    identifier = f"id: {number}\n" if number is not None else ""
    text = json.dumps(data, ensure_ascii=False, default=str)
    return f"{identifier}event: {what.replace(' ', '_')}\ndata: {text}\n\n".encode("utf-8", "replace")


def _wants_events(request: Request) -> bool:
    query = query_of((request.uri or b"").partition(b"?")[2])
    return "text/event-stream" in header(request, b"accept") or query.get("stream", [""])[0] in ("true", "1")
