"""What kind of work a task is, decided from its words and its shape in microseconds, without asking any model.

::

    classifier = Classifier.load()
    found = classifier.classify(Task("review this diff"))
    found.kind, found.confidence, found.reasons      # ("code_review", 0.97, ('"review" +2.5', ...))
    classifier.system_prompt(found.kind)             # the instructions a backend gets for this kind

Theory of operation
    Everything that is known about the kinds is data, in ``configs/kinds.yaml``. A kind's score is a plain sum: its
    bias, the weights of its phrases that occur, and the weights of its features that hold. The highest score wins;
    softmax over the scores gives the confidence.

    Phrases are sought in one pass. A word is looked up once to learn which *symbols* it stands for (itself, a stem
    such as ``analy*``, a number, a file name) and a trie over symbols is followed from every word, so the cost grows
    with the text and not with the number of phrases. Only the head and the tail of a long text are read, and words far
    from both ends (most likely pasted matter, not the instruction) weigh less.

    What nobody wrote down as a phrase may still sound like others of its kind: the wording as a whole speaks with
    weights that were learned (:mod:`.wording`), added to the sum of its rules. Where the rules see a kind that has no
    learned weights (one that a game added), or the task's shape says what it is (:data:`SHAPES`), the wording is not
    asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final

from ..config.kinds import GAP, MANY, Kinds, Weights, fold, read_kinds
from ..core.task import CHARS_PER_TOKEN, Task
from .wording import Wording

#: Characters read from the start and from the end of a text; what lies between is only counted.
HEAD: Final = 1200
TAIL: Final = 400

#: Words that weigh in full at the start and at the end; those between weigh :data:`INNER`.
FIRST: Final = 40
LAST: Final = 20
INNER: Final = 0.3

#: Words remembered with their symbols. A full memory is emptied, so a flood of odd words costs no memory.
REMEMBERED: Final = 8192

#: Where one of these holds, the task's shape says what it is, and the wording as a whole is not asked.
SHAPES: Final = frozenset(("image", "audio", "code_fence", "diff", "traceback", "tokens_4000"))

#: Kinds that no wording alone makes: without a picture, a task is about one only where it speaks of one.
NAMED: Final = frozenset(("multimodal",))

#: The reason that stands for the wording as a whole.
WORDING: Final = "wording"

_WORDS = re.compile(r"\w+(?:[.]\w+)*|[.!?:\n]")
_BREAKS = frozenset(".!?:\n")
_BREAK = ("\n",)  # stands in the stream for the end of a sentence; no phrase has this symbol
_ARITHMETIC = re.compile(r"\d\s?(?:[-+*/×÷^%]|x|razy|times|plus|minus)\s?\d")
_DIFF = re.compile(r"^(?:diff --git|@@ -|\+\+\+ |--- a/)", re.MULTILINE)
_TRACEBACK = re.compile(r"traceback \(most|^[ \t]+at [\w.$]+\(|panicked at|exception in thread", re.MULTILINE)
_CODE = re.compile(
    r"[{};][ \t]*$|^[ \t]*(?:def|class|import|fn|func|public|return|#include|select)\b|\w\(\w*\)|=>|==", re.M
)


@dataclass(frozen=True, slots=True)
class Classification:
    """The kind of a task.

    ``confidence`` is between 0 and 1; ``reasons`` the phrases and features that decided, strongest first, in the
    file's notation and never in the task's own words, what the wording as a whole adds last; ``points`` those of each
    of ``kinds``.
    """

    kind: str
    confidence: float
    reasons: tuple[str, ...] = ()
    kinds: Sequence[str] = ()
    points: Sequence[float] = ()

    @property
    def scores(self) -> tuple[tuple[str, float], ...]:
        """Every kind with its points, best first."""
        return tuple(sorted(zip(self.kinds, self.points, strict=True), key=itemgetter(1), reverse=True))


@dataclass(slots=True)
class _Node:
    """A place in the trie of phrases. ``phrase`` is set where one ends; ``gap`` leads on behind a ``~``."""

    next: dict[str, _Node] = field(default_factory=dict)
    gap: _Node | None = None
    phrase: str = ""


class Classifier:
    """Tells kinds apart by the phrases and features of one kinds file. Immutable but for a memory of words."""

    def __init__(self, kinds: Kinds, wording: Wording | None = None) -> None:
        self._kinds = kinds
        self._wording = wording
        #: The place of each of the wording's kinds among all.
        self._places = tuple(kinds.names.index(name) for name in wording.kinds) if wording else ()
        self._named = frozenset(place for place in self._places if kinds.names[place] in NAMED)
        #: The strengths and weaknesses of backends that matter for a kind.
        self.suits = kinds.suits
        self._root = _Node()
        self._vocabulary: set[str] = set()
        for phrase in kinds.phrases:
            self._plant(phrase)
        self._longest_stem = max((len(symbol) - 1 for symbol in self._vocabulary if symbol[-1] == "*"), default=0)
        self._memory: dict[str, tuple[tuple[str, ...], tuple[_Node, ...]]] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> Classifier:
        """A classifier by a kinds file, by default the project's own with what was learned for it.

        Raises ConfigError when a file has a fault.
        """
        kinds = read_kinds(path)
        return cls(kinds, Wording.load(kinds.extensions) if path is None else None)

    def system_prompt(self, kind: str) -> str:
        """The task-scoped instructions for a kind: neutral, and silent about who asks. ValueError if unknown."""
        if kind not in self._kinds.prompts:
            raise ValueError(f"unknown kind {kind!r}; allowed: {', '.join(self._kinds.names)}")
        return self._kinds.prompts[kind]

    def classify(self, task: Task) -> Classification:
        """The kind of ``task``: the one it names, else the one its words and shape speak for."""
        if task.kind is not None:
            if task.kind not in self._kinds.prompts:
                raise ValueError(f"unknown kind {task.kind!r}; allowed: {', '.join(self._kinds.names)}")
            return Classification(task.kind, 1.0, ("given",), (task.kind,), (1.0,))
        scores = list(self._kinds.bias)
        spoken: list[tuple[str, float, Weights]] = []
        text = _instruction(task)
        seen = (text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}").casefold()
        words = _WORDS.findall(seen)
        shaped = False
        for name in _features(task, text, seen, words):
            spoken.append((name, 1.0, self._kinds.features[name]))
            shaped = shaped or name in SHAPES
        for phrase, share in self._phrases(words).items():
            spoken.append((f'"{phrase}"', share, self._kinds.phrases[phrase]))
        for _, share, weights in spoken:
            for index, points in weights:
                scores[index] += share * points
        by_rules = scores.copy()
        if not shaped:
            self._add_wording(words, scores)
        return _verdict(self._kinds.names, scores, by_rules, spoken)

    def _add_wording(self, words: list[str], scores: list[float]) -> None:
        """Add to ``scores`` what the wording as a whole speaks for.

        Nothing is added where nothing of it is known or the rules see a kind that it does not know.
        """
        if self._wording is None or scores.index(max(scores)) not in self._places:
            return
        points = self._wording.points(words)
        if points is None:
            return
        for place, more in zip(self._places, points, strict=True):
            if more < 0.0 or place not in self._named or scores[place] > self._kinds.bias[place]:
                scores[place] += more

    def _phrases(self, words: list[str]) -> dict[str, float]:
        """The phrases found in ``words``, each with the share of its weight that its best place earns it."""
        stream: list[tuple[str, ...]] = []
        starts: list[int] = []  # the places where "^" holds
        begun: list[tuple[int, tuple[_Node, ...]]] = []  # the places where phrases begin, and how
        opened = True  # nothing of this sentence was seen yet
        preamble = True  # still within "could you please"
        memory, preambles = self._memory, self._kinds.preamble
        for word in words:
            if word in _BREAKS:
                if not opened:
                    stream.append(_BREAK)
                    opened = preamble = True
                continue
            if preamble:
                if word not in preambles:
                    preamble = False
                    starts.append(len(stream))
                elif opened:
                    starts.append(len(stream))
            opened = False
            known = memory.get(word)
            symbols, nodes = self._remember(word) if known is None else known
            if nodes:
                begun.append((len(stream), nodes))
            stream.append(symbols)
        inner_from, inner_to = FIRST, len(stream) - LAST
        found: dict[str, float] = {}
        anchored = self._root.next.get("^")
        if anchored is not None:
            for place in starts:
                _follow(anchored, stream, place, INNER if inner_from <= place < inner_to else 1.0, found)
        for place, nodes in begun:
            share = INNER if inner_from <= place < inner_to else 1.0
            for node in nodes:
                _follow(node, stream, place + 1, share, found)
        return found

    def _remember(self, word: str) -> tuple[tuple[str, ...], tuple[_Node, ...]]:
        """Which symbols of the phrases ``word`` stands for, and the phrases it begins; kept, as texts repeat words."""
        folded = fold(word[:64])
        candidates = [folded]
        candidates += [folded[:end] + "*" for end in range(1, min(len(folded), self._longest_stem) + 1)]
        if folded[0].isdigit():
            digits = re.match(r"\d+", folded)
            candidates.append("<n>")
            if digits and int(digits[0][:9]) >= MANY:
                candidates.append("<many>")
        elif "." in folded:
            candidates.append(self._kinds.extensions.get(folded.rpartition(".")[2], ""))
        symbols = tuple(symbol for symbol in candidates if symbol in self._vocabulary)
        if len(self._memory) >= REMEMBERED:
            self._memory.clear()
        first = self._root.next
        self._memory[word] = known = symbols, tuple(first[symbol] for symbol in symbols if symbol in first)
        return known

    def _plant(self, phrase: str) -> None:
        """Add one expanded phrase to the trie."""
        node = self._root
        for symbol in phrase.split():
            if symbol == "~":
                node.gap = node.gap or _Node()
                node = node.gap
            else:
                self._vocabulary.add(symbol)
                node = node.next.setdefault(symbol, _Node())
        node.phrase = phrase


def _follow(node: _Node, stream: list[tuple[str, ...]], place: int, share: float, found: dict[str, float]) -> None:
    """Record every phrase that continues from ``node`` at ``place``."""
    if node.phrase and found.get(node.phrase, 0.0) < share:
        found[node.phrase] = share
    if place >= len(stream):
        return
    if node.next:
        for symbol in stream[place]:
            if symbol in node.next:
                _follow(node.next[symbol], stream, place + 1, share, found)
    if node.gap is not None:
        for ahead in range(place, min(place + GAP + 1, len(stream))):
            if stream[ahead] is _BREAK:
                return
            for symbol in stream[ahead]:
                if symbol in node.gap.next:
                    _follow(node.gap.next[symbol], stream, ahead + 1, share, found)


def _instruction(task: Task) -> str:
    """The words to judge by: the prompt, or what the user said last."""
    if task.prompt or task.images:
        return task.prompt
    return next((message.text for message in reversed(task.messages) if message.role == "user"), "")


def _features(task: Task, text: str, seen: str, words: list[str]) -> Iterator[str]:
    """The names of the features that hold; see :data:`FEATURES`."""
    media = [image.media_type for message in task.turns for image in message.images]
    if media:
        sounds = sum(kind.startswith("audio/") for kind in media)
        if sounds:
            yield "audio"
        if sounds < len(media):
            yield "image"
    if not words and not media:
        yield "empty"
    questions = seen.count("?")
    if questions:
        yield "question"
        if questions >= 3:
            yield "questions_3"
        if -1 < seen.find(". ") < seen.rfind("?"):
            yield "told_first"
    for limit, name in ((40, "words_40"), (12, "words_12"), (3, "words_3")):
        if len(words) <= limit:
            yield name
    if _ARITHMETIC.search(seen):
        yield "arithmetic"
    if "```" in seen:
        yield "code_fence"
    lines = seen.count("\n")
    if lines:
        if lines >= 8:
            yield "lines_8"
        if _DIFF.search(seen):
            yield "diff"
        if _TRACEBACK.search(seen):
            yield "traceback"
    if ("(" in seen or "{" in seen or "=" in seen or lines) and _CODE.search(seen):
        yield "code"
    chars = len(text)
    for message in task.messages:
        if message.role in ("user", "tool"):
            chars += len(message.text)
    for tokens in (1000, 4000, 16000):
        if chars >= CHARS_PER_TOKEN * tokens:
            yield f"tokens_{tokens}"


def _verdict(
    names: tuple[str, ...],
    scores: list[float],
    by_rules: list[float],
    spoken: list[tuple[str, float, Weights]],
) -> Classification:
    """The best kind, how sure that is, and the four things that spoke for it most, phrases before all others."""
    top, exp = max(scores), math.exp
    best = scores.index(top)
    confidence = 1.0 / sum([exp(score - top) for score in scores])
    evidence = [
        (-share * points, name) for name, share, weights in spoken for index, points in weights if index == best
    ]
    reasons = [f"{name} {-points:+.1f}" for points, name in sorted(evidence)[:4] if points < 0]
    if (learned := top - by_rules[best]) > 0.05:
        reasons[3:] = [f"{WORDING} {learned:+.1f}"]
    return Classification(
        names[best], confidence, tuple(reasons) or ("nothing speaks for another kind",), names, scores
    )
