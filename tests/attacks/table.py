"""Plays every attack that was found, against the real thing, and tells what comes of it beside what came of it before.

    python tests/attacks/table.py                   # all of them; minutes, and games
    python tests/attacks/table.py --section 1       # one section
    python tests/attacks/table.py --quick           # what needs no game
    python tests/attacks/table.py --write           # into README.md as well

An attack is either measured here, or it is what a test does; then the test is run. Exits with 1 where one succeeds.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("", "agent", "attacks", "benchmarks"))]

#: A turn of the reactor may work for so many milliseconds.
BAR = 50.0


@dataclass(frozen=True)
class Attack:
    """One attack: what it is, what came of it once, and how it is played.

    tests    the tests that play it, from ``tests/`` on
    played   or what plays it here: returns what came of it, and whether it was held
    """

    section: int
    what: str
    before: str
    tests: tuple[str, ...] = ()
    played: Callable[[], tuple[str, bool]] | None = None


# -- what is measured here ---------------------------------------------------------------------------------------


def body(name: str) -> Callable[[], tuple[str, bool]]:
    """Send one of the worst bodies to ``python -m agent serve`` and watch its reactor."""

    def play() -> tuple[str, bool]:
        from reactor_turns import door, measure

        _, status, took, turn = next(measure(door, name))
        return f"{status} in {took:.1f} s, longest turn worked {turn.cpu:.0f} ms", turn.cpu <= BAR

    return play


def endless_config() -> tuple[str, bool]:
    began = time.perf_counter()
    command = [sys.executable, "-m", "agent", "check", "--config", "/dev/zero"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    held = done.returncode == 2 and "Traceback" not in done.stderr
    return f"exit {done.returncode} in {time.perf_counter() - began:.1f} s, {len(done.stderr)} characters told", held


def echoed_lines() -> tuple[str, bool]:
    command = [sys.executable, "-m", "agent", "check", "--config", "/etc/passwd"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return f"exit {done.returncode}: {done.stderr.strip()[:80]}", "root:" not in done.stdout + done.stderr


def half_bodies() -> tuple[str, bool]:
    from gateway_server import Program, Provider

    with Provider() as provider, Program(provider.config("a"), key="secret") as served:
        half = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 19000000\r\n\r\n" + b"x" * 1_000_000
        held = [socket.create_connection(served.address) for _ in range(30)]
        for connection in held:
            connection.sendall(half)
        time.sleep(0.5)
        files = [file for file in Path(f"/proc/{served.pid}/fd").iterdir() if "(deleted)" in os.readlink(file)]
        size = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{served.pid}/status").read_text())[0]) // 1024
        for connection in held:
            connection.close()
    return f"{len(files)} files; the process has {size} MB", not files


def odd_key() -> tuple[str, bool]:
    from gateway_server import Program, Provider

    told = []
    with Provider() as provider, Program(provider.config("a"), key="secret") as served:
        for key in (b"\xff", b"\xc3\x28", b"\x80" * 1000, b"\xed\xa0\x80"):
            with socket.create_connection(served.address, timeout=30) as connection:
                head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key
                connection.sendall(head + b"\r\nContent-Length: 2\r\n\r\n{}")
                told.append(connection.recv(100)[9:12].decode())
    return ", ".join(told), set(told) == {"401"}


def at_once() -> tuple[str, bool]:
    done = subprocess.run([sys.executable, str(HERE / "crowd.py"), "2500"], capture_output=True, text=True, timeout=300)
    return done.stdout.strip(), done.returncode == 0


# -- what there is -----------------------------------------------------------------------------------------------

ATTACKS = (
    Attack(1, "`^(a|a)*$` in a schema, and its answer", "hangs for good", played=body("a pattern that backtracks")),
    Attack(1, "`^(a|aa)+$`, `a*a*a*a*b`, `(a|a){24}!` and generated ones, wherever a schema has patterns",
           "hangs for good", ("agent/test_checked_schema.py",)),
    Attack(1, "3.9 MB of prose", "4 s", played=body("3.9 MB of prose")),
    Attack(1, '3.9 MB of "1.1.1.1 " with user 1.1.1.1x', "21 s", played=body("1.1.1.1x")),
    Attack(1, '3.9 MB of "Anna " with 1,000 names "Anna N"', "6.3 s for 500 words and 10,000 names",
           played=body('names "Anna N"')),
    Attack(1, "500,000 content parts", "1.2 s", played=body("500,000")),
    Attack(1, "100,000 headers", "0.5 s", played=body("100,000")),
    Attack(1, "a schema of 5,000 properties, all of them in the answer", "5.6 s (of 20,000; found on the way)",
           played=body("a schema of 5,000")),
    Attack(1, "49 tools of 1,000 parameters", "0.2 s (found on the way)", played=body("49 tools")),
    Attack(1, "20 MB of one word", "0.14 s (found on the way)", played=body("one word")),
    Attack(1, "20 MB out of 20 kB of gzip", "0.19 s (found on the way)", played=body("gzip")),
    Attack(1, "3.9 MB of combining characters", "0.3 s (found on the way)", played=body("combining")),
    Attack(1, "`check --config /dev/zero`", "MemoryError", played=endless_config),
    Attack(1, "`check --config /etc/passwd`", "its lines are echoed", played=echoed_lines),
    Attack(1, "30 half-sent bodies of 19 MB without a key, at `serve`", "32 files", played=half_bodies),
    Attack(1, "the same through the portal of a game; `Expect: 100-continue`", "32 files; told to go on",
           ("game/test_gateway_in_game.py::test_nothing_is_held_of_a_body_before_its_key_is_known",
            "game/test_relay.py")),
    Attack(1, "`Authorization: Bearer \\xff`", "500 and a traceback", played=odd_key),
    Attack(1, "any bytes in any header", "-", ("agent/test_gateway_strangers.py::TestHeaders",)),
    Attack(2, "players called NAME_1, the, search, nthe, and generated everyday words",
           "every thought of everybody is stopped",
           ("agent/test_blindfold.py::test_no_everyday_name_stops_or_changes_what_others_ask",
            "agent/test_blindfold.py::test_whoever_is_called_like_that_can_think_and_so_can_everybody_else")),
    Attack(2, "players called The, of, Rose, city; `SELECT name_1`; \"prices rose\"", "answers are damaged",
           ("agent/test_vocabulary.py", "agent/test_privacy_table.py")),
    Attack(2, "placeholders inflected, re-cased, split or dropped by a model", "answers are damaged",
           ("agent/test_placeholders.py",)),
    Attack(3, "names × disguises × places in a request", "a dozen ways out",
           ("agent/test_blindfold.py::test_no_name_leaves_in_any_dress_from_any_place_and_none_stops_a_task",)),
    Attack(3, "what is veiled, and what is not: the table", "no table", ("agent/test_privacy_table.py",)),
    Attack(3, "created, renamed, deleted a moment ago; other rooms, aliases, e-mails", "unveiled for 60 s, or for good",
           ("game/test_names_in_game.py",)),
    Attack(4, "hanging up, `think/stop`, a closed stream", "$0 in ledger, budget and token",
           ("agent/test_spending.py::LettingGo", "agent/test_spending.py::Failing")),
    Attack(4, "50 requests at once on a token of $0.001", "50 answers",
           ("agent/test_spending.py::TestKeys::test_fifty_requests_at_once_cannot_share_a_tenth_of_a_cent",)),
    Attack(4, "a token revoked and made anew", "rate and spending begin anew",
           ("agent/test_spending.py::TestKeys::test_a_new_key_of_the_same_owner_is_no_new_allowance",
            "agent/test_spending.py::TestKeys::test_side_by_side_no_key_and_no_owner_overspends")),
    Attack(4, "900,000,000 tokens reported for a line", "$9,000", ("agent/test_spending.py::Doubting",)),
    Attack(4, "a schema that is invalid or refers to itself", "a paid attempt",
           ("agent/test_checked_schema.py::test_a_schema_that_no_answer_could_fit_is_turned_down_at_once",)),
    Attack(5, "what bystanders see of a refusal", "42 characters of the brain's words",
           ("game/test_asking.py::test_bystanders_see_who_refused_and_never_what_was_said",)),
    Attack(5, "an answer with the closing line of another", "looks like the game's own",
           ("game/test_asking.py::test_no_answer_carries_the_games_mark",)),
    Attack(5, "reading `evennia.db3`, `ledger.db3`", "644", (
        "game/test_launch.py::test_who_asked_what_can_be_read_by_the_owner_of_the_game_alone",)),
    Attack(6, "a backend that fails three times and is well again, cooldown 3 s", "back after 90 s", (
        "agent/test_timing.py::test_a_backend_that_failed_gets_its_work_back_one_cooldown_after_its_last_failure",)),
    Attack(6, "2,500 requests at once", "410 cut", played=at_once),
    Attack(6, "kill -9 of the server alone", "nobody is told", (
        "game/test_portal.py", "game/test_launch.py::test_play_recovers_when_only_the_server_died")),
)  # fmt: skip


def by_tests(tests: tuple[str, ...]) -> tuple[str, bool]:
    """Run the tests that play an attack."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    environ = {**os.environ, "HYPOTHESIS_PROFILE": os.environ.get("HYPOTHESIS_PROFILE", "quick")}
    nodes = [f"tests/{test}" for test in tests]
    done = subprocess.run([*command, *nodes], cwd=ROOT, env=environ, capture_output=True, text=True)
    last = done.stdout.strip().rpartition("\n")[2]
    return f"{last.partition(' in ')[0].strip(' =')}: {', '.join(f'`{test}`' for test in tests)}", done.returncode == 0


