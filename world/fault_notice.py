"""Tells every superuser who logs in that the backends file has faults, which otherwise stand in a log alone.

fault_notice.install()      # at the server's start; does nothing twice
"""

from __future__ import annotations

from typing import Any

from uniwizard.world import routers
from uniwizard.world.harmless import line
from uniwizard.world.mark import said

#: Faults that are told; the rest are counted.
SHOWN = 8


def lines() -> list[str]:
    """What there is to tell, a line each; none where the file is right."""
    faults = routers.config_faults
    if not faults:
        return []
    told = [said("|rThe backends file has faults:|n"), *(f"  {line(fault, 300)}" for fault in faults[:SHOWN])]
    if len(faults) > SHOWN:
        told.append(f"  and {len(faults) - SHOWN} more; python -m agent check lists them")
    return [*told, "Once they are mended: |wbackends/reload|n"]


def install() -> None:
    """Tell superusers when they log in."""
    from evennia.server.signals import SIGNAL_ACCOUNT_POST_LOGIN

    SIGNAL_ACCOUNT_POST_LOGIN.connect(_logged_in, dispatch_uid="uniwizard.fault_notice")


def _logged_in(sender: Any, session: Any = None, **_: Any) -> None:
    if sender.is_superuser and (told := lines()):
        sender.msg(text=("\n".join(told), {"type": "uniwizard"}), session=session)
