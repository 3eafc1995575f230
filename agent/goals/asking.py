"""How one step is done: its task, asked of one brain or of two; or its function; or its check.

    text = await Doer(desk, record, step).do()

Raises Declined where the work was done and turned down, Busy where no lane is free for the rest of it, StepFailed
where it cannot be done, and AllBackendsFailed. Every answer is written down as it comes, so that none is paid twice.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from ..core.failures import UniwizardError
from ..core.result import RouteResult
from ..core.task import Task
from ..judge.agreement import alike
from ..judge.patterns import linear
from ..judge.schema import InvalidOutput, parse
from .actions import Action, Doing, check_named
from .goal import CHECK, Check
from .proposing import PROPOSAL, proposal_prompt
from .record import Part, Record, Step
from .store import NotKept

#: The step in which a brain proposes others.
PROPOSE = "propose"
#: Characters of one fact's text that go into a prompt.
MOST_TEXT = 60_000

YES_OR_NO: dict[str, Any] = {
    "type": "object",
    "required": ["yes", "evidence"],
    "properties": {"yes": {"type": "boolean"}, "evidence": {"type": "string", "minLength": 1}},
}
BETTER: dict[str, Any] = {
    "type": "object",
    "required": ["better", "why"],
    "properties": {"better": {"type": "integer", "enum": [1, 2]}, "why": {"type": "string"}},
}


class StepFailed(UniwizardError):
    """The step cannot be done; the message says why."""


class Refusing(StepFailed):
    """Those who were asked decline; somebody else, who was busy, may not."""

    def __init__(self, backends: Collection[str], said: str):
        self.backends = tuple(backends)
        super().__init__(said)


class OverBudget(StepFailed):
    """It would take more than the goal may use."""


class Busy(UniwizardError):
    """No lane is free for what is left of the step; what came of it is kept."""


class Declined(UniwizardError):
    """The step has looked at ``fact`` and turned it down; the message is the evidence."""

    def __init__(self, fact: str, evidence: str):
        self.fact = fact
        super().__init__(evidence)


class Bench(Protocol):
    """What a step needs of the desk."""

    def actions(self, record: Record) -> list[Action]:
        """Everything that can be done for the goal."""

    def lane(self, record: Record, step: Step, action: Action, tokens: int, avoid: Collection[str], json: bool) -> str:
        """The backend to ask first; empty leaves it to the action's strategy. Raises Busy, or StepFailed."""

    async def ask(self, record: Record, step: Step, task: Task, pin: str, strategy: str) -> RouteResult:
        """Have it done. Raises AllBackendsFailed, and Busy."""

    def save(self, record: Record) -> Deferred[None]:
        """Write it down; fires once that is durable. Fails with NotKept."""

    def note(self, record: Record) -> None:
        """Write it down, where nobody waits for that."""

    def judged(self, task_id: str, *, good: bool) -> None:
        """A check has found what the task brought good, or not."""

    def strategy_of(self, action: Action) -> str:
        """Its lane: the strategy that decides whom to ask; empty for none of its own."""


