"""The providers' own SDKs talk to ``python -m agent.practice`` and find nothing amiss."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest
from aside import practice_aside
from google import genai
from google.genai import errors as google_errors
from google.genai import types as gt

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
ASK: Any = [{"role": "user", "content": "How do tides work?"}]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a practice server with a key for each scene that the SDKs must notice."""
    with practice_aside("429", "503", "refuse", "decline") as url:
        yield url


def openai_at(base: str, key: str = "gpt", api_key: str = "k") -> openai.OpenAI:
    return openai.OpenAI(api_key=api_key, base_url=f"{base}/{key}/v1", max_retries=0)


def anthropic_at(base: str, key: str = "claude", api_key: str = "k") -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=api_key, base_url=f"{base}/{key}", max_retries=0)


@cache  # a client of this SDK closes its connections as soon as nobody holds it
def gemini_at(base: str, key: str = "gemini", api_key: str = "k") -> genai.Client:
    return genai.Client(api_key=api_key, http_options=gt.HttpOptions(base_url=f"{base}/{key}", api_version="v1beta"))


def ollama_at(base: str, key: str = "local", api_key: str = "k") -> ollama.Client:
    return ollama.Client(host=f"{base}/{key}", headers={"Authorization": f"Bearer {api_key}"})


class TestOpenAI:
    def test_plain(self, base: str) -> None:
        said = openai_at(base).chat.completions.create(model="m", messages=ASK)
        assert said.choices[0].message.content.startswith("[practice] Tides")
        assert said.model == "practice/m"
        assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens

    def test_tools_pictures_and_schema(self, base: str) -> None:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}
        said = openai_at(base).chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": [{"type": "text", "text": "What picture is this?"}, image]}],
            tools=[{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}],
        )
        assert "picture" in said.choices[0].message.content
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
        said = openai_at(base).chat.completions.create(model="m", messages=ASK, response_format=form)
        assert json.loads(said.choices[0].message.content) == {"n": 1}

    def test_refusals(self, base: str) -> None:
        message = openai_at(base, "refuse").chat.completions.create(model="m", messages=ASK).choices[0].message
        assert message.content.startswith("[practice] ") and message.refusal is None
        message = openai_at(base, "decline").chat.completions.create(model="m", messages=ASK).choices[0].message
        assert message.refusal.startswith("[practice] ") and message.content is None

    def test_errors_are_its_own(self, base: str) -> None:
        def ask(**where: str) -> None:
            openai_at(base, **where).chat.completions.create(model="m", messages=ASK)

        with pytest.raises(openai.RateLimitError) as limited:
            ask(key="429")
        assert limited.value.code == "rate_limit_exceeded"
        assert limited.value.response.headers["retry-after"] == "7"
        with pytest.raises(openai.InternalServerError) as down:
            ask(key="503")
        assert down.value.status_code == 503
        with pytest.raises(openai.AuthenticationError):
            ask(api_key="bad-key")
        with pytest.raises(openai.NotFoundError):
            openai_at(base).embeddings.create(model="m", input="x")

    def test_models(self, base: str) -> None:
        assert [model.id for model in openai_at(base).models.list()] == ["practice/openai"]


class TestAnthropic:
    def test_plain(self, base: str) -> None:
        said = anthropic_at(base).messages.create(model="m", max_tokens=99, messages=ASK)
        assert said.content[0].text.startswith("[practice] Tides")
        assert (said.model, said.stop_reason, said.usage.cache_read_input_tokens) == ("practice/m", "end_turn", 0)

    def test_tools_pictures_and_schema(self, base: str) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
        said = anthropic_at(base).messages.create(
            model="m",
            max_tokens=99,
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "image", "source": source}, {"type": "text", "text": "What picture is this?"}],
                }
            ],
            tools=[{"name": "weather", "input_schema": PARAMETERS}],
        )
        assert "picture" in said.content[0].text
        form = {"format": {"type": "json_schema", "schema": SCHEMA}}
        said = anthropic_at(base).messages.create(model="m", max_tokens=99, messages=ASK, output_config=form)
        assert json.loads(said.content[0].text) == {"n": 1}

    def test_refusals(self, base: str) -> None:
        said = anthropic_at(base, "refuse").messages.create(model="m", max_tokens=99, messages=ASK)
        assert said.stop_reason == "end_turn" and said.content[0].text.startswith("[practice] ")
        said = anthropic_at(base, "decline").messages.create(model="m", max_tokens=99, messages=ASK)
        assert said.stop_reason == "refusal" and said.stop_details.category == "general_harms"

    def test_errors_are_its_own(self, base: str) -> None:
        def ask(**where: str) -> None:
            anthropic_at(base, **where).messages.create(model="m", max_tokens=99, messages=ASK)

        with pytest.raises(anthropic.RateLimitError) as limited:
            ask(key="429")
        assert limited.value.type == "rate_limit_error"
        with pytest.raises(anthropic.InternalServerError) as down:
            ask(key="503")
        assert (down.value.status_code, down.value.type) == (503, "overloaded_error")
        with pytest.raises(anthropic.AuthenticationError):
            ask(api_key="bad-key")
        with pytest.raises(anthropic.NotFoundError):
            anthropic_at(base).messages.count_tokens(model="m", messages=ASK)

    def test_models(self, base: str) -> None:
        assert [model.id for model in anthropic_at(base).models.list()] == ["practice/anthropic"]


