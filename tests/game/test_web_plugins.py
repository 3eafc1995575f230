"""Uniwizard's web plugins beside a game's own: composed by the settings, and the game's come first."""

from __future__ import annotations

from typing import Any

from evennia import settings_default

from uniwizard.server.plugin.settings import SESSION_CMDSET, WEB_PLUGINS_MODULE, extend


def settings(**more: Any) -> dict[str, Any]:
    """A game's settings as Evennia's defaults leave them."""
    return {
        **{name: value for name, value in vars(settings_default).items() if name.isupper()},
        "GAME_DIR": "/nowhere",
        "CMDSET_CHARACTER": "commands.default_cmdsets.CharacterCmdSet",
        "CMDSET_ACCOUNT": "commands.default_cmdsets.AccountCmdSet",
        "CMDSET_SESSION": "commands.default_cmdsets.SessionCmdSet",
        "WEB_PLUGINS_MODULE": "server.conf.web_plugins",
        "INSTALLED_APPS": [],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/evennia.db3"}},
        **more,
    }


def test_the_games_own_web_plugins_and_session_cmdset_are_wrapped_and_not_replaced() -> None:
    game = settings(WEB_PLUGINS_MODULE="mine.plugins", CMDSET_SESSION="mine.SessionCmdSet")
    extend(game)
    assert game["WEB_PLUGINS_MODULE"] == WEB_PLUGINS_MODULE
    assert game["UNIWIZARD_BASE_WEB_PLUGINS"] == "mine.plugins"
    assert (game["CMDSET_SESSION"], game["UNIWIZARD_BASE_SESSION_CMDSET"]) == (SESSION_CMDSET, "mine.SessionCmdSet")
    assert game["CMDSET_FALLBACKS"][SESSION_CMDSET] == "mine.SessionCmdSet"


def test_extending_twice_wraps_once() -> None:
    game = settings()
    extend(game)
    extend(game)
    assert game["UNIWIZARD_BASE_WEB_PLUGINS"] == "server.conf.web_plugins"
    assert game["UNIWIZARD_BASE_SESSION_CMDSET"] == "commands.default_cmdsets.SessionCmdSet"


def test_a_game_can_do_without_the_door() -> None:
    game = settings(UNIWIZARD_WEB_API=False)
    extend(game)
    assert game["UNIWIZARD_WEB_API"] is False
