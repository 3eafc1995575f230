"""Answers that are no answers by their shape alone: empty, cut off, looping, a template's left-overs, a wrong language.

Every check returns the evidence as a short text, or an empty one. Each looks at a bounded part of the answer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise

from .data import words as listed
from .data import words_by_language
from .text.language import language_of
from .text.sentences import head_and_tail, words_of

#: Words that must repeat before a repetition is a loop, and the share of the tail they must fill.
LOOP_WORDS = 60

#: Left-overs of chat templates and prompt templates, which no reader should see.
_TEMPLATE_MARKS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|assistant|>", "<|user|>",
    "<|system|>", "<|begin_of_text|>", "<｜Assistant｜>", "<｜User｜>", "<｜end▁of▁sentence｜>", "[/INST]", "[INST]",
    "<<SYS>>", "<start_of_turn>", "<end_of_turn>", "### Instruction:", "### Response:", "<unk><unk>", "<0x0A>",
)  # fmt: skip
_PLACEHOLDER = re.compile(
    r"\{\{ ?[a-z_][\w.]{0,40} ?\}\}|\[(?:insert|your|enter|add|fill in)\b[^\]\n]{1,40}\]|\bTODO: (?:write|fill|add) ",
    re.IGNORECASE,
)


def empty(text: str) -> str:
    """Evidence that there is nothing but white space, punctuation and invisible characters."""
    if any(char.isalnum() for char in text[:2000]):
        return ""
    # Symbols can be an answer: an emoji, an arrow, a mathematical sign. Punctuation alone is none.
    seen, _ = head_and_tail(text)
    if any(char.isalnum() or not (char.isascii() or char in _BLANK or char.isspace()) for char in seen):
        return ""
    rest = seen.strip()
    if rest and (_is_json(rest) or _is_operator(rest)):
        return ""
    return f"only {rest[:20]!r}" if rest else "no text"


def _is_json(text: str) -> bool:
    """Whether ``text`` is an empty object or list, or nothing but those: an answer without letters all the same."""
    if text[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_operator(text: str) -> bool:
    return len(text) <= 3 and _OPERATORS.issuperset(text) and (len(text) < 3 or len(set(text)) > 1)


#: Marks that can be an answer by themselves: which operator, which sign.
_OPERATORS = frozenset("+-*/=<>%&|!^~")
_BLANK = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u3164\u2800\ufffd…—–·•。、！？“”‘’«»")


def template_residue(task: str, text: str) -> str:
    """Evidence of a template's marks, unless the task is about such marks or asks for a template."""
    seen, _ = head_and_tail(text)
    if "<" in seen or "[" in seen or "#" in seen:
        for mark in _TEMPLATE_MARKS:
            if mark in seen and mark not in task and f"`{mark}" not in seen and "token" not in task.lower():
                return mark
    if ("{{" in seen or "[" in seen or "TODO" in seen) and "```" not in seen:
        found = _PLACEHOLDER.search(seen)
        if found and found[0] not in task and listed("template_tasks").isdisjoint(words_of(task[:2000])):
            return found[0]
    return ""


def loop(text: str) -> str:
    """Evidence that the answer ends in saying the same thing again and again."""
    tail = text[-2000:]
    last = tail[-700:].split()[-LOOP_WORDS:]
    if len(last) >= LOOP_WORDS // 2:
        # A loop of up to 30 words has no more than 30 different ones.
        if len(set(last)) <= 30 and (said := _repeated(tail.split())):
            return said
        if tail.count("\n") >= 6:
            lines = [line for line in tail.split("\n") if line.count(" ") > 2]
            line, times = Counter(lines).most_common(1)[0] if len(set(lines)) < len(lines) else ("", 0)
            if times >= 6 and times * 2 > len(lines):
                return line.strip()[:80]
        return ""
    # One character or syllable over and over, as broken samplers write: no spaces to see it by.
    if len(tail) >= 200:
        for period in range(1, 9):
            unit = tail[-period:]
            if unit.strip(" -=_*#.\n") and tail.endswith(unit * (160 // period)):
                return unit[:80]
    return ""


def _repeated(words: list[str]) -> str:
    for period in range(1, min(31, len(words))):
        if words[-1 - period] != words[-1]:
            continue
        count = 0
        for i in range(len(words) - 1, period - 1, -1):
            if words[i] != words[i - period]:
                break
            count += 1
        if count >= max(LOOP_WORDS // 2, 4 * period):
            return " ".join(words[-period:])[:80]
    return ""


def cut_off(text: str) -> str:
    """Evidence that a text stops in the middle: an open code fence or an open JSON."""
    if text.count("```") % 2:
        return "an unclosed code fence"
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and stripped[-1:] not in ("}", "]") and stripped[1:2] in ('"', "\n", "{", "["):
        return "unclosed JSON"
    return ""


def demanded_language(task: str) -> str:
    """The language the task asks its answer to be in, or an empty string; conservative."""
    words = words_of(task[:400]) + words_of(task[-200:] if len(task) > 400 else "")
    if listed("answering").isdisjoint(words):
        return ""
    named = words_by_language("languages")
    found = {named[word] for before, word in pairwise(words) if before in listed("prepositions") and word in named}
    return found.pop()[0] if len(found) == 1 else ""


def wrong_language(task: str, text: str) -> str:
    """Evidence that the answer is in another language than the task demands; silent where it cannot be sure."""
    demanded = demanded_language(task)
    if not demanded:
        return ""
    spoken = language_of(text[:3000])
    return f"{spoken} where {demanded} was asked for" if spoken and spoken != demanded else ""
