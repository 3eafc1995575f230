"""What Timmy and the Workshop say: ``configs/voice.yaml``, and over it whatever games say in other words.

    said = read_voice()                      # raises ConfigError
    said["moments"]["refused"]               # ['|y{key} refuses.|n ...', ...]

A game's own file has ``moments:`` (each of them replaces the phrases of that moment) or ``failures:``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from .extensions import files_of
from .faults import CONFIGS, ConfigError, Fault
from .yaml_files import read_checked

#: What may stand in braces: in any phrase, and in those of a moment that says less.
WORDS = ("name", "key", "to", "why", "time", "count", "about", "got", "want")
#: Whoever keeps the Workshop, in any phrase.
SOUL = ("soul", "he", "him", "his", "He", "Him", "His")
OF_MOMENT: Mapping[str, tuple[str, ...]] = {
    "thinking": (),
    "asks": ("name",),
    "still": ("time", "key"),
    "words": ("key",),
    "progress": ("key", "count"),
    "answered": ("name",),
    "refused": ("key", "why"),
    "fell_back": ("key", "to", "why"),
    "broke_off": ("key", "to", "why"),
    "opened": ("key", "why", "time"),
    "opened_for_good": ("key", "why"),
    "half_opened": ("key",),
    "closed": ("key",),
    "gave_up": (),
    "practice_began": ("why",),
    "practice_ended": ("key",),
    "leaked": ("key",),
    "accepted_refusal": ("count", "key"),
    "partial": ("key", "why"),
    "taken_up": ("why",),
    "told_late": ("why",),
    "kept": ("why",),
    "stopped": (),
}


def read_voice() -> dict[str, Any]:
    """The phrases by moment, and the words for features and failures. Raises ConfigError with every fault found."""
    own, added = CONFIGS / "voice.yaml", files_of("voice")
    written = tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in (own, *added))
    voice: dict[str, Any] = json.loads(_read(own, added, written))
    return voice


@lru_cache(maxsize=4)
def _read(own: Path, added: tuple[Path, ...], _written: tuple[int, ...]) -> str:
    """The same as JSON; read once for as long as no file is added or written anew."""
    voice: dict[str, Any] = read_checked(own, "voice")
    faults = list(_faults(own, voice["moments"], dict.fromkeys(voice["moments"], WORDS)))
    known = voice["moments"] if not faults else {}
    for file in added:
        more = read_checked(file, "voice_added")
        faults += _added(file, "moments", more.get("moments", {}), known)
        for part, said in more.items():
            voice[part].update(said)
    if faults:
        raise ConfigError(faults)
    return json.dumps(voice)


def phrase_faults(path: Path, where: str, moments: Mapping[str, list[str]]) -> list[Fault]:
    """What is wrong with phrases for ``moments`` that stand at ``where`` in a file; none when they can be said."""
    return list(_added(path, where, moments, read_checked(CONFIGS / "voice.yaml", "voice")["moments"]))


def _added(path: Path, where: str, moments: Mapping[str, list[str]], known: Mapping[str, list[str]]) -> Iterator[Fault]:
    for moment in sorted(set(moments) - set(known)):
        yield Fault(str(path), 0, f"{where}.{moment}", "is no moment", ", ".join(known))
    yield from _faults(path, moments, _used(known), where)


def _used(moments: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """By moment, the words that its own phrases use and that a game's may use as well."""
    used = {}
    for moment, phrases in moments.items():
        found = {word for phrase in phrases for _, word, _, _ in Formatter().parse(phrase) if word}
        used[moment] = tuple(word for word in WORDS if word in found or word in OF_MOMENT.get(moment, ()))
    return used


def _faults(
    path: Path, moments: Mapping[str, list[str]], used: Mapping[str, tuple[str, ...]], at: str = "moments"
) -> Iterator[Fault]:
    """Words in braces that nothing is put in for; they would break a thought when their turn comes."""
    for moment, phrases in moments.items():
        allowed = (*used.get(moment, OF_MOMENT.get(moment, WORDS)), *SOUL)
        shown = " ".join(f"{{{word}}}" for word in allowed) or "no words in braces"
        for number, phrase in enumerate(phrases):
            where = f"{at}.{moment}[{number}]"
            try:
                parts = list(Formatter().parse(phrase))
            except ValueError as error:
                yield Fault(str(path), 0, where, f"cannot be filled in: {error}", f"{shown}; {{{{ for a brace")
                continue
            for _, word, form, conversion in parts:
                if word is not None and (word not in allowed or form or conversion):
                    yield Fault(str(path), 0, where, f"{{{word}}} is unknown", shown)
