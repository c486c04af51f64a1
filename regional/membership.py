"""The group of pool nodes that share a store: who may write through which, so whom an edge has to hear (rules 22).

Every node of a shared store has a row there, with the time at which it was renewed last by the clock of the store. A
node renews its row every second, and reads the others' by the way. Each change is told to its edges (`Group`): an edge
serves answers from its cache only while it hears every node of the group.

- **A new node** serves nobody before every edge must have heard of it. A node that was there when its row came has seen
  the row after a second, or says after KNOWN_S without the store that it does not know its group; an edge that does not
  hear that either stops serving when its lease is over. So a new node waits WAIT_S, if another one is at work.
- **A node that cannot reach the store** for KNOWN_S says so, and edges that hear it serve nothing from the cache.
- **A node that has gone** may have told edges nothing of its last writes; one that came and went while this node did
  not know its group, nothing at all. So all answers are invalidated before edges hear of the group without it.
- **A node that ends** takes its row away when its clients are gone. One that has ended otherwise leaves its row, and
  edges serve nothing until it has not been renewed for GONE_S.

The double fault: a node that is cut off from the store for more than GONE_S and goes on serving edges is forgotten by
the others. What is written through it then does not reach edges that are not linked to it.

A store of a single machine has a group of one.
"""

from collections.abc import Callable, Iterable
from typing import Final

import structlog
import trio

from protos.link.link_pb2 import Group
from regional.store import Member, StoreError
from regional.vault import Vault

PERIOD_S: Final = 1.0
KNOWN_S: Final = 3.0
LEASE_S: Final = 3.0  # of an edge (rules 23)
MARGIN_S: Final = 1.0  # for a crossing, and for clocks
WAIT_S: Final = KNOWN_S + LEASE_S + MARGIN_S
GONE_S: Final = 60.0
LOOK_S: Final = 0.25

log = structlog.get_logger(__name__)


class Membership:
    """Of one node."""

    def __init__(self, vault: Vault, node: str, changed: Callable[[Group], None], missed: Callable[[], None]) -> None:
        """missed is called before edges hear of a group without a node that they may have missed the last words of."""
        self._vault = vault
        self._node = node
        self._changed = changed
        self._missed = missed
        self._group = Group(nodes=[node], unknown=vault.is_shared)
        self._nodes: frozenset[str] = frozenset()
        self._known_at = float("-inf")  # when the store was last asked, of the times that it has answered
        self._has_asked = trio.Event()
        self._asking = trio.Lock()
        self._has_left = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started when this node may serve. Cancellation: safe."""
        if not self._vault.is_shared:
            task_status.started()
            return
        self._tell()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._renew)
            nursery.start_soon(self._watch)
            await self._join()
            task_status.started()

    async def _join(self) -> None:
        """Wait until every edge must have heard of this node."""
        await self._has_asked.wait()
        if self._nodes != {self._node}:
            log.info("joining other pool nodes", others=sorted(self._nodes - {self._node}), wait_s=WAIT_S)
            await trio.sleep(WAIT_S)

    async def _renew(self) -> None:
        while True:
            async with self._asking:
                if self._has_left:
                    return
                await self._ask()
            await trio.sleep(PERIOD_S)

    async def _ask(self) -> None:
        asked_at = trio.current_time()
        try:
            members = await trio.to_thread.run_sync(self._vault.renew, self._node)
        except StoreError as error:
            log.debug("membership not renewed", why=str(error))
            return
        self._known_at = asked_at
        self._nodes = at_work(self._node, members)
        self._tell()
        self._has_asked.set()

    async def _watch(self) -> None:
        """What is not known any more is said in time, also while the store does not answer."""
        while True:
            await trio.sleep(LOOK_S)
            self._tell()

    def _tell(self) -> None:
        is_unknown = trio.current_time() - self._known_at > KNOWN_S
        group = Group(nodes=sorted({self._node, *self._nodes}), unknown=is_unknown)
        if group != self._group:
            if is_unknown:
                log.warning("the store does not answer, so edges serve nothing from the cache")
            elif self._group.unknown or set(self._group.nodes) - set(group.nodes):
                self._missed()
            self._group = group
            self._changed(group)

    async def leave(self) -> None:
        """This node serves nobody any more."""
        if not self._vault.is_shared:
            return
        with trio.move_on_after(KNOWN_S):
            async with self._asking:
                self._has_left = True
            try:
                await trio.to_thread.run_sync(self._vault.leave, self._node, abandon_on_cancel=True)
            except StoreError as error:
                log.warning("this node is a member for a while longer", why=str(error), gone_s=GONE_S)


def at_work(node: str, members: Iterable[Member]) -> frozenset[str]:
    """Those that are taken for alive, the node itself among them."""
    return frozenset({node, *(member.node for member in members if member.renewed_s < GONE_S)})
