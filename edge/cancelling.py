"""Cancel requests: which session one is for, and who else has to hear of it (rules 16).

What a session of this edge runs, its pool node cancels; but a read that waits for another session's answer has not
crossed, and of one that others wait for they have to be told why nothing comes. A request that names no session of this
edge may be for one of another edge of the PoP: the pool nodes cancel what they find, and pass it on to all edges. It
has a number then, for it comes to the session's edge once from each of them.
"""

import hmac
import secrets
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from edge.throttle import Throttle
from edge.uplink import Uplink
from protos.link.link_pb2 import Cancel

if TYPE_CHECKING:
    from edge.client import Client

_NUMBER_BYTES: Final = 8

log = structlog.get_logger(__name__)


class Cancelling:
    """Of one edge node."""

    def __init__(self, clients: "Collection[Client]", uplinks: Sequence[Uplink], throttle: Throttle) -> None:
        self._clients = clients
        self._uplinks = uplinks
        self._throttle = throttle
        self._keys: dict[int, bytes] = {}
        self._numbers: dict[int, bytes] = {}  # of the last request that was passed on, by session
        for uplink in uplinks:
            uplink.on_cancel = self.passed_on

    def new_key(self, secret_bytes: int) -> tuple[int, bytes]:
        """What BackendKeyData and a CancelRequest name a session by; random, the number unique at this edge."""
        while (process_id := secrets.randbelow((1 << 31) - 1) + 1) in self._keys:
            pass
        secret = self._keys[process_id] = secrets.token_bytes(secret_bytes)
        return process_id, secret

    def forget(self, process_id: int) -> None:
        """The session is over."""
        self._keys.pop(process_id, None)
        self._numbers.pop(process_id, None)

    def asked(self, process_id: int, secret_key: bytes, peer: str) -> None:
        """A CancelRequest has come here."""
        number = b""
        if self._is_ours(process_id, secret_key):
            if self._cancel(process_id):
                return
        elif self._throttle.may_cancel(peer, time.monotonic()):
            number = secrets.token_bytes(_NUMBER_BYTES)
        else:
            log.info("cancel request dropped: too many of unknown sessions", peer=peer)
            return
        for uplink in self._uplinks:
            uplink.cancel(process_id, secret_key, number)

    def passed_on(self, cancel: Cancel) -> None:
        """One has come to another edge, or to this one, and a pool node tells all edges."""
        process_id = cancel.process_id
        is_new = cancel.number != self._numbers.get(process_id, b"")
        if is_new and self._is_ours(process_id, cancel.secret_key):
            self._numbers[process_id] = cancel.number
            self._cancel(process_id)

    def _is_ours(self, process_id: int, secret_key: bytes) -> bool:
        key = self._keys.get(process_id)
        return key is not None and hmac.compare_digest(key, secret_key)

    def _cancel(self, process_id: int) -> bool:
        """Whether that was all, for the session has waited here."""
        return any(client.process_id == process_id and client.cancel() for client in list(self._clients))
