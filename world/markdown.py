"""Markdown, as models write it, for a terminal and for the web client.

    render(text, Screen(width=60))       # lines ready for msg()

markdown-it-py parses (CommonMark and tables); this lays out: paragraphs and lists are wrapped, tables are made to fit
or become records, code is left as it is. What is not understood is shown as it was written. The text is hostile: every
piece of it is made harmless (:mod:`world.harmless`) after it has been wrapped, behind entities and escapes too, and
HTML is letters. An address is shown whole beside the words that would hide it, and only if it is http or https.

Bold and underlined text has no colour of its own, and code is in a dark one: both can be read on black and on white.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from uniwizard.world.harmless import LIMIT, escape, letters, plain, show

#: Columns of a table's narrowest column; where that is not to be had, the table becomes records.
NARROWEST: Final = 6
#: Between two columns of a table.
_GAP = "  "
#: What a piece of text may be, as Evennia's markup; joined where several apply.
_STYLES = {"strong": "|h", "em": "|u", "code": "|C", "heading": "|h", "link": "|u"}
_ADDRESS = re.compile(r"https?://[^\s\"'<>\\|]{1,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Screen:
    """What a player reads on.

    width   columns
    reader  whether a screen reader speaks it: no frames, no columns, words for what others see
    flows   whether the client wraps lines itself, so that only tables are made to fit
    """

    width: int = 78
    reader: bool = False
    flows: bool = False

    def narrower(self, columns: int) -> Screen:
        return replace(self, width=max(10, self.width - columns))


@dataclass(frozen=True, slots=True)
class _Run:
    """Letters of one style."""

    text: str
    style: str = ""


def render(text: str, screen: Screen) -> list[str]:
    """``text`` as lines that fit ``screen``, but for code; with Evennia's markup, and harmless."""
    words = plain(text, LIMIT)
    try:
        tree = SyntaxTreeNode(_parser().parse(words))
    except (ValueError, RecursionError):
        # Whatever the parser stumbles over is still an answer.
        return show(words, screen.width)
    return _blocks(tree.children, screen)


@cache
def _parser() -> MarkdownIt:
    # Indented lines are poems more often than code; HTML stays as it was written.
    return MarkdownIt("commonmark").enable("table").disable(["html_block", "html_inline", "code", "reference"])


# -- blocks ----------------------------------------------------------------------------------------------------------


def _blocks(nodes: Sequence[SyntaxTreeNode], screen: Screen) -> list[str]:
    """Blocks below each other, a blank line between two that are not items of one list."""
    lines: list[str] = []
    for node in nodes:
        block = _block(node, screen)
        if lines and block:
            lines.append("")
        lines += block
    return lines


def _block(node: SyntaxTreeNode, screen: Screen) -> list[str]:
    match node.type:
        case "fence":
            return _code(node, screen)
        case "table":
            return _table(node, screen)
        case "bullet_list" | "ordered_list":
            return list(_list(node, screen))
        case "blockquote":
            quoted = _blocks(node.children, screen.narrower(2))
            return quoted if screen.reader else [f"> {line}" for line in quoted]
        case "hr":
            return [] if screen.reader else ["-" * min(screen.width, 20)]
        case "heading":
            return _wrapped(_runs(node.children[0].children, ("heading",)), screen)
        case "paragraph":
            return _wrapped(_runs(node.children[0].children), screen)
    return show(node.content, screen.width) if not node.children else _blocks(node.children, screen)


def _code(node: SyntaxTreeNode, screen: Screen) -> list[str]:
    written = letters(node.content).rstrip("\n").split("\n")
    language = escape(" ".join(plain(node.info, 20).split())[:20])
    if screen.reader:
        return [f"(code{f', {language}' if language else ''})", *map(escape, written), "(end of code)"]
    # The blank line above and below, and two columns: copied from a terminal, it is still code.
    return [f"  |C{escape(line)}|n" if line.strip() else "" for line in written]


def _list(node: SyntaxTreeNode, screen: Screen) -> Iterator[str]:
    number = int(str(node.attrs.get("start", 1))[:9])
    last = len(f"{number + len(node.children) - 1}.") + 1
    for place, item in enumerate(node.children):
        head = f"{number + place}.".ljust(last) if node.type == "ordered_list" else "- "
        # A list in a list follows its line at once, as do two paragraphs of one item.
        lines = [line for child in item.children for line in _block(child, screen.narrower(len(head)))]
        for index, line in enumerate(lines or [""]):
            yield (" " * len(head) if index else head) + line


def _table(node: SyntaxTreeNode, screen: Screen) -> list[str]:
    rows = [
        [_runs(cell.children[0].children) if cell.children else [] for cell in row.children]
        for part in node.children
        for row in part.children
    ]
    head, *body = rows
    columns = len(head)
    natural = [max(_cells(_text(row[column])) for row in rows) for column in range(columns)]
    widths = _fitted(natural, screen.width - len(_GAP) * (columns - 1))
    if screen.reader or widths is None:
        return _records(head, body, screen)
    lines: list[str] = []
    for index, row in enumerate(rows):
        styled = [[replace(run, style=run.style or "|h") for run in cell] for cell in row] if not index else row
        lines += _row(styled, widths)
        if not index:
            lines.append(_GAP.join("-" * width for width in widths))
    return lines


def _fitted(natural: Sequence[int], room: int) -> list[int] | None:
    """Widths of columns that fit: the widest give way first. None where one would be too narrow to read."""
    widths = [max(1, width) for width in natural]
    while sum(widths) > room:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            return None
        widths[widest] -= 1
    return widths


