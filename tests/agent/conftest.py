"""A gateway for the tests: ``served`` has the backends ``a`` and ``b``, both at ``provider``; ``sdk`` asks it.

One server serves a module; each test finds the provider quiet.
"""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from gateway_server import Aside, Provider, Served


@pytest.fixture(scope="module")
def providing() -> Iterator[Provider]:
    with Provider() as told:
        yield told


@pytest.fixture(scope="module")
def serving(providing: Provider) -> Iterator[Served]:
    with Aside(providing.config("a", "b")) as server:
        yield server


@pytest.fixture
def provider(providing: Provider) -> Provider:
    providing.forget()
    return providing


@pytest.fixture
def served(serving: Served, provider: Provider) -> Served:
    return serving


@pytest.fixture
def sdk(served: Served) -> openai.OpenAI:
    return served.sdk()
