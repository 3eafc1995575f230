"""What ``learned`` knows: a table of kinds and backends that learns from outcomes, and models trained on many of them.

:mod:`~.table` is what runs in a game. Plain Python; :mod:`~.guard` watches it. The models for whoever has the data
(:mod:`~.models`), their training and their measuring need numpy, which is imported there and nowhere else.
"""
