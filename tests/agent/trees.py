"""Trees of strategies for the tests: drawn at random, as a backends file would have them, over given backends."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from uniwizard.agent.core.task import KINDS

KEYS = ("a", "b", "c", "d")

Spec = Any


def leaves() -> st.SearchStrategy[Spec]:
    open_ones = ["ranked", "rules", "round_robin", "least_busy", "latency", "usage", "cost", "headroom", "cascade"]
    return st.one_of(
        st.sampled_from(KEYS),
        st.sampled_from([*open_ones, "race", "hedge", "vote", "learned"]),
    )


def whens() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda kinds: {"kind": kinds}, st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True)),
        st.builds(lambda above: {"tokens": {"above": above}}, st.integers(0, 50)),
        st.builds(lambda below: {"budget": {"left_below": below}}, st.sampled_from([0.1, 0.9])),
        st.builds(lambda key, state: {"backend": {key: state}}, st.sampled_from(KEYS),
                  st.sampled_from(["available", "unavailable", "busy", "open"])),
        st.builds(lambda key: {"headroom": {"backend": key, "below": 0.5}}, st.sampled_from(KEYS)),
        st.builds(lambda hour: {"hour": {"from": hour, "to": (hour + 8) % 24}}, st.integers(0, 23)),
        st.just({"not": {"context": "supervisor.*"}}),
        st.just({"any": [{"tier": "gold"}, {"language": ["pl", "en"]}], "needs": ["json"]}),
    )  # fmt: skip


def over(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[list[Spec]]:
    return st.lists(inner, min_size=1, max_size=3)


def nodes(inner: st.SearchStrategy[Spec]) -> st.SearchStrategy[Spec]:
    several = over(inner)
    plain = st.sampled_from(
        ["ranked", "rules", "fallback", "round_robin", "least_busy", "latency", "usage", "cost", "headroom", "learned"]
    )
    until = st.sampled_from([{"confidence": 0.7}, {"agreement": 0.6, "samples": 3}, {"confidence": 0.0}])
    return st.one_of(
        st.builds(lambda use, of: {"use": use, "over": of}, plain, several),
        st.builds(lambda use, of, width: {"use": use, "over": of, "width": width},
                  st.sampled_from(["race", "hedge", "vote"]), several, st.integers(2, 4)),
        st.builds(lambda of, when: {"use": "cascade", "over": of, "until": when}, several, until),
        st.builds(lambda keys: {"use": "weighted", "weights": dict(zip(keys, (1, 3, 0.5), strict=False))},
                  st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True)),
        st.builds(lambda cases, rest: {"use": "conditional", "otherwise": rest,
                                       "cases": [{"when": when, "then": then} for when, then in cases]},
                  st.lists(st.tuples(whens(), inner), min_size=1, max_size=3), inner),
        st.builds(lambda then, by: {"use": "sticky", "then": then, "by": by}, inner,
                  st.sampled_from(["conversation", "asker"])),
        st.builds(lambda a, b, by: {"use": "split", "by": by, "name": "ab",
                                    "arms": {"x": {"share": 30, "then": a}, "y": {"share": 70, "then": b}}},
                  inner, inner, st.sampled_from(["asker", "conversation", "task"])),
        st.builds(lambda a, b: {"use": "shadow", "then": a, "shadow": b, "share": 1}, inner, inner),
        st.builds(lambda a, b, how: {"use": "strong_weak", "strong": a, "weak": b, **how}, inner, inner,
                  st.sampled_from([{"threshold": 0.5}, {"strong_share": 0.3}, {"quality": 0.9}, {}])),
        st.builds(lambda of, quality: {"use": "learned", "over": of, "quality": quality, "cost": 0.1, "latency": 0.1},
                  several, st.sampled_from([0.8, 1.0])),
    )  # fmt: skip


def trees() -> st.SearchStrategy[Spec]:
    return st.recursive(leaves(), nodes, max_leaves=8)
