"""The way of a task, with fakes for everything that it needs and no router."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from uniwizard.agent import AllBackendsFailed, BudgetSpent, Decision, Task
from uniwizard.agent.core.answer import Answer, Usage
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.core.decision import Work
from uniwizard.agent.core.events import Event
from uniwizard.agent.core.failures import AttemptFailed, FailureCode, LeakFound
from uniwizard.agent.core.verdict import Verdict
from uniwizard.agent.engine.admission import BudgetReached, NotAdmitted
from uniwizard.agent.engine.plan import Plan
from uniwizard.agent.engine.run import AttemptOutcome, Run
from uniwizard.agent.engine.runner import TaskRunner
from uniwizard.agent.privacy.blindfold import Blindfold
from uniwizard.agent.strategies.choice import Step

TASK = Task("How do the tides work?")
GOOD = Answer("The moon pulls.")


class FakeChooser:
    """The keys in their order, whatever failed."""

    def __init__(self, *keys: str):
        self.order = keys

    def fallbacks(self, key: str) -> tuple[str, ...]:
        return ()

    def obstacle(self, key: str) -> str:
        return ""

    def first(self, plan: Plan) -> Step | None:
        return Step((plan.first,)) if plan.first else None

    def following(self, run: Run, failure: FailureCode) -> Step | None:
        return next((Step((key,)) for key in self.order if key not in run.tried), None)

    def ended(self, run: Run, outcome: AttemptOutcome | None) -> None: ...

    def settles(self, run: Run, outcome: AttemptOutcome) -> bool:
        return outcome.failure is None


class FakeReservation:
    def __init__(self, backend: Backend, book: list[str]):
        self.backend = backend
        self.book = book
        self.limit = None

    def expected(self) -> tuple[Usage, float]:
        return Usage(10, 20, estimated=True), 0.01

    def settle(self, outcome: AttemptOutcome, *, overdue: bool) -> None:
        self.book.append(f"settled {self.backend.key} {outcome.failure}")

    def release(self) -> None:
        self.book.append(f"released {self.backend.key}")


class FakeAdmission:
    def __init__(self, **backends: Backend):
        self.backends = backends
        self.closed: dict[str, Exception] = {}
        self.book: list[str] = []

    async def acquire(self, key: str, plan: Plan, until: float) -> FakeReservation:
        if key in self.closed:
            raise self.closed[key]
        return FakeReservation(self.backends[key], self.book)


class FakeClient:
    """Answers by the script, one entry a call."""

    def __init__(self, **script: Any):
        self.script = script
        self.asked: list[tuple[str, str]] = []

    async def ask(self, task: Task, backend: Backend, *_: Any) -> Answer:
        self.asked.append((backend.key, task.prompt))
        said = self.script[backend.key]
        if isinstance(said, list):
            said = said.pop(0)
        if isinstance(said, Deferred):
            said = await said
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, Answer)
        return said


class FakeJournal:
    def __init__(self) -> None:
        self.tasks: list[str] = []

    def recorded(self, task_id: str) -> Deferred[None]:
        self.tasks.append(task_id)
        return succeed(None)


def judged(task: Task, answer: Answer, key: str) -> Verdict:
    """Whatever says "no" is a refusal."""
    return Verdict(FailureCode.REFUSED, 1.0, answer.text, "policy") if answer.text == "no" else Verdict()


class Road:
    """A runner over two backends, and everything that it was told or did."""

    def __init__(self, **script: Any):
        self.clock = Clock()
        self.events: list[Event] = []
        self.chooser = FakeChooser("a", "b")
        backends = {key: Backend(key, "openai", "http://x", "m", retries=2) for key in "ab"}
        self.admission = FakeAdmission(**backends)
        self.client = FakeClient(**script)
        self.journal = FakeJournal()
        self.runner = TaskRunner(
            self.chooser,
            self.admission,
            self.client,
            judged,
            self.events.append,
            self.clock,
            lambda retry: 1.0,
            self.journal,
        )

    def plan(self, task: Task = TASK, backend: str = "a") -> Plan:
        blindfold = Blindfold(task.identity)
        redacted = blindfold.redact(task)
        decision = Decision(backend, "chat", 1.0, (), ())
        return Plan(task, redacted, blindfold, decision, Work("chat", 10), "Answer plainly.")

    def run(self, plan: Plan | None = None, **more: Any) -> list[Any]:
        ended: list[Any] = []
        Deferred.fromCoroutine(self.runner.run(plan or self.plan(), **more)).addBoth(ended.append)
        return ended

    def heard(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


def failed(failure: FailureCode, **more: Any) -> AttemptFailed:
    return AttemptFailed(failure, "as scripted", **more)


def test_a_task_is_admitted_written_down_asked_judged_and_settled() -> None:
    road = Road(a=GOOD)
    (result,) = road.run()
    assert (result.text, result.backend) == ("The moon pulls.", "a")
    assert road.journal.tasks == [TASK.id]
    assert road.admission.book == ["settled a None"]
    assert road.heard() == ["AttemptStarted", "AttemptEnded", "Answered"]


def test_a_refusal_turns_to_the_next_backend() -> None:
    road = Road(a=Answer("no"), b=GOOD)
    (result,) = road.run()
    assert result.backend == "b"
    assert road.heard() == [
        *("AttemptStarted", "AttemptEnded", "Refused", "FellBack"),
        *("AttemptStarted", "AttemptEnded", "Answered"),
    ]


def test_a_passing_failure_is_tried_again_here_after_its_wait() -> None:
    road = Road(a=[failed(FailureCode.OVERLOADED), GOOD])
    ended = road.run()
    assert ended == []
    road.clock.advance(1.0)
    assert ended[0].backend == "a"
    assert road.heard().count("Retrying") == 1


def test_whoever_is_not_admitted_is_passed_over() -> None:
    road = Road(b=GOOD)
    road.admission.closed["a"] = NotAdmitted(FailureCode.OVERLOADED, "breaker open")
    (result,) = road.run()
    assert result.backend == "b"
    assert len(result.attempts) == 1
    assert road.events[0].reason == "breaker open"  # type: ignore[attr-defined]


def test_a_budget_that_is_reached_ends_the_task() -> None:
    road = Road()
    road.admission.closed["a"] = BudgetReached("the game's budget is used up")
    (ended,) = road.run()
    assert isinstance(ended.value, BudgetSpent)
    assert ended.value.why == "the game's budget is used up"


def test_when_nobody_is_left_every_attempt_is_told() -> None:
    road = Road(a=failed(FailureCode.AUTH), b=failed(FailureCode.MALFORMED))
    (ended,) = road.run()
    assert isinstance(ended.value, AllBackendsFailed)
    assert [attempt.failure for attempt in ended.value.attempts] == [FailureCode.AUTH, FailureCode.MALFORMED]
    assert road.admission.book == ["settled a auth", "settled b malformed"]


def test_a_leak_ends_the_task_without_asking_anybody_else() -> None:
    road = Road(a=LeakFound(), b=GOOD)
    (ended,) = road.run()
    assert isinstance(ended.value, AllBackendsFailed)
    assert road.client.asked == [("a", TASK.prompt)]
    assert "Leaked" in road.heard()


def test_names_are_taken_out_before_the_client_and_put_back_in_the_result() -> None:
    task = replace(TASK, prompt="Tell Zuzanna of the tides.", identity=frozenset({"Zuzanna"}))
    road = Road(a=GOOD)
    plan = road.plan(task)
    placeholder = plan.redacted.task.prompt.removeprefix("Tell ").removesuffix(" of the tides.")
    road.client.script["a"] = Answer(f"{placeholder}, the moon pulls.")
    (result,) = road.run(plan)
    assert "Zuzanna" not in road.client.asked[0][1]
    assert result.text == "Zuzanna, the moon pulls."


def test_the_decision_of_the_plan_is_the_one_that_is_followed() -> None:
    road = Road(a=GOOD, b=GOOD)
    (result,) = road.run(road.plan(backend="b"))
    assert result.backend == "b"


def test_a_deadline_ends_the_wait_for_a_retry() -> None:
    road = Road(a=failed(FailureCode.OVERLOADED), b=failed(FailureCode.OVERLOADED))
    (ended,) = road.run(road.plan(replace(TASK, deadline=0.5)))
    assert [attempt.backend for attempt in ended.value.attempts] == ["a", "b"]


def test_letting_go_settles_what_was_asked_for() -> None:
    waiting: Deferred[Answer] = Deferred()
    road = Road(a=waiting)
    under_way = Deferred.fromCoroutine(road.runner.run(road.plan()))
    ended: list[Any] = []
    under_way.addBoth(ended.append)
    under_way.cancel()
    assert ended[0].check(CancelledError)
    assert road.admission.book == ["settled a None"]
    assert road.heard()[-1] == "AttemptCancelled"


def test_what_breaks_on_the_way_gives_its_reservation_back() -> None:
    def broken(task: Task, answer: Answer, key: str) -> Verdict:
        raise ZeroDivisionError

    road = Road(a=GOOD)
    runner: Callable[..., Any] = TaskRunner(
        road.chooser, road.admission, road.client, broken, road.events.append, road.clock, lambda retry: 1.0
    ).run
    ended: list[Any] = []
    Deferred.fromCoroutine(runner(road.plan())).addBoth(ended.append)
    assert ended[0].check(ZeroDivisionError)
    assert road.admission.book == ["released a"]
