"""An admin's edit of a BackendRouter's Attributes: what can be used counts at once, of the rest the page says why.

It wraps whatever page the game has for scripts; those of other scripts are as they were. To open the page for a new
script makes none: Evennia's own page asks for the string that it is stored by, and for that saves a row without a
typeclass, which breaks the next start (:mod:`uniwizard.server.plugin.bare_scripts`).
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from evennia.scripts.models import ScriptDB
from evennia.web.admin.attributes import AttributeInline

from uniwizard.world import routers
from uniwizard.world.ledger import live
from uniwizard.world.ledger.script_form import ReadableForm


def register() -> None:
    """Put this page in the place of the game's; does nothing twice, and nothing where scripts have no page."""
    present = admin.site._registry.get(ScriptDB)
    if present is None or getattr(present, "tells_of_edits", False):
        return
    of_game: Any = type(present)

    class CheckedScriptAdmin(of_game):
        """The game's page, which tells what of an edit could not be used."""

        tells_of_edits = True

        def get_inlines(self, request: Any, obj: Any) -> list[Any]:
            inlines = super().get_inlines(request, obj)
            if obj is None or obj.db_key != routers.KEY:
                return list(inlines)
            return [_readable(inline) if issubclass(inline, AttributeInline) else inline for inline in inlines]

        def changeform_view(self, request: Any, object_id: Any = None, *arguments: Any, **more: Any) -> Any:
            answer = super().changeform_view(request, object_id, *arguments, **more)
            # The page's transaction is over by now: until then SQLite lets nobody else write, and the reactor, which we
            # wait for, would wait for us. A page that is shown again has faults of its own, and saved nothing.
            saved = request.method == "POST" and answer.status_code == 302 and object_id is not None
            if saved and ScriptDB.objects.filter(id=object_id, db_key=routers.KEY).exists():
                self._tell(request)
            return answer

        def serialized_string(self, obj: Any) -> str:
            return "-" if obj is None or obj.pk is None else super().serialized_string(obj)

        serialized_string.help_text = of_game.serialized_string.help_text  # type: ignore[attr-defined]

        def _tell(self, request: Any) -> None:
            for fault in live.ask(_heed_edits) or ():
                self.message_user(request, f"{fault}.", messages.ERROR)

    CheckedScriptAdmin.__name__ = of_game.__name__
    admin.site.unregister(ScriptDB)
    admin.site.register(ScriptDB, CheckedScriptAdmin)


def _readable(inline: Any) -> Any:
    """The game's inline of Attributes with values that a person can read."""
    return type(inline.__name__, (inline,), {"form": ReadableForm})


def _heed_edits() -> list[str]:
    """Take the edits over. In the reactor's thread."""
    script = routers.find()
    try:
        return script.latest_faults() if script is not None else []
    except routers.Closed as closed:
        return str(closed).splitlines()
