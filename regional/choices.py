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
from protos.link.link_pb2 import Choice, Failed, Frame, Option, Outcome, Worded
from protos.pg.framer import Piece
from protos.pg.names import GONE, MISSING, TOKEN, USED
from protos.pg.progress import Progress
from protos.pg.sql_statements import command_of
from protos.pg.tags import Frontend
from regional.plain import plain_piece, prepare_piece
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
            is_held = origin.is_verifying  # what it hangs on may not have gone out yet, nor the Sync that ends a skip
            takes_none = not is_held and (pipeline.in_copy_in or pipeline.is_skipping or not pipeline.owed)
            ready, pieces = self.resolve(pieces, requests.texts, takes_none=takes_none)
            if pieces and not ready:
                requests.put_back(pieces)
                yield []
                if not is_held or origin.is_verifying:
                    return
                pieces = requests.take()
                continue
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
            if any(self._waits(one.options) for one in chain) and (ready or not takes_none):
                return ready, pieces[index:]
            self._count -= len(chain)
            *others, choice = chain
            made = [(one, self._outcome(one.options, one.name)) for one in others]
            tag = piece.tag
            ready += [_made(one.name, it, texts, made_for=tag) for one, it in made if not (one.behind or it.stays)]
            message = self._chosen(choice, piece, texts)
            behind = [_made(one.name, it, texts) for one, it in made if one.behind]
            ready += _described(message, behind, texts) if tag == Frontend.DESCRIBE else [*message, *behind]
        return ready, []

    def _waits(self, options: Sequence[Option]) -> bool:
        """Whether it is not known yet which of them counts."""
        return any(outcome.sync_point >= self.settled for option in options for outcome in option.outcomes)

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
            return [_made(choice.name, option, texts, made_for=piece.tag), piece]
        del self._by_id[choice.id]
        if choice.plain:
            return [_made(choice.name, option, texts, made_for=piece.tag), renamed_statement(piece, choice.use)]
        if piece.tag == Frontend.PARSE:
            return [renamed_statement(piece, USED if option.statement else choice.use)]
        if not option.statement:
            return [renamed_statement(piece, GONE if choice.name else MISSING)]
        if option.sql:
            return [_made(choice.name, option, texts, is_bound=True), renamed_statement(piece, choice.name)]
        return [renamed_statement(piece, option.statement)]

    def _outcome(self, options: Sequence[Option], name: bytes) -> Option:
        """The first option that counts."""
        *possible, last = options
        for option in possible:
            if all(self._has_come(outcome) for outcome in option.outcomes):
                return option
            if not name and any(self._has_failed_itself(outcome) for outcome in option.outcomes):
                return Option()  # a Parse of the unnamed statement that fails has dropped the one before
        return last

    def _has_come(self, outcome: Outcome) -> bool:
        """Whether a message whose outcome is known has come out so."""
        return any(_is_of(failed, outcome) for failed in self._failed) is outcome.failed

    def _has_failed_itself(self, outcome: Outcome) -> bool:
        here = (outcome.sync_point, outcome.place)
        return any(_is_of(failed, outcome) and (failed.sync_point, failed.place) == here for failed in self._failed)


def _is_of(failed: Failed, outcome: Outcome) -> bool:
    """Whether a message is among those that have failed."""
    return failed.sync_point <= outcome.sync_point < failed.end and (
        outcome.sync_point > failed.sync_point or outcome.place >= failed.place
    )


def _described(message: list[Piece], behind: list[Piece], texts: Mapping[bytes, bytes]) -> list[Piece]:
    """A Describe: it is the Parse that goes by what was found; what PostgreSQL looks up now must be there, too."""
    if not behind:
        return message
    name = statement_named_in(message[-1])
    text = texts.get(name)
    return [*message[:-1], *((prepare_piece(name, text),) if text else ()), *behind, message[-1]]


def _made(
    name: bytes, option: Option, texts: Mapping[bytes, bytes], *, made_for: int = 0, is_bound: bool = False
) -> Piece:
    """The piece that has a statement made under the client's name."""
    text = texts.get(option.statement) if option.statement else None
    return plain_piece(name, text, is_sql=option.sql, made_for=made_for, is_bound=is_bound)
