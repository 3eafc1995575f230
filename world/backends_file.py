"""The game's backends file: read with the game's extensions, and a good copy kept for a start that finds it broken."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.conf import settings
from evennia.utils import logger

from uniwizard.agent import Config, ConfigError, load
from uniwizard.world.soul import voice


def read() -> Config:
    """The config that is in the file now, which is kept as the last good one. Raises ConfigError."""
    more = [Path(settings.GAME_DIR) / file for file in settings.UNIWIZARD_EXTENSIONS]
    config = load(settings.UNIWIZARD_CONFIG, os.environ, extensions=more)
    voice.read()
    _keep_last_good()
    return config


def read_or_last_good() -> tuple[Config | None, list[str]]:
    """The config and its faults, one line each; with faults, the last good one, or None where there is none."""
    try:
        return read(), []
    except ConfigError as error:
        faults = [str(fault) for fault in error.faults]
    try:
        return load(_last_good(), os.environ), [*faults, "the last good configuration stays in force"]
    except ConfigError:
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
