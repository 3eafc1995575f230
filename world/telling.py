"""How a thought's end is put before its player: the answer behind its margin, the game's own lines with its mark.

lines = answered(result, screen, remarks)      # rendered once; the ledger keeps them until the player has seen them
hand_over(thinker, lines)                      # a page at a time where the client cannot scroll
screen_of(thinker)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.conf import settings
from evennia.utils.ansi import strip_ansi
from evennia.utils.evmore import EvMore

from uniwizard.agent import AllBackendsFailed, ContentFiltered, Health, RouteResult
from uniwizard.world.harmless import line
from uniwizard.world.mark import MARGIN, MARK, said
from uniwizard.world.markdown import Screen, render
from uniwizard.world.soul import voice

#: Columns that are used at the most, and at the least.
WIDEST, NARROWEST = 100, 30
#: Columns of a web client that has not told its own; a phone held upright has about as many.
WEB_COLUMNS = 44
#: A line's columns where the client wraps by itself.
_ENDLESS = 10**6
#: What the web client's pane knows an answer by, to give it a frame.
ANSWER_CLASS = "out uniwizard-answer"
#: And a word on how far an answer has come, which goes when anything follows it.
PROGRESS_CLASS = "out uniwizard-progress"


def is_web(session: Any) -> bool:
    """Whether a session's client wraps and scrolls by itself, and has a prompt that can be replaced."""
    return str(session.protocol_key).startswith(("web", "ajax"))


def screen_of(thinker: Any) -> Screen:
    """What ``thinker`` reads on: the narrowest of the clients that listen."""
    sessions = thinker.sessions.all()
    widths = [_columns(session) for session in sessions]
    width = min(widths, default=settings.CLIENT_DEFAULT_WIDTH)
    return Screen(
        max(NARROWEST, min(width, WIDEST)),
        reader=any(session.protocol_flags.get("SCREENREADER") for session in sessions),
        flows=bool(sessions) and all(map(is_web, sessions)),
    )


def _columns(session: Any) -> int:
    told = session.protocol_flags.get("SCREENWIDTH", {0: 0})[0]
    if is_web(session) and told in (0, settings.CLIENT_DEFAULT_WIDTH):
        return WEB_COLUMNS
    return int(told or settings.CLIENT_DEFAULT_WIDTH)


def body(text: str, screen: Screen) -> list[str]:
    """An answer behind its margin."""
    return [MARGIN + told if told else "" for told in render(text, screen.narrower(len(MARGIN)))]


def closing(result: RouteResult) -> str:
    """The line under an answer: who gave it, now or once before, how long it took, what it cost."""
    who = result.backend if result.memory is None else f"memory of {result.backend}"
    return f"[{who}, {result.latency_ms / 1000.0:.1f} s, ${result.cost_usd:.4f}]"


def remarks(result: RouteResult, short: Sequence[str]) -> list[str]:
    """What Timmy has to say of an answer, below it."""
    lines = []
    if result.refused:
        who = " and ".join(dict.fromkeys(attempt.backend for attempt in result.refusals))
        lines.append(said(voice.say("accepted_refusal", count=len(result.refusals), key=who)))
    elif result.partial:
        evidence = result.answered.verdict.evidence if result.answered.verdict else ""
        lines.append(said(voice.say("partial", key=result.backend, why=line(evidence, 46))))
    elif short:
        lines.append(said(voice.say("weighed_short", why=line(short[0], 120))))
    return lines


def opening(result: RouteResult) -> str:
    """How Timmy hands an answer over."""
    jars = len({attempt.backend for attempt in result.attempts})
    return said(voice.say("opening_after_trouble", count=jars) if jars > 1 else voice.say("opening"))


def no_answer(failed: AllBackendsFailed, states: Iterable[Health], now: float) -> list[str]:
    """What the player is told when nobody gave a usable answer: a line for each, and what can be done."""
    if isinstance(failed, ContentFiltered):
        key = failed.attempts[-1].backend
        return [
            said(f"|r{key}'s own filter stopped this|n, and it is not shopped around. Ask it another way."),
            said(f"|x[{key}, ${failed.cost_usd:.4f}]|n"),
        ]
    why = line((failed.why or "nobody gave a usable answer").rstrip("."))
    lines = [said(f"|r{why[:1].upper()}{why[1:]}.|n")]
    for (backend, failure), same in groupby(failed.attempts, lambda attempt: (attempt.backend, attempt.failure)):
        times = len(list(same))
        often = f", {times} times" if times > 1 else ""
        lines.append(f" - {backend} {voice.failure(failure)}{often}")
    lines += [f" - {skipped.backend} {voice.obstacle(skipped.reason)}" for skipped in failed.skipped]
    lines.append(said(what_now(states, now)))
    lines.append(said(f"|x[nobody, ${failed.cost_usd:.4f}]|n"))
    return lines


