"""What counting quota costs a call, in microseconds of processor time, with and without quota; and the ranking.

python tests/benchmarks/quota_cost.py
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from uniwizard.agent.classify.classifier import Classifier  # noqa: E402
from uniwizard.agent.config.loader import load  # noqa: E402
from uniwizard.agent.core.backend import Backend, Price, Quota  # noqa: E402
from uniwizard.agent.core.decision import Work  # noqa: E402
from uniwizard.agent.quota import QuotaTracker, Spend  # noqa: E402
from uniwizard.agent.simulation.policies import Policy  # noqa: E402
from uniwizard.agent.simulation.replay import Situation  # noqa: E402

NOW = 1_795_000_000.0
CALLS = 20_000


def microseconds(call: Callable[[int], object]) -> float:
    """The best of five rounds, each call once a second of the quota's clock."""
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for number in range(CALLS // 5):
            call(number)
        rounds.append((time.process_time() - began) / (CALLS // 5) * 1e6)
    return min(rounds)


def main() -> None:
    work, spend = Work("chat", 800), Spend(1, 812, 190, 0.004)
    month, five = Quota(1e6, "usd", "month"), Quota(1e6, "requests", "5h", rolling=True)
    for name, quota in (("no quota", ()), ("a month of USD", (month,)), ("and 5 rolling hours", (month, five))):
        meter = QuotaTracker(
            Backend("a", "openai", "http://127.0.0.1", "m", price=Price(0.002, 0.01), quota=quota), NOW
        )

        def count(number: int, meter: QuotaTracker = meter) -> None:
            if not meter.obstacle(NOW + number, work):
                meter.reserve(NOW + number, work).settle(spend)

        print(f"reserve and settle, {name:<20} {microseconds(count):8.2f} us")
    config = load(ROOT / "tests/data/simulate.yaml", os.environ)
    situation = Situation(config, Classifier.load().suits)
    policy = Policy(situation.config, situation.suits, None, weighed=True)
    asked = Work("analysis", 3000)
    print(f"rank six backends, five with quota         {microseconds(lambda n: policy.steps(NOW + n, asked)):8.2f} us")


if __name__ == "__main__":
    main()
