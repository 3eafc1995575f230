"""The memory in a real Redis, shared by processes: what one learns, all know; what one forgets, none tells."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from fake_llm.replies import answer
from faults import QUESTION, RouterTest, tick
from redis_server import RedisServer
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from uniwizard.agent import MemoryEntry, Router, Task
from uniwizard.agent.config.settings import MemoryRule, MemorySettings
from uniwizard.agent.memory import Memory, RedisStore, connect, memory
from uniwizard.agent.memory.redis_store import MOST_UNDER_WAY
from uniwizard.agent.memory.store import StoreUnavailable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]


def entry(key: str, kind: str = "knowledge", keep: float = 60.0) -> MemoryEntry:
    now = reactor.seconds()  # type: ignore[attr-defined]
    return MemoryEntry(key, kind, f"answer of {key}", "a", "m", now, now + keep, cost_usd=0.5, content={"k": [1, "ż"]})


async def settled(store: RedisStore) -> None:
    """Wait until every command has been answered."""
    while store._under_way:
        await tick()


def store_of(router: Router) -> RedisStore:
    recall = router._recall
    assert recall is not None and isinstance(recall.memory._store, RedisStore)
    return recall.memory._store


class RedisTest(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.redis = RedisServer()
        self.addCleanup(self.redis.close)

    def store(self, settings: MemorySettings | None = None) -> RedisStore:
        store = connect(self.redis.url, settings or MemorySettings(), reactor.seconds)  # type: ignore[attr-defined]
        self.addCleanup(store.close)
        return store


class Storing(RedisTest):
    async def test_an_entry_comes_back_as_it_went_and_is_forgotten(self) -> None:
        one, other = self.store(), self.store()
        assert await one.get("k") is None
        one.put(entry("k"))
        await one.get("k")
        found = await other.get("k")
        assert found is not None
        assert (found.text, found.content, found.cost_usd) == ("answer of k", {"k": [1, "ż"]}, 0.5)
        other.forget(["k"])
        await other.get("k")
        assert await one.get("k") is None

    async def test_the_least_recently_used_goes_in_all_and_by_kind(self) -> None:
        settings = MemorySettings(max_entries=3, rule_of={"chat": MemoryRule(max_entries=1)})
        store = self.store(settings)

        async def known(*keys: str) -> list[str]:
            return [key for key in keys if await store.get(key) is not None]

        for number in range(3):
            store.put(entry(f"k{number}"))
            await known(f"k{number}")
        await known("k0")
        store.put(entry("k3"))
        await settled(store)
        assert await known("k0", "k1", "k2", "k3") == ["k0", "k2", "k3"]
        for number in range(2):
            store.put(entry(f"c{number}", "chat"))
            await settled(store)
        assert await known("c0", "c1") == ["c1"]

    async def test_redis_itself_ends_an_entrys_time(self) -> None:
        store = self.store()
        store.put(entry("k", keep=0.05))
        assert await store.get("k") is not None
        while await store.get("k") is not None:
            await tick()

    async def test_what_is_no_entry_is_none(self) -> None:
        store = self.store()
        for value in (b"", b"{}", b"[]", b"\xff", b'{"usage": 1}', b'{"usage": {}, "key": 3}', b"9" * 5000):
            await store._redis.execute_command("SET", "uniwizard:memory:k", value)
            assert await store.get("k") is None

    async def test_without_redis_it_says_so_and_keeps_no_queue(self) -> None:
        store = self.store()
        assert await store.get("k") is None
        self.redis.freeze()
        for number in range(3 * MOST_UNDER_WAY):
            store.put(entry(str(number)))
        assert store._under_way <= MOST_UNDER_WAY
        with self.assertRaises(StoreUnavailable):
            await store.get("k")
        self.flushLoggedErrors()
        self.redis.thaw()
        await settled(store)
        assert await store.get("k") is None


class Sharing(RouterTest):
    """Two routers, as of two processes, over one Redis."""

    def setUp(self) -> None:
        super().setUp()
        self.redis = RedisServer()
        self.addCleanup(self.redis.close)

    async def begun(self, patience: float = 20.0) -> Router:
        # As long as a busy machine may take, where no test is about that.
        self.patch(memory, "PATIENCE", patience)
        settings = MemorySettings(store="redis", redis=self.redis.url)
        router = super().router(self.server.backend("a"), memory=settings)
        await router.start()
        return router

    async def test_what_one_learns_the_other_knows_until_one_forgets_it(self) -> None:
        one, other = await self.begun(), await self.begun()
        # Not before: a health check is answered as well.
        self.server.requests.clear()
        self.server.script("a", answer("Person1Q is first."), answer("Person1Q is second."))

        def task(name: str) -> Task:
            return Task(f"Praise {name}.", kind="knowledge", identity=frozenset({name}))

        await one.call_with_fallback(task("Anna"))
        asked = task("Zoe")
        known = await other.call_with_fallback(asked)
        assert (known.text, known.memory is not None) == ("Zoe is first.", True)
        assert self.server.asked("a") == 1
        other.feedback(asked.id, known.answered, good=False)
        await settled(store_of(other))
        assert (await one.call_with_fallback(task("Anna"))).text == "Anna is second."
        assert self.server.asked("a") == 2

    async def test_a_redis_that_hangs_costs_a_moment_and_no_answer(self) -> None:
        self.server.script("a", answer())
        router = await self.begun(patience=0.05)
        await router.call_with_fallback(QUESTION)
        self.redis.freeze()
        assert (await router.call_with_fallback(QUESTION)).memory is not None
        assert (await router.call_with_fallback(Task("rivers?", kind="chat"))).memory is None
        self.redis.thaw()

    async def test_a_redis_that_is_gone_costs_no_answer(self) -> None:
        self.server.script("a", answer())
        router = await self.begun()
        await router.call_with_fallback(QUESTION)
        self.redis.stop()
        assert (await router.call_with_fallback(QUESTION)).memory is not None
        assert (await router.call_with_fallback(Task("rivers?", kind="chat"))).memory is None
        self.redis.start()
        self.flushLoggedErrors()


def test_a_memory_never_waits_for_a_store_to_explain() -> None:
    class Never:
        shared = True

        def load(self, limit: int) -> Deferred[list[MemoryEntry]]:
            return Deferred()

        def get(self, key: str) -> Deferred[MemoryEntry | None]:
            raise AssertionError("asked")

        def put(self, entry: MemoryEntry) -> None: ...

        def forget(self, keys: Any) -> None: ...

        def close(self) -> None: ...

    known = Memory(MemorySettings(), reactor)  # type: ignore[arg-type]
    known.keep_in(Never())
    question = known.question(Task("rivers?"), "knowledge")
    assert known.peek(question) is None
    known.keep(question, entry(question.key))
    assert known.peek(question) is not None
