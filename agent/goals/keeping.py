"""How long a goal is kept, and how many of one owner's: an offer for an hour, one that is over for a month.

outlived(record, now)        # whether its time is over
surplus(records, owner)      # the ids of those that are too many, the oldest of each sort

Only goals under way hold anybody up, and those are never too old. What nobody has begun, and what is over,
costs memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from .record import OFFERED, Record

#: Seconds for which an offer stands, and after which a goal that is over is forgotten.
OFFER, KEEP = 3600.0, 30 * 86_400.0
#: Offers of one owner, and of all; goals that are over, of one owner.
MOST_OFFERS_OF_ONE, MOST_OFFERS, MOST_OVER_OF_ONE = 20, 1000, 1000
#: Seconds between two looks at what has outlived its time.
LOOK = 60.0


def outlived(record: Record, now: float) -> bool:
    """Whether the record is of no use to anybody any more."""
    if record.state == OFFERED:
        return now - record.began > OFFER
    return record.over and now - max(record.began, record.ended) > KEEP


def surplus(records: Iterable[Record], owner: str) -> list[str]:
    """The ids of what ``owner``, and of the offers what everybody, has too many of: the oldest ones."""
    known = sorted(records, key=lambda record: record.began)
    offers = [record for record in known if record.state == OFFERED]
    own = [record for record in offers if record.owner == owner]
    over = [record for record in known if record.over and record.owner == owner]
    gone = (
        *_first(own, MOST_OFFERS_OF_ONE),
        *_first(offers, MOST_OFFERS),
        *_first(over, MOST_OVER_OF_ONE),
    )
    return list(dict.fromkeys(record.id for record in gone))


def _first(records: list[Record], most: int) -> list[Record]:
    return records[: max(0, len(records) - most)]
