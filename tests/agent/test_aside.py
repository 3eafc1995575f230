"""Long work is done beside the reactor's thread, and what may be long is bounded."""

from __future__ import annotations

import base64
import threading

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from uniwizard.agent.cloud_caller import _said
from uniwizard.agent.core.aside import aside
from uniwizard.agent.core.task import Image, Task
from uniwizard.agent.judge.checked_schema import MAX_VALUES, InvalidSchema, check_schema
from uniwizard.agent.wire import WireRequest


def fails() -> None:
    raise ValueError("no")


class AsideTest(TestCase):
    timeout = 10

    async def test_with_a_reactor_it_is_another_thread_that_works(self) -> None:
        from twisted.internet import reactor

        there = await aside(reactor, threading.get_ident)
        assert there != threading.get_ident() == await aside(Clock(), threading.get_ident)
        with self.assertRaises(ValueError):
            await aside(reactor, fails)

    async def test_whoever_no_longer_waits_is_not_told(self) -> None:
        from twisted.internet import reactor

        begun, go = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            go.wait(5)

        waiting = Deferred.fromCoroutine(aside(reactor, work))
        begun.wait(5)
        waiting.cancel()
        waiting.addErrback(lambda _: None)
        go.set()
        # One thread: what is asked for later comes later.
        assert await aside(reactor, lambda: 3) == 3
        await succeed(None)


def test_a_schema_of_more_values_than_are_checked_is_turned_down() -> None:
    check_schema({"enum": list(range(MAX_VALUES - 1))})
    with pytest.raises(InvalidSchema, match="holds more than"):
        check_schema({"enum": list(range(MAX_VALUES))})


def test_pictures_are_left_out_of_the_last_look_and_words_never() -> None:
    picture = Image("image/png", bytes(range(250)))
    tiny = Image("image/png", base64.b64decode("Anna"))
    written = base64.b64encode(picture.data).decode()
    task = Task("Who is Anna?", images=(picture, tiny, picture))
    body = f'{{"a": "{written}", "b": "Anna", "c": "Who is Anna?", "d": "{written}"}}'.encode()
    said = _said(WireRequest("POST", "https://x.example", {}, body), task)
    assert written not in said
    assert said.count("Anna") == 2
