"""What may differ between Onetrip and PostgreSQL: the closed table, and what is made equal before comparing.

Normalised are object ids, process ids, transaction ids, timestamps, and the place in the source code (F, L, R) of
errors. Everything else must be equal message by message, but for what a row of `ROWS` excuses. A row looks at both
answers from the first difference on and says how many messages of each side it explains; what comes after them must
be equal again. A row's name is its line in the table of differences of docs/architecture.md.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from struct import Struct
from typing import Final

import attrs

from protos.errors import RemoteProtocolError
from protos.pg.messages import command_complete, data_row, parameter_status
from protos.pg.parsers import error_fields
from tests.differential.player import END_OF_FILE, Answer, Played
from tests.differential.script import Chunk

# Of each answer in a complaint.
MAX_SHOWN: Final = 40
MAX_SHOWN_BYTES: Final = 200

FIRST_USER_OID: Final = 16384
_column = Struct(">IhIhih")
_OUR_PLACE: Final = frozenset("FLR")
# Of processes, transactions, and rows by their place on disk.
_IDS: Final = re.compile(r"\b(process|transaction|pivot|tuple) (?:\d+|\(\d+,\d+\))")


# --- what is made equal ---


def normalised(message: bytes) -> bytes:
    """The same message without what differs from one connection to another."""
    kind = message[:1]
    if kind in {b"E", b"N"}:
        return _error(message)
    if kind == b"T":
        return _row_description(message)
    if kind == b"t":
        return message[:7] + b"".join(_oid(message[at : at + 4]) for at in range(7, len(message), 4))
    if kind == b"A":
        return message[:5] + b"\0\0\0\0" + message[9:]
    return message


def _error(message: bytes) -> bytes:
    try:
        fields = error_fields(message)
    except RemoteProtocolError:
        return message
    kept = {code: _IDS.sub(r"\1 N", text) for code, text in fields.items() if code not in _OUR_PLACE}
    return message[:1] + repr(sorted(kept.items())).encode()


def _row_description(message: bytes) -> bytes:
    out, at = [message[5:7]], 7
    while at < len(message):
        end = message.index(0, at) + 1
        table, number, kind, *rest = _column.unpack_from(message, end)
        out += [message[at:end], _column.pack(min(table, FIRST_USER_OID), number, min(kind, FIRST_USER_OID), *rest)]
        at = end + _column.size
    return b"T" + b"".join(out)


def _oid(raw: bytes) -> bytes:
    return min(int.from_bytes(raw, "big"), FIRST_USER_OID).to_bytes(4, "big")


# --- the table ---


@attrs.frozen
class Point:
    """Where two answers to one chunk differ first; messages are normalised."""

    chunk: Chunk
    here: Sequence[bytes]
    """Onetrip's messages from there on."""
    there: Sequence[bytes]
    """PostgreSQL's."""
    greeting: Mapping[str, str] = attrs.field(factory=dict)
    """What was reported at login, once some of it has been reset."""
    before: Sequence[Chunk] = ()
    """The chunks before this one."""


Explained = tuple[int, int]
"""How many messages of each side a row explains."""


@attrs.frozen
class Row:
    """One line of the table."""

    name: str
    explains: Callable[[Point], Explained | None]
    parts: bool = False
    """Whether the transaction goes on for Onetrip alone, so that nothing behind it can be compared."""


def _code(messages: Sequence[bytes]) -> str:
    """The SQLSTATE of an error at the front."""
    if not messages or messages[0][:1] != b"E":
        return ""
    found = re.search(rb"\('C', '(\w+)'\)", messages[0])
    return found[1].decode() if found else ""


def _up_to_ready(messages: Sequence[bytes], skipped: int = 0) -> int:
    """How many messages come before ReadyForQuery; skipped: before the one behind so many more."""
    found = (index for index, message in enumerate(messages) if message[:1] == b"Z")
    return next(islice(found, skipped, None), len(messages))


def _of_topic(topic: str, *codes: str) -> Callable[[Point], Explained | None]:
    """Onetrip answers a chunk that was made to show this row with one of these errors; with ReadyForQuery's status."""

    def explains(point: Point) -> Explained | None:
        if point.chunk.topic != topic:
            return None
        if {point.here[0][:1], point.there[0][:1]} == {b"Z"}:
            return 1, 1  # the transaction failed for Onetrip alone
        if _code(point.here) in codes:
            return _up_to_ready(point.here), _up_to_ready(point.there)
        return None

    return explains


