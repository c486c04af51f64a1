"""Clients' own names of statements that may be on one origin connection (`plain`), and those that are on their way.

A name that a PREPARE gives is ours if that goes well; if it fails, what has the name is none of ours (a function's,
say). A name that is taken away stays in doubt if the Close of it is skipped. Both are noted by the number of sync
points before them, and a PREPARE has happened when its CommandComplete comes.

A command of the client's may be refused because the statement that it names could not be made in front of it.
"""

from collections import deque
from typing import Final

from protos.pg.framer import Piece
from protos.pg.messages import close_statement, command_complete, error_fields
from protos.pg.pipeline import Pipeline
from protos.pg.sql_statements import Command, Kind
from protos.pg.tags import Frontend

_PREPARED: Final = command_complete("PREPARE")
#: PostgreSQL gives up on an EXECUTE of an EXECUTE that goes deeper, or earlier.
_MAX_NESTED: Final = 100
_MISSING: Final = "26000"
_IN_FAILED_TRANSACTION: Final = "25P02"


class OwnNames:
    """Of one connection."""

    __slots__ = ("_commands", "_freeing", "_giving", "_making", "_why", "by_name")

    def __init__(self) -> None:
        self.by_name: dict[bytes, bool] = {}
        """Those that may be here; true for one that the next message means."""
        self._commands: dict[bytes, Command] = {}  # what an EXECUTE of a name runs, where that is a command
        # With the sync points before them; an empty name is one that is here in any case.
        self._giving: deque[tuple[bytes, int]] = deque()
        self._freeing: deque[tuple[bytes, int]] = deque()
        # Sync points of the client's before which something is made, and how what it is for fails without it.
        self._making: dict[int, frozenset[str]] = {}
        self._why: tuple[int, Piece] | None = None  # what has failed before one of these

    def may_be_here(self, name: bytes, pipeline: Pipeline) -> bool:
        """Whether what has this name may be one of these: a Close of it in an earlier group may be skipped."""
        group = pipeline.settled + pipeline.owed
        return name in self.by_name or any(one == name and before < group for one, before in self._freeing)

    def stands_for(self, name: bytes, command: Command | None) -> None:
        """A statement is made under this name; command: what it does to others, if anything."""
        if command is None:
            self._commands.pop(name, None)
        else:
            self._commands[name] = command

    @property
    def has_commands(self) -> bool:
        """Whether an EXECUTE may do something to the session's statements."""
        return bool(self._commands)

    def run_by(self, command: Command) -> Command | None:
        """What a command comes to: what an EXECUTE runs, if that is one."""
        for _ in range(_MAX_NESTED):
            if command.kind is not Kind.EXECUTE:
                return command
            inner = self._commands.get(command.name)
            if inner is None:
                return None
            command = inner
        return None

    def gives(self, name: bytes, pipeline: Pipeline) -> None:
        """A PREPARE of this name goes out."""
        pipeline.watch()
        self._giving.append((b"" if name in self.by_name else name, pipeline.settled + pipeline.owed))
        self.by_name.setdefault(name, False)

    def frees(self, name: bytes, pipeline: Pipeline, out: list[bytes]) -> None:
        """Take away what has this name, if it may be one of these."""
        if self.loses(name, pipeline):
            pipeline.inject(Frontend.CLOSE)
            out.append(close_statement(name))

    def loses(self, name: bytes, pipeline: Pipeline) -> bool:
        """What goes out takes away what has this name; whether that may be one of these.

        Whatever has the name after that is none of them.
        """
        if name not in self.by_name or pipeline.is_skipping or pipeline.in_copy_in:
            return False
        del self.by_name[name]
        self._freeing.append((name, pipeline.settled + pipeline.owed))
        return True

    def makes(self, pipeline: Pipeline, *, is_needed: bool) -> None:
        """A statement is made in front of the client's next message, in a group of its own.

        is_needed: that is a Query, which fails if the statement is not there.
        """
        failing = {_IN_FAILED_TRANSACTION, _MISSING} if is_needed else {_IN_FAILED_TRANSACTION}
        self._making[pipeline.settled + pipeline.owed] = frozenset(failing)

    def explained(self, error: Piece, settled: int, *, is_ours: bool) -> Piece:
        """What the client gets for an error behind so many sync points.

        is_ours: nothing, for it answers what was made there; the first says why the client's message fails.
        """
        failing = self._making.get(settled)
        if failing is None or not error.whole:
            return error
        if is_ours:
            self._why = self._why or (settled, error)
            return error
        why, self._why = self._why, None
        is_in_vain = why is not None and why[0] == settled and error_fields(error.data).get("C") in failing
        return why[1] if why is not None and is_in_vain else error

    def done(self, reply: bytes) -> None:
        """A CommandComplete came."""
        if self._giving and reply == _PREPARED:
            self._giving.popleft()

    def failed(self, settled: int) -> None:
        """An error came; settled sync points lie before the end of what it undoes."""
        while self._giving and self._giving[0][1] <= settled:
            self.by_name.pop(self._giving.popleft()[0], None)
        while self._freeing and self._freeing[0][1] <= settled:
            self.by_name.setdefault(self._freeing.popleft()[0], False)

    def settled(self, settled: int) -> None:
        """A ReadyForQuery came; what was sent before it is decided."""
        for names in (self._giving, self._freeing):
            while names and names[0][1] < settled:
                names.popleft()
        if self._making:
            while self._making and (first := next(iter(self._making))) < settled:
                del self._making[first]
            self._why = None if self._why is None or self._why[0] < settled else self._why

    def clear(self) -> None:
        """The connection has none."""
        self.by_name.clear()
        self._commands.clear()
        self._giving.clear()
        self._freeing.clear()
        self._making.clear()
        self._why = None
