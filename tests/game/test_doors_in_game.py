"""Every door in a real game, through the official SDKs: with a token, booked in the ledger, within its budget."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from typing import Any

import anthropic
import openai
import pytest
from fake_llm import FakeLLMThread, Reply, response
from google import genai
from google.genai import types
from test_gateway_in_game import create
from wired import COST, address, config, newcomer, says, until, wired

from uniwizard.server.game.process import Game
from uniwizard.server.game.telnet import Telnet

pytestmark = pytest.mark.game

TIDES = "The moon pulls on the water."
ASKED: list[Any] = [{"role": "user", "content": "How do tides work?"}]
VECTOR = [0.5, -0.25]
EMBEDS = {"capabilities": ["embeddings", "rerank"], "model": "vectors", "cost_per_1k": 0.02}


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory, provider: FakeLLMThread) -> Iterator[Game]:
    """A running game whose backend ``one`` talks, and whose ``maker`` makes vectors."""
    directory = tmp_path_factory.mktemp("doors") / "game"
    maker = {**EMBEDS, "url": "${MAKER}"}
    where = {"UPSTREAM": address(provider), "MAKER": f"{provider.url}/maker/v1"}
    with wired(directory, config({"capabilities": ["tools", "json"]}, maker=maker), **where) as running:
        yield running


@pytest.fixture
def secret(player: Telnet) -> str:
    return create(player, "doors = 60, 5")[0]


@pytest.fixture
def told(upstream: FakeLLMThread) -> FakeLLMThread:
    upstream.default = says(TIDES)
    return upstream


def vectors() -> Reply:
    node = {"data": [{"index": 0, "embedding": VECTOR}], "usage": {"prompt_tokens": 100, "total_tokens": 100}}
    return Reply(response(json.dumps(node).encode()))


def order() -> Reply:
    node = {"results": [{"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 100}}
    return Reply(response(json.dumps(node).encode()))


def post(url: str, body: Any, **headers: str) -> tuple[int, str]:
    """What a bare client gets: the status and the body."""
    told = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), told), timeout=60) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as failed:
        return failed.code, failed.read().decode()


def at(game: Game, secret: str, path: str = "/v1") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{game.web_url}{path}", api_key=secret, max_retries=0, timeout=60)


def claude(game: Game, secret: str, path: str = "") -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{game.web_url}{path}", api_key=secret, max_retries=0, timeout=60)


def google(game: Game, secret: str, version: str = "v1beta") -> genai.Client:
    return _google(game.web_url, secret, version)


@cache
def _google(url: str, secret: str, version: str) -> genai.Client:
    # One that nobody holds any more is closed, also under a request of its own.
    return genai.Client(api_key=secret, http_options=types.HttpOptions(base_url=url, api_version=version))


def azure(game: Game, secret: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(azure_endpoint=game.web_url, api_key=secret, api_version="2024-10-21", max_retries=0)


def said_by_messages(sdk: anthropic.Anthropic) -> Any:
    return sdk.messages.create(model="auto", max_tokens=200, messages=ASKED).content[0].text


def said_by_generate(game: Game, path: str, secret: str) -> Any:
    # As Evennia's LLM contrib asks; LLM_HEADERS are its setting.
    status, body = post(
        f"{game.web_url}{path}", {"prompt": "You are Mira.\nAnna: Hi"}, authorization=f"Bearer {secret}"
    )
    assert status == 200, body
    return json.loads(body)["results"][0]["text"]


#: Every door that answers in words, by its name: asked for TIDES.
WORDS: dict[str, Callable[[Game, str], Any]] = {
    "chat": lambda g, s: at(g, s).chat.completions.create(model="auto", messages=ASKED).choices[0].message.content,
    "completions": lambda g, s: at(g, s).completions.create(model="auto", prompt="Tides?").choices[0].text,
    "responses": lambda g, s: at(g, s).responses.create(model="auto", input="Tides?").output_text,
    "messages": lambda g, s: said_by_messages(claude(g, s)),
    "gemini": lambda g, s: google(g, s).models.generate_content(model="auto", contents="Tides?").text,
    "azure": lambda g, s: azure(g, s).chat.completions.create(model="auto", messages=ASKED).choices[0].message.content,
    "chat without v1": lambda g, s: (
        at(g, s, "").chat.completions.create(model="auto", messages=ASKED).choices[0].message.content
    ),
    "responses without v1": lambda g, s: at(g, s, "").responses.create(model="auto", input="Tides?").output_text,
    "openai/v1": lambda g, s: at(g, s, "/openai/v1").responses.create(model="auto", input="Tides?").output_text,
    "anthropic": lambda g, s: said_by_messages(claude(g, s, "/anthropic")),
    "gemini v1alpha": lambda g, s: (
        google(g, s, "v1alpha").models.generate_content(model="auto", contents="Tides?").text
    ),
    "generate": lambda g, s: said_by_generate(g, "/api/v1/generate", s),
}


def ledger(game: Game, asked: str, *values: str) -> list[Any]:
    """The first row that the ledger's database has for that."""
    with closing(sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=10)) as database:
        return list(database.execute(asked, values).fetchone())


def last_row(game: Game) -> list[Any]:
    """Of the ledger's latest attempt: payer, outcome, backend and cost in USD."""
    newest = "SELECT payer, outcome, backend, round(cost_usd, 4) FROM ledger_attempt ORDER BY id DESC LIMIT 1"
    return ledger(game, newest)


