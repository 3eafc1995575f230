"""The game's addresses with the overview before them. ``UNIWIZARD_BASE_ROOT_URLCONF`` names the game's own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.urls import path, re_path

from uniwizard.server.web import overview

_base: Any = import_module(settings.UNIWIZARD_BASE_ROOT_URLCONF)

urlpatterns = [
    path("uniwizard/", overview.page, name="uniwizard-overview"),
    path("uniwizard/now", overview.now, name="uniwizard-now"),
    re_path(r"^uniwizard/(?P<name>[a-z_]+)\.(?P<form>csv|json)$", overview.table, name="uniwizard-table"),
    *_base.urlpatterns,
]

# Whatever else a root of addresses may say, the game's own says it.
for _name in ("handler400", "handler403", "handler404", "handler500"):
    if hasattr(_base, _name):
        globals()[_name] = getattr(_base, _name)
