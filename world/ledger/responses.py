"""Responses of ``/v1/responses`` in the ledger's database, where a restart of the game finds them.

    Gateway(..., shelf=ResponseTable())
    disown(token_id)                      # a token is gone: what was kept of it goes, too

They are written like the ledger's rows, off the game's thread, and each is read when it is asked for. What stands in
the table is what the programs sent and got, word for word, for ``gateway: {store_hours}``; 0 there keeps nothing.
"""

from __future__ import annotations

from typing import Any

from uniwizard.agent.gateway.store import Record
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.models import KeptResponse


class ResponseTable:
    """The table :class:`~world.ledger.models.KeptResponse` as a :class:`~agent.gateway.store.Shelf`."""

    def put(self, record: Record) -> None:
        recorder.the().writer.put("keep", row_of(record))

    async def get(self, identifier: str) -> Record | None:
        writer = recorder.the().writer
        # What was put a moment ago may still be on its way.
        await writer.written()
        found: Record | None = await writer.read(read, identifier)
        return found

    def forget(self, identifier: str) -> None:
        recorder.the().writer.put("unkeep", identifier)


def disown(owner: str) -> None:
    """Forget all that is kept of one token."""
    recorder.the().writer.put("disown", owner)


def row_of(record: Record) -> dict[str, Any]:
    """The record as an operation of the ledger carries it."""
    return {
        "id": record.id,
        "owner": record.owner,
        "made": record.made,
        "until": record.until,
        "size": record.size,
        "text": record.text,
    }


def read(identifier: str) -> Record | None:
    """What is kept under that id; in the thread that calls it."""
    row = KeptResponse.objects.filter(id=identifier).values_list("id", "owner", "made", "until", "text").first()
    return Record(*row) if row is not None else None
