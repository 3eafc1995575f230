"""The commands of ``python -m agent``, a module each.

    check.py route.py think.py judge.py serve.py simulate.py
                   a command each: its ``COMMAND`` says what it takes and does it
    arguments.py   the task that ``route`` and ``think`` are given: words, a kind, pictures
    running.py     a router in a reactor, for as long as one command takes
    files.py       the files a command is given, and what is said of those that cannot be read
    output.py      what goes to standard output
    base.py        what a command is

To add one, write a module with a ``COMMAND`` and name it in ``agent/__main__.py``.
"""