def _lost_with_lease(topic: str, notice: bytes, *codes: str) -> Callable[[Point], Explained | None]:
    """Onetrip says once, in a notice, that something ends with the transaction; then it is not there."""
    of_topic = _of_topic(topic, *codes)

    def explains(point: Point) -> Explained | None:
        return (1, 0) if point.here[0][:1] == b"N" and notice in point.here[0] else of_topic(point)

    return explains


def _reset(point: Point) -> Explained | None:
    """What was given at startup and is reset in a longer text has the server's default up to its transaction's end.

    Then it is as at startup, and the client is told, perhaps in the next answer only. A custom one is empty. A list
    that is reset in a transaction is shown with a space behind each comma.
    """
    if point.here[0][:1] == b"S":
        name, value, _ = point.here[0][5:].decode().split("\0")
        if point.greeting.get(name) == value:
            return 1, 0
    if point.chunk.topic == RESET_STARTUP and point.here[0][:1] in {b"S", b"D"}:
        return _up_to_ready(point.here), _up_to_ready(point.there)
    if point.greeting and (point.here[0], point.there[0]) == (data_row([b""]), data_row([BEGUN])):
        return 1, 1
    is_list = any("search_path" in say.sql for say in point.chunk.says) and point.there[0][:1] == b"D"
    return (1, 1) if is_list and point.here[0] == data_row([point.there[0][11:].replace(b",", b", ")]) else None


def _in_failed_transaction(point: Point) -> Explained | None:
    """A named statement that this connection has to parse first, which a failed transaction does not allow."""
    ends = [message[5:6] for message in (*point.here, *point.there) if message[:1] == b"Z"]
    is_named = any(
        say.name.startswith(("bind", "describe_statement")) or (say.name == "raw" and say.tag in "BD")
        for say in point.chunk.says
    )
    if _code(point.here) != "25P02" or not is_named or b"E" not in ends or point.there[0][:1] not in {b"E", b"t"}:
        return None
    here = _up_to_ready(point.here)
    return here, _up_to_ready(point.there, skipped=_skipped_queries(point) if point.there[0][:1] == b"t" else 0)


def _never_bound(point: Point) -> Explained | None:
    """A portal whose Bind failed, in the transaction that failed with it: PostgreSQL takes it for an empty query."""
    executed = [say.arguments[0] for say in point.chunk.says if say.name == "execute"]
    if _code(point.here) != "25P02" or point.there[0][:1] != b"I" or len(executed) == len(set(executed)):
        return None
    return _up_to_ready(point.here), _up_to_ready(point.there)


def _skipped_queries(point: Point) -> int:
    """How many Queries an error of ours alone has skipped: they lie between a named statement's use and its Sync."""
    missing = sum(one[:1] == b"Z" for one in point.there) - sum(one[:1] == b"Z" for one in point.here)
    behind, found = 0, [0]
    for say in reversed(point.chunk.says):
        if say.tag == "S":
            behind = 0
        elif say.tag in "QF":
            behind += 1
        elif say.name == "describe_statement":
            found.append(behind)
    return max(number for number in found if number <= max(0, missing))


def _forgotten_parameter(point: Point) -> Explained | None:
    """current_setting() of a custom parameter that is not set: PostgreSQL itself says "" once it has been set.

    In the chunk itself, or in a statement that was prepared before it.
    """
    if not any("current_setting('onetrip.word', true)" in say.sql or say.name == "bind" for say in point.chunk.says):
        return None
    empty, null = data_row([b""]), data_row([None])
    return (1, 1) if (point.here[0], point.there[0]) == (empty, null) else None


def _parsed_anew(point: Point) -> Explained | None:
    """Another error than PostgreSQL's, for a statement that its connection has to parse before it runs.

    It cannot be parsed any more since the session changed search_path, or its table is locked, and we say so before
    PostgreSQL finds anything else wrong; or the type of a parameter is shown that was known before. Likewise at the
    Parse of an EXECUTE of it, where PostgreSQL says so when that runs; and if that was the unnamed statement, there is
    none for a Bind behind it, whose Execute fails in PostgreSQL.
    """
    if _is_bound_in_vain(point):
        return _up_to_ready(point.here), _up_to_ready(point.there)
    if _code(point.here) not in {"42883", "42P01", "55P03"}:
        return None
    is_named = any(
        say.name.startswith(("bind", "describe_statement")) or "execute s" in say.sql.lower()
        for say in point.chunk.says
    )
    end = _up_to_ready(point.there)
    is_prepared = point.there[0][:1] == b"1" and any(
        say.sql.lower().startswith("execute s") for say in point.chunk.says
    )
    if is_named and (is_prepared or any(message[:1] == b"E" for message in point.there[:end])):
        return _up_to_ready(point.here), end
    return None


