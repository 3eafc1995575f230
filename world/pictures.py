"""Pictures that players lay on the bench, until a question takes them along.

    lay(player, data)            # checked, stripped of where and by whom it was taken; raises Unusable
    on_bench(player)             # (Image, ...)
    clear(player)
    link(player)                 # a token for one upload; redeem(token) gives the player back, once

A picture is a file below ``.uniwizard/pictures``, readable by the game alone: one a player while it lies on the bench,
and one a thought while that is under way, so that a thought that is taken up again after a crash still has it. What a
camera writes into a file besides the picture (place, time, owner, comments) never leaves: JPEG, PNG, WebP and GIF are
taken apart here, and only what a viewer needs is kept.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

from uniwizard.agent import Image

#: Bytes of one picture; more than any provider takes.
LARGEST = 8 * 1024 * 1024
#: Seconds for which an upload link may be used, and how many may be open at a time.
LINK_LIVES = 900.0
_LINKS = 1000
_KINDS = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}


class Unusable(Exception):
    """Not a picture that can be taken; the message says why, to the player."""


# -- on the bench ------------------------------------------------------------------------------------------------------


def lay(who: Any, data: bytes) -> str:
    """Lay a picture on the bench of ``who``, in the place of the last one; what it is, in words. Raises Unusable."""
    kind, clean = checked(data)
    clear(who)
    _write(f"bench-{who.id}.{kind}", clean)
    return f"{kind}, {max(1, round(len(clean) / 1024))} kB"


def on_bench(who: Any) -> tuple[Image, ...]:
    """The picture that ``who`` has laid down, if any."""
    return tuple(_read(f"bench-{who.id}.*"))


def clear(who: Any) -> bool:
    """Take the picture of ``who`` off the bench; whether there was one."""
    return _unlink(f"bench-{who.id}.*") > 0


# -- with a thought ----------------------------------------------------------------------------------------------------

#: Tasks that have pictures; most have none, and need no look at the disk.
_with_pictures: set[str] = set()


def keep(task: str, images: Iterable[Image]) -> None:
    """Keep the pictures of a thought under way."""
    for number, image in enumerate(images):
        kind = next((kind for kind, media in _KINDS.items() if media == image.media_type), "bin")
        _write(f"task-{task}-{number}.{kind}", image.data)
        _with_pictures.add(task)


def kept(task: str) -> tuple[Image, ...]:
    """The pictures of a thought, also of one that an earlier run of the server began."""
    found = tuple(_read(f"task-{task}-*"))
    if found:
        _with_pictures.add(task)
    return found


def rename(old: str, new: str) -> None:
    """The thought goes on under another task."""
    if old in _with_pictures:
        keep(new, kept(old))
        drop(old)


def drop(task: str) -> None:
    """The thought is over."""
    if task in _with_pictures:
        _with_pictures.discard(task)
        _unlink(f"task-{task}-*")


# -- links -------------------------------------------------------------------------------------------------------------

#: Token to character's id and the moment it ends, by ``time.monotonic``; a restart ends them all.
_links: dict[str, tuple[int, float]] = {}


def link(who: Any) -> str:
    """A new token for one upload; a former one of ``who`` ends."""
    for token in [token for token, (owner, _) in _links.items() if owner == who.id]:
        del _links[token]
    while len(_links) >= _LINKS:
        del _links[next(iter(_links))]
    token = secrets.token_urlsafe(18)
    _links[token] = who.id, time.monotonic() + LINK_LIVES
    return token


def knows(token: str) -> bool:
    """Whether ``token`` may still be used."""
    return token in _links and _links[token][1] > time.monotonic()


def redeem(token: str) -> int:
    """The id of the character whose token it is, which is used up; 0 where it is none."""
    owner, ends = _links.pop(token, (0, 0.0))
    return owner if ends > time.monotonic() else 0


# -- files -------------------------------------------------------------------------------------------------------------


def _folder() -> Path:
    folder = Path(settings.GAME_DIR) / ".uniwizard" / "pictures"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _write(name: str, data: bytes) -> None:
    path = _folder() / name
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _read(pattern: str) -> Iterator[Image]:
    for path in sorted(_folder().glob(pattern)):
        media = _KINDS.get(path.suffix[1:])
        if media is not None:
            yield Image(media, path.read_bytes())


def _unlink(pattern: str) -> int:
    found = list(_folder().glob(pattern))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


# -- formats -----------------------------------------------------------------------------------------------------------


def checked(data: bytes) -> tuple[str, bytes]:
    """What kind of picture ``data`` is, and the same without anything but the picture. Raises Unusable."""
    if len(data) > LARGEST:
        raise Unusable(f"It is too large: {LARGEST // 1024**2} MB at the most.")
    try:
        if data[:3] == b"\xff\xd8\xff":
            return "jpg", b"".join(_jpeg(data))
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return "png", b"".join(_png(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return "webp", _webp(data)
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return "gif", b"".join(_gif(data))
    except (IndexError, ValueError):
        raise Unusable("It is broken, or cut short.") from None
    raise Unusable("It is no JPEG, PNG, WebP or GIF.")


def _jpeg(data: bytes) -> Iterator[bytes]:
    """ITU-T T.81, B.1.1: segments up to the scan. APP0 (JFIF) and APP14 (colour) are needed; other APPn and COM
    are not."""
    yield data[:2]
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        size = int.from_bytes(_exactly(data, at + 2, 2), "big")
        segment = _exactly(data, at, size + 2)
        if marker == 0xDA:
            end = data.rfind(b"\xff\xd9")
            if end < at:
                raise ValueError("no end of image")
            yield data[at : end + 2]
            return
        if not (0xE1 <= marker <= 0xED or marker == 0xEF or marker == 0xFE):
            yield segment
        at += size + 2
    raise ValueError("not a segment")


#: PNG's critical chunks, and the ancillary ones that change what is seen (https://www.w3.org/TR/png-3/#5Chunk-naming).
_PNG_NEEDED = {
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"sBIT",
    b"bKGD",
    b"acTL",
    b"fcTL",
    b"fdAT",
}


def _png(data: bytes) -> Iterator[bytes]:
    yield data[:8]
    at = 8
    while True:
        size = int.from_bytes(_exactly(data, at, 4), "big")
        chunk = _exactly(data, at, size + 12)
        if chunk[4:8] in _PNG_NEEDED:
            yield chunk
        if chunk[4:8] == b"IEND":
            return
        at += size + 12


def _webp(data: bytes) -> bytes:
    chunks = []
    # What stands behind the container is no part of it.
    data = _exactly(data, 0, 8 + int.from_bytes(data[4:8], "little"))
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        padded = size + size % 2
        chunk = _exactly(data, at, 8 + size) + b"\0" * (size % 2)
        if chunk[:4] == b"VP8X":
            # Its flags must not promise what is left out: EXIF (bit 3) and XMP (bit 2).
            chunk = chunk[:8] + bytes([chunk[8] & ~0b1100]) + chunk[9:]
        if chunk[:4] not in (b"EXIF", b"XMP "):
            chunks.append(chunk)
        at += 8 + padded
    if not chunks:
        raise ValueError("no chunks")
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _gif(data: bytes) -> Iterator[bytes]:
    """GIF89a, section 12 to 26: comments and unknown applications are left out; the loop count is an application."""
    flags = data[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    yield _exactly(data, 0, at)
    while data[at] != 0x3B:
        begins, kind = at, data[at]
        if kind == 0x21:
            label = data[at + 1]
            at = _past_blocks(data, at + 2)
            looping = label == 0xFF and data[begins + 3 : begins + 14] in (b"NETSCAPE2.0", b"ANIMEXTS1.0")
            if label in (0xF9, 0x01) or looping:
                yield data[begins:at]
        elif kind == 0x2C:
            local = data[at + 9]
            at = _past_blocks(data, at + 10 + (3 << ((local & 7) + 1) if local & 0x80 else 0) + 1)
            yield data[begins:at]
        else:
            raise ValueError("no such block")
    yield b"\x3b"


def _past_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        at += size + 1
    return at + 1


def _exactly(data: bytes, at: int, size: int) -> bytes:
    piece = data[at : at + size]
    if len(piece) < size:
        raise ValueError("cut short")
    return piece
