"""What can be done in the Workshop besides thinking: talk to Timmy, feel things, ask what he remembers."""

from __future__ import annotations

from typing import Any

from evennia.commands.default.general import CmdGet as EvenniaGet
from evennia.commands.default.muxcommand import MuxCommand

from uniwizard.commands.base import UniwizardCommand
from uniwizard.typeclasses.fixtures import Fixture
from uniwizard.typeclasses.timmy import Timmy
from uniwizard.world import memories
from uniwizard.world.harmless import line, whole
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import the as soul
from uniwizard.world.soul import voice
from uniwizard.world.telling import tell


def keeper_near(caller: Any) -> Any:
    """The keeper, where ``caller`` stands; None where he is not."""
    here = caller.location.contents if caller.location is not None else ()
    return next((thing for thing in here if isinstance(thing, Timmy)), None)


class CmdAsk(MuxCommand):
    """
    talk to somebody: a question, or a word

    Usage:
      ask <who> about <what>
      ask <who> <question>
      <who>, <anything>

    Timmy answers what is said to him, with a borrowed brain
    where it is a question. So do 'say hello Timmy' and 'whisper
    Timmy = ...'.

    Examples:
      ask timmy about the tides
      Timmy, what is 2+2?
    """

    key = "ask"
    locks = "cmd:all()"
    help_category = "Workshop"
    arg_regex = r"\s|$"

    def func(self) -> None:
        who, _, words = self.args.strip().partition(" ")
        if not who:
            self.caller.msg("Usage: ask <who> about <what>")
            return
        keeper = keeper_near(self.caller)
        if keeper is None or who.rstrip(",:").casefold() not in {name.casefold() for name in soul().names}:
            whom = self.caller.search(who.rstrip(",:"))
            if whom is not None:
                # Whoever it is, they hear it as anything that is said.
                self.caller.execute_cmd(f"say {words.strip() or 'Hello?'}", session=self.session)
            return
        words = words.strip()
        if words.casefold().startswith("about "):
            words = f"Tell me about {words[6:].strip()}"
        self.caller.msg(f'You ask {keeper.key}: "{line(words or "Hello?", 200)}"')
        keeper.hear(self.caller, words or "hello", aloud=False)


class CmdCall(MuxCommand):
    """
    say something to Timmy

    Usage:
      Timmy, <anything>
    """

    key = "timmy,"
    locks = "cmd:all()"
    help_category = "Workshop"
    auto_help = False
    arg_regex = None

    def __init__(self, **kwargs: Any) -> None:
        names = [name.casefold() for name in soul().names]
        kwargs.setdefault("key", f"{names[0]},")
        kwargs.setdefault("aliases", [*(f"{name}," for name in names[1:]), *(f"{name}:" for name in names)])
        super().__init__(**kwargs)

    def func(self) -> None:
        keeper = keeper_near(self.caller)
        if keeper is None:
            self.caller.msg(f"{soul().name} is not here.")
            return
        # As said aloud: everybody hears the question, and him.
        self.caller.execute_cmd(f"say {keeper.key}, {self.args.strip() or 'hello'}", session=self.session)


class CmdFeel(MuxCommand):
    """
    feel something with your fingers

    Usage:
      feel <thing>

    Example:
      feel claude
    """

    key = "feel"
    aliases = ["touch"]
    locks = "cmd:all()"
    help_category = "Workshop"

    def func(self) -> None:
        if not self.args.strip():
            self.caller.msg("Feel what?")
            return
        thing = self.caller.search(self.args.strip())
        if thing is None:
            return
        if isinstance(thing, Fixture):
            tell(self.caller, thing.felt_told())
        elif isinstance(thing, Timmy):
            self.caller.msg(voice.say("poke", name=line(self.caller.key)))
        else:
            self.caller.msg(f"It feels as {line(thing.get_display_name(self.caller), 40)} should.")


class CmdGet(EvenniaGet):
    """
    pick up something

    Usage:
      get <obj>

    Picks up an object from your location and puts it in your
    inventory.
    """

    key = EvenniaGet.key
    aliases = [*EvenniaGet.aliases, "take"]

    def func(self) -> None:
        here = self.caller.location
        wanted = self.args.strip()
        if here is not None and wanted:
            found = self.caller.search(wanted, location=here, quiet=True)
            if len(found) == 1 and isinstance(found[0], Fixture):
                tell(self.caller, found[0].taken_told(self.caller))
                return
        super().func()


class CmdRecall(UniwizardCommand):
    """
    what Timmy remembers of you, in his own words

    Usage:
      recall
      recall/forget <number>
      recall/forget all

    It is kept in the game, on your character, and no brain is
    ever given it. What you have Timmy forget is gone.
    """

    key = "recall"
    aliases = ["memories"]
    known_switches = ("forget",)
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        wanted = self.task.lower()
        kept = memories.of(self.caller)
        if "forget" in self.switches:
            if wanted == "all":
                done = memories.forget(self.caller)
            else:
                done = whole(wanted) >= 0 and memories.forget(self.caller, whole(wanted))
            self.say(voice.say("talk_forget", name=line(self.caller.key)) if done else "There is no such memory.")
        elif not kept:
            self.say(f"{soul().name} remembers nothing of you yet.")
        else:
            lines = [f"|w{soul().name} remembers:|n"]
            lines += [f"{number:>3}. {memory.told()}" for number, memory in enumerate(kept, 1)]
            lines.append("Have him forget one: |wrecall/forget|n <number>, or |wrecall/forget all|n.")
            self.say("\n".join(lines))
