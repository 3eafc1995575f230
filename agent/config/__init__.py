"""Every file in ``configs/``: read, check against its schema, build. The providers' catalogue and the prices, too.

config = load("configs/backends.yaml", os.environ)     # a Config; raises ConfigError with every fault at once
voice = read_checked(CONFIGS / "voice.yaml", "voice")  # any data file, valid by configs/voice.schema.json
"""

from .extensions import leave_out
from .loader import load
from .settings import Config, Headroom, MemoryRule, MemorySettings, Refusals, Rule
from .voice import phrase_faults, read_voice
from .yaml_files import CONFIGS, ConfigError, Fault, read_checked

__all__ = [
    "CONFIGS",
    "Config",
    "ConfigError",
    "Fault",
    "Headroom",
    "MemoryRule",
    "MemorySettings",
    "Refusals",
    "Rule",
    "leave_out",
    "load",
    "phrase_faults",
    "read_checked",
    "read_voice",
]
