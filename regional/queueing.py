"""Who waits for a connection, and whose turn it is: first come, first served within a flow, in turn between flows.

A flow is a link, so each edge is one; the pool node's own borrowers are another. Turns are given by deficit round
robin with the lease as its unit: a flow whose turn it is may take one lease, which uses its deficit up, and goes to the
end of the round. A flow that has nobody waiting leaves the round and saves nothing; when it comes back it goes to the
end. So between two leases of a flow that goes on waiting, each other flow gets at most one, however many wait there: an
edge with 1,000 waiters delays the 5 of another by one lease for each of their own.

Every operation takes the same time for any number of waiters.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar


class InFlow(Protocol):
    """What the queue asks of a waiter."""

    @property
    def mux(self) -> Hashable:
        """Its link: the flow to which it belongs."""
        ...


W = TypeVar("W", bound=InFlow)


class Queue(Generic[W]):
    """The waiters of one pool."""

    def __init__(self) -> None:
        self._since: OrderedDict[W, float] = OrderedDict()  # all of them, in order of arrival
        self._flows: OrderedDict[Hashable, OrderedDict[W, None]] = OrderedDict()  # the one whose turn it is first

    def __len__(self) -> int:
        return len(self._since)

    def __iter__(self) -> Iterator[W]:
        """In order of arrival, whatever their flow."""
        return iter(self._since)

    def __contains__(self, waiter: W) -> bool:
        return waiter in self._since

    def put(self, waiter: W, now: float) -> None:
        self._since[waiter] = now
        flow = self._flows.get(waiter.mux)
        if flow is None:
            flow = self._flows[waiter.mux] = OrderedDict()
        flow[waiter] = None

    def take(self) -> W:
        """Take out whose turn it is."""
        name, flow = next(iter(self._flows.items()))
        waiter, _ = flow.popitem(last=False)
        del self._since[waiter]
        if flow:
            self._flows.move_to_end(name)
        else:
            del self._flows[name]
        return waiter

    def leave(self, waiter: W) -> bool:
        """The waiter gives up its place; False if it has none (any more)."""
        if self._since.pop(waiter, None) is None:
            return False
        flow = self._flows[waiter.mux]
        del flow[waiter]
        if not flow:
            del self._flows[waiter.mux]
        return True

    def overdue(self, now: float, timeout_s: float) -> list[W]:
        """Take out the waiters that have waited for timeout_s."""
        over = []
        for waiter, since in self._since.items():
            if now - since < timeout_s:
                break
            over.append(waiter)
        for waiter in over:
            self.leave(waiter)
        return over

    def waited_s(self, now: float) -> float:
        """How long the one has waited that waits longest."""
        for since in self._since.values():
            return now - since
        return 0.0
