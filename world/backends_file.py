"""The game's backends file: read with the game's extensions, and a good copy kept for a start that finds it broken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from evennia.utils import logger

from uniwizard.agent import Config, ConfigError, Fault, leave_out, load, phrase_book
from uniwizard.world.soul import voice


def read() -> Config:
    """The config that is in the file now, which is kept as the last good one. Raises ConfigError."""
    config = _read()
    _keep_last_good()
    return config


def faults() -> list[str]:
    """What is wrong with the file and the game's extensions, one line each. Writes nothing."""
    try:
        _read()
    except ConfigError as error:
        return [str(fault) for fault in error.faults]
    return []


def _read() -> Config:
    """The config with every extension; of those that have a fault, nobody reads anything from then on.

    Raises ConfigError with every fault of every file.
    """
    leave_out(())
    config, faults = _tried(lambda: load(settings.UNIWIZARD_CONFIG, os.environ, extensions=_extensions()), {})
    for step in (voice.read, phrase_book):
        _, faults = _tried(step, faults)
    if faults or config is None:
        raise ConfigError([*faults])
    return config


def _tried(step: Callable[[], Any], faults: dict[Fault, None]) -> tuple[Any, dict[Fault, None]]:
    """What ``step`` returns, without the extensions that it finds a fault in; None where that is of no use."""
    while True:
        try:
            return step(), faults
        except ConfigError as error:
            known, faults = faults, {**faults, **dict.fromkeys(error.faults)}
            leave_out(fault.file for fault in faults)
            if len(faults) == len(known):
                return None, faults


def _extensions() -> list[Path]:
    return [Path(settings.GAME_DIR) / file for file in settings.UNIWIZARD_EXTENSIONS]


def read_or_last_good() -> tuple[Config | None, list[str]]:
    """The config and its faults, one line each; with faults, what can be used without them, or None.

    That is the file without the extensions that have a fault, or else the last good one.
    """
    try:
        return read(), []
    except ConfigError as error:
        faults = [str(fault) for fault in error.faults]
    for file, what in (
        (Path(settings.UNIWIZARD_CONFIG), "the game goes on without what has a fault"),
        (_last_good(), "the last good configuration stays in force"),
    ):
        try:
            config = load(file, os.environ, extensions=_extensions(), beside=settings.UNIWIZARD_CONFIG)
            return config, [*faults, what]
        except ConfigError:
            continue
    return None, faults


def _last_good() -> Path:
    return Path(settings.GAME_DIR) / ".uniwizard" / "last_good_backends.yaml"


def _keep_last_good() -> None:
    """Keep a copy. It holds no secrets: they are variables of the environment."""
    try:
        _last_good().parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(settings.UNIWIZARD_CONFIG, _last_good())
    except OSError as error:
        logger.log_warn(f"Uniwizard: the last good configuration cannot be kept: {error}")