class Doer:
    """Does one step."""

    def __init__(self, desk: Bench, record: Record, step: Step, action: Action):
        self._desk, self._record, self._step, self._action = desk, record, step, action

    async def do(self) -> str:
        """The text of what the step makes."""
        if self._step.action == PROPOSE:
            fact = self._step.why
            prompt = proposal_prompt(self._record, fact, self._desk.actions(self._record))
            part = await self._part("1", prompt, schema=PROPOSAL)
            self._step.parts["1"] = part
            return part.text
        if self._step.action.startswith(CHECK):
            number = int(self._step.action.removeprefix(CHECK))
            return await self._check(self._record.goal.checks[number - 1])
        if self._action.decides:
            of = sorted(self._action.needs)[0]
            return await self._check(Check("question", self._action.prompt, of, self._action.brains))
        texts = {fact: self._record.facts[fact] for fact in self._step.needs}
        if self._action.run is not None:
            goal = self._record.goal
            return str(
                await _waited(
                    self._action.run(Doing(self._record.id, goal.words, self._record.owner, texts, goal.options))
                )
            )
        return await self._work(texts)

    # -- work ----------------------------------------------------------------------------------------------------

    async def _work(self, texts: Mapping[str, str]) -> str:
        prompt = self._prompt(texts)
        schema = self._record.goal.schema if self._action.schema else None
        first = await self._part("1", prompt, schema=schema)
        if self._action.brains < 2:
            return first.text
        second = await self._part("2", prompt, schema=schema, avoid=[first.backend])
        same = first.content == second.content if schema is not None else alike(first.text, second.text)
        if same:
            return first.text
        prompt = (
            f"Two people were asked for this:\n\n{self._record.goal.words}\n\nFIRST\n\n{first.text}\n\nSECOND\n\n"
            f"{second.text}\n\nThey differ. Which is right, or nearer to it?"
        )
        third = await self._part("3", prompt, schema=BETTER, avoid=[first.backend, second.backend])
        chosen = second if isinstance(third.content, dict) and third.content.get("better") == 2 else first
        return chosen.text

    def _prompt(self, texts: Mapping[str, str]) -> str:
        goal = self._record.goal
        cut = {fact: text[:MOST_TEXT] for fact, text in texts.items()}
        if self._action.proposed:
            shown = "".join(f"\n\n{fact.upper()}\n\n{text}" for fact, text in cut.items())
            prompt = f"{self._action.prompt}\n\nIt is a part of this:\n\n{goal.words}{shown}"
        else:
            options = defaultdict(lambda: "what was asked for", {k.upper(): v for k, v in goal.options.items()})
            prompt = self._action.prompt.format_map(defaultdict(str, {**cut, "goal": goal.words}) | options)
        if not self._action.needs:
            prompt += self._material()
        made = set(self._step.makes)
        if self._record.lessons and made & set(self._record.avoid):
            lessons = "\n".join(f"- {lesson}" for lesson in self._record.lessons)
            prompt = f"{prompt}\n\nEarlier tries were turned down for this:\n{lessons}"
        return prompt

    def _material(self) -> str:
        """The texts that the goal came with, for whoever begins or checks."""
        return "".join(f"\n\n{fact.upper()}\n\n{text[:MOST_TEXT]}" for fact, text in self._record.goal.given.items())

    # -- checks --------------------------------------------------------------------------------------------------

    async def _check(self, check: Check) -> str:
        """The evidence that ``check`` is passed. Raises Declined."""
        text = self._record.facts[check.of]
        match check.kind:
            case "question":
                evidence = await self._question(check, text)
            case "schema":
                try:
                    parse(text, check.value)
                    evidence = ""
                except InvalidOutput as invalid:
                    evidence = f"does not fit the JSON Schema: {invalid}"
            case "pattern":
                evidence = "" if linear(check.value)(text) else f"has no /{check.value}/ in it"
            case _:
                evidence = await _called(check.value, text)
        maker = self._record.makers.get(check.of)
        for part in self._record.step(maker).parts.values() if maker is not None else ():
            self._desk.judged(part.task, good=not evidence)
        if evidence:
            raise Declined(check.of, evidence)
        said = [part.content["evidence"] for part in self._step.parts.values() if isinstance(part.content, dict)]
        return said[0] if said else check.told

    async def _question(self, check: Check, text: str) -> str:
        """Ask as many brains as must be sure; why the answer is no, or empty."""
        prompt = (
            f"Somebody was asked for this:\n\n{self._record.goal.words}\n\nThis is what they gave:\n\n<<<\n"
            f"{text[:MOST_TEXT]}\n>>>{self._material()}\n\n{check.value}\n\nAnswer yes or no, with the words in it, or "
            "missing from it, that show it."
        )
        maker = self._record.makers.get(check.of)
        avoid = [self._record.step(maker).backend] if maker is not None else []
        said: list[Part] = []
        for number in range(check.sure):
            said.append(await self._part(str(number + 1), prompt, schema=YES_OR_NO, avoid=avoid))
            avoid = [*avoid, said[-1].backend]
        no = [part for part in said if not part.content["yes"]]
        if no and len(no) < len(said):
            # They differ: one more decides.
            said.append(await self._part("last", prompt, schema=YES_OR_NO, avoid=avoid))
            no = [part for part in said if not part.content["yes"]]
        return str(no[0].content["evidence"])[:400] or "no" if 2 * len(no) >= len(said) and no else ""

    # -- asking --------------------------------------------------------------------------------------------------

    async def _part(
        self, name: str, prompt: str, *, schema: Mapping[str, Any] | None = None, avoid: Collection[str] = ()
    ) -> Part:
        """One answer; the one that came before, where one did."""
        step, desk, record = self._step, self._desk, self._record
        known = step.parts.get(name)
        if known is not None and known.backend:
            return known
        down = record.turned_down_of(step)
        avoided = {*avoid, *self._apart(), *down}
        task = Task(
            prompt,
            kind=step.kind or None,
            schema=schema,
            background=True,
            context=f"goal.{self._action.name}",
            avoid=frozenset(down),
        )
        pin = desk.lane(record, step, self._action, task.estimated_tokens, avoided, schema is not None)
        step.parts[name] = Part(task.id)
        step.backend = step.backend or pin
        try:
            # Written down before it happens, or it does not.
            await desk.save(record)
        except NotKept as why:
            raise Busy(f"it cannot be written down: {why}") from None
        result = await desk.ask(record, step, task, pin, desk.strategy_of(self._action))
        if result.refused:
            who = list(dict.fromkeys(attempt.backend for attempt in result.refusals))
            raise Refusing(who, f"{' and '.join(who)} decline: {result.text[:200]}")
        part = step.parts[name] = Part(task.id, result.backend, result.text, result.content)
        step.backend = result.backend if name == "1" else step.backend
        # In the same turn as the answer came, and before anything is made of it.
        desk.note(record)
        return part

    def _apart(self) -> set[str]:
        """The brains of the facts that this step's are to be independent of, also of those that are under way."""
        facts = set(self._action.apart)
        return {step.backend for step in self._record.steps if step.backend and facts & set(step.makes)}


async def _called(name: str, text: str) -> str:
    """What a registered check finds wrong; empty where it is passed. Raises StepFailed."""
    try:
        said = await _waited(check_named(name)(text))
    except KeyError as unknown:
        raise StepFailed(str(unknown.args[0])) from None
    except Exception as error:
        raise StepFailed(f"the check {name} broke: {type(error).__name__}: {error}") from None
    if said is True or said is None or said == "":
        return ""
    return said if isinstance(said, str) else f"does not pass {name}"


async def _waited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) or isinstance(value, Deferred) else value
