"""Statements under the client's own names, for one lease: where SQL names them, or a Bind names one that SQL has made.

A shared connection has no such names between leases. What a command is about to name is made right before it, by
messages of ours: a Close of the name, which PostgreSQL does not mind if nothing has it, then the Parse of a statement
of the protocol, or the PREPARE itself, run by the extended protocol because a Query would end the transaction that
messages of a pipeline share. So the origin holds the same under that name as the session does, and says what it would
say. They are taken away when the lease has ended (`settling`).

What is made may fail, for search_path may lead elsewhere by now: then PostgreSQL says of the command that there is no
such statement, and its client is told what has failed instead (`OwnNames.explained`).
"""

from typing import Final

from protos.pg.framer import Piece
from protos.pg.messages import bind, close_portal, close_statement, execute, sync
from protos.pg.names import PREFIX
from protos.pg.parsers import renamed
from protos.pg.pipeline import Pipeline
from protos.pg.sql_statements import Kind, command_of
from protos.pg.tags import Frontend, TransactionStatus
from regional.prepared import Prepared, name_in
from regional.residue import Residue

PLAIN: Final = -1
"""The tag of a piece of ours."""
_SHARED: Final = 4
_RUNS: Final = frozenset({Frontend.BIND, Frontend.QUERY})
# What these name may be missing: a Query runs nothing then, and the Parse of an EXECUTE does not mind.
_MADE_APART: Final = frozenset({Frontend.QUERY, Frontend.PARSE})
_PORTAL: Final = PREFIX + b"plain"


def plain_piece(name: bytes, text: bytes | None, *, is_sql: bool, made_for: int = 0, is_bound: bool = False) -> Piece:
    """A piece that has a statement made under a client's name, before the piece behind it goes out.

    text is its Parse message; None if there is no such statement. is_sql: that is a PREPARE, to be run. made_for: the
    type of the client's message for which that is done; what is made for a Query, or for what can do without it, is
    settled first. is_bound: a Bind or Describe of that name comes next.
    """
    flags = is_sql | is_bound << 1
    return Piece(PLAIN, bytes([flags, made_for]) + name + b"\0" + (text or b""), whole=made_for in _MADE_APART)


def prepare_piece(name: bytes, text: bytes) -> Piece:
    """A piece that has a shared statement parsed, if it is not here, before the pieces behind it go out."""
    return Piece(PLAIN, bytes([_SHARED, 0]) + name + b"\0" + text, whole=False)


def made_by(data: bytes) -> tuple[bytes, bytes]:
    """The name in such a piece, and the Parse message that it is to stand for; empty if there is none."""
    name = name_in(data, 2)
    return name, data[len(name) + 3 :]


def make(piece: Piece, prepared: Prepared, pipeline: Pipeline, out: list[bytes], *, is_private: bool) -> None:
    """Make the statement that the piece is about; where there is none, take away one that was made here before."""
    data = piece.data
    name, text = made_by(data)
    if pipeline.in_copy_in:
        return
    if piece.whole and pipeline.status == TransactionStatus.INERROR and not pipeline.owed:
        return  # what comes fails, and what fails in front of it in its group would have it skipped
    if data[0] == _SHARED:
        prepared.need(name, text, pipeline, out, is_private=is_private)
        return
    ends = piece.whole and not pipeline.may_skip  # a Sync of ours would end the client's group
    if not text and not prepared.plain.may_be_here(name, pipeline):
        return  # what a function has made stays
    _say(close_statement(name), pipeline, out)
    prepared.plain.by_name[name] = bool(data[0] & 2)
    command = None
    if not text:
        pass
    elif data[0] & 1:
        shared = name_in(text, 5)
        prepared.need(shared, text, pipeline, out, is_private=is_private)
        prepared.plain.gives(name, pipeline)
        for message in (bind(_PORTAL, shared), execute(_PORTAL), close_portal(_PORTAL)):
            _say(message, pipeline, out)
    else:
        prepared.expect(pipeline)
        _say(renamed(text, name), pipeline, out)
        start = text.index(0, 5) + 1
        command = command_of(text[start : text.index(0, start)])
        if command is not None and command.kind is Kind.FORGET_ALL:
            prepared.doubt()
    prepared.plain.stands_for(name, command)
    if ends:
        prepared.plain.makes(pipeline, is_needed=data[1] == Frontend.QUERY)
        _say(sync(), pipeline, out)


def use(name: bytes, prepared: Prepared, pipeline: Pipeline, out: list[bytes]) -> None:
    """A Bind or Describe of a client's own name goes out: what was made before, for something else, is not meant."""
    names = prepared.plain.by_name
    if names.get(name):
        names[name] = False
    elif name in names:
        prepared.plain.frees(name, pipeline, out)


def names_kept(residue: Residue, sql: bytes, prepared: Prepared, pipeline: Pipeline, piece: Piece) -> Residue:
    """What a text about statements leaves, without the names that the session keeps: those that SQL says plainly.

    piece: the message that runs it, or is about it.
    """
    own = prepared.plain
    if not (residue.statements_lost or own.has_commands):
        return residue
    command = command_of(sql)
    if residue.statements_lost and (command is None or command.kind is Kind.FORGET_ALL):
        prepared.doubt()
    runs = None if command is None or not _may_run(piece) else own.run_by(command)
    if runs is None:
        pass
    elif runs.kind is Kind.PREPARE:
        own.gives(runs.name, pipeline)
    else:
        for name in [runs.name] if runs.name else list(own.by_name):
            own.loses(name, pipeline)
    return residue if command is None else residue & ~Residue.PREPARES


def _may_run(piece: Piece) -> bool:
    """Whether what this message is about may run without another message that is looked at."""
    return piece.tag in _RUNS or (piece.tag == Frontend.PARSE and not name_in(piece.data, 5))


def _say(message: bytes, pipeline: Pipeline, out: list[bytes]) -> None:
    pipeline.inject(message[0])
    out.append(message)