def _has_snapshot(point: Point) -> Explained | None:
    """What was parsed for an EXECUTE has taken the transaction's snapshot, so its isolation level stays as it is."""
    is_set = b"SET TRANSACTION ISOLATION LEVEL must be called before any query" in point.here[0]
    if not is_set or point.there[0][:1] != b"C" or not any("isolation level" in say.sql for say in point.chunk.says):
        return None
    says = [say for one in (*point.before, point.chunk) for say in one.says]
    return (1, 1) if any(say.name == "parse" and say.sql.startswith("execute s") for say in says) else None


def _is_bound_in_vain(point: Point) -> bool:
    """Whether the unnamed statement is not here, and what it is in PostgreSQL fails when it runs."""
    bound, *rest = point.there[: _up_to_ready(point.there)] or [b""]
    is_unnamed = any(say.name.startswith("bind") and say.arguments[1] == "" for say in point.chunk.says)
    fails = bound[:1] == b"2" and any(message[:1] == b"E" for message in rest)
    return is_unnamed and fails and b"unnamed prepared statement" in point.here[0] and _code(point.here) == "26000"


def _prepared_here(point: Point) -> Explained | None:
    """A Parse that the edge has answered does not wait for a lock of its tables; what runs later does."""
    if _code(point.there) != "55P03" or point.here[0][:1] not in {b"1", b"t"}:
        return None
    return _up_to_ready(point.here), _up_to_ready(point.there)


def _portal_of_begin(point: Point) -> Explained | None:
    """Execute once more in the portal of a BEGIN: it is not there, instead of being done."""
    return (1, 1) if _code(point.here) == "34000" and _code(point.there) in {"55000", "25P02"} else None


def _begin_described(point: Point) -> Explained | None:
    """Likewise a Describe of it, and then the transaction has failed for Onetrip alone."""
    return (1, 1) if _code(point.here) == "34000" and point.there[0][:1] == b"n" else None


def _not_to_be_framed(point: Point) -> Explained | None:
    """A wrong length: PostgreSQL closes without a word, we say why. What no Sync has come for is not told before."""
    is_said = _code(point.here) == "08P01" and b"('S', 'FATAL')" in point.here[0]
    if is_said and b"'invalid message length'" in point.here[0] and point.there[0] == END_OF_FILE:
        return 1, 0
    is_later = point.here[0] in point.there or point.there[-1] == END_OF_FILE
    return (0, 1) if is_said and is_later and b"('S', 'ERROR')" in point.there[0] else None


def _named_by_us(point: Point) -> Explained | None:
    """Where application_name is shown to a client that gave none, or reported when it is set back."""
    shown = point.here[0] == data_row([b"Onetrip"]) and point.there[0] == data_row([b""])
    reported = point.here[0] == parameter_status("application_name", "Onetrip")
    if shown or (reported and point.there[0] == parameter_status("application_name", "")):
        return 1, 1
    return None


def _isolation_after_reads(point: Point) -> Explained | None:
    """A transaction that is held, with answers of the cache in it, may still be given its isolation level.

    PostgreSQL has run them as queries, and refuses: its transaction fails, and what comes of ours is another story.
    """
    if not any("isolation level" in say.sql for say in point.chunk.says) or _code(point.there) != "25001":
        return None
    done = {command_complete(word) for word in ("SET", "BEGIN", "START TRANSACTION")}
    is_refused = b"SET TRANSACTION ISOLATION LEVEL must be called before any query" in point.there[0]
    return (1, 1) if is_refused and point.here[0] in done else None


def _temporary_schema(point: Point) -> Explained | None:
    """The connection's temporary schema is there, for somebody has had a temporary table on it."""
    of_schema = b'schema "pg_temp" does not exist, skipping'
    is_notice = point.here[0][:1] == point.there[0][:1] == b"N" and b"does not exist, skipping" in point.here[0]
    return (1, 1) if is_notice and of_schema in point.there[0] else None


