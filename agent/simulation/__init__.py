"""What the routing would have made of a month of traffic: ``python -m agent simulate --traffic F --config C``.

    rows, faults = read_traffic(lines)
    outcomes = simulate(rows, config, suits)         # by policy: headroom, rules, cheapest, ...
    outcomes |= optimum_of(rows, config, suits)      # needs scipy
    figures(outcomes)                                # what --json prints

The rows run on a virtual clock through the real ranking and the real quotas, and through every other strategy
(:mod:`~agent.simulation.policies`), against providers that count for themselves (:mod:`~agent.simulation.providers`).
What could have been is a linear program (:mod:`~agent.simulation.optimum`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..config.settings import Config
from .backlog import GoalRow, read_goals
from .optimum import Unsolvable, optimum
from .plot import burn_down
from .policies import policies
from .replay import Outcome, Situation, replay
from .traffic import Row, read_traffic

__all__ = [
    "GoalRow",
    "Outcome",
    "Row",
    "Unsolvable",
    "burn_down",
    "figures",
    "optimum_of",
    "read_goals",
    "read_traffic",
    "simulate",
    "table",
]

OPTIMUM, ALONE = "optimum", "traffic alone"
#: The policies beside which a backlog is worked.
BESIDE_GOALS = ("headroom", "rules", "cheapest", "route")


def simulate(
    rows: Sequence[Row],
    config: Config,
    suits: Mapping[str, frozenset[str]],
    goals: Sequence[GoalRow] = (),
    watched: Callable[[str, Sequence[Row]], Iterable[Row]] = lambda name, rows: rows,
) -> dict[str, Outcome]:
    """Every policy's outcome by its name; with a backlog of ``goals``, those of :data:`BESIDE_GOALS`.

    ``traffic alone`` is then what ``headroom`` makes of the traffic without the backlog. ``watched`` passes the rows of
    each on, for whoever sees them go by.
    """
    situation = Situation(config, suits)
    if not goals:
        made = policies(situation.config, situation.suits)
        return {name: replay(rows, situation, policy, (), watched(name, rows)) for name, policy in made.items()}
    made = policies(situation.config, situation.suits)
    names = [name for name in BESIDE_GOALS if name in made]
    outcomes = {name: replay(rows, situation, made[name], goals, watched(name, rows)) for name in names}
    outcomes[ALONE] = replay(rows, situation, policies(situation.config, situation.suits)["headroom"])
    return outcomes


def optimum_of(
    rows: Sequence[Row], config: Config, suits: Mapping[str, frozenset[str]], goals: Sequence[GoalRow] = ()
) -> dict[str, Outcome]:
    """The outcome that could have been, under its name. Raises Unsolvable, also where scipy is missing."""
    return {OPTIMUM: optimum(rows, Situation(config, suits), goals)}


def figures(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """``{"policies": {"headroom": {"utilisation": 0..1, ...}, ...}}``"""
    best, alone = outcomes.get(OPTIMUM), outcomes.get(ALONE)
    told = {name: outcome.figures(best) for name, outcome in outcomes.items()}
    for name, outcome in outcomes.items():
        if alone is not None and outcome.backlog is not None and name != OPTIMUM:
            # What the tasks that somebody waits for have lost by the backlog, beside the same traffic without it.
            told[name]["interactive_lost"] = {
                "first_choice": round((alone.first_choice - outcome.first_choice) / max(1, alone.tasks), 4),
                "delayed": round(outcome.delayed - alone.delayed),
                "delay_ms": round(outcome.delay_ms, 3),
            }
    return {"policies": told}


def table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """The same for people, and how much of each quota was used."""
    lines = [
        f"{'policy':<17}{'of optimum':>11}{'utilisation':>13}{'first choice':>14}"
        f"{'delayed':>9}{'violations':>12}{'cost':>11}"
    ]
    for name, figure in figures(outcomes)["policies"].items():
        best = "-" if figure["of_optimum"] is None else f"{figure['of_optimum']:.1%}"
        lines.append(
            f"{name:<17}{best:>11}{figure['utilisation']:>13.1%}{figure['first_choice']:>14.1%}"
            f"{figure['delayed']:>9}{figure['violations']:>12}{'$' + format(figure['cost_usd'], ',.2f'):>11}"
        )
    for name, outcome in outcomes.items():
        if (done := outcome.backlog) is not None:
            lines.append(
                f"{name}: {done['goals_done']:,} of {done['goals']:,} goals done, {done['steps_done']:,} steps,"
                f" {done['interrupted']:,} interrupted (${done['wasted_usd']:,.2f})"
            )
    shown = {name: outcome for name, outcome in outcomes.items() if name in ("headroom", "rules", OPTIMUM)}
    lines += ["", f"{'used of each quota at its reset':<46}" + "".join(f"{name:>10}" for name in shown)]
    for quota in next(iter(outcomes.values())).used:
        shares = (outcome.used.get(quota, (0.0, 0.0)) for outcome in shown.values())
        lines.append(f"{quota:<46}" + "".join(f"{used / limit if limit else 0.0:>10.1%}" for used, limit in shares))
    return lines
