"""What it costs to hide names: in a short question, in the longest text there may be, and when somebody is created.

    python tests/benchmarks/redaction_speed.py

All times are of CPU. Bounds, which end the run with an error where they are missed: among 1,000 and among 10,000 names
a short question is redacted, and what is sent scanned, in 50 µs together; eight times the text takes at most 16 times
the time, whatever it says (a quadratic search takes 64); no piece of work between two turns of the reactor takes longer
than 20 ms; a name is added to 10,000 in 100 µs. ``quick`` as an argument takes texts of 200 kB.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from uniwizard.agent import Names, Task
from uniwizard.agent.core.backend import Backend
from uniwizard.agent.privacy.blindfold import Blindfold
from uniwizard.agent.wire import encode

SHORT_US, RATIO, TURN_MS, ADDING_US = 50.0, 16.0, 20.0, 100.0
SIZE = 3_900_000 if "quick" not in sys.argv else 200_000
BACKEND = Backend("one", "openai", "https://example.com/v1", "model-1", api_key="k")


def some_names(count: int) -> list[str]:
    """Names like those of a game's players: syllables, some of two words, some with figures."""
    chance = random.Random(7)
    syllables = ["ba", "ri", "ko", "lu", "mi", "zen", "tho", "dra", "wen", "sha", "kel", "or", "ax", "ny", "fe", "gul"]

    def word() -> str:
        return "".join(chance.choice(syllables) for _ in range(chance.randint(2, 4))).capitalize()

    return [
        chance.choice((f"{word()}", f"{word()} {word()}", f"{word()}{n}", f"{word()}_the_{word()}"))
        for n in range(count)
    ]


def best(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of CPU of the fastest of some runs."""
    took = []
    for _ in range(times):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return min(took)


def short(count: int) -> tuple[float, float]:
    """µs to redact a short question and to scan what is sent, among so many names; every question is another."""
    blindfold = Blindfold(Names(some_names(count)), ["Timmy"])
    tasks = [
        Task(f"How do tides work at harbour {number}?", identity=frozenset({"Zephyrine"})) for number in range(500)
    ]
    bodies = [encode(task, BACKEND, "Answer plainly, in one paragraph.").body.decode() for task in tasks]
    both = blindfold.plus(frozenset({"Zephyrine"}))
    redacting = best(lambda: [blindfold.plus(task.identity).redact(task) for task in tasks]) / len(tasks)
    scanning = best(lambda: [both.scan(body) for body in bodies]) / len(tasks)
    return redacting * 1e6, scanning * 1e6


def worst() -> Iterator[tuple[str, Blindfold, str]]:
    """Texts that are hard on a searcher of names: what they are, who is known, and a piece of text to repeat."""
    annas = Blindfold(Names(f"Anna {number}" for number in range(10_000)))
    yield "Anna Anna ..., 10,000 names Anna N", annas, "Anna "
    yield "Anna 1 Anna 2 ...", annas, "Anna 1 Anna 77 "
    yield "1.1.1.1 1.1.1.1 ..., user 1.1.1.1x", Blindfold(["1.1.1.1x"]), "1.1.1.1 "
    many = Blindfold(Names(some_names(10_000)))
    yield "prose, 10,000 names", many, "It is said that the tides of the old harbour turn twice a day. "
    yield "the the the ..., a player The", Blindfold(["The"]), "the "
    yield "%41%6E%6Ea ...", annas, "%41%6E%6Ea "
    yield "no blank at all", many, "abcDEF1_"
    yield "ideographs", Blindfold(["名前", "人"]), "名前人"
    yield "backslashes", annas, "\\"
    yield "half escapes", annas, "\\u00\\x4&#"


def main() -> int:
    missed = []
    for count in (1_000, 10_000):
        redacting, scanning = short(count)
        print(f"{count:>6} names: redact {redacting:5.1f} µs, scan {scanning:5.1f} µs")
        if redacting + scanning > SHORT_US:
            missed.append(f"a short question takes {redacting + scanning:.0f} µs among {count} names")
    names = Names(some_names(10_000))
    adding = best(lambda: [names.add(f"Newcomer{number}") for number in range(1000)], 1) / 1000 * 1e6
    print(f"a name added to 10,000: {adding:.1f} µs")
    if adding > ADDING_US:
        missed.append(f"adding a name takes {adding:.0f} µs")
    print(f"\n{'text of 3.9 MB':<40} {'seconds':>8} {'8 times/once':>13} {'longest turn':>13}")
    gc.disable()
    for what, blindfold, piece in worst():
        text = piece * (SIZE // len(piece))
        eighth = Task(text[: len(text) // 8])
        blindfold.redact(Task(text[:20_000]))
        once = best(partial(blindfold.redact, eighth), 2)
        steps, longest = blindfold._redacting(Task(text)), 0.0
        started = mark = time.process_time()
        for _ in steps:
            longest, mark = max(longest, time.process_time() - mark), time.process_time()
        longest = max(longest, time.process_time() - mark)
        took = time.process_time() - started
        print(f"{what:<40} {took:>8.2f} {took / once:>13.2f} {longest * 1000:>10.1f} ms", flush=True)
        if took / once > RATIO:
            missed.append(f"{what}: not linear, {took / once:.1f}")
        if longest * 1000 > TURN_MS:
            missed.append(f"{what}: {longest * 1000:.0f} ms without a turn")
    for miss in missed:
        print(f"MISSED: {miss}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
