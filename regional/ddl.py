"""DDL, told to the other pool nodes that serve the same edges (rules 22).

A pool node that has seen DDL drops its catalogue at once. The others would judge by the older one until they read
theirs again: what a new trigger writes to would not be invalidated, what a replaced view reads would not be known. So
DDL has a number, and who sees it tells every edge before its client hears that it is done. Each edge passes that on to
its other pool nodes, which drop their catalogues too and say so to all edges. Links are ordered: when an edge hears
that, it has heard all that was published by the older catalogue. Until then it serves nothing of the configuration from
its cache, and what it kept meanwhile it drops (`edge/cache/upkeep.py`).

An edge serves answers only while it is linked to all of them, so no pool node is left out that matters.
"""

import secrets
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from protos.link.ddl import KnownDdl
from protos.link.link_pb2 import Ddl, Frame
from regional.cache.neighbours import Neighbours

if TYPE_CHECKING:
    from regional.tenant import Tenant


class SeenDdl:
    """Of one pool node."""

    def __init__(
        self, tenants: "Callable[[], Iterable[Tenant]]", neighbours: Neighbours, push: Callable[[Frame], None]
    ) -> None:
        """push tells every linked edge."""
        self._tenants = tenants
        self._neighbours = neighbours
        self._push = push
        self.count = 0
        """Grows with each that is news here."""
        self._node = secrets.token_hex(6)
        self._number = 0
        self._known = KnownDdl()

    def seen(self, tenant: "Tenant") -> None:
        """It was run through this tenant, or shows in its catalogue: it concerns all that have its database."""
        others = [other for other in self._neighbours.of(tenant) if other is not tenant]
        self.count += 1
        self._number += 1
        names = {one.configuration.name for one in (tenant, *others)}
        ddl = Ddl(configurations=sorted(names), node=self._node, number=self._number)
        self._known.take(ddl, monotonic())
        self._push(Frame(ddl=ddl))
        for other in others:
            other.knowledge.others_ddl_seen()

    def heard(self, ddl: Ddl, answer: Callable[[Frame], None]) -> None:
        """An edge says that another pool node has seen it, or has been told of it."""
        news = set(self._known.take(ddl, monotonic()))
        self.count += bool(news)
        named = [tenant for tenant in self._tenants() if tenant.configuration.name in news]
        if not named:
            answer(Frame(ddl=ddl))
            return
        for tenant in {*named, *self._neighbours.of(named[0])}:
            tenant.knowledge.others_ddl_seen()
        self._push(Frame(ddl=ddl))

    def recent(self) -> list[Frame]:
        """What an edge hears whose link is new."""
        return [Frame(ddl=ddl) for ddl in self._known.told(monotonic())]
