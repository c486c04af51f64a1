"""Which pool nodes may not know yet of DDL that another one has seen.

Kept is what is outstanding, by pool node, and nothing that is settled: most of the time that is nothing at all, however
much DDL there was. It becomes outstanding when it is heard of, for those that serve the configuration then, and for
another one when it begins to serve it. It is settled when that pool node says that it knows; after RECENT_S, when it
has noticed by itself; and when its link is lost, for then it has to say everything anew.
"""

from collections.abc import Sequence

from edge.uplink import Uplink
from protos.link.ddl import RECENT_S, KnownDdl
from protos.link.link_pb2 import Ddl

_Nodes = dict[str, tuple[int, float]]  # by the pool node that has seen it: the number, and when it was heard of
_Outstanding = dict[str, _Nodes]  # by configuration


class Lag:
    """Of one edge node's pool nodes."""

    def __init__(self, uplinks: Sequence[Uplink]) -> None:
        self._known = KnownDdl()
        self._outstanding: dict[Uplink, _Outstanding] = {one: {} for one in uplinks}

    def said(self, uplink: Uplink, ddl: Ddl, now: float) -> tuple[list[str], list[Uplink]]:
        """A pool node judges by no older catalogue than this.

        The configurations for which it says so for the first time, and the others that have to hear of it.
        """
        outstanding = self._outstanding[uplink]
        for name in ddl.configurations:
            nodes = outstanding.get(name, {})
            if nodes.get(ddl.node, (ddl.number + 1,))[0] <= ddl.number:
                del nodes[ddl.node]
                if not nodes:
                    del outstanding[name]
        told = uplink.voucher.ddl.take(ddl, now)
        news = self._known.take(ddl, now)
        others = [other for other in self._outstanding if other.voucher.node]
        return told, [other for other in others if [name for name in news if self._add(other, name, ddl.node)]]

    def serves(self, uplink: Uplink, name: str) -> None:
        """A pool node has this configuration from now on."""
        for node in self._known.nodes(name):
            self._add(uplink, name, node)

    def _add(self, uplink: Uplink, name: str, node: str) -> bool:
        """Whether this pool node has to hear of it."""
        number, heard_at = self._known.last(name, node)
        is_missing = name in uplink.names and uplink.voucher.ddl.last(name, node)[0] < number
        if is_missing:
            self._outstanding[uplink].setdefault(name, {})[node] = number, heard_at
        return is_missing

    def is_behind(self, name: str, now: float) -> bool:
        """Whether some pool node may judge this configuration by an older catalogue."""
        return any(self._of(uplink, name, now) for uplink in self._outstanding)

    def _of(self, uplink: Uplink, name: str, now: float) -> _Nodes:
        """What of it one pool node may not know."""
        nodes = self._outstanding[uplink].get(name)
        if nodes is None or name not in uplink.names or not uplink.voucher.node:
            return {}
        return {node: last for node, last in nodes.items() if last[1] > now - RECENT_S}

    def to_tell(self, uplink: Uplink, now: float) -> list[Ddl]:
        """What a pool node has not said that it knows."""
        found: dict[tuple[str, int], list[str]] = {}
        for name in list(self._outstanding[uplink]):
            nodes = self._of(uplink, name, now)
            if not nodes:
                del self._outstanding[uplink][name]
            for node, (number, _) in nodes.items():
                found.setdefault((node, number), []).append(name)
        return [Ddl(configurations=names, node=node, number=number) for (node, number), names in found.items()]
