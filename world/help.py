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

            Where no real brain can be asked, because none has a key or
            none can be reached, straw dummies stand in for all of them.
            The shelf says so when you look. They do sums, dates, units
            and a few words, they cost nothing, and nothing you say
            leaves the game.

            Whatever a dummy says begins with '[practice]', and the
            model that think/why names begins with 'practice/'. Without
            those, a real brain has spoken.

            Builders may also have a dummy play a scene in the place of
            one brain, such as a refusal or an outage, to see what comes
            of it.

            Practice ends by itself,
            as soon as a real brain can be asked.
        """,
    },
    {
        "key": "timmy",
        "aliases": ["keeper", "workshop"],
        "category": "Workshop",
        "text": """
            who keeps the Workshop, and how to talk to him

            Timmy is small and patient, and thinks with borrowed brains.
            He hears what is said to him and nothing else:

              say hello Timmy
              Timmy, what is 2+2?
              ask timmy about the tides
              whisper timmy = what do you remember of me?

            A question he thinks about, as 'think' does; without a brain
            he still counts on his fingers. How he is, you see: 'look
            timmy'. What he remembers of you: 'recall'; he forgets it
            when you say so. The things here can be looked at and felt:
            the shelf, every jar on it, the bench, the lamp.
        """,
    },
    {
        "key": "privacy",
        "aliases": ["private", "who sees", "secrets"],
        "category": "Workshop",
        "text": """
            who learns what of you

            A brain is given the task and a line on what kind of work it
            is. Not your name, your character's, the room, your address
            or mail, nor anything of Timmy. Names of players that stand
            in your task are replaced before it leaves, and put back in
            the answer. What you write otherwise does leave: do not
            write secrets into a task.

            In the room others see that you ask, and who refused or
            failed, never what you asked or what was answered.
            'think/share' reads an answer out. A picture loses place,
            time and owner on the bench.

            Kept in the game are your last twenty answers
            ('think/history', 'think/forget'), what Timmy remembers
            ('recall'), and an account of what was asked of whom and
            what it cost.
        """,
    },
    {
        "key": "brains",
        "aliases": ["jars", "jar", "lamps"],
        "category": "Workshop",
        "text": """
            the borrowed brains, and what their lamps say

            Every jar on the shelf is a brain that can be borrowed.
            'look shelf' shows all, 'look claude' one, 'backends' their
            figures.

              burning    - it can be asked
              flickering - it failed; the next question is its trial
              dark       - it rests, for as long as 'look' says
              asleep     - it has no key; whoever runs the game gives it one

            Which one is asked: 'route <task>' tells, with reasons. If
            one refuses or fails, the next is asked. Too slow?
            'think/next'. Want a certain one? 'think/with claude
            <task>'. When none can be asked, straw dummies may stand in:
            see 'help practice'.
        """,
    },
]
