"""Prometheus and promtool, both Debian's, over the rules and the dashboard, and over the metrics of a served door."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The door of the brain's own tests.
sys.path.insert(0, str(ROOT / "tests" / "agent"))
RULES = ROOT / "server" / "prometheus"

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None, reason="apt install prometheus"
)


def test_the_rules_do_what_their_tests_say() -> None:
    for command in (("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")):
        done = subprocess.run(["promtool", *command], cwd=RULES, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    groups = yaml.safe_load((RULES / "rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    tested = {
        case["alertname"]
        for test in yaml.safe_load((RULES / "rules.test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert alerts == tested


def queries() -> list[str]:
    """Every query of the dashboard, as Grafana would send it."""
    board = json.loads((RULES / "dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [expression.replace("$backend", ".*").replace("$__rate_interval", "10s") for expression in found]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has scraped a door, at which some things have gone wrong."""
    from gateway_server import Program, Provider, create, error, says

    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    quota = "    quota: [{limit: 100, unit: requests, per: day}]\n"
    with Provider() as provider:
        text = provider.config("a", "b").replace("    retries: 0\n", f"    retries: 0\n{quota}")
        with Program(text) as served:
            settings = yaml.safe_load((RULES / "prometheus.yml").read_text())
            settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
            settings["rule_files"] = [str(RULES / "rules.yml")]
            settings["scrape_configs"][0]["static_configs"] = [{"targets": [served.root.removeprefix("http://")]}]
            (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
            process = subprocess.Popen(
                [
                    *("prometheus", "--config.file", "prometheus.yml", "--storage.tsdb.path", "data"),
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                cwd=folder,
                stderr=subprocess.DEVNULL,
            )
            try:
                for _ in range(8):
                    provider.say("a", error(503))
                    provider.say("b", says())
                    create(served.sdk(), model="auto")
                    time.sleep(1)
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                    yield client
            finally:
                process.terminate()
                process.wait(20)


def asked(client: httpx.Client, expression: str) -> list[Any]:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    return list(answer["data"]["result"])


def test_prometheus_reads_the_metrics_and_every_query_of_the_dashboard(scraped: httpx.Client) -> None:
    assert asked(scraped, 'up{job="uniwizard"}')[0]["value"][1] == "1"
    assert asked(scraped, 'uniwizard_fallbacks_total{from="a",to="b",failure="overloaded"}')
    # What this door has not: a ledger, a Redis that is named, a refusal that was given, the first words of a stream.
    nothing = re.compile("ledger_spill|redis|refusals|first_token")
    for expression in queries():
        found = asked(scraped, expression)
        assert found or nothing.search(expression), expression
    assert scraped.get("/api/v1/rules").json()["data"]["groups"]
