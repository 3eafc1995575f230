"""Providers that a backend names instead of describing them, and prices that it does not give."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniwizard.agent.cli.check import backend_rows, backends_told, provider_rows, providers_told
from uniwizard.agent.config.catalogue import catalogue, nearest
from uniwizard.agent.config.loader import load
from uniwizard.agent.config.prices import look_up
from uniwizard.agent.config.yaml_files import ConfigError
from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.backend import APIS, Backend, Price
from uniwizard.agent.core.pricing import cost_usd
from uniwizard.agent.core.task import Task
from uniwizard.agent.wire import encode, probe

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}
KEYS = {name: "k" for provider in catalogue().values() for name in provider.variables}


@pytest.fixture
def backend(tmp_path: Path):
    """One backend of a file that says of it what is given; every provider's variables are set unless told otherwise."""

    def read(env: dict[str, str] = KEYS, **settings: Any) -> Backend:
        path = tmp_path / "backends.yaml"
        path.write_text(json.dumps({"version": 1, "backends": {"a": settings}}))
        return load(path, env).backends["a"]

    return read


def faults(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [str(fault).removeprefix(str(path)) for fault in caught.value.faults]


# -- the catalogue -----------------------------------------------------------------------------------------------


def test_the_catalogue_holds_at_least_forty_providers_each_with_its_source() -> None:
    assert len(catalogue()) >= 40
    for provider in catalogue().values():
        assert urlsplit(provider.source).scheme == "https"
        assert provider.read >= "2026-11-20"


@pytest.mark.parametrize("key", catalogue())
def test_three_lines_make_a_backend_of_every_provider(key: str, backend: Any) -> None:
    made = backend(provider=key, model="m", strengths=["speed"])
    assert made.unconfigured == ""
    assert made.api in APIS
    assert "$" not in made.url + "".join(made.headers.values())
    request = encode(Task("hello"), made)
    assert request.url.startswith(made.url)
    assert probe(made).url.startswith(made.url)


@pytest.mark.parametrize("key", [key for key, provider in catalogue().items() if provider.variables])
def test_without_its_variables_it_sleeps_and_names_one(key: str, backend: Any) -> None:
    asleep = backend({}, provider=key, model="m").unconfigured
    assert any(name in asleep for name in catalogue()[key].variables)


def test_a_placeholder_in_an_address_is_filled_in(backend: Any) -> None:
    env = {"AZURE_OPENAI_RESOURCE": "north", "AZURE_OPENAI_API_KEY": "k"}
    assert backend(env, provider="azure", model="m").url == "https://north.openai.azure.com/openai/v1"
    del env["AZURE_OPENAI_RESOURCE"]
    assert backend(env, provider="azure", model="m").unconfigured == "AZURE_OPENAI_RESOURCE is not set"


# -- merging -----------------------------------------------------------------------------------------------------


def test_what_a_backend_says_goes_before_what_its_provider_says(backend: Any) -> None:
    made = backend(
        {"MINE": "own-key"},
        provider="groq",
        model="m",
        url="https://proxy.example.com/v1",
        api_key="${MINE}",
        capabilities=["images"],
    )
    assert (made.url, made.api_key, made.capabilities) == ("https://proxy.example.com/v1", "own-key", {"images"})
    assert (made.api, made.provider) == ("openai", "groq")


def test_options_merge_field_by_field(backend: Any) -> None:
    assert backend(provider="minimax", model="m").options == {"max_tokens": None}
    assert backend(provider="minimax", model="m", options={"seed": 1}).options == {"max_tokens": None, "seed": 1}
    assert backend(provider="minimax", model="m", options={"max_tokens": 5}).options == {"max_tokens": 5}
    assert catalogue()["minimax"].defaults["options"] == {"max_tokens": None}


def test_an_unknown_provider_names_its_line_and_the_nearest_ones(tmp_path: Path) -> None:
    text = "version: 1\nbackends:\n  a:\n    model: m\n    provider: grok\n"
    (said,) = faults(tmp_path / "b.yaml", text)
    known = f"groq, or another one of the {len(catalogue())} in configs/providers.yaml"
    assert said.startswith(':5: backends.a.provider: "grok" is no known provider; allowed: groq')
    assert said.endswith(known)


def test_a_backend_without_provider_needs_api_and_url(tmp_path: Path) -> None:
    said = faults(tmp_path / "b.yaml", "version: 1\nbackends:\n  a:\n    model: m\n")
    assert [line.split(";")[0] for line in said] == [
        ":3: backends.a.api: is missing",
        ":3: backends.a.url: is missing",
    ]


@given(st.text(max_size=20))
def test_nearest_never_offers_what_does_not_exist(name: str) -> None:
    offered = nearest(name, catalogue())
    assert len(offered) <= 4
    assert set(offered) <= set(catalogue())


@pytest.mark.parametrize(
    ("written", "meant"), [("kimi", "moonshot"), ("opnai", "openai"), ("together-ai", "together"), ("GROQ", "groq")]
)
def test_nearest_knows_what_people_write(written: str, meant: str) -> None:
    assert nearest(written, catalogue())[0] == meant


# -- quirks on the wire ------------------------------------------------------------------------------------------


def body(made: Backend, **task: Any) -> Any:
    return json.loads(encode(Task("hello", **task), made, "Be brief.").body)


def test_a_limit_moves_to_the_name_that_the_provider_wants(backend: Any) -> None:
    wanted = body(backend(provider="minimax", model="m"), max_tokens=7)
    assert wanted.get("max_completion_tokens") == 7
    assert "max_tokens" not in wanted


def test_a_temperature_stays_at_home_where_sampling_is_fixed(backend: Any) -> None:
    assert "temperature" not in body(backend(provider="moonshot", model="m"), temperature=0.5)
    assert body(backend(provider="groq", model="m"), temperature=0.5)["temperature"] == 0.5


def test_a_schema_is_asked_for_in_the_way_that_the_provider_knows(backend: Any) -> None:
    schema = body(backend(provider="groq", model="m"), schema=SCHEMA)
    assert schema["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "JSON Schema" not in schema["messages"][0]["content"]
    objects = body(backend(provider="deepseek", model="m"), schema=SCHEMA)
    assert objects["response_format"] == {"type": "json_object"}
    told = body(backend(provider="zai", model="m"), schema=SCHEMA)
    assert "response_format" not in told
    for said in (objects, told):
        assert json.dumps(SCHEMA, separators=(",", ":")) in said["messages"][0]["content"]


def test_json_object_is_not_asked_for_a_schema_of_something_else(backend: Any) -> None:
    assert "response_format" not in body(backend(provider="deepseek", model="m"), schema={"type": "array"})


def test_headers_go_with_every_request_and_never_replace_the_key(backend: Any) -> None:
    made = backend(provider="portkey", model="m", api_key="${GROQ_API_KEY}", headers={"Authorization": "none"})
    for request in (encode(Task("hello"), made), probe(made)):
        assert request.headers["x-portkey-provider"] == "openai"
        assert request.headers["authorization"] == "Bearer k"


# -- prices ------------------------------------------------------------------------------------------------------


def test_the_config_has_the_first_word_on_a_price(backend: Any) -> None:
    made = backend(provider="moonshot", model="kimi-k3", cost_per_1k={"input": 1, "output": 2, "cached_input": 0.5})
    assert (made.price, made.price_source) == (Price(1, 2, 0.5), "config")
    assert backend(provider="moonshot", model="kimi-k3", cost_per_1k=0).price_source == "config"


def test_the_library_knows_price_and_context_of_a_known_model(backend: Any) -> None:
    made = backend(provider="moonshot", model="kimi-k3")
    assert made.price_source == "library"
    # The figures themselves are the library's business, and change.
    assert made.price.cached_input is not None
    assert 0 < made.price.cached_input < made.price.input < made.price.output < 1
    assert made.max_context > 100_000
    assert backend(provider="moonshot", model="kimi-k3", max_context=5).max_context == 5
    # The same without the catalogue, by the address alone.
    plain = backend(api="openai", url="https://api.moonshot.ai/v1", model="kimi-k3")
    assert (plain.price, plain.price_source) == (made.price, "library")


def test_a_price_that_nobody_knows_is_said_to_be_unknown(backend: Any) -> None:
    for made in (
        backend(provider="moonshot", model="a-model-of-tomorrow"),
        backend(api="openai", url="https://nobody.example.com/v1", model="m"),
    ):
        assert (made.price, made.price_source) == (Price(), "unknown")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://localhost:1/v1", "http://[::1]:1/v1"])
def test_a_server_on_this_machine_costs_nothing(url: str, backend: Any) -> None:
    assert backend(api="openai", url=url, model="gpt-6.1-sol").price_source == "local"


def test_ones_own_server_is_free_on_another_machine_too(backend: Any) -> None:
    assert backend({"VLLM_URL": "http://10.0.0.7:8000/v1"}, provider="vllm", model="m").price_source == "local"


def test_without_the_library_prices_are_unknown_and_check_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert look_up("kimi-k3", url="https://api.moonshot.ai/v1") is None
    path = tmp_path / "b.yaml"
    path.write_text("version: 1\nbackends:\n  a: {provider: moonshot, model: kimi-k3}\n")
    told = " ".join(backends_told(backend_rows(load(path, KEYS), {})))
    assert "genai-prices, is not installed" in told


@pytest.mark.parametrize(
    ("price", "usage", "usd"),
    [
        (Price(1, 10), Usage(1000, 100), 2.0),
        (Price(1, 10), Usage(1000, 100, cached_tokens=400), 2.0),
        (Price(1, 10, 0.1), Usage(1000, 100, cached_tokens=400), 0.6 + 0.04 + 1.0),
        (Price(1, 10, 0.0), Usage(1000, 0, cached_tokens=1000), 0.0),
        (Price(1, 10, 0.1), Usage(1000, 100, reasoning_tokens=90), 2.0),
        (Price(1, 10, 0.1), Usage(10, 0, cached_tokens=1000), 0.001),
    ],
)
def test_cached_input_has_its_own_price_and_reasoning_is_output(price: Price, usage: Usage, usd: float) -> None:
    made = Backend("a", "openai", "https://x", "m", price=price)
    assert cost_usd(made, usage) == pytest.approx(usd)


# -- what check says ---------------------------------------------------------------------------------------------


def test_check_lists_every_provider_within_eighty_columns_and_shows_no_key() -> None:
    secret = "gsk_0123456789"
    rows = provider_rows({"GROQ_API_KEY": secret})
    lines = list(providers_told(rows))
    assert max(map(len, lines)) <= 80
    assert secret not in json.dumps(rows) + "".join(lines)
    by_key = {line.split()[0]: line.split()[1] for line in lines if line.split()[0] in catalogue()}
    assert (by_key["groq"], by_key["openai"], by_key["ollama"]) == ("yes", "no", "-")


def test_check_says_where_each_price_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(
        "version: 1\nbackends:\n"
        "  a: {provider: moonshot, model: kimi-k3}\n"
        "  b: {provider: moonshot, model: tomorrow}\n"
        "  c: {provider: ollama, model: m}\n"
        "  d: {provider: groq, model: m, cost_per_1k: 1}\n"
    )
    config = load(path, {"MOONSHOT_API_KEY": "k"})
    rows = backend_rows(config, {"a": "", "c": "network: the connection was refused"})
    assert [row["price_source"] for row in rows] == ["library", "unknown", "local", "config"]
    assert [row["state"].partition(":")[0] for row in rows] == ["answers", "awake", "network", "asleep"]
    lines = list(backends_told(rows))
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("price unknown: b;") for line in lines)