def what_now(states: Iterable[Health], now: float) -> str:
    """What whoever cannot get an answer can do, and when."""
    states = list(states)
    if any(not health.available() for health in states):
        return voice.say("dead_end_again")
    resting = {
        health.backend.key: max(health.cooldown_until if health.state == "open" else 0.0, health.rests_until) - now
        for health in states
        if not health.backend.unconfigured and not health.disabled
    }
    waits = {key: seconds for key, seconds in resting.items() if 0.0 < seconds < float("inf")}
    if waits:
        first = min(waits, key=waits.__getitem__)
        return voice.say("dead_end_when", time=max(1, round(waits[first] + 0.5)), key=first)
    return voice.say("dead_end")


def flowed(text: str, width: int) -> str:
    """``text`` (with Evennia's markup) in lines of at most ``width`` columns, broken at blanks; colours take none.

    A word that is longer than a line is broken where the line ends.
    """
    if len(text) <= width:
        return text
    lines = []
    for whole in text.split("\n"):
        line, used = "", 0
        for word in _parts(whole.split(" "), width):
            size = len(strip_ansi(word))
            if used and used + 1 + size > width:
                lines.append(line)
                line, used = "", 0
            line, used = (f"{line} {word}", used + 1 + size) if used else (line + word, used + size)
        lines.append(line)
    return "\n".join(lines)


def _parts(words: Iterable[str], width: int) -> Iterator[str]:
    """Words, those that no line can hold in pieces."""
    for word in words:
        # Markup cannot be cut anywhere.
        if len(word) <= width or "|" in word:
            yield word
        else:
            yield from (word[at : at + width] for at in range(0, len(word), width))


def width_of(looker: Any) -> int:
    """Columns to wrap at for whoever looks, who may be nobody's character."""
    if not hasattr(looker, "sessions"):
        return 78
    screen = screen_of(looker)
    return _ENDLESS if screen.flows else screen.width


def tell(thing: Any, text: str, kind: str = "uniwizard") -> None:
    """Show ``text`` (harmless, with Evennia's markup) to ``thing``, as wide as its screen."""
    thing.msg(text=(flowed(text, width_of(thing)), {"type": kind}))


def counter_told(health: Health) -> str:
    """What a breaker's counter means."""
    backend = health.backend
    left = backend.allowed_fails + 1 - health.fails
    if left <= 1:
        return f"One more failure, and it rests for {backend.cooldown_time:g} s."
    return f"{left} more failures, and it rests for {backend.cooldown_time:g} s."


# -- showing -----------------------------------------------------------------------------------------------------------


class Pages(EvMore):
    """A pager that loses nothing: whatever is typed ends it and is done, and ``again`` shows the rest."""

    again = ""

    def page_quit(self, quiet: bool = False) -> None:
        left = self._npos < self._npages - 1
        self._exit_msg = said(f"The rest is kept: |w{self.again}|n shows it all.") if left and self.again else ""
        super().page_quit(quiet=quiet or not left)


def hand_over(thinker: Any, lines: Sequence[str], again: str = "think/again") -> None:
    """Show lines to a player, a page at a time where they do not fit the screen and the client cannot scroll.

    again  the command that shows them once more; empty where there is none
    """
    sessions = thinker.sessions.all()
    height = min((s.protocol_flags.get("SCREENHEIGHT", {0: 24})[0] for s in sessions), default=24)
    web = [session for session in sessions if is_web(session)]
    if web:
        for inside, part in groupby(lines, lambda told: not told or told.startswith(MARGIN)):
            _show_on(web, [told.removeprefix(MARGIN) if inside else told for told in part], answer=inside)
    if sessions and len(web) == len(sessions):
        return
    terminal = next((session for session in sessions if session not in web), None)
    text = "\n".join(lines)
    if terminal is not None and len(lines) > max(10, height - 4):
        pages = Pages(thinker, text, session=terminal, exit_on_lastpage=True, text_kwargs={"type": "uniwizard"})
        pages.again = again
    elif web:
        _show_on([session for session in sessions if session not in web], lines)
    else:
        thinker.msg(text=(text, {"type": "uniwizard"}))


def _show_on(sessions: Iterable[Any], lines: Sequence[str], *, answer: bool = False) -> None:
    if not any(lines):
        return
    text = "\n".join(lines).strip("\n") if answer else "\n".join(lines)
    options = {"type": "uniwizard", **({"cls": ANSWER_CLASS} if answer else {})}
    for session in sessions:
        session.msg(text=(text, options))


def is_marked(told: str) -> bool:
    """Whether a line is the game's own."""
    return MARK in told
