"""What is wrong with ``route:`` and ``strategies:``: names that mean nothing, circles, branches that nobody can reach.

The options of each strategy are in ``configs/backends.schema.json`` (``$defs``, ``use``), which is checked before.
Branches stand under the same words in all of them (:func:`branches`), so a new strategy needs nothing here.

Who is reached
    Of a branch two sets of backends are known: those it may come to (``possible``), and those it comes to in any case
    when all before them fail (``certain``). A branch in a sequence is out of reach when everything it may come to is
    certain before it. Of conditions, kinds and sizes are compared; all others only with themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from ..core.task import KINDS
from ..core.windows import zone
from .faults import Fault, Place, dotted, line_of, quoted, schema_of


@dataclass(frozen=True, slots=True)
class Options:
    """What a strategy takes: every option's name, and those that it cannot do without."""

    allowed: frozenset[str]
    required: tuple[str, ...]

    def __contains__(self, option: object) -> bool:
        return option in self.allowed

    def __iter__(self) -> Iterator[str]:
        return iter(self.allowed)


def _strategies() -> dict[str, Options]:
    schema: Any = schema_of("backends").schema
    uses = schema["$defs"]["use"]
    return {name: Options(frozenset(use["properties"]), tuple(use["required"])) for name, use in uses.items()}


#: Every strategy there is, by the name that ``use`` gives it.
STRATEGIES: dict[str, Options] = _strategies()

#: The options of strategies that a game or a package adds, by name: a JSON Schema for each.
_ADDED: dict[str, Mapping[str, Any]] = {}


def add_strategy(name: str, options: Mapping[str, Any]) -> None:
    """``use: name`` means something from now on: over ``over``, a list of names, and with these options."""
    STRATEGIES[name] = Options(frozenset(("use", "over", *options)), ())
    _ADDED[name] = options


def is_added(document: Any, place: Place) -> bool:
    """Whether what stands at ``place`` is the name of an added strategy, of which the schema does not know."""
    found = document
    for part in place:
        found = found[part]
    return bool(place) and place[-1] == "use" and isinstance(found, str) and found in _ADDED


#: Strategies whose branches follow on one another, so that a later one is asked when the earlier ones have failed.
_SEQUENCES = ("fallback", "cascade")
#: Strategies that take one of their branches and keep to it.
_EITHER = ("conditional", "split")

#: The formats of the files that ``model`` may name: a table of a game's own, and a trained model.
MODELS = ("uniwizard-table-1", "uniwizard-model-1")

_EVERY_KIND = frozenset(KINDS)


def route_faults(document: Any, lines: Mapping[Place, int], name: str) -> Iterator[Fault]:
    """Every fault in the strategies of a document that fits its schema."""
    yield from _Check(document, lines, name).faults()


