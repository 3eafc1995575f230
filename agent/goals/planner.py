"""Plans backwards from what must be true: A* from the goal's facts to those that are true already. Pure.

    steps = search(wants, true, options)       # [Option, ...] in an order in which they can be done
    search(...)                                # raises Unreachable: which fact, and why

Theory of operation
    Actions only ever make facts true, so a plan is a set of actions, each at most once, that can be put in an order in
    which each has what it needs; the cheapest such set is sought. A node is the set chosen so far. Its open facts are
    those that somebody needs and nobody makes; one of them is taken (the one with the fewest makers), and every action
    that makes it is tried: any plan that goes on from here has one of those, so nothing is lost by looking at one fact
    alone. Where no fact is open but some actions wait for each other in a circle, what they wait for is to be made by
    somebody else, which is tried in the same way.

    What is left to pay is bounded from below by landmarks: facts that every way to an open fact goes through, worked
    out
    once. Each of them has yet to be made by somebody, and costs at least the cheapest maker's share, its price divided
    by
    the facts that it makes. The bound never exceeds the truth, so the first plan that is found is the cheapest among
    those of at most :data:`MAX_STEPS` steps. After :data:`MAX_NODES` nodes the search takes the nearest plan instead of
    the cheapest, and says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from ..core.failures import UniwizardError

T = TypeVar("T")

#: Steps of a plan, and nodes after which the cheapest is not sought any more.
MAX_STEPS, MAX_NODES = 24, 20_000
#: What the cheapest step costs: one that costs nothing is still one step more.
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """Something that could be done: what it needs, what it makes, what it costs, and what it is."""

    needs: frozenset[str]
    makes: frozenset[str]
    cost: float
    what: T


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A plan: its steps in order, what they cost together, and whether no cheaper one exists."""

    steps: tuple[Option[T], ...]
    cost: float
    cheapest: bool = True


class Unreachable(UniwizardError):
    """No plan makes ``fact`` true; ``why`` says what is in the way."""

    def __init__(self, fact: str, why: str):
        self.fact, self.why = fact, why
        super().__init__(f"{fact}: {why}")


def search(wants: Collection[str], true: Collection[str], options: Sequence[Option[T]]) -> Found[T]:
    """The cheapest plan that makes ``wants`` true where ``true`` are so already. Raises Unreachable."""
    return _Search(frozenset(wants), frozenset(true), options).run()


