"""Many tasks at once and tasks in a hurry, over real sockets: places, cancelling, reloads, deadlines."""

from __future__ import annotations

from fake_llm import answer, silent, status
from faults import QUESTION, RouterTest, gives_up, thinking, tick
from twisted.internet.defer import CancelledError, gatherResults

from uniwizard.agent import Task
from uniwizard.agent.core.failures import FailureCode


class Sharing(RouterTest):
    async def test_no_more_than_max_parallel_are_under_way_and_the_rest_wait_in_order(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", max_parallel=2))
        tasks = [thinking(router, Task(f"task {number}", kind="chat")) for number in range(5)]
        while self.server.asked("a") < 2:
            await tick()
        for _ in range(5):
            await tick()
        assert sorted(request.text for request in self.server.requests["a"]) == ["task 0", "task 1"]
        self.server.script("a", answer())
        tasks[0].cancel()
        with self.assertRaises(CancelledError):
            await tasks[0]
        await gatherResults(tasks[2:])
        assert [request.text for request in self.server.requests["a"]][2:] == ["task 2", "task 3", "task 4"]
        tasks[1].cancel()
        with self.assertRaises(CancelledError):
            await tasks[1]

    async def test_a_cancelled_task_frees_its_place_in_flight_and_in_the_queue(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", max_parallel=1))
        flying, queued = thinking(router), thinking(router)
        while self.server.asked("a") == 0:
            await tick()
        for task in (queued, flying):
            task.cancel()
            with self.assertRaises(CancelledError):
                await task
        await self.server.until_closed()
        assert router.registry["a"].in_flight == 0
        self.server.script("a", answer())
        assert (await router.call_with_fallback(QUESTION)).backend == "a"

    async def test_a_task_cancelled_between_two_tries_asks_nobody_more(self) -> None:
        self.server.script("a", status(503, "Retry-After: 4"))
        router = self.router(self.server.backend("a", retries=2), self.server.backend("b"))
        task = thinking(router)
        while "Retrying" not in self.heard():
            await tick()
        task.cancel()
        with self.assertRaises(CancelledError):
            await task
        assert (self.server.asked("a"), self.server.asked("b")) == (1, 0)

    async def test_a_reload_in_the_middle_of_a_thought_harms_neither(self) -> None:
        self.server.script("a", status(503, "Retry-After: 0.05"))
        router = self.router(self.server.backend("a", retries=1), self.server.backend("b"))
        task = thinking(router)
        while "Retrying" not in self.heard():
            await tick()
        router.reload(self.router(self.server.backend("b")).registry.config)
        assert (await task).backend == "b"


class Deadlines(RouterTest):
    async def test_a_deadline_ends_the_whole_road_and_leaves_health_alone(self) -> None:
        self.server.script("a", silent())
        router = self.router(*map(self.server.backend, "ab"))
        failed = await gives_up(router, Task("x", kind="chat", deadline=0.05))
        assert failed.failure is FailureCode.TIMEOUT
        assert "deadline of 0.05 s" in str(failed)
        assert self.server.asked("b") == 0
        assert router.registry["a"].fails == 0

    async def test_a_deadline_ends_the_wait_for_a_free_place(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a", max_parallel=1))
        flying = thinking(router)
        while self.server.asked("a") == 0:
            await tick()
        failed = await gives_up(router, Task("x", kind="chat", deadline=0.05))
        assert failed.attempts == ()
        assert "no free place" in str(failed)
        flying.cancel()
        with self.assertRaises(CancelledError):
            await flying

    async def test_a_deadline_that_has_passed_asks_nobody(self) -> None:
        router = self.router(self.server.backend("a"))
        for deadline in (0.0, -1.0):
            assert (await gives_up(router, Task("x", kind="chat", deadline=deadline))).attempts == ()
        assert self.server.asked("a") == 0

    async def test_a_wait_that_the_deadline_does_not_allow_is_not_begun(self) -> None:
        self.server.script("a", status(503, "Retry-After: 4"))
        router = self.router(self.server.backend("a", retries=2), self.server.backend("b"))
        result = await router.call_with_fallback(Task("x", kind="chat", deadline=3))
        assert [attempt.backend for attempt in result.attempts] == ["a", "b"]
