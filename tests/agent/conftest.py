"""A gateway for the tests: ``served`` has the backends ``a`` and ``b``, both at ``provider``; ``sdk`` asks it.

One server serves a module; each test finds the provider quiet.
"""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from gateway_server import Aside, Door, Provider


@pytest.fixture(scope="module")
def providing() -> Iterator[Provider]:
    with Provider() as told:
        yield told


@pytest.fixture(scope="module")
def serving(providing: Provider) -> Iterator[Door]:
    with Aside(providing.config("a", "b")) as server:
        yield server


@pytest.fixture
def provider(providing: Provider) -> Provider:
    providing.forget()
    return providing


@pytest.fixture
def served(serving: Door, provider: Provider) -> Door:
    return serving


@pytest.fixture
def sdk(served: Door) -> openai.OpenAI:
    return served.sdk()