class _Search(Generic[T]):
    """One search; sets of facts and of actions are the bits of whole numbers."""

    def __init__(self, wants: frozenset[str], true: frozenset[str], options: Sequence[Option[T]]):
        reached = _reached(true, options)
        if missing := sorted(wants - reached):
            raise Unreachable(*_why(missing, reached, options))
        # Only what can be done at all and leads to what is wanted.
        self.options = _relevant(wants - true, true, [each for each in options if each.needs <= reached])
        bits: dict[str, int] = {}
        self.true = self._mask(true, bits)
        self.wants = self._mask(wants, bits)
        self.needs = [self._mask(each.needs, bits) for each in self.options]
        self.makes = [self._mask(each.makes - true, bits) for each in self.options]
        self.costs = [max(LEAST, each.cost) for each in self.options]
        self.makers: list[list[int]] = [[] for _ in bits]
        for index, makes in enumerate(self.makes):
            for bit in _bits(makes):
                self.makers[bit].append(index)
        self.shares = [
            min((self.costs[index] / self.makes[index].bit_count() for index in makers), default=0.0)
            for makers in self.makers
        ]
        self.marks = self._landmarks()

    @staticmethod
    def _mask(facts: Iterable[str], bits: dict[str, int]) -> int:
        mask = 0
        for fact in facts:
            mask |= 1 << bits.setdefault(fact, len(bits))
        return mask

    def _landmarks(self) -> list[int]:
        """By fact, what every way to it makes true, the fact itself included: the greatest fixed point, from above."""
        whole = (1 << len(self.makers)) - 1
        marks = [(1 << bit) if self.true >> bit & 1 else whole for bit in range(len(self.makers))]
        changed = True
        while changed:
            changed = False
            for bit, makers in enumerate(self.makers):
                if self.true >> bit & 1:
                    continue
                common = whole
                for index in makers:
                    mark = 0
                    for need in _bits(self.needs[index]):
                        mark |= marks[need]
                    common &= mark
                now = (common | 1 << bit) & marks[bit]
                if now != marks[bit]:
                    marks[bit], changed = now, True
        return marks

    def run(self) -> Found[T]:
        # (bound, -depth, tie, cost, chosen, open, made)
        start = self.wants & ~self.true
        queue: list[tuple[float, int, int, float, int, int, int]] = [(self._bound(start, 0), 0, 0, 0.0, 0, start, 0)]
        seen = {0}
        nodes, greedy = 0, False
        while queue:
            _, depth, _, cost, chosen, opened, made = heappop(queue)
            wanted = self._branches(chosen, opened)
            if wanted is None:
                order = self._order(chosen)
                return Found(tuple(self.options[index] for index in order), cost, not greedy)
            nodes += 1
            if nodes > MAX_NODES and not greedy:
                greedy = True
                queue = [(node[0] - node[3], *node[1:]) for node in queue]
                heapify(queue)
            if -depth >= MAX_STEPS:
                continue
            for index in wanted:
                following = chosen | 1 << index
                if following in seen:
                    continue
                seen.add(following)
                now_made = made | self.makes[index]
                now_open = (opened | self.needs[index]) & ~now_made & ~self.true
                now_cost = cost + self.costs[index]
                left = self._bound(now_open, now_made)
                bound = left if greedy else now_cost + left
                heappush(queue, (bound, depth - 1, len(seen), now_cost, following, now_open, now_made))
        raise Unreachable("the goal", f"no plan of at most {MAX_STEPS} steps leads there")

    def _bound(self, opened: int, made: int) -> float:
        """What is at least left to pay."""
        marks = 0
        for bit in _bits(opened):
            marks |= self.marks[bit]
        return sum(self.shares[bit] for bit in _bits(marks & ~made & ~self.true))

    def _branches(self, chosen: int, opened: int) -> list[int] | None:
        """The actions of which any plan from here has one; None where this is a plan."""
        if opened:
            fewest = min(_bits(opened), key=lambda bit: len(self.makers[bit]))
            return [index for index in self.makers[fewest] if not chosen >> index & 1]
        done, waiting = self._done(chosen)
        if not waiting:
            return None
        lacking = 0
        for index in waiting:
            lacking |= self.needs[index]
        outside = {index for bit in _bits(lacking & ~done) for index in self.makers[bit]}
        return sorted(index for index in outside if not chosen >> index & 1)

    def _done(self, chosen: int) -> tuple[int, list[int]]:
        """What is true once all that can be done of ``chosen`` is done, and those that wait for ever."""
        true, waiting = self.true, _bits(chosen)
        while True:
            ready = [index for index in waiting if not self.needs[index] & ~true]
            if not ready:
                return true, waiting
            for index in ready:
                true |= self.makes[index]
            waiting = [index for index in waiting if index not in ready]

    def _order(self, chosen: int) -> list[int]:
        true, waiting, order = self.true, _bits(chosen), list[int]()
        while waiting:
            ready = [index for index in waiting if not self.needs[index] & ~true]
            for index in ready:
                true |= self.makes[index]
            order += ready
            waiting = [index for index in waiting if index not in ready]
        return order


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _reached(true: frozenset[str], options: Sequence[Option[T]]) -> frozenset[str]:
    """Everything that can be made true at all."""
    reached, waiting = set(true), list(options)
    while True:
        ready = [each for each in waiting if each.needs <= reached]
        if not ready:
            return frozenset(reached)
        waiting = [each for each in waiting if not each.needs <= reached]
        for each in ready:
            reached |= each.makes


def _relevant(wants: frozenset[str], true: frozenset[str], options: Sequence[Option[T]]) -> list[Option[T]]:
    wanted, found, waiting = set(wants), list[Option[T]](), list(options)
    while True:
        more = [each for each in waiting if (each.makes - true) & wanted]
        if not more:
            return found
        found += more
        for each in more:
            wanted |= each.needs - true
        waiting = [each for each in waiting if each not in more]


def _why(missing: Sequence[str], reached: frozenset[str], options: Sequence[Option[T]]) -> tuple[str, str]:
    """The fact that is in the way, at the root of the first one that is missing, and why."""
    fact, seen = missing[0], set[str]()
    while fact not in seen:
        seen.add(fact)
        makers = [each for each in options if fact in each.makes]
        if not makers:
            return fact, "nothing that can be done any more makes it true"
        lacking = min((sorted(each.needs - reached) for each in makers), key=lambda needs: (len(needs), needs))
        fact = lacking[0]
    return fact, "everything that makes it true needs it before"
