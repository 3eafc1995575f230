"""Health checks that cost nothing, and practice where nobody real is left."""

from __future__ import annotations

from dataclasses import replace

from fake_llm import answer, silent, status
from faults import RouterTest, tick
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, Router, Task
from uniwizard.agent.core.backend import Timeout
from uniwizard.agent.core.events import PracticeBegan, PracticeEnded
from uniwizard.agent.engine.health_checker import HealthChecker
from uniwizard.agent.health.breaker import State

TASK = Task("hello", kind="chat")


class Checking(RouterTest):
    async def test_a_check_asks_for_a_list_and_never_for_an_answer(self) -> None:
        router = self.router(*map(self.server.backend, "ab"))
        assert await router.checker.probe_all() == {"a": "", "b": ""}
        for key in "ab":
            (request,) = self.server.requests[key]
            assert request.line == f"GET /{key}/v1/models HTTP/1.1"
            assert request.body == b""

    async def test_what_is_wrong_is_told_and_changes_what_is_known(self) -> None:
        self.server.script("a", status(401))
        self.server.script("b", status(503))
        self.server.script("c", status(404))
        router = self.router(
            *map(self.server.backend, "abc"), self.server.backend("d", unconfigured="D_KEY is not set")
        )
        told = await router.checker.probe_all()
        assert told["a"].startswith("auth")
        assert told["b"].startswith("overloaded")
        assert (told["c"], told["d"]) == ("", "asleep: D_KEY is not set")
        assert router.registry["a"].state is State.OPEN
        assert router.registry["b"].state is State.CLOSED
        assert self.server.asked("d") == 0

    async def test_stopping_ends_checks_under_way_and_sets_no_timer(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a"))
        clock = Clock()
        checker = HealthChecker(router.registry, router.caller, clock, router.events)  # type: ignore[arg-type]
        started = Deferred.fromCoroutine(checker.start())
        while self.server.asked("a") == 0:
            await tick()
        await checker.stop()
        assert started.called
        assert clock.getDelayedCalls() == []
        await self.server.until_closed()

    async def test_checks_are_repeated_until_the_end(self) -> None:
        router = self.router(self.server.backend("a"))
        clock = Clock()
        checker = HealthChecker(router.registry, router.caller, clock, router.events)  # type: ignore[arg-type]
        await checker.start()
        for times in (2, 3):
            clock.advance(67)
            while self.server.asked("a") < times:
                await tick()
            await self.server_idle()
        await checker.stop()
        assert clock.getDelayedCalls() == []

    async def server_idle(self) -> None:
        for _ in range(5):
            await tick()


class Practising(RouterTest):
    def stranded(self) -> Router:
        """A router whose only backend awake is nowhere to be found."""
        gone = self.server.backend("a", timeout=Timeout(connect=1, total=2))
        port = self.server.listening.getHost().port
        lost = gone.url.replace(str(port), "1")
        return self.router(
            replace(gone, url=lost), self.server.backend("b", unconfigured="B_KEY is not set"), practice="auto"
        )

    async def test_practice_takes_over_where_nobody_real_can_be_asked_and_says_so_once(self) -> None:
        router = self.stranded()
        await router.start()
        result = await router.call_with_fallback(TASK)
        assert result.practice
        assert result.cost_usd == 0.0
        assert "[practice]" in result.text
        await router.checker.probe_all()
        await router.checker.probe("b")
        await router.call_with_fallback(TASK)
        told = [event for event in self.events if isinstance(event, PracticeBegan | PracticeEnded)]
        assert [type(event) for event in told] == [PracticeBegan]
        assert told[0].reason == "no real backend can be asked: 1 asleep, 1 unreachable"  # type: ignore[union-attr]

    async def test_practice_ends_when_somebody_real_is_back(self) -> None:
        router = self.stranded()
        await router.start()
        assert router.registry.practising
        config = router.registry.config
        router.reload(type(config)({"a": self.server.backend("a")}, config.rules, practice="auto"))
        await router.checker.probe_all()
        assert not router.registry.practising
        assert not (await router.call_with_fallback(TASK)).practice
        assert "PracticeEnded" in self.heard()

    async def test_a_task_that_finds_everyone_gone_is_taken_by_practice(self) -> None:
        router = self.router(self.server.backend("a"), practice="auto")
        await router.start()
        await self.server.stop()
        result = await router.call_with_fallback(TASK)
        assert result.practice
        assert [(attempt.backend, attempt.practice) for attempt in result.attempts] == [("a", False), ("a", True)]

    async def test_a_backend_that_answers_badly_is_not_replaced(self) -> None:
        router = self.router(self.server.backend("a"), practice="auto")
        await router.start()
        self.server.script("a", status(503))
        with self.assertRaises(AllBackendsFailed):
            await router.call_with_fallback(TASK)
        assert not router.registry.practising

    async def test_practice_can_be_forbidden_and_demanded(self) -> None:
        router = self.router(self.server.backend("a", unconfigured="A_KEY is not set"), practice="never")
        await router.start()
        with self.assertRaises(AllBackendsFailed):
            await router.call_with_fallback(TASK)
        router = self.router(self.server.backend("a"), practice="always")
        await router.start()
        self.server.requests.clear()
        assert (await router.call_with_fallback(TASK)).practice
        assert self.server.asked("a") == 0

    async def test_a_simulated_backend_never_sees_the_real_key(self) -> None:
        router = self.router(self.server.backend("a", api_key="sk-real"), practice="always")
        await router.start()
        await router.call_with_fallback(TASK)
        assert router.checker.practice is not None
        assert "sk-real" not in str(router.checker.practice.seen["a"].headers)

    async def test_a_scene_plays_for_one_backend_and_ends(self) -> None:
        router = self.router(*map(self.server.backend, "ab"))
        await router.start()
        router.checker.stage("a", "refuse")
        result = await router.call_with_fallback(TASK)
        assert (result.attempts[0].backend, result.attempts[0].failure) == ("a", "refused")
        assert (result.backend, result.practice) == ("b", False)
        router.checker.stage("a", "real")
        self.server.script("a", answer("Really high at noon."))
        assert (await router.call_with_fallback(Task("x", kind="read"))).text == "Really high at noon."

    async def test_an_unknown_scene_or_backend_is_an_error_that_names_the_known_ones(self) -> None:
        router = self.router(self.server.backend("a"))
        with self.assertRaises(KeyError):
            router.checker.stage("nobody", "refuse")
        with self.assertRaises(ValueError) as caught:
            router.checker.stage("a", "opera")
        assert "refuse" in str(caught.exception)
