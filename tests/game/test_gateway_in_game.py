"""``/v1`` on the web server of a real game: the official SDK, tokens, reloads, clients that go away."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from fake_llm import FakeLLMThread, silent
from fake_llm.streams import closed, in_two, spoken
from wired import address, config, newcomer, says, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

SECRET = re.compile(r"(uwz-([0-9a-f]{8})-[0-9a-f]{64})")

ONE = {"capabilities": ["tools", "json", "stream"], "timeout": 60}
DEAF = {"url": "${DEAF}", "timeout": 60, "fallbacks": ["one"]}


@pytest.fixture(scope="module")
def deaf() -> Iterator[FakeLLMThread]:
    """A provider that takes a request and says nothing."""
    with FakeLLMThread(default=silent()) as provider:
        yield provider


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread, deaf: FakeLLMThread) -> Iterator[Game]:
    """A running game whose backends are ours."""
    directory = tmp_path_factory.mktemp("gateway") / "game"
    settings = "UNIWIZARD_TOKENS_PER_ACCOUNT = 4\n"
    with wired(directory, config(ONE, deaf=DEAF), settings, UPSTREAM=address(provider), DEAF=address(deaf)) as running:
        yield running


def create(player: Telnet, words: str = "my editor") -> tuple[str, str]:
    """A new token: its secret and its id."""
    player.send(f"token/create {words}")
    # The client's window is 78 columns wide, so the secret stands on a line of its own.
    match = SECRET.search(player.expect("Model: auto"))
    assert match is not None
    return match[1], match[2]


def client(game: Game, secret: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{game.web_url}/v1", api_key=secret, max_retries=retries, timeout=60)


ASKED = [{"role": "user", "content": "How do tides work?"}]


def test_the_sdk_asks_the_game_with_a_token_that_a_player_made(
    game: Game, player: Telnet, upstream: FakeLLMThread
) -> None:
    secret, _ = create(player)
    sdk = client(game, secret)
    assert [model.id for model in sdk.models.list()] == ["auto", "one", "deaf"]
    upstream.default = says("The moon pulls on the water.")
    raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASKED, user="Zephyrine")
    answer = raw.parse()
    assert answer.choices[0].message.content == "The moon pulls on the water."
    assert answer.usage is not None
    assert (answer.model, answer.usage.total_tokens) == ("told", 150)
    assert raw.headers["x-uniwizard-backend"] == "one"
    assert float(raw.headers["x-uniwizard-cost-usd"]) == pytest.approx(0.002)
    sent = upstream.log[-1].everything.casefold()
    for word in ("zephyrine", "stainless", secret, "my editor", "user-agent: openai"):
        assert word.casefold() not in sent


def test_the_ledger_knows_whose_token_paid_and_an_attempt_is_there_before_its_answer(
    game: Game, player: Telnet, upstream: FakeLLMThread
) -> None:
    secret, _ = create(player, "night shift")
    answer = client(game, secret).chat.completions.create(model="auto", messages=ASKED)
    told = game.python(
        "from uniwizard.world.ledger.models import Attempt\n"
        "row = Attempt.objects.order_by('-id').first()\n"
        "print(row.payer, bool(row.account), row.outcome, round(float(row.cost_usd), 4))"
    )
    assert answer.choices[0].finish_reason == "stop"
    assert told.split()[-5:] == ["night", "shift", "True", "answered", "0.002"]


def test_a_stream_comes_through_portal_and_server(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    secret, _ = create(player)
    tides = " ".join(f"At harbour {n} high tide comes at {n % 12}:{n:02}." for n in range(1, 25))
    half = len(tides) // 2
    begun, rest = spoken("openai", tides[:half]), spoken("openai", tides[half:]) + closed("openai")
    upstream.default = in_two(begun, rest)
    upstream.rest.clear()
    chunks, heard = [], ""
    for chunk in client(game, secret).chat.completions.create(model="one", messages=ASKED, stream=True):
        chunks.append(chunk)
        heard += chunk.choices[0].delta.content or ""
        if len(heard) > half // 2:
            # The provider says the rest once the client has heard of the beginning.
            upstream.rest.set()
    assert heard == tides
    assert len(chunks) >= 3
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_nothing_is_held_of_a_body_before_its_key_is_known(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    secret, _ = create(player)
    split = urlsplit(game.web_url)
    address = (split.hostname or "", split.port or 0)
    half = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 19000000\r\n\r\n" + b"x" * 1_000_000
    held = [socket.create_connection(address, timeout=30) for _ in range(30)]
    for connection in held:
        connection.sendall(half)
    for key, expected in (("wrong", b"401"), (secret, b"100")):
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(f"{head}Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n".encode())
            assert connection.recv(10_000).split()[1] == expected
    long = [{"role": "user", "content": "How do tides work? " * 1_000}]
    assert client(game, secret).chat.completions.create(model="one", messages=long).choices
    for pid in game.processes().values():
        opened = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()]
        assert not [name for name in opened if name.startswith(tempfile.gettempdir()) and "(deleted)" in name]
    for connection in held:
        connection.close()


def test_without_a_token_with_a_guessed_one_or_a_revoked_one_nobody_comes_in(game: Game, player: Telnet) -> None:
    secret, identifier = create(player)
    assert client(game, secret).models.list().data
    for guess in ("nothing", f"uwz-{identifier}-{'0' * 64}", secret[:-1], secret.upper()):
        with pytest.raises(openai.AuthenticationError) as caught:
            client(game, guess).models.list()
        assert caught.value.code == "invalid_api_key"
    player.send(f"token/revoke {identifier}")
    player.expect("is revoked")
    with pytest.raises(openai.AuthenticationError):
        client(game, secret).chat.completions.create(model="auto", messages=ASKED)
    player.send("token")
    player.expect("You have no tokens")


def test_the_secret_is_kept_nowhere(game: Game, player: Telnet) -> None:
    secret, identifier = create(player)
    client(game, secret).models.list()
    player.send("token")
    listed = player.expect(re.compile(rf"{identifier} .*\n"))
    assert secret not in listed
    for path in game.directory.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert secret.encode() not in path.read_bytes(), path


def test_a_token_keeps_to_its_own_limits(game: Game, player: Telnet, upstream: FakeLLMThread) -> None:
    upstream.default = says("All is well.")
    secret, _ = create(player, "a test = 3, 0.008, 7")
    sdk = client(game, secret)
    raw = sdk.chat.completions.with_raw_response.create(model="one", messages=ASKED)
    assert (raw.headers["x-ratelimit-limit-requests"], raw.headers["x-ratelimit-remaining-requests"]) == ("3", "2")
    sdk.chat.completions.create(model="one", messages=ASKED)
    # An answer is asked for no longer than what is left of the month pays for: at first $0.008, then $0.006.
    first, second = (request.json["max_tokens"] for request in upstream.log[-2:])
    assert 390 < first < 400 and 290 < second < 300
    asked = len(upstream.log)
    with pytest.raises(openai.RateLimitError) as caught:
        sdk.chat.completions.create(model="one", messages=ASKED)
    # The $0.004 that are left pay for less than an answer that is worth its question.
    assert caught.value.code == "insufficient_quota"
    secret, _ = create(player, "a second = 1")
    client(game, secret).chat.completions.create(model="one", messages=ASKED)
    with pytest.raises(openai.RateLimitError) as caught:
        client(game, secret).chat.completions.create(model="one", messages=ASKED)
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 61
    assert len(upstream.log) == asked + 1


def test_limits_above_the_games_own_and_too_many_tokens_are_not_given(player: Telnet) -> None:
    for limits, told in (
        ("61", "'61' requests a minute cannot be had; allowed: a whole number above 0, 60 at the most."),
        ("ten", "'ten' requests a minute cannot be had"),
        ("-1", "'-1' requests a minute cannot be had"),
        ("10, 5.01", "'5.01' USD a month cannot be had; allowed: a number above 0, 5 at the most."),
        ("10, 1, 0", "'0' days cannot be had; allowed: a number above 0, 36500 at the most."),
        ("1, 2, 3, 4", "A token takes three figures at the most."),
    ):
        player.send(f"token/create greedy = {limits}")
        player.expect(told)
    player.send("token/create = 10")
    player.expect("Which label?")
    for number in range(4):
        create(player, f"number {number}")
    player.send("token/create one more")
    player.expect("You have 4 tokens already")


def test_a_mistyped_switch_makes_no_token_and_is_told(player: Telnet) -> None:
    player.send("token/creat/revok one")
    player.expect("Usage: token, token/create <label>")
    player.send("token/destroy one")
    player.expect("token knows no switch /destroy; there are: /create, /revoke.")
    player.send("token")
    player.expect("You have no tokens")


def test_nobody_revokes_somebody_elses_token(game: Game, player: Telnet) -> None:
    secret, identifier = create(player)
    with newcomer(game, "Meddler") as other:
        other.send(f"token/revoke {identifier}")
        other.expect("You have no token")
    assert client(game, secret).models.list().data


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_has_its_attempt_cancelled(
    game: Game, player: Telnet, deaf: FakeLLMThread, stream: bool
) -> None:
    secret, _ = create(player)
    while deaf.arrived.acquire(blocking=False) or deaf.left.acquire(blocking=False):
        pass
    web = urlsplit(game.web_url)
    assert web.hostname is not None
    body = json.dumps({"model": "deaf", "messages": ASKED, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((web.hostname, web.port or 80)) as leaving:
        leaving.sendall(head.encode() + body)
        assert deaf.arrived.acquire(timeout=20), "the attempt was never made"
        assert not deaf.left.acquire(timeout=0.2)
    assert deaf.left.acquire(timeout=20), "the attempt was not cancelled"


def test_tokens_and_what_they_spent_outlive_a_reload_and_the_sdk_asks_again_meanwhile(
    game: Game, player: Telnet, upstream: FakeLLMThread
) -> None:
    upstream.default = says("All is well.")
    secret, identifier = create(player, "lasting = 30, 1")
    client(game, secret).chat.completions.create(model="one", messages=ASKED)
    answers: list[str | None] = []

    def ask() -> None:
        # Whichever moment of the reload this meets.
        sdk = client(game, secret, retries=8)
        while not done.is_set():
            answers.append(sdk.chat.completions.create(model="one", messages=ASKED).choices[0].message.content)
            done.wait(2.5)

    done = threading.Event()
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        game.reload()
    finally:
        done.set()
        asking.join(60)
    assert not asking.is_alive()
    assert set(answers) == {"All is well."}
    player.send("token")
    listed = player.expect(re.compile(rf"{identifier} .*\n"))
    assert re.search(r"\$0\.0\d of \$1", listed)
    assert "never" in listed
    assert client(game, secret).models.list().data


def test_the_rest_of_the_web_site_is_as_it_was(game: Game) -> None:
    with urllib.request.urlopen(f"{game.web_url}/", timeout=30) as page:
        assert page.status == 200
        assert b"<html" in page.read().lower()
