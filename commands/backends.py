"""``backends``: the shelf of brains, and for Builders the switches on it."""

from __future__ import annotations

from urllib.parse import urlsplit

from evennia.utils import logger
from twisted.internet.defer import Deferred

from uniwizard.agent import KINDS, Health
from uniwizard.commands.base import UniwizardCommand
from uniwizard.world import fault_notice
from uniwizard.world.harmless import line, show
from uniwizard.world.routers import GameRouter
from uniwizard.world.soul import voice
from uniwizard.world.telling import counter_told

#: Characters of a quota's bar.
_BAR = 16
_SWITCHES = ("disable", "enable", "reset", "probe", "reload", "learned", "forget")


class CmdBackends(UniwizardCommand):
    """
    look along the shelf of borrowed brains

    Usage:
      backends
      backends <backend>
      backends/disable <backend>
      backends/enable <backend>
      backends/reset <backend>
      backends/probe [<backend>]
      backends/reload
      backends/learned [<backend or kind>]
      backends/forget <backend, kind, or all>

    Switches (Builders and above):
      disable - do not ask this backend until it is enabled
                again
      enable  - ask it again
      reset   - close its breaker, whatever opened it
      probe   - see whether it is there, without spending a
                token
      reload  - read the backends file again; with faults, the
                old one stays
      learned - what the game has learned of each brain, by kind
                of work
      forget  - forget what was learned of a brain, of a kind, or
                all of it

    Examples:
      backends claude
      backends/probe
    """

    key = "backends"
    aliases = ["shelf"]
    known_switches = _SWITCHES
    locks = "cmd:all()"

    def do(self, router: GameRouter) -> None:
        router.heed_edits()
        key = self.task.lower()
        if self.switches and not self.is_builder():
            return
        if "reload" in self.switches:
            self._reload(router)
        elif "learned" in self.switches:
            self.say("\n".join(_learned(router, key)))
        elif "forget" in self.switches:
            self._forget(router, key)
        elif "probe" in self.switches:
            if not key or self.is_backend(router, key):
                self._probe(router, key)
        elif self.switches and not key:
            self.say(f"Which one? Usage: backends/{self.switches[0]} <backend>")
        elif not key:
            faults = fault_notice.lines() if self.caller.check_permstring("Builder") else []
            self.say("\n".join([*faults, *_shelf(router, self.client_width())]))
        elif self.is_backend(router, key):
            if self.switches:
                self._change(router, key)
            else:
                insider = self.caller.check_permstring("Builder")
                self.say("\n".join(_detail(router, key, self.client_width(), insider=insider)))

    def _change(self, router: GameRouter, key: str) -> None:
        if "disable" in self.switches:
            router.brain.set_disabled(key, True)
            told = f"{key} is put away; nobody asks it until backends/enable {key}."
        elif "enable" in self.switches:
            router.brain.set_disabled(key, False)
            told = f"{key} is back on the shelf."
        else:
            router.brain.reset(key)
            told = f"{key}'s breaker is closed; its lamp burns."
        router.persist()
        self.say(told)

    def _reload(self, router: GameRouter) -> None:
        faults = router.reload_config()
        if faults:
            told = "\n".join(f"  {line(fault, 300)}" for fault in faults)
            self.say(f"|rThe backends file has faults; the old one stays in force.|n\n{told}")
        else:
            self.say(f"The backends file is read; {len(router.brain.backend_keys())} brains stand on the shelf.")

    def _forget(self, router: GameRouter, what: str) -> None:
        if what == "all":
            router.brain.forget_learned()
        elif what in router.brain.backend_keys():
            router.brain.forget_learned(backend=what)
        elif what in KINDS:
            router.brain.forget_learned(kind=what)
        else:
            self.say("Forget what? Usage: backends/forget <backend, kind, or all>")
            return
        router.persist()
        self.say("All that was learned is forgotten." if what == "all" else f"What was learned of {what} is forgotten.")

    def _probe(self, router: GameRouter, key: str) -> None:
        self.say(f"Tapping on {key or 'every jar'} ...")
        if key:
            asked = Deferred.fromCoroutine(router.brain.probe(key)).addCallback(lambda told: {key: told})
        else:
            asked = Deferred.fromCoroutine(router.brain.probe_all())
        asked.addCallback(self._told)
        asked.addErrback(lambda why: logger.log_err(f"Uniwizard: a probe broke: {why}"))

    def _told(self, told: dict[str, str]) -> None:
        lines = [f"  |w{key:<8}|n {line(wrong, 100) if wrong else '|gis there|n'}" for key, wrong in told.items()]
        self.say("\n".join(lines))


def _state(health: Health) -> str:
    """What a backend does now, in a word or two, and its colour."""
    obstacle = health.available()
    if health.backend.unconfigured:
        return "|xasleep|n"
    if health.disabled:
        return "|xdisabled|n"
    if obstacle.startswith("breaker open for"):
        return f"|ropen, {obstacle.split()[3]} s|n"
    if obstacle:
        return f"|r{health.state}|n"
    if health.state == "half-open":
        return "|yhalf-open|n"
    if health.reachable is False and not health.backend.practice:
        return "|yunreachable|n"
    return "|gready|n"


