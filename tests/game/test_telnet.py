"""What a player reads must not depend on how the network cuts it up."""

from __future__ import annotations

import itertools
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.server.game.telnet import Telnet, Wire

# Bytes that mean something in telnet, ANSI and UTF-8, so that sequences are hit and cut.
_MEANINGFUL = st.sampled_from(
    [b"\xff", b"\xfa", b"\xf0", b"\xfd", b"\xfb", b"\x1b", b"[", b"3", b"m", b"\xc3", b"\xa5"]
)
_STREAM = st.lists(st.one_of(_MEANINGFUL, st.binary(max_size=3)), max_size=40).map(b"".join)


@given(_STREAM, st.lists(st.integers(0, 60), max_size=8))
def test_a_stream_reads_the_same_wherever_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    whole, parts = Wire(), Wire()
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [parts.receive(stream[a:b]) for a, b in itertools.pairwise(bounds)]
    text, replies = whole.receive(stream)
    assert "".join(piece[0] for piece in pieces) == text
    assert b"".join(piece[1] for piece in pieces) == replies


def test_options_are_refused_and_colour_is_gone() -> None:
    wire = Wire()
    # WILL 86, DO 24, a subnegotiation, a NOP, a doubled IAC.
    stream = b"\xff\xfb\x56\xff\xfd\x18\xff\xfa\x18\x01\xff\xf0\xff\xf1\x1b[1;31mr\xc3\xb6d\x1b[0m\r\n"
    assert wire.receive(stream) == ("röd\n", b"\xff\xfe\x56\xff\xfc\x18")


def test_what_was_expected_in_vain_is_told_with_what_came_instead() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Telnet(*server.getsockname()) as client:
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"Hello there\r\n")
            assert client.expect("Hello") == "Hello"
            peer.shutdown(socket.SHUT_WR)
            with pytest.raises(AssertionError, match="there"):
                client.expect(re.compile("never"))
