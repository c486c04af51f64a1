"""A client has left while its session had an origin connection: what becomes of what it left open there (rules 3).

What was sent before Terminate runs as PostgreSQL would run it; a client that is lost is rolled back. The connection is
given back clean, or closed where that cannot be had for certain.
"""

from time import monotonic
from typing import TYPE_CHECKING, Final

from protos.link.link_pb2 import Reason
from protos.pg.framer import Piece
from protos.pg.messages import copy_fail, sync
from protos.pg.tags import Frontend, TransactionStatus
from regional.exchange import Exchange
from regional.requests import Requests

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.origin import Origin

CLEAN_UP_S: Final = 10.0  # for the statement of a lost client to end, and its rollback

_SYNC: Final = Piece(Frontend.SYNC, sync(), whole=True)
_GIVE_UP_COPY: Final = Piece(Frontend.COPY_FAIL, copy_fail("the client has left"), whole=True)


def leave_lease(origin: "Origin", requests: Requests, reason: "Reason") -> bool:
    """The client leaves; whether its connection is to be cleaned up now.

    What it sent before Terminate and waits here goes on first; so does the setting of its settings.
    """
    if origin.connection.is_paused:
        origin.connection.resume()
    has_terminated = reason == Reason.TERMINATED
    if requests and (has_terminated or origin.is_in_exchange):
        if not has_terminated:
            requests.drop()
        return False
    requests.drop()
    pipeline = origin.pipeline
    if not has_terminated and pipeline.owed and not (pipeline.in_copy_in or pipeline.is_skipping):
        origin.tenant.cancel(origin)
    return True


def clean_up(channel: "Channel", origin: "Origin", *, has_terminated: bool) -> None:
    """Once nothing is owed, end what is open; called again whenever more has been answered."""
    pipeline, verifying = origin.pipeline, origin.scrutiny.verifying
    if not has_terminated:
        verifying.drop()
    if verifying.is_holding:
        return
    if channel.is_inside_request:
        _hang_up(channel, origin, "its client left in the middle of a message")
    elif pipeline.in_copy_in and not pipeline.has_unsynced:
        # It waits for data that will not come, and would see a cancel only when some comes.
        origin.forward([_GIVE_UP_COPY], {})
    elif pipeline.is_skipping and not pipeline.in_copy_in:
        # After an error nothing runs up to a Sync, which will not come; nor do the queries that are owed meanwhile.
        origin.forward([_SYNC], {})
    elif pipeline.in_copy_in or pipeline.wants_fence or (pipeline.has_unsynced and not pipeline.owed):
        # An Execute without its Sync must not commit, and no message of ours could make it roll back and stay in step
        # for certain.
        if not has_terminated:
            channel.tenant.cancel(origin)
        _hang_up(channel, origin, "its client left between two sync points")
    elif not pipeline.owed and pipeline.status != TransactionStatus.IDLE:
        channel.clean_up_by = monotonic() + CLEAN_UP_S
        origin.run(b"ROLLBACK", lambda exchange: _rolled_back(channel, exchange))
    elif pipeline.is_idle:  # it was pinned
        origin.end_lease()


def _rolled_back(channel: "Channel", exchange: Exchange) -> None:
    origin = channel.origin
    if origin is None or not exchange.status:
        return
    if exchange.status != TransactionStatus.IDLE:
        _hang_up(channel, origin, "the transaction of a client that left could not be rolled back")
        return
    origin.watching.ledger.rolled_back()
    origin.reset_pipeline()
    origin.end_lease()


def _hang_up(channel: "Channel", origin: "Origin", why: str) -> None:
    """The connection cannot be cleaned any more."""
    channel.origin = None
    origin.channel = None
    channel.lease_ended()
    channel.tenant.discard(origin, why)
