"""What ``think`` does with answers that have been given: shows them again, lists, shares and forgets them."""

from __future__ import annotations

import time

from uniwizard.commands.base import UniwizardCommand
from uniwizard.world import answers, telling
from uniwizard.world.harmless import line, whole
from uniwizard.world.mark import said
from uniwizard.world.narrator import tell_room
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.thoughts import LIVE


def again(command: UniwizardCommand, router: GameRouter) -> None:
    """``think/again``: the last answer once more, with its pages."""
    kept = answers.last(command.caller)
    if kept is None:
        command.say("There is no answer yet. Ask something: |wthink|n <task>")
    else:
        _show(command, kept)


def history(command: UniwizardCommand, router: GameRouter) -> None:
    """``think/history``: the last answers, a line each; or one of them, by its number."""
    kept = answers.of(command.caller)
    wanted = command.task
    if not kept:
        command.say("There is no answer yet. Ask something: |wthink|n <task>")
    elif not wanted:
        width = command.client_width()
        lines = [f"|w{'':>3}  {'when':<13}{'who':<9}what you asked|n"]
        for number, entry in enumerate(reversed(kept), 1):
            when = time.strftime("%d %b %H:%M", time.localtime(entry.at))
            follows = "+ " if entry.thread != entry.number else ""
            lines.append(f"{number:>3}  {when:<13}{entry.backend:<9}{follows}{line(entry.asked, max(10, width - 30))}")
        lines.append("One of them: |wthink/history|n <number>. Forget them all: |wthink/forget|n.")
        command.say("\n".join(lines))
    elif 1 <= whole(wanted) <= len(kept):
        _show(command, kept[-int(wanted)])
    else:
        command.say(f"There is no such answer; there are 1 to {len(kept)}, the latest first.")


def share(command: UniwizardCommand, router: GameRouter) -> None:
    """``think/share``: an answer, for everybody in the room to hear."""
    kept = answers.last(command.caller)
    room = command.caller.location
    if kept is None:
        command.say("There is no answer yet that you could share.")
        return
    words = {"name": line(command.caller.key), "why": line(kept.asked, 60)}
    if room is None:
        command.say("There is nobody here.")
        return
    tell_room(room, voice.say("shared", **words))
    for thing in room.contents:
        if thing.has_account:
            lines = telling.body(kept.text, telling.screen_of(thing))
            telling.hand_over(thing, [*lines, said(f"|x{line(kept.closing)}|n")])


def stream(command: UniwizardCommand, router: GameRouter) -> None:
    """``think/stream``: whether answers are shown as they come."""
    wanted = command.task.lower()
    if wanted in ("on", "off"):
        command.caller.attributes.add(LIVE[0], wanted == "on", category=LIVE[1])
    elif wanted:
        command.say("Usage: think/stream on, or think/stream off")
        return
    if command.caller.attributes.get(LIVE[0], category=LIVE[1]):
        command.say("Answers are shown as they come, once their first sentence has been judged.")
    else:
        command.say(
            "Answers are shown when they are whole and have been weighed. To see them come: |wthink/stream on|n"
        )


def forget(command: UniwizardCommand, router: GameRouter) -> None:
    """``think/forget``: no answer is kept any more."""
    had = answers.forget(command.caller)
    command.say("Your answers are forgotten." if had else "There is nothing to forget.")


def _show(command: UniwizardCommand, kept: answers.Kept) -> None:
    width = command.client_width()
    head = said(f"You asked: {line(kept.asked, max(20, width - 14))}")
    lines = telling.body(kept.text, telling.screen_of(command.caller))
    telling.hand_over(command.caller, [head, "", *lines, "", said(f"|x{line(kept.closing)}|n")])
