"""Compose Uniwizard with a game's settings. The last lines of ``server/conf/settings.py`` do it::

    from uniwizard.server.plugin.settings import extend

    extend(globals())

It comes after ``secret_settings.py`` and takes nothing away: it appends to lists, remembers what it wraps, and gives
defaults only to settings that nobody has set. Any ``UNIWIZARD_*`` setting can be set above those lines.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from uniwizard.server import web
from uniwizard.world.ledger import database

SESSION_CMDSET = "uniwizard.commands.cmdsets.SessionCmdSet"
#: What versions 0.1 and 0.2 stored in characters and accounts, and which of the game's settings stands for it.
STORED_CMDSETS = {
    "commands.uniwizard_cmdsets.CharacterCmdSet": "CMDSET_CHARACTER",
    "commands.uniwizard_cmdsets.AccountCmdSet": "CMDSET_ACCOUNT",
    "uniwizard.commands.cmdsets.CharacterCmdSet": "CMDSET_CHARACTER",
    "uniwizard.commands.cmdsets.AccountCmdSet": "CMDSET_ACCOUNT",
}
STARTSTOP_MODULE = "uniwizard.server.plugin.startstop"
WEB_PLUGINS_MODULE = "uniwizard.server.plugin.web_plugins"
ROOT_URLCONF = "uniwizard.server.web.urls"
INPUTFUNCS_MODULE = "uniwizard.server.plugin.inputfuncs"
HELP_MODULE = "uniwizard.world.help"
PORTAL_MODULE = "uniwizard.server.plugin.portal"
SERVICES_MODULE = "uniwizard.server.plugin.services"
STOCK_SLOGAN, SLOGAN = "The Python MUD/MU* creation system", "Lamplight, sawdust, and borrowed brains"
STOCK_BANNER, BANNER = "server.conf.connection_screens", "uniwizard.server.plugin.banner"
TELNET = "uniwizard.server.plugin.bursts.GatheringTelnet"
WEBSOCKET = "uniwizard.server.plugin.bursts.GatheringWebSocket"
SESSION = "uniwizard.server.plugin.returning.ReturningSession"

#: Settings that a game may set for itself, with what holds where it does not.
DEFAULTS: dict[str, Any] = {
    # Other names for the Workshop's commands, such as {"practice": "wpractice"}; None leaves one out. A command of the
    # game's own wins over one of the same name.
    "UNIWIZARD_COMMANDS": {},
    # Files that add kinds of work, phrases, words of the voice or wire formats, relative to the game directory; see
    # world/README.md.
    "UNIWIZARD_EXTENSIONS": [],
    # A channel that tells Builders what happens to the brains: its name, or {"name": ..., "events": [...]}.
    "UNIWIZARD_CHANNEL": None,
    # Seconds that a character waits between one `think` and the next.
    "UNIWIZARD_THINK_COOLDOWN": 2,
    # The longest task a player may type, in characters.
    "UNIWIZARD_MAX_TASK_LENGTH": 200_000,
    # A SOUL.md in the place of the plugin's own, relative to the game directory; "" looks for world/SOUL.md there.
    "UNIWIZARD_SOUL": "",
    # Whether players may lay pictures on the bench with a link (think/see), and what that link begins with where the
    # web server is not reached as the server itself thinks, such as "https://play.example.org".
    "UNIWIZARD_WEB_UPLOADS": True,
    "UNIWIZARD_WEB_ADDRESS": "",
    # The hosts from which the server may fetch a picture that a player names, such as ["upload.wikimedia.org"].
    "UNIWIZARD_PICTURE_HOSTS": [],
    # The port on which the practice backends listen on this machine; 0 takes any free one.
    "UNIWIZARD_PRACTICE_PORT": 0,
    # Whether programs of players come in at /v1 on the web server, with a token (command `token`).
    "UNIWIZARD_WEB_API": True,
    # How many requests at /v1 the web server passes on at once; the next ones are asked to come again (503). Twice as
    # many connections are open at once; those beyond it wait.
    "UNIWIZARD_WEB_CONNECTIONS": 2000,
    # Whether people who are not logged in see at /uniwizard/ which brains are there.
    "UNIWIZARD_PUBLIC_STATUS": False,
    # The most that one token may be given, and how many an account may have.
    "UNIWIZARD_TOKEN_LIMITS": {"requests_per_minute": 60, "usd_per_month": 5.0},
    "UNIWIZARD_TOKENS_PER_ACCOUNT": 10,
    # Whether the ledger keeps what was asked and answered, word for word.
    "UNIWIZARD_LEDGER_TEXTS": False,
    # Days after which an attempt is forgotten; its day's totals stay. None keeps all.
    "UNIWIZARD_LEDGER_KEEP_DAYS": 400,
    # What may be spent, such as {"game": {"usd": 50, "per": "month"}, "account": {"usd": 2, "per": "day"}}; also for
    # each "character" and each "token". Per "day", "week" or "month" of TIME_ZONE. None is no limit.
    "UNIWIZARD_BUDGETS": None,
    # What a player's goal may cost at most, in USD, and how many of them may be under way at once; see `help goal`.
    "UNIWIZARD_GOAL_LIMITS": {"usd": 1.0, "at_once": 3},
    # What goals may do in the world besides asking brains, with their owner's rights (world/deeds.py).
    "UNIWIZARD_GOAL_ACTIONS": ("look", "go", "describe", "say", "build"),
    # Goals of the game's own that come back, relative to the game directory; "" looks for configs/goals.yaml there.
    # They use nothing but quota that would expire.
    "UNIWIZARD_STANDING_GOALS": "",
    # The channel that standing goals mean by "the board".
    "UNIWIZARD_BOARD": "Public",
}

LEDGER_APP = "uniwizard.world.ledger"

#: Where the backends are described, relative to the game directory. The environment's UNIWIZARD_CONFIG comes first,
#: then a UNIWIZARD_CONFIG setting, then this; where the game has no such file, the plugin's own.
DEFAULT_CONFIG = os.path.join("configs", "backends.yaml")
# Not by importing the brain: the portal reads the settings, too.
_PACKAGED_CONFIG = str(Path(__file__).resolve().parents[2] / "configs" / "backends.yaml")


def extend(settings: dict[str, Any]) -> None:
    """Add Uniwizard to a Django settings namespace, in place; safe to repeat.

    ``UNIWIZARD_BASE_SESSION_CMDSET`` keeps the path of the cmdset that the game's sessions had, which is what they
    fall back to if Uniwizard's own fails to load. ``UNIWIZARD_BASE_WEB_PLUGINS`` keeps its web plugin module, which is
    called first. What the game stores in its objects is left alone: cmdsets and typeclasses are the game's own.
    """
    for name, value in DEFAULTS.items():
        settings.setdefault(name, value)
    config = os.environ.get("UNIWIZARD_CONFIG") or settings.get("UNIWIZARD_CONFIG")
    own = os.path.join(settings["GAME_DIR"], config or DEFAULT_CONFIG)
    settings["UNIWIZARD_CONFIG"] = own if config or os.path.exists(own) else _PACKAGED_CONFIG

    if settings["CMDSET_SESSION"] != SESSION_CMDSET:
        settings["UNIWIZARD_BASE_SESSION_CMDSET"] = settings["CMDSET_SESSION"]
        settings["CMDSET_SESSION"] = SESSION_CMDSET
    fallbacks = {former: settings[name] for former, name in STORED_CMDSETS.items()}
    fallbacks[SESSION_CMDSET] = settings["UNIWIZARD_BASE_SESSION_CMDSET"]
    settings["CMDSET_FALLBACKS"] = {**settings.get("CMDSET_FALLBACKS", {}), **fallbacks}

    if settings.get("WEB_PLUGINS_MODULE") != WEB_PLUGINS_MODULE:
        settings["UNIWIZARD_BASE_WEB_PLUGINS"] = settings.get("WEB_PLUGINS_MODULE", "")
        settings["WEB_PLUGINS_MODULE"] = WEB_PLUGINS_MODULE
    if settings.get("ROOT_URLCONF", ROOT_URLCONF) != ROOT_URLCONF:
        settings["UNIWIZARD_BASE_ROOT_URLCONF"] = settings["ROOT_URLCONF"]
        settings["ROOT_URLCONF"] = ROOT_URLCONF
    if LEDGER_APP not in settings["INSTALLED_APPS"]:
        settings["INSTALLED_APPS"] = [*settings["INSTALLED_APPS"], LEDGER_APP]
    database.compose(settings)

    for setting, own in (
        ("TELNET_PROTOCOL_CLASS", TELNET),
        ("WEBSOCKET_PROTOCOL_CLASS", WEBSOCKET),
        ("SERVER_SESSION_CLASS", SESSION),
    ):
        if settings[setting] != own:
            settings[f"UNIWIZARD_BASE_{setting}"] = settings[setting]
            settings[setting] = own
    settings["INPUT_FUNC_MODULES"] = _with(settings["INPUT_FUNC_MODULES"], INPUTFUNCS_MODULE)
    settings["PORTAL_SERVICES_PLUGIN_MODULES"] = _with(settings["PORTAL_SERVICES_PLUGIN_MODULES"], PORTAL_MODULE)
    settings["SERVER_SERVICES_PLUGIN_MODULES"] = _with(settings["SERVER_SERVICES_PLUGIN_MODULES"], SERVICES_MODULE)
    web.compose(settings)
    if settings["CONNECTION_SCREEN_MODULE"] == STOCK_BANNER and _is_stock(settings, "connection_screens.py"):
        settings["CONNECTION_SCREEN_MODULE"] = BANNER
    if settings.get("GAME_SLOGAN") == STOCK_SLOGAN:
        settings["GAME_SLOGAN"] = SLOGAN

    settings["FILE_HELP_ENTRY_MODULES"] = _with(settings.get("FILE_HELP_ENTRY_MODULES"), HELP_MODULE)
    settings["AT_SERVER_STARTSTOP_MODULE"] = _with(settings.get("AT_SERVER_STARTSTOP_MODULE"), STARTSTOP_MODULE)


def _is_stock(settings: dict[str, Any], name: str) -> bool:
    """Whether the game's ``server/conf/`` file is the one that every new Evennia game has."""
    try:
        own = Path(settings["GAME_DIR"], "server", "conf", name).read_bytes()
        return own == Path(settings["EVENNIA_DIR"], "game_template", "server", "conf", name).read_bytes()
    except OSError:
        return False


def _with(present: Any, module: str) -> list[str]:
    """Evennia takes one module or a list of them; a list of all of them."""
    modules = [present] if isinstance(present, str) else list(present or ())
    return modules if module in modules else [*modules, module]
