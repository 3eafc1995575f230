"""The memory in the way of a task, over real sockets: what is kept, for whom, how long, and that one asks for many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_llm.replies import answer, refusal, silent, status
from faults import QUESTION, RouterTest, gives_up, thinking, tick
from twisted.internet.defer import CancelledError, gatherResults
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, MemoryEntry, Router, Task
from uniwizard.agent.config.settings import MemoryRule, MemorySettings
from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.backend import Price
from uniwizard.agent.core.events import Answered, Remembered
from uniwizard.agent.memory import Memory, SingleFlight, Turn

MEMORY = MemorySettings()
PAID = {"price": Price(0.5, 0.5)}


class Remembering(RouterTest):
    def router(self, *backends: Any, **settings: Any) -> Router:
        return super().router(*backends, **{"memory": MEMORY} | settings)

    async def test_the_same_question_is_asked_once_and_answered_twice(self) -> None:
        self.server.script("a", answer("High at noon."))
        router = self.router(self.server.backend("a", **PAID))
        first = await router.call_with_fallback(QUESTION)
        second = await router.call_with_fallback(Task("Hi, HOW DO THE TIDES WORK", kind="knowledge"))
        assert self.server.asked("a") == 1
        assert (first.memory, second.text, second.backend) == (None, "High at noon.", "a")
        assert (second.attempts, second.cost_usd, second.usage) == ((), 0.0, Usage())
        assert second.memory is not None and first.cost_usd > 0
        assert second.memory.saved_usd == first.cost_usd
        assert second.memory.saved_usage == first.usage
        assert second.answered.backend == "a" and second.answered.cost_usd == first.cost_usd
        (told,) = [event for event in self.events if isinstance(event, Remembered)]
        assert told.memory == second.memory and told.backend == "a"
        ended = [event for event in self.events if isinstance(event, Answered)][-1]
        assert (ended.task_id, ended.attempts, ended.cost_usd) == (told.task_id, 0, 0.0)

    async def test_without_a_memory_everything_is_asked(self) -> None:
        self.server.script("a", answer())
        router = self.router(self.server.backend("a"), memory=None)
        for _ in range(2):
            assert (await router.call_with_fallback(QUESTION)).memory is None
        assert self.server.asked("a") == 2
        assert router.explain(QUESTION).memory is None

    async def test_it_is_said_beforehand(self) -> None:
        self.server.script("a", answer())
        router = self.router(self.server.backend("a", **PAID))
        assert router.explain(QUESTION).memory is None
        assert router.most_usd(router.plan(QUESTION)) > 0
        result = await router.call_with_fallback(QUESTION)
        decision = router.explain(QUESTION)
        assert decision.memory is not None and decision.backend == "a"
        assert (decision.memory.backend, decision.memory.saved_usd) == ("a", result.cost_usd)
        assert decision.as_dict()["memory"]["backend"] == "a"
        assert router.most_usd(router.plan(QUESTION)) == 0.0

    async def test_one_players_answer_serves_another_and_tells_of_neither(self) -> None:
        self.server.script("a", answer("Person1Q is brave, and so is Person2Q."))
        router = self.router(self.server.backend("a"))

        def task(one: str, other: str) -> Task:
            return Task(f"Praise {one} and {other}.", kind="knowledge", identity=frozenset({one, other}))

        first = await router.call_with_fallback(task("Anna", "Bert"))
        second = await router.call_with_fallback(task("Zoe", "Yann Kowalski"))
        assert first.text == "Anna is brave, and so is Bert."
        assert second.text == "Zoe is brave, and so is Yann Kowalski."
        assert self.server.asked("a") == 1
        recall = router._recall
        assert recall is not None
        (entry,) = recall.memory._shelf
        for name in ("Anna", "Bert", "Zoe", "Kowalski"):
            assert name not in entry.as_json()
        # Unveiled, it is another question.
        await router.call_with_fallback(Task("Praise Anna and Bert.", kind="knowledge"))
        assert self.server.asked("a") == 2

    async def test_json_comes_back_parsed_and_with_names(self) -> None:
        schema = {"type": "object", "properties": {"hero": {"type": "string"}}, "required": ["hero"]}
        self.server.script("a", answer('{"hero": "Person1Q"}'))
        router = self.router(self.server.backend("a"))
        for name in ("Anna", "Zoe"):
            result = await router.call_with_fallback(Task(f"Is {name} one?", schema=schema, identity=frozenset({name})))
            assert result.content == {"hero": name}
        assert self.server.asked("a") == 1

    async def test_only_good_answers_are_kept(self) -> None:
        for script in (
            [refusal(), refusal()],
            [answer("High at noon, and then", finish_reason="length")],
            [answer("Tides follow the moon, twice a day. However, I cannot help with the rest of your request.")],
        ):
            self.server.requests.clear()
            self.server.script("a", *script, *script)
            self.server.script("b", *script, *script)
            router = self.router(self.server.backend("a"), self.server.backend("b"))
            task = replace(QUESTION, may_be_cut=True)
            for _ in range(2):
                await router.call_with_fallback(task)
                assert router.explain(task).memory is None
            assert self.server.asked("a") == 2

    async def test_a_failure_is_not_kept(self) -> None:
        self.server.script("a", status(500), answer())
        router = self.router(self.server.backend("a"))
        await gives_up(router)
        assert (await router.call_with_fallback(QUESTION)).memory is None

    async def test_a_bad_answer_is_forgotten(self) -> None:
        self.server.script("a", answer("The sun pulls on the water."), answer("The moon pulls on the water."))
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(QUESTION)
        task = Task("how do the tides work", kind="knowledge")
        again = await router.call_with_fallback(task)
        assert again.memory is not None
        router.feedback(task.id, again.answered, good=True)
        assert router.explain(QUESTION).memory is not None
        router.feedback(task.id, again.answered, good=False)
        assert router.explain(QUESTION).memory is None
        assert (await router.call_with_fallback(QUESTION)).text == "The moon pulls on the water."
        router.feedback("unknown", again.answered, good=False)
        assert router.explain(QUESTION).memory is not None

    async def test_whoever_was_answered_first_can_have_it_forgotten(self) -> None:
        self.server.script("a", answer())
        router = self.router(self.server.backend("a"))
        result = await router.call_with_fallback(QUESTION)
        router.feedback(QUESTION.id, result.answered, good=False)
        assert router.explain(QUESTION).memory is None

    async def test_fresh_asks_anew_and_is_kept_and_off_does_neither(self) -> None:
        self.server.script("a", answer("one"), answer("two"), answer("three"))
        router = self.router(self.server.backend("a"))
        for memory, text in (("use", "one"), ("fresh", "two"), ("use", "two"), ("off", "three"), ("use", "two")):
            assert (await router.call_with_fallback(QUESTION, memory=memory)).text == text
        with self.assertRaises(ValueError):
            router.plan(QUESTION, memory="sometimes")

    async def test_a_backend_that_is_wanted_is_not_replaced_by_anothers_memory(self) -> None:
        self.server.script("a", answer("of a"))
        self.server.script("b", answer("of b"))
        router = self.router(self.server.backend("a"), self.server.backend("b"))
        assert (await router.call_with_fallback(QUESTION)).text == "of a"
        assert (await router.call_with_fallback(QUESTION, "b")).text == "of b"
        assert (await router.call_with_fallback(QUESTION, "b")).memory is not None
        assert (await router.call("b", QUESTION)) == "of b"
        assert self.server.asked("b") == 2

    async def test_tasks_about_now_here_and_me_are_always_asked(self) -> None:
        self.server.script("a", answer())
        router = self.router(self.server.backend("a"))
        tasks = (
            Task("What time is it?"),
            Task("Where am I?"),
            Task("What is my name?"),
            Task("Poem!", temperature=0.9),
        )
        for number, task in enumerate(tasks * 2, 1):
            assert (await router.call_with_fallback(task)).memory is None
            assert self.server.asked("a") == number

    async def test_a_stream_of_what_is_known_gives_it_whole(self) -> None:
        self.server.script("a", answer("High at noon."))
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(QUESTION)
        for mode in ("whole", "eager"):
            stream = router.stream(QUESTION, mode=mode)
            assert "".join([piece async for piece in stream]) == "High at noon."
            assert stream.result is not None and stream.result.memory is not None
        assert self.server.asked("a") == 1

    async def test_a_reload_keeps_what_is_known_and_no_memory_forgets_it(self) -> None:
        self.server.script("a", answer())
        router = self.router(self.server.backend("a"))
        await router.call_with_fallback(QUESTION)
        config = router.registry.config
        router.reload(replace(config, memory=MemorySettings(max_entries=5)))
        assert router.explain(QUESTION).memory is not None
        router.reload(replace(config, memory=MemorySettings(rule_of={"knowledge": MemoryRule("never")})))
        assert router.explain(QUESTION).memory is None
        router.reload(config)
        await router.call_with_fallback(QUESTION)
        assert router.explain(QUESTION).memory is not None
        router.reload(replace(config, memory=None))
        assert router.explain(QUESTION).memory is None
        assert (await router.call_with_fallback(QUESTION)).memory is None

    async def test_practice_answers_never_serve_as_real_ones(self) -> None:
        self.server.script("a", answer("The tide is high at noon."))
        router = self.router(self.server.backend("a"), practice="auto")
        router.stage("a", "answer")
        staged = await router.call_with_fallback(QUESTION)
        assert staged.practice
        router.stage("a", "real")
        assert router.explain(QUESTION).memory is None
        assert (await router.call_with_fallback(QUESTION)).text == "The tide is high at noon."

    async def test_while_everybody_practises_practice_is_remembered_as_practice(self) -> None:
        router = self.router(self.server.backend("a"), practice="always")
        await router.start()
        first, second = [await router.call_with_fallback(QUESTION) for _ in range(2)]
        assert first.practice and first.memory is None
        assert second.practice and second.memory is not None and second.memory.practice


class Together(RouterTest):
    """Several identical tasks at once."""

    def router(self, *backends: Any, **settings: Any) -> Router:
        return super().router(*backends, **{"memory": MEMORY} | settings)

    async def until_asked(self, times: int) -> None:
        while self.server.asked("a") < times:
            await tick()

    async def test_they_are_asked_once(self) -> None:
        self.server.script("a", answer("High at noon."))
        router = self.router(self.server.backend("a", **PAID))
        results = await gatherResults([thinking(router, replace(QUESTION, id=str(n))) for n in range(20)])
        assert self.server.asked("a") == 1
        assert [result.text for result in results] == ["High at noon."] * 20
        assert sum(result.memory is None for result in results) == 1
        assert sum(result.cost_usd for result in results) == results[0].cost_usd

    async def test_each_has_their_own_names_put_back(self) -> None:
        self.server.script("a", answer("Person1Q is brave."))
        router = self.router(self.server.backend("a"))
        names = ["Anna", "Bert", "Cleo"]
        tasks = [thinking(router, Task(f"Praise {name}.", identity=frozenset({name}))) for name in names]
        assert [result.text for result in await gatherResults(tasks)] == [f"{name} is brave." for name in names]
        assert self.server.asked("a") == 1

    async def test_when_the_first_is_cancelled_the_next_asks(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a"))
        tasks = [thinking(router, replace(QUESTION, id=str(n))) for n in range(4)]
        await self.until_asked(1)
        tasks[2].cancel()
        self.server.script("a", answer())
        tasks[0].cancel()
        for cancelled in (tasks[0], tasks[2]):
            with self.assertRaises(CancelledError):
                await cancelled
        second, fourth = await tasks[1], await tasks[3]
        assert self.server.asked("a") == 2
        assert second.memory is None and fourth.memory is not None

    async def test_when_the_first_fails_the_next_asks(self) -> None:
        self.server.script("a", status(500), answer())
        router = self.router(self.server.backend("a"))
        tasks = [thinking(router, replace(QUESTION, id=str(n))) for n in range(3)]
        with self.assertRaises(AllBackendsFailed) as failed:
            await tasks[0]
        assert "server_error" in str(failed.exception)
        assert (await tasks[1]).memory is None and (await tasks[2]).memory is not None
        assert self.server.asked("a") == 2

    async def test_when_all_fail_all_are_told(self) -> None:
        self.server.script("a", status(400))
        router = self.router(self.server.backend("a"))
        tasks = [thinking(router, replace(QUESTION, id=str(n))) for n in range(300)]
        for task in tasks:
            with self.assertRaises(AllBackendsFailed):
                await task
        await tick()
        recall = router._recall
        assert recall is not None and len(recall.memory.flights) == 0

    async def test_an_answer_that_is_not_kept_is_nobody_elses(self) -> None:
        self.server.script("a", answer("High at noon, and", finish_reason="length"))
        router = self.router(self.server.backend("a"))
        tasks = [thinking(router, replace(QUESTION, id=str(n), may_be_cut=True)) for n in range(3)]
        results = await gatherResults(tasks)
        assert self.server.asked("a") == 3
        assert all(result.memory is None for result in results)

    async def test_nobody_waits_longer_than_they_may(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a"))
        first = thinking(router)
        await self.until_asked(1)
        failed = await gives_up(router, replace(QUESTION, id="hurried", deadline=0.05))
        assert "deadline of 0.05 s" in str(failed)
        assert self.server.asked("a") == 1
        first.cancel()
        with self.assertRaises(CancelledError):
            await first

    async def test_a_fresh_one_waits_for_nobody(self) -> None:
        self.server.script("a", silent())
        router = self.router(self.server.backend("a"))
        first = thinking(router)
        await self.until_asked(1)
        self.server.script("a", answer("fresh"))
        assert (await router.call_with_fallback(replace(QUESTION, id="2"), memory="fresh")).text == "fresh"
        first.cancel()
        with self.assertRaises(CancelledError):
            await first


# -- by the clock ------------------------------------------------------------------------------------------------------


def entry(text: str = "High.", **more: Any) -> MemoryEntry:
    return MemoryEntry("", "knowledge", text, "a", "m", 0.0, 0.0, **more)


def taught(memory: Memory, *prompts: str, kind: str = "knowledge") -> None:
    for prompt in prompts:
        assert memory.keep(memory.question(Task(prompt), kind), entry(prompt)) is not None


def known(memory: Memory, *prompts: str, kind: str = "knowledge") -> list[str]:
    return [prompt for prompt in prompts if memory.peek(memory.question(Task(prompt), kind)) is not None]


def test_an_answer_has_its_time_by_kind() -> None:
    clock = Clock()
    memory = Memory(MemorySettings(default=MemoryRule(keep=100), rule_of={"chat": MemoryRule(keep=10)}), clock)
    taught(memory, "tides?")
    taught(memory, "poem?", kind="chat")
    clock.advance(9.9)
    assert known(memory, "tides?") and known(memory, "poem?", kind="chat")
    clock.advance(0.2)
    assert known(memory, "tides?") and not known(memory, "poem?", kind="chat")
    clock.advance(90)
    assert not known(memory, "tides?")


def test_the_least_recently_used_goes_first_in_all_and_by_kind() -> None:
    clock = Clock()
    memory = Memory(MemorySettings(max_entries=4, rule_of={"chat": MemoryRule(max_entries=2)}), clock)
    taught(memory, "p one", "p two", "p three", kind="chat")
    assert known(memory, "p one", "p two", "p three", kind="chat") == ["p two", "p three"]
    taught(memory, "q one", "q two")
    used = memory.find(memory.question(Task("p two"), "chat"))
    try:
        used.send(None)
    except StopIteration as done:
        assert done.value is not None
    taught(memory, "q three")
    assert known(memory, "p two", "p three", kind="chat") == ["p two"]
    assert known(memory, "q one", "q two", "q three") == ["q one", "q two", "q three"]
    memory.reload(MemorySettings(max_entries=1))
    assert len(memory) == 1


def test_similar_questions_are_matched_where_the_operator_allows_it() -> None:
    long = "Which of the rivers of Africa that flow into the Atlantic Ocean are longer than 500 kilometres in all"
    similar = long.replace("longer than", "actually longer than").replace("Africa", "Africa,")
    other = long.replace("500", "600")
    for rule, matches in ((MemoryRule("exact"), False), (MemoryRule("similar", above=0.9), True)):
        memory = Memory(MemorySettings(rule_of={"knowledge": rule}), Clock())
        taught(memory, long)
        found = memory.peek(memory.question(Task(similar), "knowledge"))
        assert (found is not None) == matches
        assert found is None or 0.9 < found[1] < 1.0
        assert memory.peek(memory.question(Task(other), "knowledge")) is None
        assert memory.peek(memory.question(Task(similar), "knowledge", practice=True)) is None
        assert memory.peek(memory.question(Task(similar, temperature=0.1), "knowledge")) is None
        assert memory.peek(memory.question(Task(similar), "knowledge", pin="b")) is None


def test_an_answer_that_is_too_long_is_not_kept() -> None:
    memory = Memory(MEMORY, Clock())
    assert memory.keep(memory.question(Task("rivers?"), "knowledge"), entry("x" * 50_001)) is None


def test_a_thousand_who_wait_are_told_one_after_the_other() -> None:
    clock = Clock()
    flights = SingleFlight(clock)
    told: list[object] = []
    assert flights.join("k").result is Turn.ASK
    waiting = [flights.join("k") for _ in range(1000)]

    def fails(turn: object) -> None:
        told.append(turn)
        flights.failed("k")

    for one in waiting:
        one.addCallback(fails)
    flights.failed("k")
    for _ in range(1001):
        clock.advance(0)
    assert told == [Turn.ASK] * 1000
    assert len(flights) == 0


def test_whoever_stops_waiting_is_not_told() -> None:
    clock = Clock()
    flights = SingleFlight(clock)
    flights.join("k")
    first, second, third = (flights.join("k") for _ in range(3))
    told: list[object] = []
    for one in (first, second, third):
        one.addCallbacks(told.append, lambda why: why.trap(CancelledError))
    first.cancel()
    assert flights.waiting("k") == 2
    flights.answered("k", entry())
    second.cancel()
    clock.advance(0)
    assert len(told) == 1 and flights.waiting("k") == 0
