"""Writes ``configs/everyday.json``: the words of this project's own texts that are no names of anybody.

    python tests/data/derive_everyday.py

They come from nowhere else: the configs, the READMEs, and the tasks and answers in this folder, all of them written for
this project. A word counts when it is written small, and not more often with a capital in mid-sentence.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What lists names, or words of another kind.
OTHERS = {ROOT / "configs" / "names.yaml", ROOT / "agent" / "privacy" / "README.md"}
TARGET = ROOT / "configs" / "everyday.json"
ORIGIN = (
    "Words that may stand in anybody's text without naming anyone (agent/privacy). "
    "Derived from this project's own texts by tests/data/derive_everyday.py."
)

#: First names that stand in those texts as names, written small.
NAMES = {
    *("alice", "ana", "anna", "bob", "dana", "evennia", "jack", "john", "kim"),
    *("luca", "lukas", "mia", "rene", "timmy", "uniwizard", "zephyrine"),
}
#: Long words that stand there once are not worth their place: nobody is called like that.
LONGEST_RARE = 9

_WORD = re.compile(r"[^\W\d_]+")
_FOREIGN = re.compile("[\u0370-\uffff]")


def texts() -> Iterator[str]:
    for pattern in ("configs/*.yaml", "configs/judge/*.yaml", "*.md", "agent/**/README.md", "tests/**/README.md"):
        for path in sorted(set(ROOT.glob(pattern)) - OTHERS):
            yield path.read_text("utf-8")
    for path in sorted((ROOT / "tests" / "data").glob("**/*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            yield from (value for value in json.loads(line).values() if isinstance(value, str))


def main() -> None:
    small: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for text in texts():
        for match in _WORD.finditer(text):
            word = match[0]
            if word.islower() and not _FOREIGN.search(word):
                small[word] += 1
            elif re.search(r"[a-z,] $", text[max(0, match.start() - 2) : match.start()]):
                named[word.lower()] += 1
    words = [
        word
        for word, count in small.items()
        if word not in NAMES and count >= named[word] and (count > 1 or len(word) <= LONGEST_RARE)
    ]
    lines = textwrap.wrap(" ".join(sorted(words)), 112, break_long_words=False, break_on_hyphens=False)
    document = {"origin": ORIGIN, "words": lines}
    TARGET.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(f"{len(words)} words")


if __name__ == "__main__":
    main()
