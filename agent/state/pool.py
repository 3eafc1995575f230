"""One limit that several processes keep together: a quota's window, a budget, a rate, a backend's places.

    pool = Pool(cluster, "quota:claude:usd per month:1793491200", limit=100.0, used=lambda: 12.5)
    await pool.ready(0.02)       # at most PATIENCE seconds; does not wait where enough is held, or Redis is gone
    pool.left()                  # what this process may use now
    pool.touched()               # it has used something

Each process *holds* a small part of the limit, and uses nothing that it does not hold; so the limit is not passed. What
it holds is the most that it will ever have used when it dies, so a part is small: a tenth of a second's use, and at the
most :data:`LARGEST` of the limit. Besides, Redis *promises* each process a share of what is left, for as long as Redis
cannot be asked: all promises together are half of it, and shrink with it.

What a process says is always the whole: what it holds, what it was told last, and the highest total that it has seen.
So a Redis that has forgotten everything learns it anew from those that live (:mod:`.scripts`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from .cluster import Cluster

#: Seconds that a call waits for Redis at the most.
PATIENCE = 0.05
#: The largest part that is held unused, as a share of the limit.
LARGEST = 0.001
#: Seconds of its use that a process holds.
AHEAD = 0.1
#: Seconds without use after which a process gives back what it holds.
IDLE = 2.0
#: Seconds for which a limit that is used up is not asked for again.
DRY = 0.1
#: Milliseconds for which a rolling limit's figures outlive its last use, beside its own length.
SPARE_MS = 60_000


class Pool:
    """What this process knows of a limit. Times are the cluster's clock's; amounts are in the limit's unit.

    used     what this process has used of it so far
    base     what was used by anybody when this process began, as far as it knows
    until    when the limit ends, seconds since the epoch; 0 for a rolling one
    rolling  seconds after which a use no longer counts; 0 for a fixed window
    whole    whether it can only be used in whole numbers
    promised whether each process has a share for as long as Redis is gone
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        limit: float,
        used: Callable[[], float],
        *,
        base: float = 0.0,
        until: float = 0.0,
        rolling: float = 0.0,
        whole: bool = False,
        promised: bool = True,
    ):
        self._cluster = cluster
        self.name = name
        self.limit = limit
        self._used = used
        self._base = base
        self._until, self._rolling, self._whole = until, rolling, whole
        #: What this process may use with Redis, and what Redis last said that this is.
        self.held = self._told = 0.0
        #: What everybody holds, as last told.
        self.total = base
        self._promise: float | None = None if promised else 0.0
        self._shares = promised
        self._age = ""
        #: Told how much others hold, whenever Redis has said so.
        self.heard: Callable[[float], None] | None = None
        #: Whether Redis does not yet know again what is held; until then nothing is granted.
        self.settling = self._hungry = False
        self._dry_until = 0.0
        self._looking = False
        self._asking: Deferred[None] | None = None
        self._asked_at = 0.0
        self._wanted = 0.0
        self._touched_at = cluster.clock.seconds()
        self._pace, self._pace_used, self._pace_at = 0.0, used(), self._touched_at

    # -- what may be used ----------------------------------------------------------------------------------------

    def left(self) -> float:
        """What this process may use now; below 0 where more was used than was foreseen."""
        used = self._used()
        if self._cluster.lapsed():
            return min(0.0, self.held - used)
        if self.alone():
            return self.held + self._promised() - used
        return self.held - used

    def alone(self) -> bool:
        """Whether Redis cannot grant anything now: it is gone, or does not answer, or does not know enough."""
        late = self._asking is not None and self._cluster.clock.seconds() - self._asked_at >= PATIENCE
        return late or self._cluster.away or self.settling

    def known(self) -> float:
        """What is used by everybody, as far as is known here; what is held and unused counts."""
        return self.total + self._used() - self._told if self._age else self._base + self._used()

    def _promised(self) -> float:
        if self._promise is not None:
            return self._promise
        # Nobody has told: half of an even share, as it would be.
        return max(0.0, self.limit - self._base) / (2 * self._cluster.processes)

    async def ready(self, amount: float) -> None:
        """Try to hold ``amount`` unused. Waits :data:`PATIENCE` at the most, and never for a Redis that is gone."""
        until = self._cluster.clock.seconds() + PATIENCE
        while self.left() < amount and not self.alone():
            left = until - self._cluster.clock.seconds()
            if left <= 0 or self._cluster.clock.seconds() < self._dry_until:
                return
            self._wanted = max(self._wanted, amount)
            waiting: Deferred[None] = self._ask()
            await waiting.addTimeout(left, self._cluster.clock, onTimeoutCancel=lambda *_: None)

    def touched(self) -> None:
        """Something was used, or came back: look whether more should be held, or less."""
        self._touched_at = self._cluster.clock.seconds()
        self._cluster.active(self)
        if not self._looking and self._wants():
            # In a turn of its own: what is used now may be given back in this one.
            self._looking = True
            self._cluster.clock.callLater(0.0, self._look)

    def _wants(self) -> bool:
        """Whether more should be held, or less."""
        if self._asking is not None or self.alone():
            return False
        used = self._used()
        if self._hungry and self.held > max(used, self._fair()):
            return True
        return self.held - used < self._ahead() / 2 and self._cluster.clock.seconds() >= self._dry_until

    def _look(self) -> None:
        self._looking = False
        if self._wants():
            if self._hungry:
                # Others wait for what is not used here.
                self.held = min(self.held, max(self._used(), self._fair()))
            self._say(sweep=False)

    def _fair(self) -> float:
        return self.limit / self._cluster.processes

    def _ahead(self) -> float:
        """What should be held unused."""
        most = self.limit * LARGEST
        if self._whole:
            most = float(int(most))
        return min(most, self._pace * AHEAD)

    # -- talking to Redis ----------------------------------------------------------------------------------------

    def _ask(self) -> Deferred[None]:
        """Ask for what is wanted; a Deferred of one's own that fires once there is an answer, or there is none."""
        heard: Deferred[None] = Deferred()
        if self._asking is None:
            self._asking = Deferred()
            self._say(sweep=False)
        if self._asking is None:
            heard.callback(None)
        else:
            self._asking.addCallback(lambda _: heard.callback(None) if not heard.called else None)
        return heard

    def _say(self, *, sweep: bool) -> None:
        """Say one word. There is never a second one under way: it would not know of the first one's grant."""
        word = self.word(sweep=sweep)
        self._asking = Deferred()
        self._asked_at = self._cluster.clock.seconds()
        self._cluster.lease(self, word).addCallback(self._answered, word)

    def _answered(self, reply: Any, word: list[Any]) -> None:
        asking, self._asking = self._asking, None
        if isinstance(reply, list):
            self.told(reply, word)
        if asking is not None:
            asking.callback(None)

    def sync(self) -> None:
        """Say what is held, once a second; what is not needed goes back."""
        if self._asking is not None:
            return
        now = self._cluster.clock.seconds()
        used = self._used()
        passed = max(0.1, now - self._pace_at)
        self._pace += 0.5 * (max(0.0, used - self._pace_used) / passed - self._pace)
        self._pace_used, self._pace_at = used, now
        spare = 0.0 if now - self._touched_at > IDLE or self._hungry else self._ahead()
        if self._cluster.lapsed():
            self.held, self._promise = used, 0.0
        elif self.held - used > spare:
            self.held = used + spare
        self._say(sweep=True)

    def give_back(self) -> None:
        """Hold no more than what is used: this process is about to end."""
        self.held, self._promise, self._wanted = self._used(), 0.0, 0.0
        self._pace, self._shares = 0.0, False

    @property
    def idle(self) -> bool:
        """Whether nothing has happened for so long that nobody need hear of it any more."""
        return bool(self._cluster.clock.seconds() - self._touched_at > 60.0)

    def word(self, *, sweep: bool) -> list[Any]:
        """What is said to Redis: the arguments of :data:`.scripts.LEASE`."""
        used = self._used()
        if used > self.held:
            # More than was foreseen, or out of the promise.
            self._promise = max(0.0, self._promised() - (used - self.held))
            self.held = used
        wanted, self._wanted = self._wanted, 0.0
        need = max(0.0, wanted - (self.held - used))
        want = max(0.0, wanted + self._ahead() - (self.held - used))
        least = max(need, self.limit * LARGEST, 1.0 if self._whole else 0.0)
        now = self._cluster.clock.seconds()
        lives = (max(0.0, self._until - now) if self._until else self._rolling) * 1000.0 + SPARE_MS
        word = [self._cluster.process, self._cluster.sequence(), self._age, self.limit, self.held, self._told]
        word += [self.total, self._base, need, want, self._promise or 0.0]
        word.append(self._cluster.processes if self._shares else 10**15)
        return [*word, round(lives), round(self._rolling * 1000.0), least, int(sweep)]

    def told(self, reply: list[Any], said: list[Any]) -> None:
        """Redis has answered what was ``said``."""
        if reply[0] in (b"late", "late"):
            return
        age, held, total, promise, settling, hungry = reply
        self._age = age.decode() if isinstance(age, bytes) else str(age)
        # What was held was said in full, so the difference is the grant; meanwhile more may have been used.
        granted = float(held) - said[4]
        self.held += granted
        self._told, self.total, self._promise = float(held), float(total), float(promise)
        self.settling, self._hungry = bool(settling), bool(hungry)
        if self.heard is not None:
            self.heard(max(0.0, self.total - self._told))
        if said[8] > 0 and granted < said[8] - self.limit * 1e-9 and not self.settling:
            self._dry_until = self._cluster.clock.seconds() + DRY
