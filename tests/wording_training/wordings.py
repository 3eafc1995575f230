"""Wordings of tasks by kind and language, made from templates. For development only.

    for wording in wordings(seed=0):
        wording.text, wording.kind, wording.language, wording.family

A file ``wordings/<language>.txt`` has lists (``{doc} = letter | note``), headings (``# read``) and templates:
``(a|b|)`` is one of its parts or nothing, ``{doc}`` an entry of a list. A template is a *family*: what is made of it is
alike, so no figure may come from a family that was trained on.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "wordings"
LANGUAGES = ("en", "de", "fr", "es", "it", "pl")

#: How many wordings a template gives at most.
EACH = 24

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_LIST = re.compile(r"\{(\w+)\} = (.+)")


@dataclass(frozen=True)
class Wording:
    """One wording. ``family`` is its language, kind and template; ``share`` what it counts."""

    text: str
    kind: str
    language: str
    family: str
    share: float = 1.0


def wordings(seed: int, each: int = EACH) -> Iterator[Wording]:
    """All wordings of all languages, always the same for a seed."""
    for language in LANGUAGES:
        yield from of_language(language, seed, each)


def of_language(language: str, seed: int, each: int) -> Iterator[Wording]:
    """The wordings of a language."""
    lists: dict[str, list[str]] = {}
    kind = ""
    for number, line in enumerate((FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines()):
        if listed := _LIST.fullmatch(line):
            lists[listed[1]] = [part.strip() for part in listed[2].split("|")]
        elif line.startswith("# "):
            kind = line[2:]
        elif line:
            family = f"{language}/{kind}/{number}"
            made = {expanded(line, lists, random.Random(f"{seed} {family} {turn}")) for turn in range(2 * each)}
            kept = sorted(made)[:each] if len(made) <= each else random.Random(family).sample(sorted(made), each)
            for text in kept:
                yield Wording(text, kind, language, family, len(kept) ** -0.5)


def expanded(template: str, lists: dict[str, list[str]], chance: random.Random) -> str:
    """One wording of a template."""
    text = template
    while choice := _CHOICE.search(text):
        text = text[: choice.start()] + chance.choice(choice[1].split("|")) + text[choice.end() :]
    while name := re.search(r"\{(\w+)\}", text):
        text = text[: name.start()] + chance.choice(lists[name[1]]) + text[name.end() :]
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.?!])(?=\s|$)", r"\1", text)
    if chance.random() < 0.4:
        text = text[:1].upper() + text[1:]
    if chance.random() < 0.2 and text[-1:].isalnum():
        text += chance.choice(".!")
    return text
