"""A game's settings with Uniwizard in them, whether or not they say so: a settings module for Django.

For looking at a game before Uniwizard is added to it, and for clearing up after it has been taken out. What version 0.1
added to them is left out: the two together would be one application twice.
"""

from typing import Any

from uniwizard.server.game import settings_block
from uniwizard.server.plugin.settings import extend

_path = settings_block.SETTINGS.resolve()
_own: dict[str, Any] = {"__name__": "server.conf.settings", "__file__": str(_path)}
exec(compile(settings_block.without_block(settings_block.read(_path)), _path, "exec"), _own)
globals().update({name: value for name, value in _own.items() if not name.startswith("__")})
extend(globals())