def test_every_door_answers_a_token_and_is_paid_by_it(
    game: Game, player: Telnet, secret: str, told: FakeLLMThread
) -> None:
    failed = {name: said for name, door in WORDS.items() if (said := door(game, secret)) != TIDES}
    assert not failed
    count, cost = ledger(game, "SELECT count(*), sum(cost_usd) FROM ledger_attempt WHERE payer = 'doors'")
    assert (count, cost) == (len(WORDS), pytest.approx(COST * len(WORDS)))
    assert last_row(game) == ["doors", "answered", "one", COST]
    player.send("token")
    assert f"${COST * len(WORDS):.2f} of $5" in player.expect(re.compile(r"doors .*\n"))


def test_streams_of_every_dialect_come_through(game: Game, secret: str, told: FakeLLMThread) -> None:
    chunks = at(game, secret).chat.completions.create(model="auto", messages=ASKED, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TIDES
    with claude(game, secret).messages.stream(model="auto", max_tokens=99, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == TIDES
    with at(game, secret).responses.stream(model="auto", input="Tides?") as events:
        assert events.get_final_response().output_text == TIDES
    pieces = google(game, secret).models.generate_content_stream(model="auto", contents="Tides?")
    assert "".join(piece.text or "" for piece in pieces) == TIDES
    texts = at(game, secret).completions.create(model="auto", prompt="Tides?", stream=True)
    assert "".join(piece.choices[0].text for piece in texts) == TIDES


def test_vectors_and_orders_are_booked_like_words(game: Game, secret: str, upstream: FakeLLMThread) -> None:
    upstream.script("maker", vectors())
    assert at(game, secret).embeddings.create(model="auto", input="sea").data[0].embedding == VECTOR
    assert last_row(game) == ["doors", "answered", "maker", 0.002]
    assert google(game, secret).models.embed_content(model="maker", contents="sea").embeddings[0].values == VECTOR
    assert azure(game, secret).embeddings.create(model="maker", input="sea").data[0].embedding == VECTOR
    upstream.script("maker", order())
    asked = {"model": "maker", "query": "tides", "documents": ["bread", "sea"]}
    for path in ("/v1/rerank", "/rerank"):
        status, body = post(game.web_url + path, asked, authorization=f"Bearer {secret}")
        assert (status, json.loads(body)["results"][0]["index"]) == (200, 1)
    assert last_row(game) == ["doors", "answered", "maker", 0.002]


def test_what_costs_nothing_is_there_as_well(game: Game, secret: str, upstream: FakeLLMThread) -> None:
    asked = len(upstream.log)
    told = at(game, secret).moderations.create(input="I'm sorry, but I can't help with that.")
    assert (told.model, told.results[0].flagged) == ("uniwizard-judge", True)
    assert claude(game, secret).messages.count_tokens(model="auto", messages=ASKED).input_tokens > 3
    assert [model.id for model in claude(game, secret).models.list()] == ["auto", "one", "maker"]
    assert at(game, secret, "").models.retrieve("one").id == "one"
    assert {model.name for model in google(game, secret).models.list()} >= {"models/auto", "models/one"}
    assert len(upstream.log) == asked


def test_a_tokens_money_is_spent_through_all_doors_together(game: Game, player: Telnet, told: FakeLLMThread) -> None:
    poor, _ = create(player, "poor = 60, 0.008")
    for name in ("gemini", "responses"):
        assert WORDS[name](game, poor) == TIDES
    asked = len(told.log)
    with pytest.raises(anthropic.RateLimitError):
        said_by_messages(claude(game, poor))
    with pytest.raises(openai.RateLimitError) as caught:
        at(game, poor).embeddings.create(model="auto", input="sea " * 500)
    assert caught.value.code == "insufficient_quota"
    assert len(told.log) == asked


def test_without_a_token_nobody_comes_in_and_the_games_own_addresses_are_its_own(game: Game, secret: str) -> None:
    for sdk in (claude(game, secret[:-1]), claude(game, "sk-guess")):
        with pytest.raises(anthropic.AuthenticationError):
            said_by_messages(sdk)
    body = {"model": "auto", "messages": ASKED}
    # A revoked or a wrong token is told so; whoever presents none of ours is asking for a page of the game's.
    assert post(f"{game.web_url}/chat/completions", body, x_api_key="uwz-00000000-0")[0] == 401
    for path in ("/chat/completions", "/messages", "/openai/v1/responses", "/api/v1/generate"):
        status, page = post(game.web_url + path, body)
        assert status in (403, 404) and "invalid_api_key" not in page, (path, status)


def test_what_responses_keeps_outlives_a_reload_and_is_its_keys_alone(
    game: Game, player: Telnet, told: FakeLLMThread
) -> None:
    secret, identifier = create(player, "editor")
    sdk = at(game, secret)
    first = sdk.responses.create(model="auto", input="How do tides work?")
    untold = sdk.responses.create(model="auto", input="Forget this.", store=False)
    with newcomer(game, "Namesake") as other:
        theirs = at(game, create(other, "editor")[0])
        with pytest.raises(openai.NotFoundError):
            theirs.responses.retrieve(first.id)
        game.reload()
        with pytest.raises(openai.BadRequestError) as caught:
            theirs.responses.create(model="auto", input="And why?", previous_response_id=first.id)
        assert caught.value.code == "previous_response_not_found"
    second = sdk.responses.create(model="auto", input="And why?", previous_response_id=first.id)
    assert [turn["content"] for turn in told.log[-1].json["messages"]] == ["How do tides work?", TIDES, "And why?"]
    assert sdk.responses.retrieve(second.id).output_text == TIDES
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(untold.id)
    sdk.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(first.id)
    kept = "SELECT count(*) FROM ledger_keptresponse WHERE owner = ?"
    assert ledger(game, kept, identifier) == [1]
    # With its token goes what was kept of it.
    player.send(f"token/revoke {identifier}")
    player.expect("is revoked")
    until(lambda: ledger(game, kept, identifier) == [0])