class TestGemini:
    def test_plain(self, base: str) -> None:
        said = gemini_at(base).models.generate_content(model="m", contents="How do tides work?")
        assert said.text.startswith("[practice] Tides")
        assert said.model_version == "practice/m"
        assert said.candidates[0].finish_reason is gt.FinishReason.STOP
        assert said.usage_metadata.total_token_count > 0

    def test_tools_pictures_and_schema(self, base: str) -> None:
        declared = gt.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)
        said = gemini_at(base).models.generate_content(
            model="m",
            contents=[gt.Part(text="What picture is this?"), gt.Part.from_bytes(data=PNG, mime_type="image/png")],
            config=gt.GenerateContentConfig(tools=[gt.Tool(function_declarations=[declared])]),
        )
        assert "picture" in said.text
        config = gt.GenerateContentConfig(response_mime_type="application/json", response_json_schema=SCHEMA)
        said = gemini_at(base).models.generate_content(model="m", contents="x", config=config)
        assert json.loads(said.text) == {"n": 1}

    def test_refusals(self, base: str) -> None:
        said = gemini_at(base, "refuse").models.generate_content(model="m", contents="x")
        assert said.text.startswith("[practice] ")
        said = gemini_at(base, "decline").models.generate_content(model="m", contents="x")
        assert said.candidates[0].finish_reason is gt.FinishReason.SAFETY

    def test_errors_are_its_own(self, base: str) -> None:
        def ask(**where: str) -> None:
            gemini_at(base, **where).models.generate_content(model="m", contents="x")

        with pytest.raises(google_errors.ClientError) as limited:
            ask(key="429")
        assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
        with pytest.raises(google_errors.ServerError) as down:
            ask(key="503")
        assert (down.value.code, down.value.status) == (503, "UNAVAILABLE")
        with pytest.raises(google_errors.ClientError) as unknown:
            ask(api_key="bad-key")
        assert (unknown.value.code, unknown.value.status) == (401, "UNAUTHENTICATED")

    def test_models(self, base: str) -> None:
        assert [model.name for model in gemini_at(base).models.list()] == ["models/practice"]


class TestOllama:
    def test_plain(self, base: str) -> None:
        said = ollama_at(base).chat(model="m", messages=ASK)
        assert said.message.content.startswith("[practice] Tides")
        assert (said.model, said.done, said.done_reason) == ("practice/m", True, "stop")
        assert said.eval_count > 0

    def test_tools_pictures_and_schema(self, base: str) -> None:
        said = ollama_at(base).chat(
            model="m",
            messages=[{"role": "user", "content": "What picture is this?", "images": [PNG]}],
            tools=[{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}],
        )
        assert "picture" in said.message.content
        assert json.loads(ollama_at(base).chat(model="m", messages=ASK, format=SCHEMA).message.content) == {"n": 1}

    def test_refusal(self, base: str) -> None:
        assert ollama_at(base, "refuse").chat(model="m", messages=ASK).message.content.startswith("[practice] ")

    def test_errors_are_its_own(self, base: str) -> None:
        for where, status in (({"key": "429"}, 429), ({"key": "503"}, 503), ({"api_key": "bad-key"}, 401)):
            with pytest.raises(ollama.ResponseError) as failed:
                ollama_at(base, **where).chat(model="m", messages=ASK)
            assert failed.value.status_code == status
            assert failed.value.error

    def test_models(self, base: str) -> None:
        assert [model.model for model in ollama_at(base).list().models] == ["practice/ollama"]


@pytest.mark.slow
def test_the_program_prints_where_each_api_is_and_plays_the_scenes_it_is_given() -> None:
    command = [sys.executable, "-m", "agent.practice", "--port", "0", "--scene", "claude=refuse"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = dict(process.stdout.readline().split() for _ in range(5))
        assert set(told) == {"practice", "openai", "anthropic", "gemini", "ollama"}
        assert all(url.startswith(told["practice"]) for url in told.values())
        said = anthropic_at(told["practice"]).messages.create(model="m", max_tokens=99, messages=ASK)
        process.terminate()
    assert not said.content[0].text.startswith("[practice] Tides")


@pytest.mark.slow
def test_a_wrong_scene_on_the_command_line_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.practice", "--scene", "claude=sulk"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "unknown scene 'sulk'; allowed: answer" in done.stderr
