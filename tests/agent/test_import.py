"""Other gateways' configurations as ours. Every case is from its project's own documentation or tests, named at it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from uniwizard.agent.__main__ import main
from uniwizard.agent.config.foreign import Unknown, read_foreign
from uniwizard.agent.config.loader import load
from uniwizard.agent.config.yaml_files import CONFIGS

#: docs.litellm.ai/docs/proxy/load_balancing, "Quick Start"; .../proxy/reliability, "fallbacks"; .../router_architecture
LITELLM_GROUP = """
model_list:
  - model_name: gpt-3.5-turbo
    litellm_params:
      model: azure/<your-deployment-name>
      api_base: https://my-endpoint.openai.azure.com
      api_key: os.environ/AZURE_API_KEY
      rpm: 6
  - model_name: gpt-3.5-turbo
    litellm_params:
      {model: azure/gpt-turbo-small-ca, api_base: "https://ca.openai.azure.com/", api_key: sk-abcdefabcdefabc, rpm: 6}
  - model_name: gpt-3.5-turbo
    litellm_params:
      {model: azure/gpt-turbo-large, api_base: "https://fr.openai.azure.com/", api_key: os.environ/FRANCE, rpm: 1440}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"gpt-4": "gpt-3.5-turbo"}
  num_retries: 2
  timeout: 30
  redis_host: x
"""
LITELLM_FALLBACKS = """
model_list:
  - {model_name: zephyr-beta, litellm_params: {model: huggingface/HuggingFaceH4/zephyr-7b-beta, api_base: "http://0.0.0.0:8001"}}
  - {model_name: gpt-3.5-turbo, litellm_params: {model: gpt-3.5-turbo, api_key: os.environ/OPENAI_API_KEY}}
litellm_settings:
  num_retries: 3
  request_timeout: 10
  fallbacks: [{"zephyr-beta": ["gpt-3.5-turbo"]}]
  context_window_fallbacks: [{"zephyr-beta": ["gpt-3.5-turbo-16k"]}]
  allowed_fails: 3
  cooldown_time: 30
  drop_params: true
"""
#: docs.litellm.ai/docs/proxy/provider_budget_routing
LITELLM_BUDGET = """
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}}
router_settings: {provider_budget_config: {openai: {budget_limit: 100, time_period: 1d}}}
"""
#: portkey.ai/docs/product/ai-gateway/load-balancing, .../fallbacks, .../conditional-routing; Portkey-AI/gateway README
PORTKEY_NESTED = {
    "strategy": {"mode": "loadbalance"},
    "retry": {"attempts": 3, "on_status_codes": [429]},
    "cache": {"mode": "semantic", "max_age": 60},
    "targets": [
        {"provider": "anthropic", "api_key": "sk-ant-1", "weight": 0.5, "override_params": {"model": "claude-3-opus"}},
        {
            "strategy": {"mode": "fallback", "on_status_codes": [429, 241]},
            "weight": 0.5,
            "targets": [
                {"virtual_key": "openai-key-1", "override_params": {"model": "gpt-4o", "temperature": 0.2}},
                {"virtual_key": "azure-openai", "custom_host": "https://x.openai.azure.com",
                 "override_params": {"model": "gpt-4"}},
            ],
        },
    ],
}  # fmt: skip
PORTKEY_CONDITIONAL = {
    "strategy": {
        "mode": "conditional",
        "conditions": [
            {"query": {"metadata.user_plan": {"$eq": "paid"}}, "then": "finetuned-gpt4"},
            {"query": {"metadata.user_plan": {"$eq": "free"}}, "then": "base-gpt4"},
            {"query": {"params.model": {"$regex": "gpt"}}, "then": "base-gpt4"},
        ],
        "default": "base-gpt4",
    },
    "targets": [
        {"name": "finetuned-gpt4", "virtual_key": "openai-xx", "override_params": {"model": "ft:gpt-4"}},
        {"name": "base-gpt4", "virtual_key": "openai-yy", "override_params": {"model": "gpt-4"}},
    ],
}
#: github.com/lm-sys/RouteLLM, README "Quickstart" and config.example.yaml
ROUTELLM_COMMAND = """
export OPENAI_API_KEY=sk-XXXXXX
python -m routellm.openai_server --routers mf --strong-model gpt-4-1106-preview --weak-model groq/llama3-8b-8192
"""
ROUTELLM_CONFIG = """
sw_ranking:
    arena_battle_datasets: [lmsys/lmsys-arena-human-preference-55k, routellm/gpt4_judge_battles]
    strong_model: gpt-4-1106-preview
    weak_model: mistral/mixtral-8x7b-instruct-v0.1
