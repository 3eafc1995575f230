"""What ``evennia check`` says of Uniwizard: each fault of the backends file, the extensions and the soul, in one line.

They are warnings, for none of them keeps a game from starting.
"""

from __future__ import annotations

from typing import Any

from django.core import checks


@checks.register("uniwizard")
def check(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Called by Django, with the apps that are asked about; None is all of them."""
    # The portal loads this app, too, and needs no brain.
    from uniwizard.agent import ConfigError
    from uniwizard.world import backends_file, soul

    found = backends_file.faults()
    try:
        soul.read(soul.path())
    except ConfigError as error:
        found += [str(fault) for fault in error.faults]
    return [checks.Warning(fault, id="uniwizard.W001") for fault in found]
