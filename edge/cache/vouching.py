"""Until when the pool nodes vouch for what is kept here (rules 22, 23).

An edge pings every second. A pong says that everything which was published before it has arrived, for a link is
ordered; so its pool node is vouched for until LEASE_S after that ping was *sent*. A configuration is vouched for as
long as every member of its pool node's group is: through any of them its data may be written. Which those are, each
pool node says of itself (`Group`), and says when it does not know. One that was of a group and is gone counts as long
as the others name it; one that was alone in its group, until it is there again.

    heard      a pool node's name, from its Welcome, and its group
    answered   its last ping
    lost       its link is gone: whatever comes next is heard anew
"""

from collections.abc import Iterable
from typing import Final

import attrs

from protos.link.ddl import KnownDdl

LEASE_S: Final = 3.0


@attrs.define
class Voucher:
    """One pool node, as its link tells of it."""

    node: str = ""
    """Its name; a new one at each start. Empty while there is no link."""
    group: frozenset[str] | None = None
    """The names of its group; None while it is not known."""
    is_of_several: bool = False
    """When its group was known last, it was not alone in it."""
    until: float = 0.0
    ddl: KnownDdl = attrs.field(factory=KnownDdl)
    """That of which it has said that it judges by no older catalogue."""

    def told(self, group: frozenset[str] | None) -> None:
        """It says which its group is, or that it does not know."""
        self.group = group
        if group is not None:
            self.is_of_several = len(group | {self.node}) > 1

    def answered(self, sent_at: float) -> None:
        """A ping that was sent then has been answered."""
        self.until = max(self.until, sent_at + LEASE_S)

    def lost(self) -> None:
        self.node, self.group, self.until = "", None, 0.0
        self.ddl = KnownDdl()


def vouched_until(serving: Iterable[Voucher], all_of_them: Iterable[Voucher]) -> float:
    """Until when a configuration is vouched for that these pool nodes serve; 0.0 if it is not."""
    untils = {voucher.node: voucher.until for voucher in all_of_them if voucher.node}
    result = 0.0
    for voucher in serving:
        if not voucher.node and voucher.is_of_several:
            continue
        if not voucher.node or voucher.group is None:
            return 0.0
        until = min((untils.get(node, 0.0) for node in voucher.group | {voucher.node}), default=0.0)
        result = until if not result else min(result, until)
        if not result:
            return 0.0
    return result
