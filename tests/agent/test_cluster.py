"""Several routers over one real Redis, as several processes are: one quota, one breaker, one probe, come what may."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from fake_llm import answer, silent, status
from faults import QUESTION, RouterTest, gives_up, thinking
from redis_server import RedisServer
from twisted.internet import reactor as running
from twisted.internet.defer import Deferred, gatherResults

from uniwizard.agent import AllBackendsFailed, Cluster, Router, events, warm_up
from uniwizard.agent.core.backend import Quota
from uniwizard.agent.core.clock import sleep
from uniwizard.agent.gateway import Allowance, Caller
from uniwizard.agent.state.pool import Pool

reactor: Any = running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

THREE_A_DAY = Quota(3.0, "requests", "day")


async def until(true: Callable[[], Any], seconds: float = 10.0) -> float:
    """Wait until something is true; how long that took, in seconds."""
    began = reactor.seconds()
    while not true():
        assert reactor.seconds() - began < seconds, "it never came to that"
        await sleep(reactor, 0.002)
    return float(reactor.seconds() - began)


class ClusterTest(RouterTest):
    timeout = 60

    @classmethod
    def setUpClass(cls) -> None:
        cls.redis = RedisServer()
        # All "processes" live in this one: were it busy for three seconds, all of them would have been silent.
        warm_up()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.redis.close()

    def setUp(self) -> None:
        super().setUp()
        self.redis.thaw()

    async def cluster(self, processes: int = 2) -> Cluster:
        """One more process, which knows of Redis."""
        found = Cluster(self.redis.url, reactor, processes)
        found.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(found.stop()))
        await until(lambda: not found.away)
        return found

    async def routers(self, count: int = 2, **settings: Any) -> list[Router]:
        """So many processes with a router each over one backend, which have settled."""
        found = []
        for _ in range(count):
            router = self.router(self.server.backend("a", **settings))
            router.share(await self.cluster(count))
            found.append(router)
        return found


async def settled(*pools: Pool) -> None:
    """Wait until Redis grants again."""
    for pool in pools:
        pool.touched()

    async def all_told() -> None:
        for pool in pools:
            while pool._age == "" or pool.settling:
                pool.sync()
                await sleep(reactor, 0.05)

    await all_told()


class Limits(ClusterTest):
    async def pools(self, name: str, limit: float, count: int = 2) -> list[tuple[Pool, list[int]]]:
        found = []
        for _ in range(count):
            used: list[int] = []
            cluster = await self.cluster(count)
            pool = cluster.pool(
                name, limit, lambda used=used: float(len(used)), until=reactor.seconds() + 60, whole=True
            )
            found.append((pool, used))
        await settled(*(pool for pool, _ in found))
        return found

    async def use(self, pools: list[tuple[Pool, list[int]]], times: int = 100) -> int:
        """Use as much as can be had, by turns; how much all have used by then."""
        for _ in range(times):
            for pool, used in pools:
                await pool.ready(1.0)
                if pool.left() >= 1.0:
                    used.append(1)
                    pool.touched()
        return sum(len(used) for _, used in pools)

    async def test_two_use_a_limit_up_to_its_end_and_no_further(self) -> None:
        pools = await self.pools("end", 30.0)
        assert await self.use(pools) <= 30
        # What Redis had promised each, should it go, is used up within some seconds.
        await until(lambda: sum(len(used) for _, used in pools) == 30 or not self.more(pools), 10)
        assert sum(len(used) for _, used in pools) == 30

    def more(self, pools: list[tuple[Pool, list[int]]]) -> bool:
        Deferred.fromCoroutine(self.use(pools, 1))
        return True

    async def test_a_redis_that_forgets_everything_learns_from_those_that_live_what_is_used(self) -> None:
        pools = await self.pools("flushed", 30.0)
        while sum(len(used) for _, used in pools) < 20:
            await self.use(pools, 1)
        await pools[0][0]._cluster._do("FLUSHALL")
        assert await self.use(pools) <= 30
        await until(lambda: sum(len(used) for _, used in pools) == 30 or not self.more(pools), 15)
        assert sum(len(used) for _, used in pools) == 30

    async def test_while_redis_is_stopped_each_uses_its_share_at_once_and_together_no_more_than_there_is(self) -> None:
        pools = await self.pools("stopped", 40.0)
        await self.use(pools, 2)
        self.redis.freeze()
        began = reactor.seconds()
        await until(lambda: all(pool._cluster.away for pool, _ in pools))
        assert reactor.seconds() - began < 3.0
        before = sum(len(used) for _, used in pools)
        began = reactor.seconds()
        shared = await self.use(pools)
        assert reactor.seconds() - began < 0.5, "a call has waited for a Redis that is gone"
        assert before < shared <= 40
        self.redis.thaw()
        await until(lambda: not any(pool._cluster.away for pool, _ in pools))
        assert await self.use(pools) <= 40
        await until(lambda: sum(len(used) for _, used in pools) == 40 or not self.more(pools), 15)
        assert sum(len(used) for _, used in pools) == 40

    async def test_a_quota_holds_for_all_routers_together(self) -> None:
        routers = await self.routers(quota=(THREE_A_DAY,))
        self.server.default = answer("Yes.")
        shares = [router.registry.quotas["a"].windows[0].share for router in routers]
        await settled(*(share._pool for share in shares if share is not None))
        answered = refused = 0
        while refused < 20:
            for router in routers:
                try:
                    answered += bool((await router.call_with_fallback(QUESTION)).text)
                except AllBackendsFailed as gave_up:
                    assert "quota" in str(gave_up), gave_up
                    refused += 1
            # Also of a Redis that took more than its time on a busy machine, the next try knows the answer.
            await sleep(reactor, 0.02)
        assert answered == 3 == self.server.asked("a")

    async def test_a_tokens_rate_and_money_hold_for_all_processes_together(self) -> None:
        callers = []
        for _ in range(2):
            cluster = await self.cluster()
            callers.append(Caller("key", Allowance(3, 1.0), id="1f0c22ab", cluster=cluster))
        now = reactor.seconds()
        for caller in callers:
            await caller.ready(now)
            await caller.ready_to_pay(0.0, now)
        counters = [each for caller in callers for each in (caller._requests(now), caller._month(now))]
        await settled(*(each._share._pool for each in counters if each is not None and each._share is not None))
        admitted, paid = 0, 0
        for _ in range(8):
            for caller in callers:
                await sleep(reactor, 0.01)
                await caller.ready(now)
                admitted += caller.admit(now) is None
                await caller.ready_to_pay(0.3, now)
                if not caller.reserve(0.3, now):
                    caller.charge(0.3, now)
                    caller.unreserve(0.3, now)
                    paid += 1
        assert (admitted, paid) == (3, 3)

    async def test_max_parallel_holds_for_all_routers_together(self) -> None:
        routers = await self.routers(max_parallel=2)
        self.server.default = silent()
        sharings = [router._admission.sharing for router in routers]
        await settled(*(s._place(router.registry["a"]) for s, router in zip(sharings, routers, strict=True) if s))
        asked = [thinking(router) for router in routers for _ in range(3)]
        await until(lambda: self.server.asked("a") == 2)
        await sleep(reactor, 0.3)
        assert self.server.asked("a") == 2
        self.server.default = answer("Yes.")
        for each in asked[:1]:
            each.addErrback(lambda _: None)
            each.cancel()
        for each in asked:
            each.addErrback(lambda _: None)
        # The place that is free goes to whoever waits, in this process or the other.
        await until(lambda: self.server.asked("a") > 2, 15)
        for each in asked:
            each.cancel()
        await gatherResults(asked)


class Breakers(ClusterTest):
    async def test_a_breaker_is_open_everywhere_within_milliseconds_and_closes_everywhere(self) -> None:
        one, other = await self.routers(allowed_fails=0)
        self.server.default = status(500)
        await gives_up(one)
        took = await until(lambda: other.state("a").state == "open")
        assert took < 0.5
        assert other.state("a").cooldown_until == one.state("a").cooldown_until
        assert "server_error" in other.state("a").reason
        other.reset("a")
        await until(lambda: one.state("a").state == "closed")

    async def test_who_comes_later_finds_a_breaker_open(self) -> None:
        [one] = await self.routers(1, allowed_fails=0)
        self.server.default = status(500)
        await gives_up(one)
        [late] = await self.routers(1)
        await until(lambda: late.state("a").state == "open")
        one.reset("a")
        await until(lambda: late.state("a").state == "closed")

    async def test_one_attempt_in_the_whole_cluster_probes_a_half_open_breaker(self) -> None:
        routers = await self.routers(allowed_fails=0, cooldown_time=0.3)
        self.server.default = status(500)
        await gives_up(routers[0])
        await until(lambda: routers[1].state("a").state == "open")
        self.server.default = silent()
        await sleep(reactor, 0.35)
        asked = [thinking(router) for router in routers]
        await until(lambda: self.server.asked("a") == 2)
        await sleep(reactor, 0.2)
        assert self.server.asked("a") == 2, "two have probed"
        for each in asked:
            each.addErrback(lambda _: None)
            each.cancel()
        await gatherResults(asked)


class Said(ClusterTest):
    async def test_what_is_told_all_others_hear_and_nobody_hears_himself(self) -> None:
        one, other = await self.cluster(), await self.cluster()
        heard: list[tuple[str, Any]] = []
        joined: list[str] = []
        for name, each in (("one", one), ("other", other)):
            each.on("revoked", lambda said, name=name: heard.append((name, said["id"])))
            each.on_join(lambda name=name: joined.append(name))
        await sleep(reactor, 0.1)
        one.tell("revoked", id="1f0c22ab")
        assert await until(lambda: heard) < 0.5
        assert heard == [("other", "1f0c22ab")]

    async def test_one_of_them_is_the_runner_and_another_follows_when_it_goes(self) -> None:
        one, other = await self.cluster(), await self.cluster()
        await until(lambda: one.runs != other.runs)
        first, second = (one, other) if one.runs else (other, one)
        await first.stop()
        await until(lambda: second.runs, 8)

    async def test_what_one_has_learned_the_others_know_some_seconds_later(self) -> None:
        one, other = await self.routers()
        self.server.default = answer("I cannot help with that request.")
        assert (await one.call_with_fallback(QUESTION)).refused
        assert one.state("a").willingness("knowledge") < 1.0
        await until(lambda: other.state("a").willingness("knowledge") < 1.0, 6)
        assert one.state("a").willingness("knowledge") == pytest.approx(
            other.state("a").willingness("knowledge"), abs=0.01
        )
        assert not [each for each in self.events if isinstance(each, events.BreakerOpened)]
