"""What pool nodes tell each other by their store, made to take less time than it does in life.

A pool node that comes while another is at work waits seven seconds, and one that was killed is missed for sixty, in
which edges serve nothing from the cache: a checker would check nothing. So nodes that start together, before anybody is
served, do not see each other at first; and who is known to be dead is taken out of the store, when nothing that it had
begun runs at the origin any more.
"""

import threading
import time
from contextlib import suppress
from typing import Final

import psycopg

from tests.support.cluster import Origin

STORE: Final = "staleness_store"
STEP_S: Final = 0.02
# Every node has asked for the others twice.
KNOWN_S: Final = 2.2
PATIENCE_S: Final = 20.0

_NODES: Final = "SELECT node, seen_at FROM onetrip.node"
_ACTIVE: Final = "SELECT pid, xact_start FROM pg_stat_activity WHERE datname = %s AND state = 'active'"


def hide_from_each_other(origin: Origin, are_ready: threading.Event) -> None:
    """Until they are ready; afterwards they know each other."""
    with origin.connect(STORE) as connection:
        while not are_ready.wait(STEP_S):
            with suppress(psycopg.errors.UndefinedTable):
                connection.execute("DELETE FROM onetrip.node")
    time.sleep(KNOWN_S)


def bury(origin: Origin, database: str) -> None:
    """Take out the one node that does not renew its row any more."""
    deadline = time.monotonic() + PATIENCE_S
    with origin.connect(STORE) as connection:
        begun = set(connection.execute(_ACTIVE, [database]))
        rows = set(connection.execute(_NODES))
        while time.monotonic() < deadline:
            time.sleep(STEP_S)
            rows &= set(connection.execute(_NODES))
            begun &= set(connection.execute(_ACTIVE, [database]))
            if len(rows) <= 1 and not begun:
                break
        for node, _ in rows:
            connection.execute("DELETE FROM onetrip.node WHERE node = %s", [node])
