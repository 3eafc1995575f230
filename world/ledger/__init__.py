"""The ledger: the durable record of every attempt and its cost, as a Django app of the game.

    from world.ledger import recorder
    recorder.the().ask(task.id, Who.of(character), kind)     # before a task leaves: whose it is
    router.events.subscribe(recorder.the())                  # every attempt becomes a row, by itself
    await recorder.the().flushed(task.id)                    # fires once its rows are durable

    database.py   where the tables lie: with SQLite in a file of their own, else beside the game's
    models.py     an attempt, a thought under way, a day's totals
    writer.py     the one worker thread that writes, in batches; spill.py is where rows wait when it cannot
    owners.py     which process wrote a row, and which of them live
    token_rows.py the keys of programs, and what is spent of them
    recorder.py   turns the router's events into rows; knows who asked
    budgets.py    what an account, a character, a token and the game may spend (no Django in it)
    report.py     every question that is asked of the ledger; history.py those that a start asks
    upkeep.py     the roll-up by day, and retention
    memory.py     remembered answers, for the brain's memory
    admin.py      the admin's pages; pictures.py draws for them
    __main__.py   ``python -m uniwizard.world.ledger export``

Who asked stands here and goes nowhere else. Prompts and answers are kept only with ``UNIWIZARD_LEDGER_TEXTS``.
"""
