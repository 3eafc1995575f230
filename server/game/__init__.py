"""A game directory as something to install into, start and stop.

    python -m uniwizard.server.game.install GAME_DIR    add the plugin to a game, or make a new game there
    python -m uniwizard.server.game.play                migrate, start in the background, say where it answers
    python -m uniwizard.server.game.play stop           stop it

Nothing here imports Evennia or Django, except :mod:`.prepare`, which runs inside the game's own Python process.
"""
