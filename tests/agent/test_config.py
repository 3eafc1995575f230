"""The backends file: what is valid, and one line for every fault that says where, what, and what is allowed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.config.loader import load
from uniwizard.agent.config.settings import Config
from uniwizard.agent.config.yaml_files import CONFIGS, ConfigError
from uniwizard.agent.core.backend import Price, Timeout
from uniwizard.agent.core.task import KINDS

DEFAULT = CONFIGS / "backends.yaml"
SECRET = "sk-very-secret-0123456789"

SMALL = """\
version: 1
backends:
  a:
    api: openai
    url: http://127.0.0.1:1/v1
    model: m
  b:
    api: anthropic
    url: https://example.com/v1
    model: m
    api_key: ${B_KEY}
rules:
  - {kinds: [chat], prefer: [a]}
"""


@pytest.fixture
def write(tmp_path: Path):
    def to_file(text: str | bytes) -> Path:
        path = tmp_path / "backends.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to_file


def faults(path: Path, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {})
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.faults)
    return [line.removeprefix(str(path)) for line in lines]


def test_the_shipped_file_is_valid_without_any_environment() -> None:
    config = load(DEFAULT, {})
    assert list(config.backends) == ["local", "claude", "kimi", "gpt", "gemini", "grok"]
    assert [key for key, backend in config.backends.items() if not backend.unconfigured] == ["local"]
    assert {kind for rule in config.rules for kind in rule.kinds} >= set(KINDS)
    assert (config.refusals.reroute, config.refusals.max_refusals, config.content_filter) == (True, 2, "surface")


def test_the_six_rules_prefer_whom_the_design_says() -> None:
    first = {kind: rule.prefer[0] for rule in load(DEFAULT, {}).rules for kind in rule.kinds}
    assert [first[kind] for kind in ("read", "write", "status")] == ["local"] * 3
    assert [first[kind] for kind in ("reasoning", "analysis", "code_review", "architecture")] == ["claude"] * 4
    assert [first[kind] for kind in ("long_document", "bulk_code")] == ["kimi"] * 2
    assert [first[kind] for kind in ("knowledge", "summarize")] == ["gpt"] * 2
    assert (first["multimodal"], first["quick_answer"]) == ("gemini", "grok")


def test_a_backend_without_its_key_is_asleep_and_says_which(write) -> None:
    config = load(write(SMALL), {})
    assert config.backends["b"].unconfigured == "B_KEY is not set"
    assert config.backends["a"].unconfigured == ""


def test_a_key_is_taken_from_the_environment_and_never_shown(write) -> None:
    backend = load(write(SMALL), {"B_KEY": f" {SECRET}\n"}).backends["b"]
    assert backend.api_key == SECRET
    assert SECRET not in repr(backend)


@pytest.mark.parametrize("key", ["two\nlines", "a blank", "żółw", "tab\there", "nul\0"])
def test_a_key_that_no_header_can_carry_puts_its_backend_to_sleep_unquoted(write, key: str) -> None:
    backend = load(write(SMALL), {"B_KEY": key}).backends["b"]
    assert backend.api_key is None
    assert backend.unconfigured == "B_KEY holds characters that no header can carry"


def test_a_variable_is_filled_in_or_takes_its_default(write) -> None:
    text = SMALL.replace("http://127.0.0.1:1/v1", "${A_URL:-http://localhost:2/v1}")
    assert load(write(text), {}).backends["a"].url == "http://localhost:2/v1"
    assert load(write(text), {"A_URL": "http://other/v1/"}).backends["a"].url == "http://other/v1"
    assert load(write(text), {"A_URL": ""}).backends["a"].url == "http://localhost:2/v1"


def test_an_unset_variable_without_default_puts_its_backend_to_sleep(write) -> None:
    backend = load(write(SMALL.replace("http://127.0.0.1:1/v1", "${A_URL}")), {}).backends["a"]
    assert backend.unconfigured == "A_URL is not set"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("headroom: ${WEIGHTS}", "headroom: WEIGHTS is not set; allowed: ${WEIGHTS:-default}"),
        ("practice: ${PRACTICE}", "practice: PRACTICE is not set"),
        ("identity: ['${GAME}']", "identity[0]: GAME is not set"),
    ],
)
def test_an_unset_variable_outside_of_the_backends_is_a_fault(write, line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(write(f"{SMALL}\n{line}\n"), {})


def test_what_a_variable_holds_is_never_quoted(write) -> None:
    secret = {"TOK": "sk-se\ncret"}
    for old, new in (
        ("http://127.0.0.1:1/v1", "https://h.example/${TOK}"),
        ("model: m\n  b", "model: m\n    headers: {x-key: '${TOK}'}\n  b"),
        ("api: openai", "api: ${TOK}"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(write(SMALL.replace(old, new)), secret)
        assert "cret" not in str(caught.value)
        assert "${TOK}" in str(caught.value)


def test_variables_that_are_unset_side_by_side_are_both_named(write) -> None:
    for url in ("http://[${A}]:${B}/v1", "https://${A}/${B}"):
        backend = load(write(SMALL.replace("http://127.0.0.1:1/v1", url)), {}).backends["a"]
        assert backend.unconfigured == "A and B is not set"


def test_an_unset_variable_is_no_list_and_no_number(write) -> None:
    for line, told in (("quota: ${Q}", "a.quota"), ("timeout: ${T}", "a.timeout"), ("strengths: ${S}", "a.strengths")):
        with pytest.raises(ConfigError, match=told):
            load(write(SMALL.replace("model: m\n  b", f"model: m\n    {line}\n  b")), {})


def test_a_variables_value_cannot_bring_in_yaml(write) -> None:
    text = SMALL.replace("model: m\n  b", "model: ${A_MODEL}\n  b")
    assert load(write(text), {"A_MODEL": "x\napi_key: y"}).backends["a"].model == "x\napi_key: y"


def test_one_timeout_bounds_everything_and_phases_can_be_named(write) -> None:
    text = SMALL.replace("model: m\n  b", "model: m\n    timeout: 5\n  b")
    assert load(write(text), {}).backends["a"].timeout == Timeout(5, 5, 5, 5)
    text = SMALL.replace("model: m\n  b", "model: m\n    timeout: {connect: 2, total: 90}\n  b")
    assert load(write(text), {}).backends["a"].timeout == Timeout(2, 90, 90, 90)


def test_a_price_is_one_figure_or_two(write) -> None:
    text = SMALL.replace("model: m\n  b", "model: m\n    cost_per_1k: 0.5\n  b")
    assert load(write(text), {}).backends["a"].price == Price(0.5, 0.5)
    text = SMALL.replace("model: m\n  b", "model: m\n    cost_per_1k: {input: 1, output: 2}\n  b")
    assert load(write(text), {}).backends["a"].price == Price(1, 2)


FAULTS = {
    "a: [": ":1: not YAML: expected",
    "": ": is empty; allowed: version, backends and rules",
    "# nothing but a comment\n": ": is empty",
    "just words": ":1: ",
    "- a\n- list": ":1: ",
    SMALL.replace("version: 1", "version: 2"): ":1: version: 2 is not supported; allowed: 1",
    SMALL.replace("version: 1\n", ""): ":1: version: is missing; allowed: 1",
    SMALL.replace(
        "    model: m\n  b", "  b"
    ): ":3: backends.a.model: is missing; allowed: a model, as its provider calls it",
    SMALL.replace("api: openai", "api: telepathy"): (
        ':4: backends.a.api: "telepathy" is unknown; allowed: openai, anthropic, gemini, ollama'
    ),
    SMALL.replace(
        "model: m\n  b", "modle: m\n    model: m\n  b"
    ): ":6: backends.a.modle: unknown key; did you mean model?; allowed: ",
    SMALL.replace("model: m\n  b", "model: m\n    retries: -1\n  b"): (
        ":7: backends.a.retries: -1 is too small; allowed: 0 or more"
    ),
    SMALL.replace(
        "model: m\n  b", "model: m\n    cost_per_1k: -0.1\n  b"
    ): ":7: backends.a.cost_per_1k: -0.1 is too small",
    SMALL.replace("model: m\n  b", "model: m\n    timeout: .inf\n  b"): ":7: backends.a.timeout: inf is not finite",
    SMALL.replace("model: m\n  b", "model: m\n    timeout: .nan\n  b"): ":7: backends.a.timeout: nan is not finite",
    SMALL.replace("model: m\n  b", "model: m\n    max_context: many\n  b"): (
        ':7: backends.a.max_context: "many" is not a whole number; allowed: a whole number'
    ),
    SMALL.replace("model: m\n  b", "model: m\n    max_parallel: 0\n  b"): ":7: backends.a.max_parallel: 0 is too small",
    SMALL.replace("model: m\n  b", "model: m\n    capabilities: [flight]\n  b"): (
        ':7: backends.a.capabilities[0]: "flight" is unknown; allowed: tools, json,'
    ),
    SMALL.replace("  b:", "  a:"): ":7: backends.a: stands twice, first on line 3; allowed: each key once",
    SMALL.replace("prefer: [a]", "prefer: [nobody]"): ':13: rules[0].prefer[0]: "nobody" is no backend; allowed: a, b',
    SMALL.replace("kinds: [chat]", "kinds: [magic]"): ':13: rules[0].kinds[0]: "magic" is unknown; allowed: ',
    SMALL.replace("kinds: [chat]", "kinds: []"): ":13: rules[0].kinds: ",
    SMALL.replace(
        "model: m\n  b", "model: m\n    fallbacks: [nobody]\n  b"
    ): ':7: backends.a.fallbacks[0]: "nobody" is no',
    SMALL.replace(
        "model: m\n  b", "model: m\n    fallbacks: [a]\n  b"
    ): ":7: backends.a.fallbacks[0]: a cannot fall back",
    SMALL.replace("http://127.0.0.1:1/v1", "ftp://example.com"): ':5: backends.a.url: "ftp://example.com" does not fit',
    SMALL.replace("http://127.0.0.1:1/v1", "http://127.0.0.1:99999/v1"): ":5: backends.a.url: ",
    SMALL.replace("http://127.0.0.1:1/v1", "http://[::1/v1"): ":5: backends.a.url: ",
    SMALL.replace("  a:", "  17:"): ":3: backends.17: this key is not a word",
    SMALL.replace("  a:", "  Upper Case:"): ":3: backends.Upper Case: ",
    SMALL + "refusals: {max_refusals: 0}\n": ":14: refusals.max_refusals: 0 is too small; allowed: 1 or more",
    SMALL + "content_filter: ignore\n": ':14: content_filter: "ignore" is unknown; allowed: surface, reroute',
    SMALL + "practice: true\n": ":14: practice: ",
    SMALL + "identity: Timmy\n": ':14: identity: "Timmy" is not a list; allowed: a list',
    "version: 1\nbackends: {}\n": ":2: backends: ",
    "version: 1\nbackends: [a]\n": ":2: backends: ",
    "version: 1\nbackends: {a: 3}\n": ":2: backends.a: 3 is not a mapping; allowed: a mapping",
}


@pytest.mark.parametrize("text", FAULTS, ids=FAULTS.values())
def test_a_fault_is_one_line_that_says_where_what_and_what_is_allowed(write, text: str) -> None:
    (line,) = faults(write(text))
    assert line.startswith(FAULTS[text]), line


def test_every_fault_is_told_at_once_in_the_order_of_the_file(write) -> None:
    text = SMALL.replace("api: openai", "api: telepathy").replace("kinds: [chat]", "kinds: [magic]")
    told = faults(write(text + "practise: never\n"))
    assert [line.split(":")[1] for line in told] == ["4", "13", "14"]


def test_a_key_in_the_file_itself_is_a_fault_and_is_not_quoted(write) -> None:
    for written in (SECRET, f"'{SECRET}'", f"[{SECRET}]", f"{{{SECRET}: x}}", "12345678"):
        told = "\n".join(faults(write(SMALL.replace("${B_KEY}", written))))
        assert ":11: backends.b.api_key" in told
        assert SECRET not in told
        assert "12345678" not in told


@pytest.mark.parametrize("wrong", ["retries", "url", "api", "capabilities", "timeout", "strengths", "max_context"])
def test_a_key_in_a_wrong_place_is_not_quoted_either(write, wrong: str) -> None:
    lines = [line for line in SMALL.splitlines() if not (wrong in ("url", "api") and f" {wrong}: " in line)]
    text = "\n".join([*lines[:3], f"    {wrong}: {SECRET}", *lines[3:]])
    for shape in (text, text.replace(SECRET, f"*{SECRET}"), text.replace(SECRET, f"[{SECRET}, [{SECRET}]]")):
        assert SECRET not in "\n".join(faults(write(shape)))


def test_files_that_cannot_be_read_are_faults_as_well(tmp_path: Path, write) -> None:
    assert faults(tmp_path / "none.yaml")[0].startswith(": there is no such file")
    assert faults(tmp_path)[0].startswith(": is a folder")
    assert faults(write(b"\xff\xfe\x00"))[0].startswith(": is not text in UTF-8")
    with pytest.raises(ConfigError, match="is no name of a file"):
        load(tmp_path / "nul\0byte", {})


def test_a_yaml_of_billions_of_laughs_is_a_fault_or_small(write) -> None:
    lines = ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    faults(write("\n".join(lines)))


def test_nesting_without_end_is_a_fault(write) -> None:
    faults(write("[" * 5000))
    faults(write("a: &a [*a]"))


def whole_or_fault(path: Path) -> None:
    try:
        config = load(path, {"ANTHROPIC_API_KEY": SECRET})
    except ConfigError as error:
        assert error.faults
        assert all(re.match(re.escape(str(path)) + r"(:\d+)?: ", str(fault)) for fault in error.faults)
        assert SECRET not in str(error)
    else:
        assert isinstance(config, Config)


@settings(max_examples=examples(150), deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    whole_or_fault(path)


LINES = DEFAULT.read_text("utf-8").splitlines()
values = st.sampled_from(
    [
        "",
        "-1",
        "1e999",
        ".nan",
        "[]",
        "{}",
        "null",
        "yes",
        "'text'",
        "${X}",
        "${X:-}",
        "&a",
        "*a",
        "!!binary aa",
        "? [k]",
        "2001-01-01",
        "0x1f",
        "!!python/object:os.system x",
        "<<: {a: 1}",
        "1" * 5000,
        SECRET,
        "\t",
        "}",
    ]
)


@settings(max_examples=examples(250), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1), st.sampled_from(["value", "drop", "twice", "indent", "insert"]), values
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_mutation_of_the_shipped_file_is_a_config_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, mutations: list[tuple[int, str, str]]
) -> None:
    lines = list(LINES)
    for place, how, value in mutations:
        place %= len(lines)
        match how:
            case "value":
                lines[place] = lines[place].partition(":")[0] + ": " + value
            case "drop":
                lines[place] = ""
            case "twice":
                lines.insert(place, lines[place])
            case "indent":
                lines[place] = "  " + lines[place]
            case "insert":
                lines.insert(place, value)
    path = tmp_path_factory.getbasetemp() / "mutated.yaml"
    path.write_text("\n".join(lines), "utf-8")
    whole_or_fault(path)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["version", "backends", "rules", "refusals", "practice", "identity", "url", "api", "model", "timeout", "quota"]


@settings(max_examples=examples(150), deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), plain, max_size=5), st.dictionaries(st.sampled_from(NAMES), plain))
def test_any_document_of_known_keys_is_a_config_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object], backend: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "document.yaml"
    base = {"version": 1, "backends": {"a": {"api": "openai", "url": "http://x", "model": "m"} | backend}}
    path.write_text(yaml.safe_dump(base | document, allow_unicode=True), "utf-8")
    whole_or_fault(path)


def test_the_environment_is_only_read() -> None:
    before = dict(os.environ)
    load(DEFAULT, os.environ)
    assert dict(os.environ) == before


def test_every_fault_is_told_at_once_whatever_its_sort(tmp_path: Path) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text(
        "version: 1\n"
        "backends:\n"
        "  a: {api: ollama, url: http://a, model: m, retries: -1}\n"
        "  a: {api: ollama, url: http://a, model: m, colour: red}\n"
        "rules: [{kinds: [chat], prefer: [nobody]}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    told = str(caught.value)
    assert "stands twice" in told
    assert "backends.a.colour: unknown key" in told
    assert '"nobody" is no backend' in told


def test_a_secret_in_the_place_of_a_key_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "backends.yaml"
    path.write_text("sk-very-secret-0123456789:\nversion: 1\nbackends: {}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "sk-very-secret" not in str(caught.value)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.text("abcdefgh", min_size=6, max_size=12),
)
def test_of_a_file_that_is_not_ours_nothing_is_quoted(tmp_path_factory: Any, text: str, secret: str) -> None:
    file = tmp_path_factory.mktemp("foreign") / "secrets.txt"
    marked = f"{text}\nx9{secret}9x: [{text}\n'x9{secret}9x': &x9{secret}9x *x9{secret}9x\n"
    file.write_text(marked, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert f"x9{secret}9x" not in str(caught.value)


def test_a_device_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="is too large"):
        load("/dev/zero", {})
