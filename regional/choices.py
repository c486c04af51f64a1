"""What the names of one session's statements stand for where that hangs on what is still running.

Theory of operation: an edge takes a Parse for done when it sends it. What uses the name in a later group, sent before
the outcome is known there, comes under a token with its alternatives (`Choice`). Here, beside the database, the outcome
is known a local round trip after the group was sent: the message waits for it, and then goes out under the name that
its statement has indeed; where there is none, under one that nothing has, so that PostgreSQL says 26000. A Parse whose
name turns out to be in use goes out as `USED`, and PostgreSQL says 42P05.

A command (PREPARE, EXECUTE, DEALLOCATE) comes as it is, with a Choice for the name in it. Before it goes a piece of our
own (`plain`) that has the statement made under the client's name.

Messages are known by their place: the sync points that were sent before them on this channel, and the messages since.
What has not happened is remembered until the edge has confirmed that it knows.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from protos.errors import RemoteProtocolError
from protos.link.link_pb2 import Choice, Failed, Frame, Option, Worded
from protos.pg.framer import Piece
from protos.pg.names import GONE, MISSING, TOKEN, USED
from protos.pg.progress import Progress
from protos.pg.sql_statements import command_of
from protos.pg.tags import Frontend
from regional.plain import plain_piece
from regional.prepared import renamed_statement, statement_named_in
from regional.requests import Requests

if TYPE_CHECKING:
    from regional.origin import Origin

Chain = tuple[Choice, ...]
"""What a message needs: statements under the client's own names, and at last what its own name stands for."""

MAX_CHOICES: Final = 100_000
_NAMING: Final = frozenset({Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE})


