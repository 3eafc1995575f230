"""The figures of the judge by class, with intervals, as a page. For development only (see requirements.txt).

    python tests/judge_training/measure.py [--data LABELLED.jsonl] [--scores SCORES.json] [--page PAGE.md]

No row is judged by weights that have seen it: what is held out by the shipped ones; the corpus by weights trained
without the fifth that its prompt or conversation is in; LABELLED.jsonl, whose rows are labelled by people and stay
outside of the project, by weights trained without the model that wrote the answer. Intervals are 95%, by bootstrap over
prompts (or conversations), as answers to one prompt are alike. SCORES.json is what ``train.py --scores`` keeps.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import Row, held_rows, own_rows, rows_of, without_context
from train import training

from uniwizard.agent.judge import JudgeSettings
from uniwizard.agent.judge.judging import judge

#: Resamples of the bootstrap.
RESAMPLES = 1000

SETTINGS = JudgeSettings()


@dataclass(frozen=True)
class Judged:
    """One answer with its truth and what the judge makes of it: ``seen`` as declining, ``rerouted``."""

    row: Row
    seen: bool
    rerouted: bool


def shipped(rows: Sequence[Row]) -> list[Judged]:
    """By the shipped weights."""
    verdicts = [(row, judge(row.task, row.response)) for row in rows]
    return [Judged(row, v.refused or v.partial, v.refused) for row, v in verdicts]


def by_scores(rows: Sequence[Row], scores: dict[str, Sequence[float]]) -> list[Judged]:
    """By the probabilities (declines, refuses) that weights gave which had not seen the row."""
    found = []
    for row in rows:
        declines, refuses = map(float, scores[row.id])  # as numpy's, their truths would not add up
        rerouted = refuses >= SETTINGS.reroute_at
        found.append(Judged(row, rerouted or declines >= SETTINGS.refuse_at, rerouted))
    return found


def unseen_scores(data: Path | None) -> dict[str, Sequence[float]]:
    """What ``train.py --scores`` keeps, computed here."""
    trained, _ = training(rows_of(data) if data else [])
    declines, refuses = trained.unseen()
    return {row.id: (d, r) for row, d, r in zip(trained.rows, declines, refuses, strict=True)}


#: A figure is a ratio of two sums over answers: what one answer adds to the upper and to the lower one.
Figure = Callable[[Judged], tuple[float, float]]

FIGURES: dict[str, Figure] = {
    "full refusals accepted": lambda j: (j.row.refuses and not j.rerouted, j.row.refuses),
    "complying answers rerouted": lambda j: (not j.row.declines and j.rerouted, not j.row.declines),
    "partials kept": lambda j: (j.row.label == "partial" and not j.rerouted, j.row.label == "partial"),
    "F1, refused or partial": lambda j: (2 * (j.seen and j.row.declines), j.seen + j.row.declines),
    "false alarms": lambda j: (not j.row.declines and j.seen, not j.row.declines),
}


def interval(judged: Sequence[Judged], name: str) -> str:
    """The figure with its 95% interval; empty where there is nothing of the kind."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in judged:
        groups[one.row.group].append(FIGURES[name](one))
    sums = np.array([np.sum(np.array(part, dtype=float), axis=0) for part in groups.values()])
    upper, lower = sums.sum(axis=0)
    declining = any(one.row.declines for one in judged)
    if not lower or (name.startswith("F1") and not declining):
        return ""
    drawn = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES) @ sums
    drawn = drawn[drawn[:, 1] > 0]
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    shape = "{:.3f} ({:.3f} to {:.3f})" if name.startswith("F1") else "{:.1%} ({:.1%} to {:.1%})"
    return shape.format(upper / lower, low, high)


def table(title: str, parts: dict[str, list[Judged]]) -> Iterator[str]:
    """One table of the page, a line for each part."""
    yield f"\n## {title}\n"
    yield "| | answers | " + " | ".join(FIGURES) + " |"
    yield "| --- | ---: |" + " ---: |" * len(FIGURES)
    for name, judged in parts.items():
        if judged:
            yield f"| {name} | {len(judged)} | " + " | ".join(interval(judged, f) for f in FIGURES) + " |"


def split(judged: Sequence[Judged], key: Callable[[Row], str]) -> dict[str, list[Judged]]:
    """The answers by a column of their rows, after all of them."""
    parts: dict[str, list[Judged]] = {"all": list(judged)}
    for one in judged:
        parts.setdefault(key(one.row) or "-", []).append(one)
    return parts


def page(data: Path | None, scores: dict[str, Sequence[float]]) -> Iterator[str]:
    """The page, line by line."""
    yield "# The judge's figures"
    yield "\nMade by `tests/judge_training/measure.py`, which says how. 95% intervals, by bootstrap over prompts. No"
    yield "row was trained on by the weights that judge it."
    yield f"Thresholds: `refuse_at` {SETTINGS.refuse_at}, `reroute_at` {SETTINGS.reroute_at}."
    held = held_rows()
    tricky, agents = ([row for row in held if (row.klass == "agents") is wanted] for wanted in (False, True))
    yield from table("Held out: everyday tricky answers", split(shipped(tricky), lambda row: row.klass))
    yield from table("Held out: agents' conversations", split(shipped(agents), lambda row: row.kind))
    bare = without_context(agents)
    yield from table("The same without tools and results", split(shipped(bare), lambda row: row.kind))
    if data is not None:
        judged = by_scores(rows_of(data), scores)
        yield from table(
            "Answers labelled by people, each model by weights trained without it", split(judged, lambda r: r.model)
        )
    own = own_rows()
    yield from table("The corpus, cross-validated", split(by_scores(own, scores), lambda row: row.klass))
    in_agents = by_scores([row for row in own if row.klass == "agents"], scores)
    yield from table("Its agents' conversations", split(in_agents, lambda row: row.kind))
    yield from table("By language", split(by_scores(own, scores), lambda row: row.language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="answers labelled by people")
    parser.add_argument("--scores", type=Path, help="what train.py --scores kept; else it is computed")
    parser.add_argument("--page", type=Path, help="write the page there; else it is printed")
    args = parser.parse_args()
    scores = json.loads(args.scores.read_text()) if args.scores else unseen_scores(args.data)
    text = "\n".join(page(args.data, scores)) + "\n"
    if args.page is None:
        print(text)
    else:
        args.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
