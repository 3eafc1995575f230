"""The Attributes of a BackendRouter as its admin page shows them: laid out line by line, and with a fault where it is.

A value is shown as Python writes it, a key a line. What cannot be read back, or what the brain could not use, is told
at its field, and nothing is saved. Values that Python cannot write are left to the game's own field.
"""

from __future__ import annotations

import ast
import pprint
from typing import Any

from django import forms
from evennia.utils.dbserialize import deserialize, from_pickle
from evennia.web.admin.attributes import AttributeForm

from uniwizard.world import routers

#: Characters of a line, and lines of a field at most.
_WIDTH, _TALL = 72, 28
#: What the router itself writes into an Attribute beside the state, and takes out before it is read.
_WRITTEN_AT = "written_at"


class ReadableValue(forms.CharField):
    """A value as text; two texts that mean the same are the same."""

    widget = forms.Textarea

    def __init__(self, text: str):
        super().__init__(label="Value", required=False, strip=False, initial=text, help_text="As Python writes it.")
        rows = min(_TALL, text.count("\n") + 2)
        self.widget.attrs.update({"rows": rows, "cols": _WIDTH, "spellcheck": "false", "class": "vLargeTextField"})
        self.widget.attrs["style"] = "font-family: monospace; width: 44em; max-width: 100%"

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(ast.literal_eval(str(initial)) != ast.literal_eval(str(data)))
        except (ValueError, SyntaxError):
            return True


def laid_out(value: Any) -> str | None:
    """``value`` over several lines; None where Python could not read it back."""
    text = pprint.pformat(value, width=_WIDTH, sort_dicts=True)
    try:
        return text if ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def faults_in(text: str, key: str, category: str | None) -> tuple[Any, list[str]]:
    """What an edited text means, and what is wrong with it: not Python, or nothing that the brain can use."""
    try:
        value = ast.literal_eval(text.replace("\r\n", "\n").strip() or "None")
    except SyntaxError as error:
        return None, [f"line {error.lineno}, at {(error.text or '').strip()[:40]!r}: {error.msg}"]
    except (ValueError, MemoryError, RecursionError):
        return None, ["only numbers, texts, True, False, None, and lists and dicts of them can be written here"]
    if category not in ("health", "quota"):
        return value, []
    if not isinstance(value, dict):
        return value, ["a backend's state is a dict: {'name': value, ...}"]
    kept = {name: each for name, each in value.items() if name != _WRITTEN_AT}
    for router in routers.all_awake():
        try:
            return value, router.brain.faults_in(key, category, kept)
        except (KeyError, routers.Closed):
            # Of a backend that is no more.
            continue
    return value, []


class ReadableForm(AttributeForm):
    """The game's form of one Attribute, with its value in lines."""

    def __init__(self, *arguments: Any, **more: Any):
        super().__init__(*arguments, **more)
        self._readable = False
        if hasattr(self.instance, "attribute"):
            value = deserialize(from_pickle(self.instance.attribute.db_value))
            if (text := laid_out(value)) is not None:
                self.fields["attr_value"] = ReadableValue(text)
                self.initial["attr_value"] = text
                self._readable = True

    def clean_attr_value(self) -> Any:
        if not self._readable:
            return super().clean_attr_value()
        attribute = self.instance.attribute
        value, faults = faults_in(self.cleaned_data["attr_value"], attribute.db_key, attribute.db_category)
        if faults:
            raise forms.ValidationError(faults)
        return value
