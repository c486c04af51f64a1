"""A session's prepared statements, which live at the edge and have one shared name for one meaning beside the database.

Theory of operation: a client's names are its own, but origin connections are shared, so `s1` of one session must never
meet `s1` of another. Each Parse is sent under a shared name (`meaning`), and Bind, Describe and Close are renamed
likewise. Two sessions with the same statement share it on an origin connection; different ones cannot collide. The pool
node prepares a statement where it is missing from the text that travelled over the link once.

Whether a Parse or Close takes effect is known a crossing later. Until then it is taken for done (`registry`), and what
a later group uses meanwhile goes out under a token, with its alternatives beside it (`Choice`). A Parse of a name that
is in use goes out under the name USED, which is in use on every origin connection: so PostgreSQL itself says 42P05, at
its place, and the client's name is put into its words (`asides`). A Parse for which the session has no room any more
goes out as a Bind of a statement that is nowhere; the pool node words the error (53200).

The unnamed statement of a session is given to the origin as it is while Parse and Bind stand in one group up to a Sync.
A Bind in a later group may be served by another connection, so from there on it goes by its shared name too.

SQL's PREPARE, EXECUTE and DEALLOCATE act on the same names. They go out as they are, and a Choice beside them has the
pool node make what they name under the client's own name, for that lease. A statement of the protocol may be such a
command itself: what an EXECUTE runs then has what it names made in front of it, and its effect is the session's.

What a session sets later changes the scope of what it parses from then on, and of what it uses again: PostgreSQL parses
a statement anew, too, once search_path or the role is another. (It does not do so for DateStyle or TimeZone, so a
constant in the text of an older statement may be read in the newer way here: the table of differences has it.)

Names are compared by their first 63 bytes, as PostgreSQL cuts them (rules 12). Not kept here: a Parse over 1 MiB, which
is streamed; it is good until its lease ends.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from edge.asides import Asides, token_of
from edge.commands import Commands, Run
from edge.conditions import CERTAIN
from edge.meaning import Script, Statement, end_of, renamed, script_of
from edge.registry import Registry
from protos.link.link_pb2 import Failed
from protos.pg.description import qualified
from protos.pg.framer import Piece
from protos.pg.messages import bind
from protos.pg.names import FULL, GONE, MAX_NAME_BYTES, MISSING, PREFIX, USED, cut
from protos.pg.sql_statements import FIRST_BYTES, Command, Kind, command_of
from protos.pg.tags import Frontend

_FULL: Final = bind(b"", FULL)


class Statements:
    """The statements of one session."""

    __slots__ = ("_commands", "_fresh_script", "_told", "_unnamed_is_fresh", "asides", "registry")

    def __init__(self, scope: bytes) -> None:
        self.registry = Registry(scope)
        self.asides = Asides(self.registry)
        self._unnamed_is_fresh = False
        self._fresh_script: Script | None = None  # what the unnamed statement is, if it is a command
        self._told: dict[bytes, bytes] = {}  # by the client's names, the digests of the descriptions it was told
        self._commands = Commands(self.registry, self._told)

    def __len__(self) -> int:
        return len(self.registry)

    # --- what is known here ---

    def get(self, name: bytes) -> Statement | None:
        """What this name means now; the empty one means the unnamed statement. None for one over 1 MiB, too."""
        return self.meant(name)[0]

    def is_in_use(self, name: bytes) -> bool:
        """Whether a Parse of this name would fail."""
        return cut(name) in self.registry

    def meaning_of(self, parse: bytes) -> Statement:
        """What a Parse message of the session's means."""
        return self.registry.meaning_of(parse)

    def tell(self, name: bytes, digest: bytes) -> None:
        """The client has been told this description of a statement; what runs from now on must fit it (rules 10)."""
        self._told[cut(name)] = digest

    def told(self, name: bytes) -> bytes:
        """The digest of the description that the client was told of a statement; empty if it was told none."""
        return self._told.get(cut(name), b"")

    def meant(self, name: bytes) -> tuple[Statement | None, bytes]:
        """What `get` gives, and what `told` gives."""
        name = name[:MAX_NAME_BYTES]
        statement = self.registry.present(name)
        return None if statement is None or statement.is_too_long else statement, self._told.get(name, b"")

    def changed_here(self, effects: Iterable[Piece]) -> None:
        """A group of messages is over of which nothing went out; these Parses and Closes in it have happened."""
        aside = self.asides.put_aside()
        for tag, message, _ in effects:
            if tag == Frontend.PARSE:
                self.parse(message, whole=True)
            else:
                self.close(message)
        self.registry.happened_here()
        self._unnamed_is_fresh = False
        self.asides.put_back(aside)

    def deallocated_here(self, command: Command) -> bool:
        """A DEALLOCATE that need not go out, for no connection has a client's names between two transactions.

        Whether it has happened: PostgreSQL refuses a name that is not there.
        """
        if command.kind is Kind.DEALLOCATE and command.name not in self.registry:
            return False
        self._commands.run([(CERTAIN, (command, b""))])
        self.registry.happened_here()
        return True

    def queried_here(self) -> None:
        """A simple query was answered that did not go out."""
        self.registry.unnamed = None
        self._told.pop(b"", None)
        self._unnamed_is_fresh = False

    # --- sync points ---

    def synced(self) -> None:
        """The group of messages has come to its Sync: another connection may serve the next one."""
        self._unnamed_is_fresh = False
        self.registry.next_sync_point()

    def queried(self, message: bytes, *, whole: bool = True) -> None:
        """A simple query drops the unnamed statement, as in PostgreSQL; it may be a command."""
        registry = self.registry
        if registry.unnamed is not None or registry.in_flight.names:
            registry.drop_unnamed()
        if self._told:
            self._told.pop(b"", None)
        self._unnamed_is_fresh = False
        if message[5] in FIRST_BYTES and whole:
            command = command_of(message[5:-1])
            if command is not None:
                self.asides.choose(command.name, number=0, is_run=command.kind is Kind.EXECUTE)
                self._commands.run([(CERTAIN, (command, message[5:-1]))])
        registry.next_sync_point()

    def answered(self, settled: int, *, is_over: bool = True) -> None:
        """So many sync points more have been answered; is_over: all are, and no transaction is open."""
        self.registry.answered(settled)
        if is_over:
            self._commands.portals.clear()
            self.registry.lease_is_over()
        if self.asides.uses:
            self.asides.settle()

    def failed(self, failed: Failed) -> None:
        """An error ended a group: what has not happened is taken back."""
        self.registry.take_back(failed.sync_point, failed.end, failed.place)
        self._commands.failed(failed.sync_point, failed.end, failed.place)
        self.asides.confirm()

    def refused(self) -> None:
        """Nothing of what is owed was run, nor will be."""
        self.registry.refused()
        self.channel_lost()

    def channel_lost(self) -> None:
        """Nothing is on its way."""
        self._commands.portals.clear()
        self.registry.channel_lost()
        self.asides.clear()

    # --- messages ---

    def parse(self, message: bytes, *, whole: bool) -> bytes:
        """What to send for a Parse."""
        registry = self.registry
        end = end_of(message, 5)
        name = cut(message[5:end])
        if not name:
            return self._unnamed(message, end + 1, whole=whole)
        if registry.is_in_doubt(name) or name not in registry:
            self._told.pop(name, None)
        if not whole:
            return self._too_long(name, message, end)
        return self._named(name, message, end) if registry.has_room(message) else _FULL

    def _too_long(self, name: bytes, message: bytes, end: int) -> bytes:
        """A Parse over 1 MiB: the statement has its own name in this lease, unless that is in use."""
        registry = self.registry
        is_doubtful = registry.is_in_doubt(name)
        if is_doubtful or name in registry:
            self.asides.use(message[5:end])
        if not is_doubtful and name in registry:
            return renamed(message, 5, USED)
        use = own = _hidden(name)
        if is_doubtful:
            choice = self.asides.choose(name, is_run=False)
            choice.use, use = use, token_of(choice)
        registry.made_too_long(name, own)
        return renamed(message, 5, use)

    def _named(self, name: bytes, message: bytes, end: int) -> bytes:
        registry = self.registry
        if registry.is_in_doubt(name):
            script = script_of(message, end + 1)
            if script is not None:
                self.asides.make(script)
            choice = self.asides.choose(name, is_run=False)
            choice.use = registry.made(name, message).name
            self.asides.use(message[5:end])
            return renamed(message, 5, token_of(choice))
        if name in registry:
            self.asides.use(message[5:end])
            return renamed(message, 5, USED)
        statement = registry.made(name, message)
        if statement.script is not None:
            return self._of_script(message, 5, statement.name, statement.script)[0]
        self.asides.need(statement)
        return statement.parse

    def _unnamed(self, message: bytes, start: int, *, whole: bool) -> bytes:
        if self._told:
            self._told.pop(b"", None)
        registry = self.registry
        self._unnamed_is_fresh = True
        self._fresh_script = None
        if not whole or len(message) == start or message[start] not in FIRST_BYTES:
            registry.made_unnamed(message if whole else None)
            return message
        self._fresh_script = script_of(message, start)
        statement = None if self._fresh_script is None else registry.meaning_of(message)
        registry.made_unnamed(message if statement is None else statement)
        return self._of_script(message, 5, b"", self._fresh_script, statement)[0]

    def bind(self, message: bytes) -> bytes:
        """What to send for a Bind, or the beginning of one."""
        start = end_of(message, 5) + 1
        sent, runs = self._renamed(message, start, asks=False)
        self._commands.bound(message[5 : start - 1], runs)
        return sent

    def describe(self, message: bytes) -> bytes:
        """What to send for a Describe."""
        if message[5:6] != b"S":
            return message
        registry = self.registry
        full = message[6 : end_of(message, 6)]
        name = cut(full)
        if name or not self._unnamed_is_fresh:
            statement = registry.present(name)
            if registry.is_in_doubt(name) or (statement is not None and statement.is_execute):
                self.asides.use(full)
                return renamed(message, 6, self.asides.describe(name))
        return self._renamed(message, 6, asks=True)[0]

    def execute(self, message: bytes) -> None:
        """An Execute goes out; it may run a command."""
        if self._commands.portals:
            self._commands.executed(message[5 : end_of(message, 5)])

    def close(self, message: bytes) -> bytes:
        """What to send for a Close: the shared statement stays, the client gets its CloseComplete in its place."""
        if message[5:6] != b"S":
            return message
        registry = self.registry
        name = cut(message[6 : end_of(message, 6)])
        self._told.pop(name, None)
        if not name:
            registry.made_unnamed(None)
            self._unnamed_is_fresh = False
            return message
        if name in registry or registry.is_in_doubt(name):
            registry.gone(name)
        return renamed(message, 6, _hidden(name) if name in registry.too_long else MISSING)

    # --- names ---

    def _renamed(self, message: bytes, start: int, *, asks: bool) -> tuple[bytes, Sequence[Run]]:
        """The message under the name that it goes by; and what runs if the statement is executed.

        asks: it wants to be told the description, whatever it has been told before.
        """
        registry = self.registry
        name = cut(message[start : end_of(message, start)])
        if not name and self._unnamed_is_fresh:
            return self._of_script(message, start, b"", self._fresh_script)
        statement = registry.present(name)
        if registry.is_in_doubt(name):
            self.asides.use(message[start : end_of(message, start)])
            return renamed(message, start, token_of(self.asides.choose(name))), self._commands.of(name)
        if statement is None or statement.is_too_long:
            return renamed(message, start, self._missing(name, message[start : end_of(message, start)])), ()
        if statement.is_sql:
            return renamed(message, start, token_of(self.asides.choose(name))), ()
        self.asides.use(message[start : end_of(message, start)])
        self.asides.need(statement)
        digest = None if asks else self._told.get(name)
        shared = statement.name if digest is None else qualified(statement.name, digest)
        return self._of_script(message, start, shared, statement.script)

    def _missing(self, name: bytes, full: bytes) -> bytes:
        """By which name a statement goes that we do not have. PostgreSQL's error shows the full one.

        A function may have made it, so the name stays what it is, unless it looks like ours.
        """
        if not name.startswith(PREFIX) or name in self.registry.too_long:
            return _hidden(full) if name else MISSING
        self.asides.use(full)
        return GONE

    def _of_script(
        self, message: bytes, start: int, use: bytes, script: Script | None, parsed: Statement | None = None
    ) -> tuple[bytes, Sequence[Run]]:
        """A message about a statement that may be a command; what that names must be there under the client's name."""
        runs = () if script is None else ((CERTAIN, script),)
        if script is None or script[0].kind is Kind.FORGET_ALL:
            return (renamed(message, start, use) if use else message), runs
        return renamed(message, start, self.asides.told_of(script, use, parsed)), runs


def _hidden(name: bytes) -> bytes:
    """The client's own name, but one that begins like ours changed so that it cannot hit ours."""
    return b"?" + name[1:] if name.startswith(PREFIX) else name
