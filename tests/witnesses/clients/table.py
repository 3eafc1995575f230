"""Client by feature: what real clients and agents do through the door. ``table.py [NAME ...]``

Installs each client from its registry, once, below .uniwizard/witnesses. In front stands ``python -m agent serve`` over
two scripted brains (upstream.py). The agents (Claude Code, Codex, opencode, Gemini CLI, aider) mend a word in a file of
a scratch repository, and the first brain dies after its first answer.
Exit status 1 where anything is not ok.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "tests"), str(ROOT / "tests" / "agent")]

from gateway_server import Program  # noqa: E402
from python_clients_names import FEATURES, PACKAGES  # noqa: E402
from upstream import AFTER, BEFORE, Upstream  # noqa: E402

HOUSE = ROOT / ".uniwizard" / "witnesses"
NODE = HOUSE / "node"
#: Pinned: what the table says, it says of these.
NODE_PACKAGES = {
    "openai": "6.49.0",
    "@anthropic-ai/sdk": "1.12.0",
    "ai": "6.0.326",
    "@ai-sdk/openai": "3.0.141",
    "@ai-sdk/openai-compatible": "2.0.87",
    "@ai-sdk/anthropic": "3.0.138",
    "zod": "4.6.7",
}
AGENT_PACKAGES = {
    "claude": ("@anthropic-ai/claude-code", "2.1.197"),
    "codex": ("@openai/codex", "0.169.0"),
    "opencode": ("opencode-ai", "1.18.33"),
    "gemini": ("@google/gemini-cli", "0.61.0"),
    "promptfoo": ("promptfoo", "0.121.20"),
}
#: Seconds for one client, its installation not counted.
PATIENCE = 240


def python_of(name: str, packages: list[str]) -> Path:
    """The Python of an environment that holds ``packages``, installed with uv, which resolves them in seconds."""
    place = HOUSE / name
    python, mark = place / "bin" / "python", place / ".packages"
    if not mark.exists() or mark.read_text() != " ".join(packages):
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "uv"], check=True)
        for package in packages:
            # One after the other: a newer one may ask for less of a dependency than an older one allows.
            subprocess.run([python, "-m", "uv", "pip", "install", "-q", "--python", python, package], check=True)
        mark.write_text(" ".join(packages))
    return python


def node_has(packages: dict[str, str], place: Path = NODE) -> None:
    """See that these packages are in ``place``, in these versions."""
    missing = [f"{name}@{version}" for name, version in packages.items() if _version(place, name) != version]
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *missing], cwd=place, check=True)


def _version(place: Path, name: str) -> str:
    described = place / "node_modules" / name / "package.json"
    return str(json.loads(described.read_text())["version"]) if described.exists() else ""


def config(upstream: Upstream) -> str:
    able = ["tools", "json", "stream", "images"]
    backends = {
        key: {"api": "openai", "url": upstream.url(key), "model": f"scripted-{key}", "capabilities": able}
        | {"retries": 0, "max_context": 400_000}
        for key in ("a", "b")
    }
    rules = [{"kinds": ["*"], "prefer": ["a", "b"]}]
    aliases = {"gemini-*": "auto", "claude-*": "auto", "gpt-*": "auto"}
    return json.dumps({"version": 1, "practice": "never", "backends": backends, "rules": rules, "aliases": aliases})


def of_python(name: str, base: str) -> dict[str, str]:
    python = python_of("clients", PACKAGES)
    return last_json([str(python), str(HERE / "python_clients.py"), name], base)


def of_node(base: str) -> dict[str, dict[str, str]]:
    node_has(NODE_PACKAGES)
    script = NODE / "node_clients.mjs"
    shutil.copy(HERE / "node_clients.mjs", script)
    return last_json(["node", str(script)], base)


def last_json(command: list[str], base: str) -> Any:
    environment = {**os.environ, "BASE": base, "KEY": "any", "OPENAI_API_KEY": "any"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"setup": done.stderr.strip()[-300:] or "said nothing"}


#: What promptfoo asks, by feature, and what it asserts of the answer. It has no streams.
_RIVER = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_EVALUATED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": ("How do tides work?", {}, {"type": "contains", "value": "The moon pulls"}),
    "tools": (
        "What is the weather in Ulm?",
        {"tools": [{"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}}]},
        {"type": "contains", "value": "weather"},
    ),
    "schema": (
        "A river?",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "river", "schema": _RIVER}}},
        {"type": "javascript", "value": "(typeof output === 'string' ? JSON.parse(output) : output).name.length > 0"},
    ),
    # Its own limit would be 1,024 tokens.
    "long": ("Write a long answer.", {"max_tokens": 20_000}, {"type": "contains", "value": "line 3000"}),
    "refusal": ("refuse this", {}, {"type": "is-refusal"}),
}  # fmt: skip


def of_promptfoo(base: str) -> dict[str, str]:
    """Evaluates one prompt for each feature, with assertions of its own."""
    program = binary("promptfoo")
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for feature, (prompt, more, wanted) in _EVALUATED.items():
            provider = {"id": "openai:chat:auto", "config": {"apiBaseUrl": f"{base}/v1", "apiKey": "any", **more}}
            test = {"prompts": [prompt], "providers": [provider], "tests": [{"assert": [wanted]}]}
            asked, told = Path(scratch) / f"{feature}.json", Path(scratch) / f"{feature}.out.json"
            asked.write_text(json.dumps(test))
            command = [program, "eval", "--no-cache", "--no-progress-bar", "-c"]
            quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "CI": "1", "HOME": scratch}
            done = subprocess.run(
                [*command, str(asked), "-o", str(told)],
                env={**os.environ, **quiet},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            try:
                (result,) = json.loads(told.read_text())["results"]["results"]
                found[feature] = "ok" if result["success"] else str(result.get("error") or result["response"])[:300]
            except (OSError, ValueError, KeyError) as fault:
                found[feature] = f"{type(fault).__name__}: {(done.stdout + done.stderr).strip()[-300:]}"
    return found


# -- agents ------------------------------------------------------------------------------------------------------


def claude(base: str, scratch: Path, task: str) -> tuple[list[str], dict[str, str]]:
    quiet = {"DISABLE_TELEMETRY": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1"}
    told = {"ANTHROPIC_BASE_URL": base, "ANTHROPIC_API_KEY": "any", "ANTHROPIC_MODEL": "auto", **quiet}
    return [binary("claude"), "-p", task, "--dangerously-skip-permissions"], told


def codex(base: str, scratch: Path, task: str) -> tuple[list[str], dict[str, str]]:
    (scratch / ".codex").mkdir()
    provider = f'name = "timmy"\nbase_url = "{base}/v1"\nenv_key = "TIMMY_KEY"\nwire_api = "responses"\n'
    settings = f'model = "auto"\nmodel_provider = "timmy"\n[model_providers.timmy]\n{provider}'
    (scratch / ".codex" / "config.toml").write_text(settings)
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [binary("codex"), "exec", *flags, task], {"TIMMY_KEY": "any"}


def opencode(base: str, scratch: Path, task: str) -> tuple[list[str], dict[str, str]]:
    options = {"baseURL": f"{base}/v1", "apiKey": "any"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "timmy", "options": options, "models": {"auto": {}}}
    settings = scratch / "opencode.json"
    # Nobody is there to be asked, and a temporary folder counts as one outside.
    may = {"permission": {"edit": "allow", "external_directory": "allow"}, "autoupdate": False}
    settings.write_text(json.dumps({"provider": {"timmy": provider}, "model": "timmy/auto", **may}))
    return [binary("opencode"), "run", "--model", "timmy/auto", task], {"OPENCODE_CONFIG": str(settings)}


def gemini(base: str, scratch: Path, task: str) -> tuple[list[str], dict[str, str]]:
    (scratch / ".gemini").mkdir()
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (scratch / ".gemini" / "settings.json").write_text(json.dumps(chosen))
    told = {"GEMINI_API_KEY": "any", "GOOGLE_GEMINI_BASE_URL": base, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return [binary("gemini"), "-m", "gemini-2.5-pro", "--yolo", "-p", task], told


def aider(base: str, scratch: Path, task: str) -> tuple[list[str], dict[str, str]]:
    program = python_of("aider", ["aider-chat==0.86.2"]).with_name("aider")
    quiet = ["--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings", "--analytics-disable"]
    flags = ["--model", "openai/auto", "--edit-format", "diff", *quiet]
    return [str(program), *flags, "--message", task, "greeting.py"], {
        "OPENAI_API_BASE": f"{base}/v1",
        "OPENAI_API_KEY": "any",
    }


AGENTS: dict[str, Callable[[str, Path, str], tuple[list[str], dict[str, str]]]] = {
    "claude": claude,
    "codex": codex,
    "opencode": opencode,
    "gemini": gemini,
    "aider": aider,
}


def binary(name: str) -> str:
    """The program of a package; promptfoo brings half of npm, and has a folder of its own."""
    package, version = AGENT_PACKAGES[name]
    place = HOUSE / "promptfoo" if name == "promptfoo" else NODE
    node_has({package: version}, place)
    return str(place / "node_modules" / ".bin" / name)


def of_agent(name: str) -> str:
    """Whether the agent mends the word; the first brain dies after its first answer (aider's only one: before it)."""
    scratch = Path(tempfile.mkdtemp(prefix="scratch"))
    file = scratch / "greeting.py"
    file.write_text(f'print("{BEFORE}")\n')
    subprocess.run(["git", "init", "-q"], cwd=scratch, check=True)
    with Upstream() as upstream, Program(config(upstream)) as served:
        upstream.dies("a", 0 if name == "aider" else 1)
        base = served.url.removesuffix("/v1")
        command, told = AGENTS[name](base, scratch, f"Mend the spelling in {file}")
        environment = {**os.environ, "HOME": str(scratch), "CI": "1", **told}
        try:
            done = subprocess.run(
                command,
                cwd=scratch,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                stdin=subprocess.DEVNULL,
            )
            said = (done.stdout + done.stderr).strip()[-200:]
        except subprocess.TimeoutExpired:
            said = f"took more than {PATIENCE} s"
        mended = AFTER in file.read_text()
        died = upstream.asked["a"] > (0 if name == "aider" else 1) and upstream.asked["b"] > 0
    shutil.rmtree(scratch, ignore_errors=True)
    return "ok" if mended and died else f"mended: {mended}, one died: {died}; {said}"


def main(wanted: list[str]) -> int:
    from python_clients_names import CLIENTS

    found: dict[str, dict[str, str]] = {}
    with Upstream() as upstream, Program(config(upstream)) as served:
        base = served.url.removesuffix("/v1")
        for name in CLIENTS:
            if not wanted or name in wanted:
                found[name] = of_python(name, base)
        if not wanted or "node" in wanted:
            found |= of_node(base)
        if not wanted or "promptfoo" in wanted:
            found["promptfoo"] = of_promptfoo(base)
    for name in AGENTS:
        if not wanted or name in wanted:
            found[name] = {"edits": of_agent(name)}
    show(found)
    return 0 if all(told == "ok" for row in found.values() for told in row.values()) else 1


def show(found: dict[str, dict[str, str]]) -> None:
    columns = [*FEATURES, "edits"]
    print(f"{'client':<18}" + "".join(f"{column:>10}" for column in columns))
    for name, row in found.items():
        cells = (("ok" if row[column] == "ok" else "NO") if column in row else "" for column in columns)
        print(f"{name:<18}" + "".join(f"{cell:>10}" for cell in cells))
    for name, row in found.items():
        for feature, told in row.items():
            if told != "ok":
                print(f"{name}, {feature}: {told}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