def _row(cells: Sequence[list[_Run]], widths: Sequence[int]) -> list[str]:
    laid = [list(_lines(cell, width)) or [[]] for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(map(len, laid))):
        pieces = []
        for cell, width in zip(laid, widths, strict=True):
            runs = cell[number] if number < len(cell) else []
            pieces.append(_markup(runs) + " " * (width - _cells(_text(runs))))
        lines.append(_GAP.join(pieces).rstrip())
    return lines


def _records(head: Sequence[list[_Run]], body: Sequence[Sequence[list[_Run]]], screen: Screen) -> list[str]:
    """A table as one record after the other, a line a cell."""
    lines: list[str] = []
    for row in body or [head]:
        if lines:
            lines.append("")
        for name, cell in zip(head, row, strict=True):
            label = [replace(run, style=run.style or "|h") for run in name]
            lines += _wrapped([*label, _Run(": "), *cell] if label else cell, screen)
    return lines


# -- words -----------------------------------------------------------------------------------------------------------


def _runs(nodes: Iterable[SyntaxTreeNode], styles: tuple[str, ...] = ()) -> list[_Run]:
    """The letters of inline nodes with their styles."""
    runs: list[_Run] = []
    style = "".join(dict.fromkeys(_STYLES[name] for name in styles))
    for node in nodes:
        match node.type:
            case "text" | "text_special" | "html_inline":
                runs.append(_Run(letters(node.content).replace("\n", " "), style))
            case "softbreak" | "hardbreak":
                # A model that breaks a line means it.
                runs.append(_Run("\n"))
            case "code_inline":
                code = "".join(dict.fromkeys((style, _STYLES["code"])))
                runs.append(_Run(letters(node.content).replace("\n", " "), code))
            case "link" | "image":
                runs += _linked(node, styles)
            case "strong" | "em":
                runs += _runs(node.children, (*styles, node.type))
            case _:
                runs += _runs(node.children, styles) or [_Run(letters(node.content).replace("\n", " "), style)]
    return runs


def _linked(node: SyntaxTreeNode, styles: tuple[str, ...]) -> list[_Run]:
    """The words of a link, and its address where it is one that may be followed."""
    picture = node.type == "image"
    address = letters(str(node.attrs.get("src" if picture else "href", "")))
    safe = _ADDRESS.fullmatch(address) is not None
    words = _runs(node.children, (*styles, "link") if safe and not picture else styles)
    if picture:
        words = [_Run("(picture: "), *words, _Run(")")]
    if not safe or _text(words).strip() == address:
        return words
    return [*words, _Run(" <"), _Run(address), _Run(">")]


def _text(runs: Iterable[_Run]) -> str:
    return "".join(run.text for run in runs)


def _wrapped(runs: list[_Run], screen: Screen) -> list[str]:
    width = 10**9 if screen.flows else screen.width
    return [_markup(line) for line in _lines(runs, width)]


def _lines(runs: Iterable[_Run], width: int) -> Iterator[list[_Run]]:
    """``runs`` as lines of at most ``width`` columns, broken at blanks, and within a word that is longer than a
    line."""
    line: list[_Run] = []
    used = 0
    for word, broken in _words(runs):
        if broken:
            yield line
            line, used = [], 0
            continue
        size = _cells(_text(word))
        if used and used + 1 + size > width:
            yield line
            line, used = [], 0
        if used:
            line.append(_Run(" ", word[0].style if line[-1].style == word[0].style else ""))
            used += 1
        while size > width:
            part, word = _split(word, width)
            yield [*line, *part]
            line, size = [], _cells(_text(word))
        line += word
        used += size
    if line:
        yield line


def _words(runs: Iterable[_Run]) -> Iterator[tuple[list[_Run], bool]]:
    """Every word, as the runs it is made of; and where a line ends."""
    word: list[_Run] = []
    for run in runs:
        for piece in re.findall(r"\n| +|[^\n ]+", run.text):
            if piece[0] in "\n ":
                if word:
                    yield word, False
                    word = []
                if piece == "\n":
                    yield [], True
            else:
                word.append(_Run(piece, run.style))
    if word:
        yield word, False


def _split(word: list[_Run], width: int) -> tuple[list[_Run], list[_Run]]:
    """As much of ``word`` as fits, and the rest of it; at least a letter."""
    fits: list[_Run] = []
    for index, run in enumerate(word):
        for place, letter in enumerate(run.text):
            if (width := width - _cells(letter)) < 0 and (place or fits):
                rest = [_Run(run.text[place:], run.style), *word[index + 1 :]]
                return [*fits, *([_Run(run.text[:place], run.style)] if place else [])], rest
        fits.append(run)
    return fits, []


def _markup(runs: Iterable[_Run]) -> str:
    """One line of ``runs`` as Evennia's markup."""
    pieces: list[str] = []
    merged = [_Run("".join(run.text for run in same), style) for style, same in groupby(runs, lambda run: run.style)]
    for index, run in enumerate(merged):
        text = run.text
        if text.endswith(("|", "\\", "{")) and index + 1 < len(merged):
            # What begins a piece of markup must not meet the next letters again where a client drops colours.
            text += " "
        pieces.append(f"{run.style}{escape(text)}|n" if run.style else escape(text))
    return "".join(pieces)


def _cells(text: str) -> int:
    """Columns that ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cell(letter) for letter in text)


def _cell(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
