"""Many who act at the same moment keep nobody else waiting."""

from __future__ import annotations

from twisted.internet.task import Clock

from uniwizard.world.pacing import Pace


class Turns(Clock):
    """A reactor whose turns are made one by one: what is scheduled in one is called in the next."""

    def turn(self) -> None:
        due, self.calls = self.calls, []
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)


def test_each_turn_does_one_piece_in_the_order_they_were_asked_for() -> None:
    reactor, done = Turns(), []
    pace = Pace(reactor)
    for number in range(3):
        pace(lambda number=number: done.append(number))
    assert (done, len(pace)) == ([], 3)
    reactor.turn()
    assert done == [0]
    pace(lambda: done.append(3))
    for _ in range(3):
        reactor.turn()
    assert (done, len(pace)) == ([0, 1, 2, 3], 0)
    assert reactor.calls == []


def test_a_piece_that_breaks_does_not_stop_the_rest() -> None:
    reactor, done = Turns(), []
    pace = Pace(reactor)
    pace(lambda: 1 / 0)
    pace(lambda: done.append("after"))
    reactor.turn()
    reactor.turn()
    assert done == ["after"]


def test_work_that_asks_for_more_work_waits_its_turn() -> None:
    reactor, done = Turns(), []
    pace = Pace(reactor)
    pace(lambda: (done.append("first"), pace(lambda: done.append("more"))))
    pace(lambda: done.append("second"))
    for _ in range(3):
        reactor.turn()
    assert done == ["first", "second", "more"]
