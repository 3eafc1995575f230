"""Laying Uniwizard over a game, starting and stopping it.

    python -m uniwizard.server.game.lay GAME_DIR    lay the plugin over a game directory, or make a new game there
    python -m uniwizard.server.game.play            migrate, start in the background, say where it answers
    python -m uniwizard.server.game.play stop       stop it

Nothing here imports Evennia or Django, except :mod:`.prepare`, which runs inside the game's own Python process.
"""
