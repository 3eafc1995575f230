"""Twisted's reactor, as what it is: to a type checker, ``twisted.internet.reactor`` is a module."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor

reactor: Any = _reactor
