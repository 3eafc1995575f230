"""The gateway as OpenAI's SDK for Node finds it. Without node and npm, or without a registry, it is skipped.

NODE_OPENAI names a directory in which ``npm install openai`` has been run, where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_server import TIDES, Program, Provider, Served, says

SCRIPT = """
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE, apiKey: process.env.KEY, maxRetries: 0 });
const messages = [{ role: "user", content: "How do tides work?" }];
const out = {};

const plain = await client.chat.completions.create({ model: "a", messages });
out.plain = plain.choices[0].message.content;
out.backend = plain.uniwizard.backend;
out.models = (await client.models.list()).data.map((model) => model.id);

out.stream = "";
const stream = await client.chat.completions.create({
  model: "a", messages, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  out.stream += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) out.usage = chunk.usage.total_tokens;
}

const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
const runner = client.chat.completions.stream({ model: "tools", messages, tools });
const called = (await runner.finalChatCompletion()).choices[0];
out.called = [called.finish_reason, called.message.tool_calls[0].function.name];

const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false };
const parsed = await client.chat.completions.parse({
  model: "json", messages, response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } },
});
out.parsed = parsed.choices[0].message.parsed;

const status = async (action) => {
  try { await action(); } catch (error) { return [error.constructor.name, error.status, error.code]; }
  return "no error";
};
const ask = (more) => client.chat.completions.create({ model: "a", messages, ...more });
out.unknown = await status(() => ask({ model: "nobody" }));
out.tooMany = await status(() => ask({ n: 2 }));
out.stranger = await status(() => new OpenAI({ baseURL: process.env.BASE, apiKey: "x", maxRetries: 0 }).models.list());
console.log(JSON.stringify(out));
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which ``import "openai"`` works."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed here")
    if ready := os.environ.get("NODE_OPENAI"):
        return Path(ready)
    directory = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(directory), "openai"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm could not install openai within two minutes")
    if done.returncode:
        pytest.skip(f"npm could not install openai: {done.stderr[-200:]}")
    return directory


@pytest.fixture
def served() -> Iterator[Served]:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    with Provider() as provider:
        provider.say("tools", says(None, "tool_calls", tool_calls=[call]))
        provider.say("json", says('{"n": 3}'))
        with Program(provider.config("a", "tools", "json"), key="secret") as server:
            yield server


@pytest.mark.witness
def test_the_node_sdk_asks_streams_calls_tools_parses_and_knows_the_errors(project: Path, served: Served) -> None:
    script = project / "ask.mjs"
    script.write_text(SCRIPT)
    environ = {**os.environ, "BASE": served.url, "KEY": "secret"}
    done = subprocess.run(["node", script.name], cwd=project, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = json.loads(done.stdout)
    assert out["plain"] == out["stream"] == TIDES
    assert (out["backend"], out["usage"]) == ("a", 30)
    assert out["models"] == ["auto", "a", "tools", "json"]
    assert out["called"] == ["tool_calls", "weather"]
    assert out["parsed"] == {"n": 3}
    assert out["unknown"] == ["NotFoundError", 404, "model_not_found"]
    assert out["tooMany"] == ["BadRequestError", 400, "unsupported_value"]
    assert out["stranger"] == ["AuthenticationError", 401, "invalid_api_key"]
