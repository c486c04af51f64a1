"""What keeps an edge's answers good and its pool nodes informed, beside its clients' queries.

After each pong, Group and lost link it is worked out anew until when each configuration is vouched for. None is while
one pool node has seen DDL and another one that serves it may judge by an older catalogue (`lag`): that one is told, and
says when it does not (`Ddl`). What it published before that, by the older catalogue, is here then, and what was kept
before that is dropped.

Every REPORT_S the pool node that a configuration's queries go to hears what has come of them (`Statuses`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from edge.cache.lag import Lag
from edge.cache.vouching import vouched_until
from edge.directory import Directory
from edge.uplink import Uplink
from protos.link.link_pb2 import Ddl, Frame, Invalidate, Statuses
from protos.runtime.clock import seconds

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
        self._lag = Lag(uplinks)
        for uplink in uplinks:
            uplink.on_vouched = self.vouch
            uplink.on_serves = partial(self._lag.serves, uplink)
            uplink.on_ddl = partial(self._ddl_said, uplink)

    def vouch(self) -> None:
        """A pool node has said something, or is gone."""
        now = seconds()
        names = [uplink.names for uplink in self._uplinks]
        until: dict[tuple[bool, ...], tuple[float, float]] = {}  # by which of them serve a configuration
        for entry in self._directory:
            serving = tuple([entry.name in some for some in names])
            if serving not in until:
                until[serving] = self._until(serving)
            answers = entry.answers
            answers.vouched_until, answers.reachable_until = until[serving]
            if self._lag.is_behind(entry.name, now):
                answers.vouched_until = 0.0

    def _until(self, serving: Sequence[bool]) -> tuple[float, float]:
        """Until when what these uplinks serve is vouched for, and can be reached."""
        vouchers = [uplink.voucher for uplink in self._uplinks]
        some = [voucher for voucher, serves in zip(vouchers, serving, strict=True) if serves]
        return vouched_until(some, vouchers), max((voucher.until for voucher in some), default=0.0)

    # --- DDL ---

    def _ddl_said(self, uplink: Uplink, ddl: Ddl) -> None:
        """A pool node judges by no older catalogue than this."""
        names, others = self._lag.said(uplink, ddl, seconds())
        for name in names:
            self._directory.invalidate(Invalidate(configuration=name, meaning=True))
        for other in others:
            other.tell(Frame(ddl=ddl))
        self.vouch()

    def came_up(self) -> None:
        """A pool node may not have heard of what the others have said: it is linked, or has one configuration more."""
        for uplink in self._uplinks:
            for ddl in self._lag.to_tell(uplink, seconds()):
                uplink.tell(Frame(ddl=ddl))

    # --- time ---

    def tick(self, now: float) -> None:
        for entry in self._directory:
            entry.answers.flights.expire(entry.answers.clock())
        if now >= self._due:
            self._due = now + REPORT_S
            self._report()
            self.came_up()

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