def _hidden_again(point: Point) -> Explained | None:
    """A function finds the temporary table, which is empty; PostgreSQL goes on with the plan for the one it hides."""
    is_tally = point.chunk.topic == HIDDEN_AGAIN and any("tally()" in say.sql for say in point.chunk.says)
    return (1, 1) if is_tally and point.here[0] == data_row([b"0"]) and point.there[0][:1] == b"D" else None


def _execute_of_execute(point: Point) -> Explained | None:
    """The portal of an EXECUTE of an EXECUTE is described by what stands now, not by what stood at the inner Parse.

    Where nothing stood there, PostgreSQL says how many rows there are and does not send them.
    """
    if not any("execute" in say.sql.lower() for say in point.chunk.says):
        return None
    is_described = any(say.name.startswith("describe_portal") for say in point.chunk.says)
    if is_described and {point.here[0][:1], point.there[0][:1]} <= {b"T", b"n"}:
        return 1, 1
    rows = next((at for at, message in enumerate(point.here) if message[:1] != b"D"), 0)
    return (rows, 0) if rows and point.there[0] == point.here[rows] else None


def _prepared_statements(point: Point) -> Explained | None:
    """What is prepared on the connection, for whatever sessions, under its shared names."""
    if not any("from pg_prepared_statements" in say.sql for say in point.chunk.says):
        return None
    if {one[:1] for one in (point.here[0], point.there[0])} <= {b"D", b"C"}:
        return _up_to_ready(point.here), _up_to_ready(point.there)
    return None


REFUSED: Final = "`LISTEN`, session advisory locks and `WITH HOLD` cursors"
TEMPORARY: Final = "temporary tables that outlive their transaction"
SQL_PREPARE: Final = "SQL `PREPARE` beside other statements in one query"
FORGOTTEN: Final = "`SET`, `RESET`, `set_config` outside a transaction"
SEQUENCES: Final = "`currval` and `lastval` after the transaction of `nextval`"
APPLICATION_NAME: Final = "`application_name` of a client that gives none"

BEGUN: Final = b"begun"
"""A custom parameter that is given at startup."""
RESET_STARTUP: Final = "`RESET` of a parameter that was given at startup"
FAILED: Final = "a statement that is first used in a failed transaction"
CUSTOM: Final = "a custom parameter that the session has not set"
PARSED_ANEW: Final = "errors of a named statement that its connection has to parse first"
PORTAL_OF_BEGIN: Final = "the portal of a `BEGIN` by the extended protocol, or of a question that the edge has answered"
WRONG_LENGTH: Final = "a message of a wrong length, or of no type that there is"
TEMPORARY_SCHEMA: Final = "`DROP … IF EXISTS pg_temp.…` in a session without temporary tables"
HIDDEN_AGAIN: Final = "a temporary table that hides another, in a session that has had temporary objects before"
PREPARED_HERE: Final = "preparing a known statement while its table is locked"
EXECUTE_OF_EXECUTE: Final = "an `EXECUTE` whose statement is an `EXECUTE` of a name that has been made anew since"
PREPARED_STATEMENTS: Final = "`pg_prepared_statements`"
CACHED_READS: Final = "reads that are answered from the cache"

ROWS: Final = (
    Row(REFUSED, _of_topic(REFUSED, "0A000", "25P02")),
    Row(TEMPORARY, _lost_with_lease(TEMPORARY, b"temporary tables last until", "42P01")),
    Row(SQL_PREPARE, _lost_with_lease(SQL_PREPARE, b"statements of SQL's PREPARE last until", "26000")),
    Row(FORGOTTEN, _of_topic(FORGOTTEN, "0A000")),
    Row(SEQUENCES, _of_topic(SEQUENCES, "55000")),
    Row(APPLICATION_NAME, _named_by_us),
    Row(RESET_STARTUP, _reset),
    Row(FAILED, _in_failed_transaction),
    Row(FAILED, _never_bound),
    Row(CUSTOM, _forgotten_parameter),
    Row(PARSED_ANEW, _parsed_anew),
    Row(PARSED_ANEW, _has_snapshot, parts=True),
    Row(PORTAL_OF_BEGIN, _portal_of_begin),
    Row(PORTAL_OF_BEGIN, _begin_described, parts=True),
    Row(WRONG_LENGTH, _not_to_be_framed),
    Row(PREPARED_HERE, _prepared_here),
    Row(TEMPORARY_SCHEMA, _temporary_schema),
    Row(HIDDEN_AGAIN, _hidden_again),
    Row(EXECUTE_OF_EXECUTE, _execute_of_execute),
    Row(PREPARED_STATEMENTS, _prepared_statements),
    Row(CACHED_READS, _isolation_after_reads, parts=True),
)
NAMES: Final = tuple(dict.fromkeys(row.name for row in ROWS))


