"""The time limits of an edge's clients, kept by the node's janitor so that no client needs a task of its own.

- a handshake that stalls is closed after the handshake timeout;
- a client that waits for a pool node (at connect, or with a statement in hand) gets 57P03 after the wait timeout;
- a client that has broken the protocol has BROKEN_S for the answers to what came before; some may never come, for the
  origin may be waiting for a Sync, or for the rest of a COPY;
- a client that takes nothing of its answer for WRITE_TIMEOUT_S is dropped: it holds an origin connection (rules 2);
- a connection that has been finished is closed when its peer has taken nothing of the rest for LINGER_S.
"""

from typing import Final

from edge.client import Client
from edge.newcomer import Newcomer
from protos.errors import NotReadyError, ServiceError
from protos.runtime.connection import Connection
from protos.runtime.deadlines import Deadlines

WRITE_TIMEOUT_S: Final = 300.0  # as long as a transaction may be idle
LINGER_S: Final = 30.0
BROKEN_S: Final = 10.0
AT_ONCE_S: Final = 0.001  # a wait timeout of 0: whoever cannot be served now is refused at the next tick


class Limits:
    """Who is waiting for what, since when."""

    def __init__(self, *, handshake_timeout_s: float, wait_timeout_s: float) -> None:
        self._broken: Deadlines[Client] = Deadlines(BROKEN_S)
        self._broken_by: dict[Client, ServiceError] = {}
        self._handshakes: Deadlines[Newcomer] = Deadlines(handshake_timeout_s)
        self._waiting: Deadlines[Newcomer] = Deadlines(wait_timeout_s or AT_ONCE_S)
        self._holding: Deadlines[Client] = Deadlines(wait_timeout_s or AT_ONCE_S)
        self._lingering: dict[Connection, float] = {}  # since when

    def start_handshake(self, newcomer: Newcomer, now: float) -> None:
        self._handshakes.arm(newcomer, now)

    def await_pool_node(self, newcomer: Newcomer, now: float) -> None:
        """The newcomer cannot be answered before a pool node is linked."""
        self._handshakes.disarm(newcomer)
        if newcomer not in self._waiting:
            self._waiting.arm(newcomer, now)

    def stop_waiting(self, newcomer: Newcomer, now: float) -> None:
        """Its handshake goes on."""
        self._waiting.disarm(newcomer)
        self._handshakes.arm(newcomer, now)

    def forget_newcomer(self, newcomer: Newcomer) -> None:
        self._handshakes.disarm(newcomer)
        self._waiting.disarm(newcomer)

    def hold(self, client: Client, now: float) -> None:
        """The client has sent a statement and no pool node is linked."""
        self._holding.arm(client, now)

    def stop_holding(self, client: Client) -> None:
        self._holding.disarm(client)

    def has_broken(self, client: Client, error: ServiceError, now: float) -> None:
        """The client's session ends with this error once all is answered that it has said before."""
        if client not in self._broken:
            self._broken.arm(client, now)
            self._broken_by[client] = error

    @property
    def broken(self) -> int:
        """How many clients have broken the protocol, and wait for answers."""
        return len(self._broken)

    def forget_client(self, client: Client) -> None:
        self.stop_holding(client)
        self._broken.disarm(client)
        self._broken_by.pop(client, None)

    def linger(self, connection: Connection, now: float) -> None:
        """The connection is finished, and its peer has not taken everything yet."""
        self._lingering[connection] = now

    @property
    def is_anyone_lingering(self) -> bool:
        """Whether something still goes out on a connection that is finished."""
        return any(connection.pending_bytes for connection in self._lingering)

    def waiting(self) -> list[Newcomer | Client]:
        """Everyone who wants to hear that a pool node is linked."""
        return [*self._waiting, *self._holding]

    def tick(self, now: float) -> None:
        for client in self._broken.expired(now):
            if client in self._holding:  # what came before has a limit of its own
                self._broken.arm(client, now)
            else:
                client.end(self._broken_by[client])
        for newcomer in self._handshakes.expired(now):
            newcomer.timed_out()
        for newcomer in self._waiting.expired(now):
            newcomer.end(_no_pool_node())
        for client in self._holding.expired(now):
            client.refuse_held(_no_pool_node())
        for connection, since in list(self._lingering.items()):
            if now - max(since, connection.blocked_at) >= LINGER_S:
                connection.close()
            if not connection.pending_bytes:
                del self._lingering[connection]


def _no_pool_node() -> NotReadyError:
    return NotReadyError(
        "no pool node is linked",
        public="the connection service cannot reach the database's pool node",
        detail="No link to a pool node could be opened in time. Nothing of this request was run.",
        hint="Try again; if it stays so, the operator should look at the pool node and at the network between.",
    )
