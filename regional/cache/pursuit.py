"""One attempt at following an origin's writes: from its login to whatever ends it.

Theory of operation: one connection asks, another streams. Each second the asking one looks where the log ends, what is
in the publication and how much of the log our slots hold back; and after each commit that the stream tells, whether
others see it already, no oftener than SPACING_S. What they see is published. So a table's answers may be kept while a
stream, made after the table was in the publication, is known to have told all that had been committed a moment ago.

When tables are added a second stream is made, whose slot knows them, while the first one goes on; the second takes over
once it is caught up and every transaction is over that was open when it began. Tables that are removed are no longer
followed at once. The attempt ends when anything is refused or lost, when the stream is MAX_BEHIND_S behind, or when it
makes the origin keep more than MAX_RETAINED_BYTES of its log: a new slot begins at the log's present end.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final

import attrs
import trio

from protos.errors import ServiceError
from protos.pg.parsers import error_fields
from regional.cache import publication
from regional.cache.lines import Line, RefusedError
from regional.cache.pgoutput import Committed, position_of
from regional.cache.progress import Snapshot, Unseen, UnseenOverflowError
from regional.cache.published_tables import PublishedTables
from regional.cache.streams import Stream
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer
from regional.exchange import Exchange

LOOK_EVERY_S: Final = 1.0
TABLES_EVERY_S: Final = 10.0
ASK_POSITION_S: Final = 0.2
SPACING_S: Final = 0.01
MAX_SPACING_S: Final = 0.5
MAX_BEHIND_S: Final = 15.0
MAX_RETAINED_BYTES: Final = 1 << 30
BEGIN_S: Final = 30.0  # for the first questions
SETTLE_S: Final = 10.0  # for seeing which tables there are
OPEN_S: Final = 60.0  # for a slot: transactions that are open when it is made have to end first

#: What the asking connection logs in with.
PARAMETERS: Final = {
    "search_path": "pg_catalog",
    "client_encoding": "UTF8",
    "statement_timeout": "10s",
    "default_transaction_read_only": "off",
}
Publish = Callable[[frozenset[int] | None], None]


class NotFollowedError(Exception):
    """The origin's writes cannot be followed, and why."""