def branches(spec: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """What a strategy has below it, and where: the names and strategies that its options hold."""
    if not isinstance(spec, dict):
        return
    for option in ("then", "otherwise", "shadow", "strong", "weak"):
        if option in spec:
            yield (*place, option), spec[option]
    for number, branch in enumerate(spec.get("over", ())):
        yield (*place, "over", number), branch
    for key in spec.get("weights", ()):
        yield (*place, "weights", key), key
    for arm, said in spec.get("arms", {}).items():
        yield (*place, "arms", arm, "then"), said["then"]
    for number, case in enumerate(spec.get("cases", ())):
        yield (*place, "cases", number, "then"), case["then"]


@dataclass(frozen=True, slots=True)
class _Holds:
    """When a condition holds, as far as conditions can be compared: kinds, sizes, and everything else by its words."""

    kinds: frozenset[str] = _EVERY_KIND
    above: float = float("-inf")
    below: float = float("inf")
    rest: frozenset[str] = frozenset()

    @property
    def never(self) -> bool:
        # Tokens are whole: nothing lies between 5 and 6.
        return not self.kinds or (self.below - self.above <= 1 and self.above >= -1) or self.below <= 0

    def within(self, when: Mapping[str, Any]) -> _Holds:
        """What is left of this under ``when``."""
        kinds, above, below, rest = self.kinds, self.above, self.below, set(self.rest)
        for key, value in when.items():
            if key == "kind":
                kinds &= frozenset(value if isinstance(value, list) else [value])
            elif key == "tokens":
                above, below = max(above, value.get("above", above)), min(below, value.get("below", below))
            elif key == "not" and set(value) == {"kind"}:
                kinds -= frozenset(value["kind"] if isinstance(value["kind"], list) else [value["kind"]])
            elif key == "all":
                inner = _Holds(kinds, above, below, frozenset(rest))
                for each in value:
                    inner = inner.within(each)
                kinds, above, below, rest = inner.kinds, inner.above, inner.below, set(inner.rest)
            else:
                rest.add(json.dumps([key, value], sort_keys=True))
        return _Holds(kinds, above, below, frozenset(rest))

    def covers_but_for_kinds(self, other: _Holds) -> bool:
        return self.above <= other.above and self.below >= other.below and self.rest <= other.rest


@dataclass(slots=True)
class _Check:
    document: Any
    lines: Mapping[Place, int]
    name: str
    keys: tuple[str, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = tuple(self.document["backends"])
        self.named = self.document.get("strategies", {})

    def faults(self) -> Iterator[Fault]:
        yield from self._of_names()
        roots: list[tuple[Place, Any]] = [(("strategies", name), spec) for name, spec in self.named.items()]
        if "route" in self.document:
            roots.append((("route",), self.document["route"]))
        found = [fault for place, spec in roots for fault in self._of_references(place, spec)]
        found += self._of_circles()
        yield from found
        if not found:
            # Reach is followed through the names, so these must mean something.
            for place, spec in roots:
                yield from self._of_reach(place, spec, _Holds())

    def _fault(self, place: Place, what: str, allowed: str = "") -> Fault:
        return Fault(self.name, line_of(self.lines, place), dotted(place), what, allowed)

    def _of_options(self, place: Place, spec: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Fault]:
        """What is wrong with the options of an added strategy."""
        for option, value in spec.items():
            if option == "over":
                if not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
                    yield self._fault((*place, option), "does not fit", "a list of names of backends and strategies")
            elif option in options:
                if not Draft202012Validator(options[option]).is_valid(value):
                    yield self._fault((*place, option), f"{quoted(value)} does not fit", json.dumps(options[option]))
            elif option != "use":
                yield self._fault((*place, option), "unknown key", ", ".join(("over", *options)))

    # -- names ---------------------------------------------------------------------------------------------------

    def _of_names(self) -> Iterator[Fault]:
        for name in self.named:
            taken = "a backend" if name in self.keys else "a kind of work" if name in KINDS else ""
            taken = taken or ("a strategy of its own" if name in STRATEGIES or name == "auto" else "")
            if taken:
                yield self._fault(("strategies", name), f"{quoted(name)} is {taken}", "another name")

    def _of_references(self, place: Place, spec: Any) -> Iterator[Fault]:
        if isinstance(spec, str):
            if spec in self.keys or spec in self.named:
                return
            if spec not in STRATEGIES:
                free = [name for name, options in STRATEGIES.items() if not options.required]
                yield self._fault(
                    place,
                    f"{quoted(spec)} is neither a backend nor a strategy",
                    ", ".join((*self.keys, *self.named, *free)),
                )
            elif needed := STRATEGIES[spec].required:
                yield self._fault(place, f"{spec} needs options", f"{{use: {spec}, {': ..., '.join(needed)}: ...}}")
            return
        if spec["use"] in _ADDED and (wrong := list(self._of_options(place, spec, _ADDED[spec["use"]]))):
            yield from wrong
            return
        if spec["use"] == "conditional":
            for number, case in enumerate(spec["cases"]):
                yield from self._of_condition((*place, "cases", number, "when"), case["when"])
        if "model" in spec:
            yield from self._of_model((*place, "model"), spec["model"])
        seen: set[str] = set()
        for inner, branch in branches(spec, place):
            if isinstance(branch, str) and (inner[-2] == "over" or inner[-1] in ("strong", "weak")):
                if branch in seen:
                    yield self._fault(inner, f"{quoted(branch)} stands here twice", "each once")
                seen.add(branch)
            yield from self._of_references(inner, branch)

    def _of_model(self, place: Place, model: str) -> Iterator[Fault]:
        """A model stands in a file of JSON, beside the backends file where its path is relative."""
        try:
            said = json.loads((Path(self.name).parent / model).read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or said.get("format") not in MODELS:
            yield self._fault(place, f"{quoted(model)} cannot be read", "a file that python -m agent learn has written")

    def _of_condition(self, place: Place, when: Mapping[str, Any]) -> Iterator[Fault]:
        for key, value in when.items():
            inner = (*place, key)
            if key in ("any", "all"):
                for number, each in enumerate(value):
                    yield from self._of_condition((*inner, number), each)
            elif key == "not":
                yield from self._of_condition(inner, value)
            elif key == "hour":
                try:
                    zone(value.get("zone", "UTC"))
                except ValueError:
                    yield self._fault(
                        (*inner, "zone"), f"{quoted(value['zone'])} is no time zone", "such as Europe/Vienna"
                    )
            for wanted in [value["backend"]] if key == "headroom" else list(value) if key == "backend" else ():
                if wanted not in self.keys:
                    yield self._fault(inner, f"{quoted(wanted)} is no backend", ", ".join(self.keys))
            if key in ("tokens", "headroom", "budget"):
                above = value.get("above", value.get("left_above", float("-inf")))
                below = value.get("below", value.get("left_below", float("inf")))
                if above >= below:
                    yield self._fault(inner, "never holds", "above less than below")

    def _of_circles(self) -> Iterator[Fault]:
        """Each circle once, where the first strategy of it in the file leads into it."""
        told: set[str] = set()

        def follow(spec: Any, place: Place, way: tuple[str, ...]) -> Iterator[Fault]:
            if isinstance(spec, str):
                if spec in way:
                    if spec not in told:
                        told.update(way[way.index(spec) :])
                        circle = " -> ".join((*way[way.index(spec) :], spec))
                        yield self._fault(place, f"leads back to itself: {circle}", "a branch that ends at a backend")
                elif spec in self.named:
                    yield from follow(self.named[spec], ("strategies", spec), (*way, spec))
                return
            for inner, branch in branches(spec, place):
                yield from follow(branch, inner, way)

        for name, spec in self.named.items():
            if name not in told:
                yield from follow(spec, ("strategies", name), (name,))

    # -- reach ---------------------------------------------------------------------------------------------------

    def _of_reach(self, place: Place, spec: Any, outer: _Holds) -> Iterator[Fault]:
        """Branches below ``spec`` that no task comes to, of those for which ``outer`` holds."""
        if isinstance(spec, str):
            return
        if spec["use"] == "conditional":
            yield from self._of_cases(place, spec, outer)
            return
        if spec["use"] in _SEQUENCES:
            certain: frozenset[str] = frozenset()
            for inner, branch in branches(spec, place):
                if self._possible(branch) <= certain:
                    yield self._fault(inner, "is never reached: whom it would ask was asked before", "another order")
                certain |= self._certain(branch)
        for inner, branch in branches(spec, place):
            yield from self._of_reach(inner, branch, outer)

    def _of_cases(self, place: Place, spec: Any, outer: _Holds) -> Iterator[Fault]:
        before: list[_Holds] = []
        for number, case in enumerate(spec["cases"]):
            holds = outer.within(case["when"])
            inner = (*place, "cases", number)
            if holds.never:
                yield self._fault(inner, "is never reached: its conditions never hold together")
            elif _taken(holds, before):
                yield self._fault(inner, "is never reached: the cases before it take everything", "another order")
            else:
                yield from self._of_reach((*inner, "then"), case["then"], holds)
            before.append(holds)
        if "otherwise" in spec:
            if _taken(outer, before):
                yield self._fault((*place, "otherwise"), "is never reached: the cases take everything")
            else:
                yield from self._of_reach((*place, "otherwise"), spec["otherwise"], outer)

    def _possible(self, spec: Any) -> frozenset[str]:
        """Every backend that a branch may come to."""
        spec = self._resolved(spec)
        if isinstance(spec, str):
            return frozenset([spec])
        below = [self._possible(branch) for inner, branch in branches(spec, ()) if inner != ("shadow",)]
        return frozenset().union(*below) if below else frozenset(self.keys)

    def _certain(self, spec: Any) -> frozenset[str]:
        """Every backend that a branch comes to when all before it fail."""
        spec = self._resolved(spec)
        if isinstance(spec, str):
            return frozenset([spec])
        below = [self._certain(branch) for inner, branch in branches(spec, ()) if inner != ("shadow",)]
        if spec["use"] in _EITHER:
            whole = spec["use"] == "conditional" and "otherwise" not in spec
            return frozenset.intersection(*below, *([frozenset(self.keys)] if whole else []))
        if spec["use"] in ("race", "hedge", "vote"):
            # Of each branch the first alone takes part.
            return frozenset().union(*(one for one in below if len(one) == 1)) if below else frozenset(self.keys)
        return frozenset().union(*below) if below else frozenset(self.keys)

    def _resolved(self, spec: Any) -> Any:
        while isinstance(spec, str) and spec not in self.keys:
            spec = self.named.get(spec, {"use": spec})
        return spec


def _taken(holds: _Holds, before: Sequence[_Holds]) -> bool:
    """Whether the cases before take every task for which ``holds`` holds."""
    kinds = [case.kinds for case in before if case.covers_but_for_kinds(holds)]
    return holds.kinds <= frozenset().union(*kinds)
