"""Renew a stale answer behind the one that was served: its request goes out once more, on a channel of its own.

What comes of it is the cache's business (`Reader` leads a flight, which others may join); nobody waits for it here.
"""

import secrets
from typing import TYPE_CHECKING, Final

from edge.cache.answers import Answer
from edge.cache.reader import Reader
from edge.directory import Entry
from edge.memos import Settings
from protos.link.link_pb2 import Ask, Frame, Open, Reason, State, Verdict

if TYPE_CHECKING:
    from edge.uplink import Uplink

_SECRET_BYTES: Final = 32
MAX_RENEWALS: Final = 50  # at once, of an edge; what is stale is renewed by the next who asks for it


class Renewal:
    """One of them; the owner of its channel."""

    under_way = 0
    """How many there are in this process."""

    def __init__(self, uplink: "Uplink", entry: Entry, answer: Answer, settings: Settings, opening: Open) -> None:
        """opening: what opens a channel for a session with these settings."""
        Renewal.under_way += 1
        self._uplink = uplink
        self._reader = Reader(entry.answers, settings)
        self._reader.tally.is_renewal = True
        self._is_over = False
        opening.process_id, opening.secret_key = 0, secrets.token_bytes(_SECRET_BYTES)
        self._lane = uplink.open(self, opening)
        self._reader.lead(answer.key, answer.statement, answer.renewal)
        uplink.say(self._lane, Frame(channel=self._lane.id, ask=Ask()))
        uplink.send(self._lane, answer.renewal, (), last=True)

    def answered(self, data: bytes, settled: int, status: int) -> None:
        if data:
            self._reader.heard(data)
            self._uplink.consumed(self._lane, len(data))
        if settled:
            self._reader.answered(settled, status)
            self._end(Reason.TERMINATED)

    def judged(self, verdict: Verdict) -> None:
        self._reader.judged(verdict)

    def state_known(self, state: State) -> None:
        """What it has set goes with its channel."""

    def outcome_known(self, frame: Frame) -> None:
        """It has no statement of a name."""

    def refused(self, error: bytes) -> None:
        self._end(None)

    def closed_by_pool(self, error: bytes) -> None:
        self._end(None)

    def link_leaving(self) -> None:
        """It ends soon."""

    def link_lost(self) -> None:
        self._end(None)

    def _end(self, reason: "Reason | None") -> None:
        if self._is_over:
            return
        self._is_over = True
        Renewal.under_way -= 1
        self._reader.interrupt()
        if reason is not None:
            self._uplink.close(self._lane, reason)