# --- the comparison ---


@attrs.define
class Excused:
    """How often each row has explained messages: those of both sides."""

    messages: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(NAMES, 0))
    allowed: Collection[str] = frozenset(NAMES)
    """The rows that may excuse something."""
    compared: int = 0
    conversations: int = 0

    def add(self, name: str, number: int) -> None:
        self.messages[name] += number

    @property
    def lines(self) -> list[str]:
        """The table, as it is printed."""
        rows = [f"{count:8}  {name}" for name, count in self.messages.items()]
        return [f"{self.conversations} conversations, {self.compared} messages compared; excused, by row:", *rows]


class UnexcusedError(AssertionError):
    """Onetrip and PostgreSQL differ, and no row explains it."""


def compare(here: Played, there: Played, excused: Excused) -> bool:
    """Hold what Onetrip answered against what PostgreSQL answered; False if their ways part at a row that says so."""
    excused.conversations += 1
    if (here.refusal and _refusal(here)) != (there.refusal and _refusal(there)):
        raise UnexcusedError(f"login\n  Onetrip:    {here.refusal}\n  PostgreSQL: {there.refusal}")
    _greetings(here.greeting, there.greeting, excused)
    greeting: Mapping[str, str] = {}
    said: list[Chunk] = []
    for one, other in zip(here.answers, there.answers, strict=False):
        if one.chunk.topic == RESET_STARTUP:
            greeting = here.greeting
        if not _answers(one, other, excused, greeting, said):
            return False
        said.append(one.chunk)
    if len(here.answers) != len(there.answers):
        raise UnexcusedError(f"Onetrip answered {len(here.answers)} chunks, PostgreSQL {len(there.answers)}")
    return True


def _refusal(played: Played) -> dict[str, str]:
    return {code: text for code, text in played.refusal.items() if code not in _OUR_PLACE}


def _greetings(here: dict[str, str], there: dict[str, str], excused: Excused) -> None:
    if here.get("application_name") == "Onetrip" and there.get("application_name") == "":
        excused.add(APPLICATION_NAME, 2)
        here = {**here, "application_name": ""}
    if here != there:
        raise UnexcusedError(f"login\n  Onetrip:    {here}\n  PostgreSQL: {there}")


def _answers(
    here: Answer, there: Answer, excused: Excused, greeting: Mapping[str, str], before: Sequence[Chunk]
) -> bool:
    """before: the chunks before this one."""
    if here.is_said != there.is_said:
        raise UnexcusedError(f"{here.chunk}\n  was left out on one side: their transactions are not in the same state")
    ours, theirs = ([normalised(message) for message in answer.messages] for answer in (here, there))
    excused.compared += len(theirs)
    at = other = 0
    while at < len(ours) or other < len(theirs):
        if at < len(ours) and other < len(theirs) and ours[at] == theirs[other]:
            at, other = at + 1, other + 1
            continue
        point = Point(here.chunk, ours[at:] or [b"?end"], theirs[other:] or [b"?end"], greeting, before)
        for row in ROWS:
            explained = row.explains(point) if row.name in excused.allowed else None
            if explained is not None and any(explained):
                excused.add(row.name, sum(explained))
                if row.parts:
                    return False
                at, other = at + explained[0], other + explained[1]
                break
        else:
            raise UnexcusedError(_told(here, there))
    return True


def _told(here: Answer, there: Answer) -> str:
    lines = [repr(here.chunk)]
    for name, answer in (("Onetrip", here), ("PostgreSQL", there)):
        lines.append(f"  {name}:")
        lines += [f"    {normalised(message)[:MAX_SHOWN_BYTES]!r}" for message in answer.messages[:MAX_SHOWN]]
    return "\n".join(lines)
