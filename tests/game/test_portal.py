"""The portal's part: it tells of a server that died, and holds the lines of a paste together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import alone  # noqa: F401 - Django's settings
import pytest
from twisted.internet.task import Clock

from uniwizard.server.plugin import bursts
from uniwizard.server.plugin.portal import BACK, GONE, Watch


def portal(**state: Any) -> Any:
    connection = SimpleNamespace(transport=SimpleNamespace(connected=True))
    return SimpleNamespace(
        amp_protocol=SimpleNamespace(factory=SimpleNamespace(server_connection=connection)),
        server_restart_mode=None,
        **state,
    )


def test_players_are_told_when_the_server_dies_and_when_it_is_back() -> None:
    told: list[str] = []
    here = portal()
    connection = here.amp_protocol.factory.server_connection
    watch = Watch(here, told.append)
    watch.look()
    assert told == []
    here.amp_protocol.factory.server_connection = None
    watch.look()
    watch.look()
    assert told == [GONE]
    here.amp_protocol.factory.server_connection = connection
    watch.look()
    watch.look()
    assert told == [GONE, BACK]


@pytest.mark.parametrize("mode", ["reload", "reset", "shutdown"])
def test_a_server_that_says_goodbye_itself_is_no_news(mode: str) -> None:
    told: list[str] = []
    here = portal()
    watch = Watch(here, told.append)
    watch.look()
    here.server_restart_mode = mode
    here.amp_protocol.factory.server_connection = None
    watch.look()
    assert told == []


class Plain:
    """What a protocol of Evennia's does with a line."""

    def __init__(self) -> None:
        self.passed: list[Any] = []
        self.protocol_flags = {"ENCODING": "utf-8"}
        self.sessid = 1
        self.sessionhandler: Any = SimpleNamespace(
            get=lambda _: self, data_in=lambda session, **kwargs: self.passed.append(kwargs)
        )

    def data_in(self, **kwargs: Any) -> None:
        self.passed.append(kwargs)


class Gathered(bursts.Gathering, Plain):
    pass


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> tuple[Gathered, Clock]:
    clock = Clock()
    monkeypatch.setattr(bursts, "reactor", clock)
    return Gathered(), clock


def test_a_paste_behind_think_comes_as_one(session: tuple[Gathered, Clock]) -> None:
    player, clock = session
    lines = ["think review this:", "def f(x):", "    return x", "", "look"]
    for line in lines:
        player.data_in(text=line.encode() + b"\r\n")
    assert player.passed == []
    clock.advance(bursts.HOLD)
    assert player.passed == [{"uniwizard_burst": [lines, {"whole": False}]}]


def test_other_lines_pass_at_once_and_in_order(session: tuple[Gathered, Clock]) -> None:
    player, _ = session
    for line in (b"look\n", b"think/why\n", b"say think\n", b"thinker\n"):
        player.data_in(text=line)
    assert [kwargs["text"] for kwargs in player.passed] == [b"look\n", b"think/why\n", b"say think\n", b"thinker\n"]
    player.data_in(client_options=[[], {"screenwidth": 60}])
    assert "client_options" in player.passed[-1]


def test_every_line_is_gathered_while_a_page_is_open(session: tuple[Gathered, Clock]) -> None:
    player, clock = session
    player.send_uniwizard_writing(True)
    player.data_in(text=[["first"], {}])
    player.data_in(text=[["second"], {}])
    clock.advance(bursts.HOLD)
    assert player.passed == [{"uniwizard_burst": [["first", "second"], {"whole": False}]}]
    player.send_uniwizard_writing(False)
    player.data_in(text=[["look"], {}])
    assert player.passed[-1] == {"text": [["look"], {}]}


def test_whoever_has_hung_up_sends_nothing_more(session: tuple[Gathered, Clock]) -> None:
    player, clock = session
    player.data_in(text=b"think a\n")
    player.sessionhandler = None
    clock.advance(1)
    assert player.passed == []


def test_a_flood_is_bounded(session: tuple[Gathered, Clock]) -> None:
    player, clock = session
    for _ in range(3):
        player.data_in(text=b"think " + b"x" * 400_000 + b"\n")
    clock.advance(bursts.HOLD)
    assert sum(map(len, player.passed[0]["uniwizard_burst"][0])) <= bursts.MOST