def play(attacks: tuple[Attack, ...]) -> tuple[list[str], int]:
    """Play them; the table's rows, and how many succeeded."""
    rows, lost = [], 0
    for attack in attacks:
        try:
            after, held = attack.played() if attack.played is not None else by_tests(attack.tests)
        except Exception as error:
            after, held = f"{type(error).__name__}: {error}"[:200], False
        lost += not held
        rows.append(row_of(attack, after if held else f"**not held** {after}"))
        print(rows[-1], flush=True)
    return rows, lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="leave out what needs a game")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    chosen = [attack for attack in ATTACKS if given.section in (0, attack.section)]
    if given.quick:
        chosen = [attack for attack in chosen if not any(test.startswith("game/test_") for test in attack.tests)]
    rows, lost = play(tuple(chosen))
    if given.write:
        write(rows)
    return 1 if lost else 0


def write(rows: list[str]) -> None:
    """Put rows into the table in README.md, each in the place of its attack; what was not played stays."""
    readme = HERE / "README.md"
    head, _, table = readme.read_text().partition("| section |")
    known = {_attack_of(row): row for row in (*table.splitlines()[2:], *rows)}
    order = [_attack_of(row_of(attack, "")) for attack in ATTACKS]
    lines = ["| section | attack | before | now |", "| --- | --- | --- | --- |"]
    readme.write_text(head + "\n".join([*lines, *(known[name] for name in order if name in known)]) + "\n")


def row_of(attack: Attack, told: str) -> str:
    cells = (str(attack.section), attack.what, attack.before, told)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _attack_of(row: str) -> str:
    return row.split(" | ")[1] if " | " in row else ""


if __name__ == "__main__":
    sys.exit(main())
