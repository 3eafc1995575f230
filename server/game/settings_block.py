"""The one marked block in a game's settings that adds Uniwizard to them.

    text = with_block(settings)          # added at the end, or brought up to date; the same text where it stands
    without_block(text) == settings      # to the last byte

Texts are a whole file's, in whatever line endings it has.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

SETTINGS = Path("server/conf/settings.py")
BEGIN, END = "# >>> uniwizard >>>", "# <<< uniwizard <<<"
_BLOCK = f"""

{BEGIN}
# Uniwizard adds itself to the settings above and replaces none of them. `uniwizard uninstall` takes this block out.
from uniwizard.server.plugin.settings import extend

extend(globals())
{END}
"""
_STANDS = re.compile(rf"(?:\r?\n){{0,2}}^{BEGIN}\r?$.*?^{END}(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL)
#: What version 0.1 wrote there, without marks.
_FORMER = re.compile(
    r"(?:\r?\n){0,2}# Uniwizard adds itself to the settings above and replaces none of them\.[^\n]*\n"
    r"from server\.conf\.uniwizard_settings import extend\s*?\n\s*?extend\(globals\(\)\)\r?\n"
)
#: The names alone, so that lines which somebody commented out count as somebody's wish.
_MENTIONED = ("uniwizard.server.plugin.settings", "server.conf.uniwizard_settings")


def with_block(text: str) -> str:
    """``text`` with the block at its end, and without what version 0.1 wrote there."""
    current = _FORMER.sub("", text)
    if any(name in current for name in _MENTIONED):
        return text
    return current + (_BLOCK.replace("\n", "\r\n") if "\r\n" in current else _BLOCK)


def without_block(text: str) -> str:
    """``text`` as it was before the block was added."""
    return _FORMER.sub("", _STANDS.sub("", text))


def read(path: Path) -> str:
    """The content of a settings file, line endings and all. Raises OSError, and ValueError for what is not UTF-8."""
    return path.read_bytes().decode("utf-8")


def write(path: Path, text: str) -> None:
    """Make ``text`` the content of a settings file, which stays the file, link and mode that it is."""
    path.write_bytes(text.encode("utf-8"))


def diff(before: str, after: str) -> str:
    """What changes between two texts of the settings, as a unified diff; empty for nothing."""
    name = SETTINGS.as_posix()
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm="")
    return "\n".join(lines)
