"""The game's server and its doors as one cluster, where they share a PostgreSQL and a Redis is named.

    cluster = join(brain, processes=5)        # None where this process is alone

The backends file's ``redis:``, or ``UNIWIZARD_REDIS_URL``, names the Redis. On SQLite there is one process, which needs
nobody.
"""

from __future__ import annotations

import hashlib

from django.db import connections
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from uniwizard.agent import Cluster, Router
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.database import alias
from uniwizard.world.ledger.owners import several
from uniwizard.world.reactor import reactor
from uniwizard.world.tokens import tokens

_log = Logger()
_the: list[Cluster] = []


def join(brain: Router, processes: int = 1) -> Cluster | None:
    """Have ``brain``, the budgets and the tokens kept together with the other processes of this database."""
    address = brain.registry.config.redis
    if not address or not several():
        return None
    if not _the:
        cluster = Cluster(address, reactor, processes, _name())
        try:
            cluster.start()
        except ImportError:
            _log.error("a Redis is named and txredisapi is not installed; this process goes by its own counts")
            return None
        reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(cluster.stop()))
        _the.append(cluster)
        recorder.the().budgets.share(cluster)
        tokens.join(cluster)
    brain.share(_the[0])
    return _the[0]


def _name() -> str:
    """What tells the processes of this database from others that may use the same Redis."""
    settings = connections[alias()].settings_dict
    where = "|".join(str(settings.get(part) or "") for part in ("HOST", "PORT", "NAME"))
    return hashlib.sha256(where.encode()).hexdigest()[:12]
