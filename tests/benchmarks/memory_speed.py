"""What the memory costs, and whether it lies: microseconds per hit, and hits on pairs of questions.

    python tests/benchmarks/memory_speed.py [FOLDER]         # or: make bench

A hit is measured as what the memory adds to a task: working out its question, finding the entry, and making the result
with its events, once for a text that was seen before and once for texts never seen (each politer than the last). Beside
it the whole of ``call_with_fallback`` for the same tasks, of which the rest is redacting, classifying and ranking. CPU
time in the best of ROUNDS, since other work on the machine only ever adds. The bar: 20 microseconds for a hit.

FOLDER has files of pairs, one {"a", "b", "same"} a line: minimal_pairs.jsonl (never the same question),
trivial_rewrites.jsonl (always), question_pairs.jsonl. The bars: 0.5% hits on the first, 100% on the second.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from twisted.internet.task import Clock

from uniwizard.agent import Config, MemoryEntry, Router, Task, load
from uniwizard.agent.config.settings import MemoryRule, MemorySettings
from uniwizard.agent.config.yaml_files import CONFIGS
from uniwizard.agent.memory import Memory, canonical
from uniwizard.agent.memory import question as questions

HITS, ROUNDS = 500, 50
FILES = ("minimal_pairs", "trivial_rewrites", "question_pairs")
KEYS = ("ANTHROPIC_API_KEY", "MOONSHOT_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY")


def finish(work: Any) -> Any:
    """The value of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


def best(work: Callable[[Any], object], given: Iterable[Any]) -> float:
    """Microseconds for one of ``given``, in the best of the rounds."""
    given = list(given)
    fastest = float("inf")
    for _ in range(ROUNDS):
        questions._texts.clear()
        started = time.process_time()
        for one in given:
            work(one)
        fastest = min(fastest, time.process_time() - started)
    return fastest / len(given) * 1e6


def a_router() -> Router:
    config: Config = load(CONFIGS / "backends.yaml", dict.fromkeys(KEYS, "none"))
    return Router(replace(config, practice="never", memory=MemorySettings()), Clock())


def speed() -> None:
    router = a_router()
    recall = router._recall
    assert recall is not None
    plan = router.plan("What is the capital of Poland and how many people live in it?")
    assert plan.question is not None
    recall.memory.keep(plan.question, MemoryEntry("", "knowledge", "Warsaw; two million.", "gpt", "m", 0.0, 0.0))
    polite = [
        f"{hello}, {ask} what is the capital of Poland and how many people live in it{end}"
        for hello in ("Hi", "hello", "Good morning", "HEY")
        for ask in ("please:", "could you tell me", "can you please tell me", "tell me:", "do you know")
        for end in ("?", "? Thanks!", "??", ", please")
    ]
    assert len({canonical(text) for text in polite}) == 1

    def hit(text: str) -> None:
        task = replace(plan.redacted.task, prompt=text)
        question = recall.memory.question(task, plan.decision.kind)
        asked = replace(plan, question=question)
        assert finish(recall.run(asked, _nobody)).memory is not None

    def copied(text: str) -> None:
        replace(plan, question=None)
        replace(plan.redacted.task, prompt=text)

    def whole(text: str) -> None:
        assert finish(router.call_with_fallback(Task(text))).memory is not None

    texts = [polite[0]] * HITS
    same = best(hit, texts) - best(copied, texts)
    new = best(hit, polite) - best(copied, polite)
    print(f"a hit, the text seen before        {same:8.1f} us   {'within' if same < 20 else 'OVER'} the bar of 20")
    print(f"a hit, the text never seen         {new:8.1f} us")
    print(f"the canonical text alone           {best(canonical, polite):8.1f} us")
    print(f"call_with_fallback, from memory    {best(whole, polite):8.1f} us")


async def _nobody(_: object) -> Any:
    raise AssertionError("asked")


def pairs(folder: Path) -> None:
    """Hits by file, exact and with similar matches allowed; and those that tasks bound to now, here or me forgo."""
    rules = {"exact": MemoryRule(), "similar above 0.97": MemoryRule("similar", above=0.97)}
    print(f"\n{'pairs':<18} {'match':<20} {'rows':>6} {'hits':>6} {'of the same':>12} {'false':>7} {'bound':>7}")
    for name in FILES:
        path = folder / f"{name}.jsonl"
        if not path.exists():
            print(f"{name:<18} not there")
            continue
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for match, rule in rules.items():
            right = wrong = bound = 0
            for row in rows:
                memory = Memory(MemorySettings(default=rule), Clock())
                one, other = (memory.question(Task(row[side]), "knowledge") for side in "ab")
                if one.why_not or other.why_not:
                    bound += 1
                    continue
                memory.keep(one, MemoryEntry("", "knowledge", "x", "a", "m", 0.0, 0.0))
                if memory.peek(other) is not None:
                    right, wrong = right + bool(row["same"]), wrong + (not row["same"])
            same = sum(bool(row["same"]) for row in rows)
            share = f"{right / same:.1%}" if same else "-"
            print(f"{name:<18} {match:<20} {len(rows):>6} {right + wrong:>6} {share:>12} {wrong:>7} {bound:>7}")


if __name__ == "__main__":
    speed()
    if len(sys.argv) > 1:
        pairs(Path(sys.argv[1]))
