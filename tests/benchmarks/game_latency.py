"""How long a `look` takes while a hundred players think at the same moment, beside the same without thoughts.

    python tests/benchmarks/game_latency.py [--players 100]

A real game over real telnet, with an upstream of our own that takes one second. Every look is timed from the typed line
to the room's last line, by a player who stands in the same room. A hundred commands of any kind take the game a
moment, so a hundred players who look stand beside those who think; all in the same game, within a minute. The game's
reactor is watched meanwhile: what its thread worked in its longest turn is the same on a busy machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attacks")]

from fake_llm import FakeLLMThread, answer  # noqa: E402
from turns import FILE, Turns  # noqa: E402

from uniwizard.server.game.process import Game  # noqa: E402
from uniwizard.server.game.scratch import own_game  # noqa: E402
from uniwizard.server.game.telnet import Telnet  # noqa: E402

CONFIG = """
version: 1
practice: never
backends:
  one:
    api: openai
    url: ${UPSTREAM}
    model: told
    max_context: 8000
    max_parallel: 256
rules: [{kinds: ["*"], prefer: [one]}]
"""
#: Signing up is not what is measured, so passwords are hashed cheaply.
SETTINGS = f"""
import sys; sys.path.append({str(ROOT / "tests" / "attacks")!r}); SERVER_SERVICES_PLUGIN_MODULES = ["turns"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
UNIWIZARD_THINK_COOLDOWN = 0
"""
PASSWORD = "tjo-hopp-99"


def look(player: Telnet) -> float:
    """Milliseconds from the typed line to the room's last line."""
    begun = time.perf_counter()
    player.send("look")
    player.expect("On the shelf: one")
    return (time.perf_counter() - begun) * 1000.0


def row(name: str, times: list[float]) -> str:
    p99 = quantiles(times, n=100, method="inclusive")[98]
    return f"{name:<46}{len(times):>6}{median(times):>11.1f}{p99:>9.1f}{max(times):>9.1f}"


def measure(game: Game, upstream: FakeLLMThread, turns: Turns, count: int) -> list[str]:
    with ThreadPoolExecutor(16) as pool:
        players = list(pool.map(lambda n: arrive(game, f"thinker{n}"), range(count)))
    looker = arrive(game, "looker")
    for player in (*players, looker):
        player.quiet(0.01)
    quiet = [look(looker) for _ in range(200)]
    looking, _ = storm(players, looker, look)
    turns.longest()
    thinking, longest = storm(players, looker, think)
    worked = turns.longest().cpu
    lines = [f"{'look':<46}{'times':>6}{'median ms':>11}{'p99 ms':>9}{'max ms':>9}"]
    lines += [
        row("while nobody does anything", quiet),
        row(f"while {count} players look at the same moment", looking),
        row(f"while {count} players think (upstream 1 s)", thinking),
    ]
    lines.append(f"while they think, no turn of the reactor works longer than {worked:.0f} ms")
    return [*lines, f"all {count} were answered within {longest:.2f} s; {len(upstream.log)} requests upstream"]


def storm(players: list[Telnet], looker: Telnet, act: Callable[[Telnet], object]) -> tuple[list[float], float]:
    """All players act at the same moment, three times over; the looks meanwhile, and the longest round in seconds."""
    times: list[float] = []
    rounds: list[float] = []
    for _ in range(3):
        begun = time.perf_counter()
        with ThreadPoolExecutor(len(players)) as pool:
            acts = [pool.submit(act, player) for player in players]
            times.append(look(looker))
            while not all(one.done() for one in acts):
                times.append(look(looker))
        for one in acts:
            one.result()
        rounds.append(time.perf_counter() - begun)
        looker.quiet(0.5)
    return times, max(rounds)


def arrive(game: Game, name: str) -> Telnet:
    player = game.telnet()
    player.create_account(name, PASSWORD)
    return player


def think(player: Telnet) -> None:
    player.send("think how do tides work?")
    player.expect("[one, ", 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--players", type=int, default=100)
    count = parser.parse_args().players
    with tempfile.TemporaryDirectory() as directory, FakeLLMThread(default=replace(answer(), after=1.0)) as upstream:
        told = {"UPSTREAM": f"{upstream.url}/one/v1", FILE: f"{directory}/turns"}
        game = own_game(Path(directory) / "game", environ=told, settings=SETTINGS)
        (game.directory / "configs" / "backends.yaml").write_text(CONFIG)
        try:
            game.prepare()
            game.start()
            print("\n".join(measure(game, upstream, Turns(Path(directory) / "turns"), count)))
        finally:
            game.stop()


if __name__ == "__main__":
    main()
