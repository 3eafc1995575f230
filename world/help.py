"""Help on what is no command, or is one only for Builders. Evennia reads it (FILE_HELP_ENTRY_MODULES)."""

from __future__ import annotations

HELP_ENTRY_DICTS = [
    {
        "key": "practice",
        "aliases": ["dummies", "straw dummies", "simulated"],
        "category": "Workshop",
        # Builders have a command of that name, with help of its own.
        "locks": "view:not perm(Builder);read:all()",
        "text": """
            when straw dummies answer in the place of real brains

            Where no real brain can be asked, because none has a key or none
            can be reached, straw dummies stand in for all of them. The shelf
            says so when you look. They know a few sums and a few stock
            answers, they cost nothing, and nothing you say leaves the game.

            Whatever a dummy says begins with '[practice]', and the model
            that think/why names begins with 'practice/'. Without those, a
            real brain has spoken.

            Builders may also have a dummy play a scene in the place of one
            brain, such as a refusal or an outage, to see what comes of it.

            Practice ends by itself as soon as a real brain can be asked.
        """,
    },
]