mf: {checkpoint_path: routellm/mf_gpt4_augmented}
"""
#: openrouter.ai/docs/features/model-routing and .../provider-routing
OPENROUTER = {
    "models": ["anthropic/claude-3.5-sonnet", "gryphe/mythomax-l2-13b"],
    "provider": {"order": ["openai", "together"], "allow_fallbacks": False, "sort": "throughput", "wizard": 1},
    "messages": [{"role": "user", "content": "What is the meaning of life?"}],
}
ALL: dict[str, str] = {
    "litellm group": LITELLM_GROUP,
    "litellm fallbacks": LITELLM_FALLBACKS,
    "litellm budget": LITELLM_BUDGET,
    "portkey nested": json.dumps(PORTKEY_NESTED),
    "portkey conditional": json.dumps(PORTKEY_CONDITIONAL),
    "routellm command": ROUTELLM_COMMAND,
    "routellm config": ROUTELLM_CONFIG,
    "openrouter": json.dumps(OPENROUTER),
}


def backends(text: str) -> dict[str, Any]:
    return read_foreign(text).backends


def test_deployments_of_one_model_become_a_weighted_group() -> None:
    draft = read_foreign(LITELLM_GROUP)
    keys = ["gpt-3-5-turbo", "gpt-3-5-turbo-2", "gpt-3-5-turbo-3"]
    assert list(draft.backends) == keys
    assert draft.document["strategies"]["gpt-3-5-turbo-group"] == {
        "use": "weighted",
        "weights": dict(zip(keys, (6, 6, 1440), strict=True)),
    }
    assert draft.document["aliases"] == {"gpt-3.5-turbo": "gpt-3-5-turbo-group", "gpt-4": "gpt-3-5-turbo-group"}
    first = draft.backends[keys[0]]
    assert first["url"] == "https://my-endpoint.openai.azure.com/openai/v1"
    assert (first["api_key"], first["quota"]) == (
        "${AZURE_API_KEY}",
        [{"limit": 6, "unit": "requests", "per": "minute"}],
    )
    assert (first["retries"], first["timeout"], first["fallbacks"]) == (2, 30.0, keys[1:])


def test_fallbacks_between_groups_become_each_backends() -> None:
    draft = read_foreign(LITELLM_FALLBACKS)
    zephyr = draft.backends["zephyr-beta"]
    assert zephyr["fallbacks"] == ["gpt-3-5-turbo"]
    assert (zephyr["retries"], zephyr["allowed_fails"], zephyr["cooldown_time"], zephyr["timeout"]) == (3, 3, 30, 10.0)
    assert {where for where, _ in draft.lost} == {"context_window_fallbacks", "litellm_settings.drop_params"}
    assert backends(LITELLM_BUDGET)["gpt-4o"]["quota"] == [{"limit": 100, "unit": "usd", "per": "day"}]


def test_nested_targets_become_a_tree() -> None:
    draft = read_foreign(json.dumps(PORTKEY_NESTED))
    assert draft.document["route"] == {"use": "weighted", "weights": {"anthropic": 0.5, "branch": 0.5}}
    assert draft.document["strategies"]["branch"] == {"use": "fallback", "over": ["openai", "azure-openai"]}
    assert draft.backends["openai"]["options"] == {"temperature": 0.2}
    assert all(backend["retries"] == 3 for backend in draft.backends.values())
    written = draft.written()
    assert "on_status_codes" in written and "memory: {match: exact, keep: 60s}" in written


def test_conditions_on_a_plan_become_conditions_on_a_tier() -> None:
    draft = read_foreign(json.dumps(PORTKEY_CONDITIONAL))
    assert draft.document["route"] == {
        "use": "conditional",
        "cases": [
            {"when": {"tier": "paid"}, "then": "finetuned-gpt4"},
            {"when": {"tier": "free"}, "then": "base-gpt4"},
        ],
        "otherwise": "base-gpt4",
    }
    assert "$regex" in draft.written()


def test_routellms_routers_become_strategies_of_their_names() -> None:
    draft = read_foreign(ROUTELLM_COMMAND)
    assert draft.document["strategies"] == {"mf": {"use": "strong_weak", "strong": "strong", "weak": "weak"}}
    assert draft.backends["weak"] == {
        "provider": "groq",
        "model": "llama3-8b-8192",
        "weaknesses": ["reasoning", "depth"],
    }
    assert set(read_foreign(ROUTELLM_CONFIG).document["strategies"]) == {"sw_ranking", "mf"}


def test_openrouters_preferences_go_on_to_openrouter() -> None:
    draft = read_foreign(json.dumps(OPENROUTER))
    first = draft.backends["claude-3-5-sonnet"]
    assert first["fallbacks"] == ["mythomax-l2-13b"]
    assert first["options"]["provider"] == {
        "order": ["openai", "together"],
        "allow_fallbacks": False,
        "sort": "throughput",
    }
    assert draft.lost == [("provider.wizard", "OpenRouter knows no such preference")]


@pytest.mark.parametrize("name", ALL)
def test_no_secret_is_written_and_what_is_written_is_what_is_meant(name: str) -> None:
    draft = read_foreign(ALL[name])
    written = draft.written()
    assert yaml.safe_load(written) == draft.document
    for secret in ("sk-abcdef", "sk-ant", "sk-XXX"):
        assert secret not in written


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_a_backends_file_of_ours(name: str, tmp_path: Path) -> None:
    schema = json.loads((CONFIGS / "backends.schema.json").read_text())
    document = read_foreign(ALL[name]).document
    if "strategies" not in schema["properties"]:
        # This version decides by its ranking alone: the tree is written down, and waits for one that follows it.
        document = {key: value for key, value in document.items() if key not in ("strategies", "route", "aliases")}
    file = tmp_path / "backends.yaml"
    file.write_text(yaml.safe_dump(document))
    config = load(file, {})
    assert set(config.backends) == set(document["backends"])


def test_the_command_writes_a_file_and_overwrites_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "config.yaml", tmp_path / "backends.yaml"
    source.write_text(LITELLM_BUDGET)
    assert main(["import", str(source), "--output", str(target)]) == 0
    assert load(target, os.environ).backends["gpt-4o"].quota[0].limit == 100
    assert main(["import", str(source), "--output", str(target)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["import", "--json", str(source)]) == 0
    assert json.loads(capsys.readouterr().out)["backends"]["backends"]["gpt-4o"]["provider"] == "openai"
    source.write_text("a: [b")
    assert main(["import", str(source)]) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = "model_list router_settings litellm_settings targets strategy models provider mf sw_ranking model virtual_key"


@settings(max_examples=examples(300), deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS.split(), VALUES)))
def test_whatever_a_file_holds_it_is_read_or_turned_down(document: dict[str, Any]) -> None:
    try:
        draft = read_foreign(json.dumps(document))
    except Unknown:
        return
    assert yaml.safe_load(draft.written()) == yaml.safe_load(yaml.safe_dump(draft.document, allow_unicode=True))
