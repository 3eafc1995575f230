"""Pictures: what is one, what is taken out of it, and where the server may fetch one from."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import alone  # noqa: F401 - Django's settings
import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.world import pictures
from uniwizard.world.fetching import NotFetched, allowed, public

SECRET = b"GPS 48.2,16.3 by Zephyrine"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*extra: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xda\x00\x04\x01\x02scan\xff\xd9"


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + b"%s" + b"\x2c" + b"\0" * 8 + b"\x00\x02\x01\x00\x00\x3b"


@pytest.mark.parametrize(
    ("kind", "with_secret", "without"),
    [
        ("png", png(chunk(b"tEXt", SECRET), chunk(b"eXIf", SECRET)), png()),
        ("jpg",
        jpeg(segment(0xE0, b"JFIF\0"), segment(0xE1, SECRET), segment(0xFE, SECRET)), jpeg(segment(0xE0, b"JFIF\0"))),
        ("webp", webp(riff(b"VP8 ", b"picture"), riff(b"EXIF", SECRET)), webp(riff(b"VP8 ", b"picture"))),
        ("gif", GIF % (b"\x21\xfe" + bytes((len(SECRET),)) + SECRET + b"\0"), GIF % b""),
    ],
)  # fmt: skip
def test_what_a_camera_tells_of_its_owner_is_taken_out(kind: str, with_secret: bytes, without: bytes) -> None:
    assert pictures.checked(with_secret) == (kind, without)
    assert pictures.checked(with_secret + b"trailing " + SECRET) == (kind, without)


@given(
    st.sampled_from([png(), jpeg(), webp(riff(b"VP8 ", b"p")), GIF % b""]), st.integers(0, 80), st.binary(max_size=20)
)
def test_a_broken_picture_is_said_to_be_broken(whole: bytes, at: int, noise: bytes) -> None:
    try:
        pictures.checked(whole[:at] + noise)
    except pictures.Unusable as why:
        assert str(why)


def test_what_is_no_picture_is_turned_down() -> None:
    for data in (b"", b"hello", b"%PDF-1.4", b"<svg/>", b"x" * (pictures.LARGEST + 1)):
        with pytest.raises(pictures.Unusable):
            pictures.checked(data)


def test_a_picture_lies_on_the_bench_and_goes_with_a_thought(tmp_path: Path) -> None:
    anna = SimpleNamespace(id=7)
    with override_settings(GAME_DIR=str(tmp_path)):
        assert pictures.on_bench(anna) == ()
        pictures.lay(anna, png())
        (image,) = pictures.on_bench(anna)
        assert image.media_type == "image/png"
        pictures.keep("task", (image,))
        assert pictures.clear(anna) and not pictures.on_bench(anna)
        pictures.rename("task", "other")
        assert pictures.kept("task") == () and pictures.kept("other") == (image,)
        files = list((tmp_path / ".uniwizard" / "pictures").iterdir())
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600]
        pictures.drop("other")
        assert pictures.kept("other") == ()


def test_a_link_works_once() -> None:
    token = pictures.link(SimpleNamespace(id=3))
    assert pictures.knows(token)
    assert pictures.redeem(token) == 3
    assert not pictures.knows(token) and pictures.redeem(token) == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://pics.example.org/a.png", "https://evil.org/a.png", "https://pics.example.org:8443/a.png",
        "https://user@pics.example.org/a.png", "https://pics.example.org.evil.org/a.png", "file:///etc/passwd",
        "https://pics.example.org/a b", "gopher://pics.example.org/", "https://", "https://[::1]/", "x",
        "https://exämple.org/",
    ],
)  # fmt: skip
def test_only_hosts_that_the_operator_allows_are_asked(address: str) -> None:
    with override_settings(UNIWIZARD_PICTURE_HOSTS=["pics.example.org"]), pytest.raises(NotFetched):
        allowed(address)


def test_nothing_is_fetched_unless_the_operator_says_so() -> None:
    with override_settings(UNIWIZARD_PICTURE_HOSTS=[]), pytest.raises(NotFetched, match="fetches nothing"):
        allowed("https://upload.wikimedia.org/a.png")
    with override_settings(UNIWIZARD_PICTURE_HOSTS=["*.wikimedia.org"]):
        assert allowed("https://upload.wikimedia.org/a.png") == "upload.wikimedia.org"


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
    "fe80::1%eth0",
     "fc00::1", "::ffff:127.0.0.1", "2002:7f00:0001::"],
)  # fmt: skip
def test_an_address_of_the_machine_or_its_network_is_never_asked(ip: str) -> None:
    with pytest.raises(NotFetched):
        public([ip])
    with pytest.raises(NotFetched):
        public(["93.184.216.34", ip])


def test_a_public_address_is_asked() -> None:
    assert public(["93.184.216.34"]) == "93.184.216.34"
