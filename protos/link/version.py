"""The version of the link's protocol, which the edge's Hello and the pool node's Welcome carry.

Both ends have to speak the same one; else the pool node refuses the edge, and says so to both operators. A field that
is added, and that nobody misses where it is not known, leaves it as it is: unknown fields and frames are passed over.
It is raised where a peer of the release before would take one thing for another, or miss what it has to know.

- 1: the first.
- 2: an Option names the outcomes on which it hangs. To a node that looks for one message instead, or that finds no
  outcome, it counts in any case, and a client's Bind would run another statement.
"""

from typing import Final

from protos.errors import RemoteProtocolError

PROTOCOL_VERSION: Final = 2


def refuse_other(theirs: int, *, peer: str, own: str) -> None:
    """Raise RemoteProtocolError unless the peer speaks our version; peer and own are what the nodes are called."""
    if theirs != PROTOCOL_VERSION:
        message = f"{peer} speaks link version {theirs}, {own} {PROTOCOL_VERSION}; run the same release on both"
        raise RemoteProtocolError(message)
