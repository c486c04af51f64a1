"""What keeps an edge's answers good and its pool nodes informed, beside its clients' queries.

After each pong, Group and lost link it is worked out anew until when each configuration is vouched for. Every
REPORT_S the pool node that a configuration's queries go to hears what has come of them (`Statuses`).
"""

from collections.abc import Callable, Sequence
from typing import Final

from edge.cache.flights import MAX_WAIT_S
from edge.cache.vouching import vouched_until
from edge.directory import Directory
from edge.uplink import Uplink
from protos.link.link_pb2 import Frame, Statuses

REPORT_S: Final = 2.0


class Upkeep:
    """Of one edge node."""

    def __init__(self, directory: Directory, uplinks: Sequence[Uplink], route: Callable[[str], Uplink | None]) -> None:
        """route: the pool node that a configuration's queries go to."""
        self._directory = directory
        self._uplinks = uplinks
        self._route = route
        self._reported: dict[str, tuple[Uplink, int, Statuses]] = {}
        self._due = 0.0

    def vouch(self) -> None:
        """A pool node has said something, or is gone."""
        vouchers = [uplink.voucher for uplink in self._uplinks]
        for entry in self._directory:
            serving = [uplink.voucher for uplink in self._uplinks if entry.name in uplink.names]
            entry.answers.vouched_until = vouched_until(serving, vouchers)
            entry.answers.reachable_until = max((voucher.until for voucher in serving), default=0.0)

    def tick(self, now: float) -> None:
        for entry in self._directory:
            entry.answers.flights.expire(entry.answers.clock() - MAX_WAIT_S)
        if now >= self._due:
            self._due = now + REPORT_S
            self._report()

    def _report(self) -> None:
        for entry in self._directory:
            uplink = self._route(entry.name)
            if uplink is None:
                continue
            statuses = entry.answers.statuses(entry.name)
            reported = uplink, uplink.stream_count, statuses  # a new link's pool node has heard nothing
            if self._reported.get(entry.name) != reported:
                self._reported[entry.name] = reported
                uplink.tell(Frame(statuses=statuses))
        for name in self._reported.keys() - self._directory.names():
            del self._reported[name]