class Choices:
    """Of one channel; true while messages are to come that need one."""

    __slots__ = ("_ahead", "_by_id", "_commands", "_count", "_failed", "has_commands", "settled")

    def __init__(self) -> None:
        self._by_id: dict[int, Chain] = {}
        self._commands: deque[Chain] = deque()
        self._ahead: list[Choice] = []  # of the one that comes next
        self._count = 0
        self._failed: deque[Failed] = deque()
        self.settled = 0
        """Sync points of the channel that are settled."""
        self.has_commands = False
        """Whether a Query of this channel has been a command."""

    def __bool__(self) -> bool:
        return bool(self._by_id or self._commands)

    def take(self, choice: Choice) -> None:
        """A message to come needs this."""
        if self._count >= MAX_CHOICES or not choice.options:
            message = "the edge has too many choices open, or one without options"
            public = f"more than {MAX_CHOICES} uses of prepared statements wait at once"
            raise RemoteProtocolError(message, public=public)
        self._count += 1
        if choice.plain and not choice.id:
            self._ahead.append(choice)
            return
        chain = (*self._ahead, choice)
        self._ahead = []
        if choice.id:
            self._by_id[choice.id] = chain
        else:
            self._commands.append(chain)

    def tell(self, sync_point: int, end: int, progress: Progress, say: Callable[[Frame], None]) -> None:
        """If an error ended what lies between these sync points, the edge hears what of it has not happened."""
        if progress.failed_at >= 0 and (progress.ended_group or self.has_commands):
            failed = Failed(sync_point=sync_point, end=end, place=progress.failed_at)
            self._failed.append(failed)
            say(Frame(failed=failed))

    def word(self, error: bytes, progress: Progress, say: Callable[[Frame], None]) -> None:
        """An error names a statement: the edge gets it apart, for it knows the client's name in the failed message."""
        say(Frame(worded=Worded(error=error, sync_point=self.settled, place=max(0, progress.failed_now))))

    def confirmed(self) -> None:
        """The edge knows the first of what it was told."""
        if self._failed:
            self._failed.popleft()

    # --- messages ---

    def batches(self, pieces: list[Piece], requests: Requests, origin: "Origin") -> Iterator[list[Piece]]:
        """What may go out, one after the other; what hangs on an outcome that is not known yet waits behind it."""
        while self:
            pipeline = origin.pipeline
            goes_on = bool(pipeline.owed) or origin.is_verifying
            takes_none = pipeline.in_copy_in or pipeline.is_skipping or not goes_on
            ready, pieces = self.resolve(pieces, requests.texts, takes_none=takes_none)
            if pieces and not ready:
                requests.put_back(pieces)
                pieces = []
            yield ready
            if not pieces:
                return
        yield pieces

    def resolve(
        self, pieces: list[Piece], texts: Mapping[bytes, bytes], *, takes_none: bool
    ) -> tuple[list[Piece], list[Piece]]:
        """What may go out now, and what has to wait for an outcome.

        takes_none: the origin takes no statement now (it skips up to a Sync, or is in a COPY), or nothing is owed that
        could bring an outcome. So nothing is to wait for.
        """
        ready: list[Piece] = []
        for index, piece in enumerate(pieces):
            chain = self._about(piece)
            if chain is None:
                ready.append(piece)
                continue
            waits = any(self._waits(one.options) or self._waits(one.found) for one in chain)
            if waits and (ready or not takes_none):
                return ready, pieces[index:]
            self._count -= len(chain)
            *ahead, choice = chain
            for one in ahead:
                option = self._outcome(one.options, one.name)
                ready += [_made(one.name, option, texts, ends=not choice.id)]
            ready += self._chosen(choice, piece, texts)
        return ready, []

    def _waits(self, options: Sequence[Option]) -> bool:
        """Whether it is not known yet which of them counts."""
        return len(options) > 1 and options[0].sync_point >= self.settled

    def _about(self, piece: Piece) -> Chain | None:
        if piece.tag in _NAMING:
            if piece.tag == Frontend.DESCRIBE and piece.data[5:6] != b"S":
                return None
            name = statement_named_in(piece)
            return self._by_id.get(int(name[len(TOKEN) :])) if name.startswith(TOKEN) else None
        if piece.tag == Frontend.QUERY and self._commands and piece.whole:
            command = command_of(piece.data[5:-1])
            if command is not None:
                return self._commands[0]
        return None

    def _chosen(self, choice: Choice, piece: Piece, texts: Mapping[bytes, bytes]) -> list[Piece]:
        option = self._outcome(choice.options, choice.name)
        if not choice.id:
            self._commands.popleft()
            self.has_commands = True
            return [_made(choice.name, option, texts, ends=True), piece]
        del self._by_id[choice.id]
        if choice.plain:
            return self._beside(choice, option, texts, renamed_statement(piece, choice.use))
        if piece.tag == Frontend.PARSE:
            return [renamed_statement(piece, USED if option.statement else choice.use)]
        if not option.statement:
            return [renamed_statement(piece, GONE if choice.name else MISSING)]
        if option.sql:
            return [_made(choice.name, option, texts, is_bound=True), renamed_statement(piece, choice.name)]
        return [renamed_statement(piece, option.statement)]

    def _beside(self, choice: Choice, now: Option, texts: Mapping[bytes, bytes], message: Piece) -> list[Piece]:
        """A message, with what the name stands for; where another was found, with that, and then what it stands for."""
        made = _made(choice.name, now, texts)
        found = self._outcome(choice.found, choice.name) if choice.found else now
        if (found.statement, found.sql) == (now.statement, now.sql):
            return [made, message]
        return [_made(choice.name, found, texts), message, made]

    def _outcome(self, options: Sequence[Option], name: bytes) -> Option:
        """The first option whose message has happened."""
        *possible, certain = options
        for option in possible:
            failed = self._failure_of(option)
            if failed is None:
                return option
            if not name and (failed.sync_point, failed.place) == (option.sync_point, option.place):
                return Option()  # a Parse of the unnamed statement that fails has dropped the one before
        return certain

    def _failure_of(self, option: Option) -> Failed | None:
        for failed in self._failed:
            if failed.sync_point <= option.sync_point < failed.end and (
                option.sync_point > failed.sync_point or option.place >= failed.place
            ):
                return failed
        return None


def _made(
    name: bytes, option: Option, texts: Mapping[bytes, bytes], *, ends: bool = False, is_bound: bool = False
) -> Piece:
    """The piece that has a statement made under the client's name."""
    text = texts.get(option.statement) if option.statement else None
    return plain_piece(name, text, is_sql=option.sql, ends=ends, is_bound=is_bound)