@attrs.define(eq=False)
class Pursuit:
    """One attempt. `run` is it; the rest is for `Following`."""

    dialer: Dialer
    access: tuple[Configuration, OriginSecret]
    publish: Publish
    followed: frozenset[int] = frozenset()
    """Tables whose writes are told, and what holds no rows itself; only while the stream is fresh."""
    stream: Stream | None = None
    """The one that holds."""
    _next: Stream | None = None
    _asking: Line | None = None
    _published: PublishedTables | None = None
    database: str = ""
    """Which server and database is followed, as `Reach.database` has it."""
    _unseen: Unseen = attrs.field(factory=Unseen)
    _position_due: bool = False
    _snapshot_due: bool = False
    _spacing_s: float = SPACING_S
    _last_end: int = 0
    _looked_for_since: float = 0.0
    """When the look was asked for whose answer has not come yet; 0.0 if there is none."""
    _failure: str = ""
    _tables_wanted: bool = False
    _woken: trio.Event = attrs.field(factory=trio.Event)

    @property
    def _user(self) -> str:
        return self.access[0].origin.user

    @property
    def _name(self) -> str:
        return publication.publication_name(self._user)

    async def run(self) -> None:
        """Follow until it is not possible any more. Raises NotFollowedError. Cancellation: safe."""
        try:
            async with trio.open_nursery() as nursery:
                try:
                    with trio.fail_after(BEGIN_S):
                        await self._begin()
                    await self._go_on(nursery)
                except (RefusedError, ServiceError, NotFollowedError) as error:
                    self._fail(publication.why_refused(str(error), self._user))
                except trio.TooSlowError:
                    self._fail("the origin does not answer")
                nursery.cancel_scope.cancel()
        finally:
            self._fail("it has ended")
            for stream in (self.stream, self._next):
                if stream is not None:
                    stream.close()
            if self._asking is not None:
                self._asking.close()
        raise NotFollowedError(self._failure)

    def renew(self) -> None:
        """Look at once which tables there are."""
        self._tables_wanted = True
        self._woken.set()

    def is_fresh(self, now: float, bound_s: float) -> bool:
        return self.stream is not None and now - self.stream.progress.caught_up_at <= bound_s

    @property
    def unowned(self) -> int:
        """Tables that could be followed, if they were this user's."""
        return self._published.tables.not_ours if self._published is not None else 0

    @property
    def stage(self) -> str:
        """What keeps a stream from beginning."""
        if self._published is None or (self._next is not None and self._next.line is None):
            return "it has only begun"
        if self._next is not None:
            return "transactions that were open when it began have to end first"
        tell = f" ({self.unowned} have one, but belong to somebody else)" if self.unowned else ""
        return f"no table of {self._user} has a replica identity{tell}"

    # --- the lifecycle ---

    async def _begin(self) -> None:
        login = await self.dialer.presenting(**PARAMETERS).dial(*self.access)
        self._asking = asking = Line(login.connection)
        asking.on_lost = self._fail
        (row,) = await asking.rows(publication.situation_query(self._name))
        if why := publication.why_not(row, self._user):
            raise NotFollowedError(why)
        self.database = (row[-1] or b"").decode()
        self._published = published = PublishedTables(asking, self._name)
        if row[3] != b"t":
            await published.create()
        await published.settle(self._review)

    async def _go_on(self, nursery: trio.Nursery) -> None:
        assert self._published is not None
        tables_at = monotonic() + TABLES_EVERY_S
        while not self._failure:
            self._provide(nursery)
            self._look()
            with trio.move_on_after(LOOK_EVERY_S):
                await self._woken.wait()
            self._woken = trio.Event()
            if not self._failure and (self._tables_wanted or monotonic() >= tables_at):
                tables_at = monotonic() + TABLES_EVERY_S
                self._tables_wanted = False
                with trio.fail_after(SETTLE_S):
                    await self._published.settle(self._review)

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why or "the connection was lost"
        self._woken.set()

    def _review(self) -> None:
        """Follow what the stream knows: tables whose entry is the one that was there before its slot was made."""
        followed: frozenset[int] = frozenset()
        if self.stream is not None and self._published is not None:
            tables, holding = self._published.tables, self._published.holding
            known = self.stream.holding.items()
            kept = {oid for oid, entry in known if oid in tables.names and holding.get(oid) == entry}
            followed = frozenset(kept) | tables.empty
        if gone := self.followed - followed:
            self.publish(gone)
        self.followed = followed

    # --- streams ---

    def _provide(self, nursery: trio.Nursery) -> None:
        """Make a stream if there are tables that the last one does not know."""
        assert self._published is not None
        holding, known = self._published.holding, self.stream.holding if self.stream is not None else {}
        if self._next is None and any(known.get(oid) != entry for oid, entry in holding.items()):
            self._next = Stream(holding, self._committed, self._hand_over, self._fail)
            nursery.start_soon(self._open, self._next)

    async def _open(self, stream: Stream) -> None:
        assert self._asking is not None
        try:
            with trio.fail_after(OPEN_S):
                server = await stream.open(self.dialer, self.access, self._name)
                stream.settles_at = int((await self._asking.rows(publication.NUMBER_QUERY))[0][0] or b"")
            if server != self.database:
                self._fail("the origin's addresses lead to different servers")
        except (RefusedError, ServiceError) as error:
            self._fail(publication.why_refused(str(error), self._user))
        except trio.TooSlowError:
            self._fail("a transaction that was open before has not ended yet")
        self._woken.set()

    def _hand_over(self) -> None:
        """Let the new stream hold, if it is ready."""
        before, stream = self.stream, self._next
        if stream is None or self._failure or not (stream.is_settled and stream.is_caught_up):
            return
        if before is not None and before.progress.caught_up_at <= stream.started_at:
            return  # it has still to tell what was committed before the new one began
        self.stream, self._next = stream, None
        if before is None:
            self.publish(None)
        else:
            before.close()
        self._review()

    def _committed(self, committed: Committed) -> None:
        try:
            self._unseen.add(committed.xid, committed.tables)
        except UnseenOverflowError:
            self._fail("too many commits are not to be seen yet")
            return
        self._spacing_s = SPACING_S
        self._ask_soon()

    # --- questions ---

    def _look(self) -> None:
        """Ask what has to be known each second."""
        assert self._asking is not None
        now = monotonic()
        if self._looked_for_since and now - self._looked_for_since > MAX_BEHIND_S:
            self._fail("the origin does not answer")
        if self._failure or self._looked_for_since:
            return
        self._looked_for_since = now
        streams = [stream for stream in (self.stream, self._next) if stream is not None]
        for stream in streams:
            stream.confirm(wants_reply=False)
            if stream.started_at and now - stream.progress.caught_up_at > MAX_BEHIND_S:
                self._fail(f"the origin is {now - stream.progress.caught_up_at:.0f} s behind in decoding its log")
        sql = publication.look_query(self._name, [stream.slot for stream in streams])
        self._asking.ask(sql, lambda exchange: self._looked(now, exchange))

    def _looked(self, asked_at: float, exchange: Exchange) -> None:
        self._looked_for_since = 0.0
        if not exchange.rows:
            said = error_fields(exchange.error).get("M", "") if exchange.error else ""
            self._fail(said or "the origin does not say where its log ends")
            return
        digest, end_text, snapshot_text, retained = exchange.rows[0]
        assert end_text is not None
        assert snapshot_text is not None
        end, snapshot = position_of(end_text), Snapshot.parse(snapshot_text)
        if retained is not None and int(retained) > MAX_RETAINED_BYTES:
            self._fail(f"it makes the origin keep {int(retained) >> 20} MiB of its log")
        self._take_seen(snapshot)
        if self._published is None or digest != publication.digest_of(self._published.holding):
            self.renew()  # until the new list is known, nothing says that all has been told
            return
        for stream in (self.stream, self._next):
            if stream is not None:
                stream.looked(asked_at, end, snapshot)
        self._nudge(end)
        self._ask_position()
        self._hand_over()

    def _ask_position(self) -> None:
        """Ask a stream that is behind a mark where it is, and again soon: it is told seldom without being asked."""
        behind = [stream for stream in (self.stream, self._next) if stream is not None and stream.is_behind]
        if not behind or self._position_due or self._failure:
            return
        for stream in behind:
            stream.confirm(wants_reply=True)
        self._position_due = True
        self.dialer.pump.later(ASK_POSITION_S, self._ask_position_again)

    def _ask_position_again(self) -> None:
        self._position_due = False
        self._ask_position()

    def _nudge(self, end: int) -> None:
        """What is at the end of the log may be half a record that waits for somebody to write more."""
        last = self._next or self.stream
        if end == self._last_end and last is not None and last.started_at and last.position < end:
            assert self._asking is not None
            self._asking.ask(publication.NUDGE_QUERY, lambda _: None)
        self._last_end = end

    def _ask_soon(self) -> None:
        """Ask which commits are to be seen: at once, and then with a pause."""
        if not self._snapshot_due and self._asking is not None:
            self._snapshot_due = True
            self._asking.ask(publication.SNAPSHOT_QUERY, self._told)

    def _told(self, exchange: Exchange) -> None:
        self.dialer.pump.later(self._spacing_s, self._pause_over)
        if exchange.rows and (text := exchange.rows[0][0]) is not None:
            self._take_seen(Snapshot.parse(text))

    def _pause_over(self) -> None:
        self._snapshot_due = False
        if self._unseen and not self._failure:
            self._spacing_s = min(self._spacing_s * 2, MAX_SPACING_S)
            self._ask_soon()

    def _take_seen(self, snapshot: Snapshot) -> None:
        if self._unseen:
            seen = self._unseen.take_seen(snapshot)
            if seen is None or seen:
                self.publish(seen)
