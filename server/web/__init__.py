"""What the plugin has on the game's web site: a style and a script for the web client, the home page's text, uploads.

Its templates come after the game's own and before Evennia's, so whatever a game has made itself stays.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


def compose(settings: dict[str, Any]) -> None:
    """Add the templates and static files to a Django settings namespace, in place; safe to repeat."""
    templates, static = str(_HERE / "templates"), str(_HERE / "static")
    evennia = os.path.join(str(settings["EVENNIA_DIR"]), "web")
    for engine in settings["TEMPLATES"]:
        folders = engine.get("DIRS", [])
        if templates not in folders:
            place = next(
                (index for index, folder in enumerate(folders) if str(folder).startswith(evennia)), len(folders)
            )
            engine["DIRS"] = [*folders[:place], templates, *folders[place:]]
    if static not in settings["STATICFILES_DIRS"]:
        settings["STATICFILES_DIRS"] = [*settings["STATICFILES_DIRS"], static]
