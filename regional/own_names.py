"""Clients' own names of statements that may be on one origin connection (`plain`), and those that are on their way.

A name that a PREPARE gives is ours if that goes well; if it fails, what has the name is none of ours (a function's,
say). A name that is taken away stays in doubt if the Close of it is skipped. Both are noted by the number of sync
points before them, and a PREPARE has happened when its CommandComplete comes.
"""

from collections import deque
from typing import Final

from protos.pg.messages import close_statement, command_complete
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend

_PREPARED: Final = command_complete("PREPARE")


class OwnNames:
    """Of one connection."""

    __slots__ = ("_freeing", "_giving", "by_name")

    def __init__(self) -> None:
        self.by_name: dict[bytes, bool] = {}
        """Those that may be here; true for one that the next message means."""
        # With the sync points before them; an empty name is one that is here in any case.
        self._giving: deque[tuple[bytes, int]] = deque()
        self._freeing: deque[tuple[bytes, int]] = deque()

    def may_be_here(self, name: bytes, pipeline: Pipeline) -> bool:
        """Whether what has this name may be one of these: a Close of it in an earlier group may be skipped."""
        group = pipeline.settled + pipeline.owed
        return name in self.by_name or any(one == name and before < group for one, before in self._freeing)

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

    def clear(self) -> None:
        """The connection has none."""
        self.by_name.clear()
        self._giving.clear()
        self._freeing.clear()