def _shelf(router: GameRouter, width: int) -> list[str]:
    """The table of all backends; where it does not fit, what matters most of it."""
    wide = width >= 62
    lines = [
        f"|w{'brain':<10}{'state':<14}{'well':>6}"
        + (f"{'latency':>10}{'asked':>8}{'cost so far':>13}|n" if wide else "|n")
    ]
    for health in router.brain.states():
        state = _state(health)
        pad = " " * max(1, 14 - (len(state) - 4))
        row = f"{health.backend.key:<10}{state}{pad}{health.reliability():>6.0%}"
        if wide:
            row += f"{_latency(health.latency_ms):>10}{health.attempts:>8}{f'${health.cost_usd:.4f}':>13}"
        lines.append(row)
    if router.brain.practising:
        lines.append("|mPractice: straw dummies stand in for the brains; every answer is simulated.|n")
    return lines


def _learned(router: GameRouter, only: str) -> list[str]:
    """What was learned, of everything or of one backend or kind; 78 columns at most."""
    rows = [row for row in router.brain.learned() if not only or only in (row.kind, row.backend)]
    if not rows:
        return ["Nothing has been learned yet. What players say of answers (think/good, think/bad) teaches most."]
    lines = [f"|w{'kind':<15}{'brain':<10}{'expected':>9}{'between':>14}{'outcomes':>10}|n"]
    before = ""
    for row in rows:
        between = f"{row.low:.0%} to {row.high:.0%}"
        seen = f"{row.seen:.0f}" if row.trusted else f"{row.seen:.0f} (few)"
        kind, colour = (row.kind, "|g") if row.kind != before else ("", "|n")
        lines.append(f"{kind:<15}{colour}{row.backend:<10}|n{row.mean:>9.0%}{between:>14}{seen:>10}")
        before = row.kind
    if why := router.brain.learning_reverted:
        lines.append(f"|yThe rules decide for the present: {line(why, 160)}.|n")
    if router.brain.practising:
        lines.append("|mPractice: this is what was learned of straw dummies.|n")
    return lines


def _latency(milliseconds: float) -> str:
    if not milliseconds:
        return "-"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _quotas(router: GameRouter, key: str) -> dict[str, str]:
    """A bar for each quota: what is used of it, and when it resets."""
    rows: dict[str, str] = {}
    now = router.brain.clock.seconds()
    for number, status in enumerate(router.brain.quota_status(key)):
        full = round(status.share * _BAR)
        colour = "|r" if status.share >= 0.9 else "|y" if status.share > (status.gone or 0.5) else "|g"
        bar = f"{colour}{'=' * full}|n|x{'-' * (_BAR - full)}|n"
        left = "" if status.gone is None else f", {_wait(status.resets_at - now)} left"
        rows["quota" + " " * number] = f"{bar} {status.share:.0%} of {status.name}{left}"
    return rows


def _wait(seconds: float) -> str:
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{max(0.0, seconds):.0f} s"


def _breaker(health: Health) -> str:
    """What the breaker is about to do."""
    if health.state == "closed":
        return counter_told(health)
    return f"it rests: {voice.obstacle(why)}" if (why := health.available()) else "the next question will tell"


def _detail(router: GameRouter, key: str, width: int, *, insider: bool) -> list[str]:
    """Everything about one backend, its secret excepted; reasons in a provider's words are for an ``insider``."""
    health, real = router.brain.state(key), router.brain.configured(key)
    rows = {
        "state": _state(health) + (f" ({line(health.reason)})" if health.reason and insider else ""),
        "speaks": f"{real.api}, {line(real.model)} at {urlsplit(real.url).hostname}",
        "price": f"${real.price.input:g} in, ${real.price.output:g} out, per 1,000 tokens",
        "holds": f"{real.max_context:,} tokens; {real.max_parallel} at once, {health.in_flight} now",
        "strong in": ", ".join(real.strengths) or "nothing special",
        "weak in": ", ".join(real.weaknesses) or "nothing special",
        "can do": ", ".join(sorted(real.capabilities)) or "words only",
        "patience": f"{real.timeout.total:g} s an attempt, {real.retries} retries",
        "breaker": _breaker(health),
        "turns to": ", ".join(real.fallbacks) or "whoever ranks next",
        "asked": f"{health.attempts} times, {health.reliability():.0%} well, ${health.cost_usd:.4f} in all",
    }
    if real.unconfigured:
        rows["asleep"] = line(real.unconfigured) if insider else "it has no key yet"
    declines = [f"{kind} {health.willingness(kind):.0%}" for kind in sorted(health.by_kind)]
    if declines:
        rows["willing"] = ", ".join(declines)
    rows |= _quotas(router, key)
    if health.backend.practice:
        rows["practice"] = "a straw dummy stands in for it"
    lines = [f"|w{key}|n"]
    for name, text in rows.items():
        # Colours are ours here; only long plain rows need wrapping.
        pieces = [text] if "|" in text else show(text, width - 12)
        lines += [f"  {name.strip() if not index else '':<10}{piece}" for index, piece in enumerate(pieces)]
    return lines
