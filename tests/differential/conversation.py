"""Random conversations, as Hypothesis strategies.

Most of a conversation is drawn freely from lists of statements, so that errors, failed transactions and names that do
not exist come about by themselves. Some shapes are made on purpose: groups of the extended protocol, pipelines of
them, COPY in its variants, and what the table of differences is about. The latter are chunks with a `topic`, which
undo within themselves what they have done, so that the two sides are equal again behind them.

A named statement has one meaning in all conversations, and its Parse is alone in its group: what a group that failed in
its middle leaves of the names in it is not the same on both sides (see docs/architecture.md).
"""

import re
from typing import Final

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.differences import (
    APPLICATION_NAME,
    CUSTOM,
    DEALLOCATED,
    NAME_IN_USE,
    PARSE_FAILED,
    REFUSED,
    RESET_STARTUP,
    SEQUENCES,
    SHARED_NAME,
    SQL_PREPARE,
    TEMPORARY,
)  # fmt: skip
from tests.differential.script import (
    Chunk,
    Conversation,
    Ending,
    Neighbour,
    Say,
    Until,
    When,
    bind,
    call,
    chunk,
    close_portal,
    close_statement,
    copy_data,
    copy_done,
    copy_fail,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)

# To be deleted together with what asks for it: SET follows the session as in PostgreSQL.
SET_ENDS_WITH_ITS_QUERY: Final = False

TRANSACTION: Final = (
    "begin", "begin", "commit", "rollback", "end", "abort", "begin isolation level serializable", "begin read only",
    "start transaction isolation level repeatable read", "commit and chain", "rollback and chain", "savepoint a",
    "savepoint b", "rollback to a", "rollback to savepoint b", "release a", "release b", "set transaction read only",
    "set constraints all immediate", "prepare transaction 'one'", "prepare transaction 'two'", "commit prepared 'one'",
    "rollback prepared 'one'", "commit prepared 'two'", "rollback prepared 'two'",
)  # fmt: skip
READING: Final = (
    "select 1", "select 1 as a, 'x' as b, null as c", "select * from items order by id", "", ";", "-- nothing",
    "select * from items where id = 1 for update", "select count(*) from parts", "values (1), (2)",
    "select generate_series(1, 40), repeat('x', 200)", "select date '2024-02-01', interval '1 day 2 hours'",
    "select timestamptz '2024-02-01 12:00+00'", "select 1.1::float8 / 3", "select current_setting('datestyle')",
    "select txid_current() is null", "select now() is null", "select 'merry'::mood", "select relname::text from "
    "pg_class where relname = 'items'", "table watched", "explain (costs off) select 1", "select current_user",
    "select * from items order by id; select 2; select 3", "select 'ä€'", "select '{1,2}'::int[]",
    "select current_role",
    "select current_setting('onetrip.word', true)", "select xmin is null from items limit 0",
)  # fmt: skip
WRITING: Final = (
    "insert into items values (4, 'four', 4)", "insert into items values (5, 'five', 5) returning id, word",
    "insert into items select i, 'many', i from generate_series(10, 14) i on conflict do nothing",
    "update items set n = n - 2 where id = 2", "update items set word = 'other' where id = 1 returning *",
    "delete from items where id = 3", "delete from items where id > 3", "select nextval('numbers') is null",
    "insert into parts values (1, 1)", "insert into parts values (2, 99)", "delete from parts",
    "insert into watched values (1)", "truncate watched", "lock table items in share mode",
    "with gone as (delete from parts returning id) select count(*) from gone", "select pg_advisory_xact_lock(7)",
    "create table made (a int, b text)", "drop table made", "create table made_too as select 1 as a",
    "select * from made", "drop table if exists made_too", "alter table made add c int default 7", "notify news, 'x'",
    "select lo_unlink(0)", "call spell()", "vacuum watched", "analyze watched",
)  # fmt: skip
SPEAKING: Final = (
    "select say('hello')", "do $$ begin raise notice 'done'; raise warning 'warned'; end $$", "select say('two');"
    "select say('three')", "select fail('now')", "do $$ begin raise exception 'no'; end $$", "select 1/0",
    "select nope",
    "selec 1", "select * from nowhere", "select 1; select 1/0; select 2", "insert into items values (1, 'again', 1)",
    "insert into items values (70, 'a', 1); select 1/0", "rollback; select 1", "select 1; begin; select 2",
    "begin; select 1; commit; select 2", "select 'unended", "drop table if exists nothing", "select 1/(3 - i) from "
    "generate_series(1, 5) i", "select '\\x'::text; select 'abc'::int", "commit; begin; insert into items "
    "values (71, 'b', 1); select 1/0", "unlisten *", "set local statement_timeout = '20ms'; select pg_sleep(2)",
    "select pg_catalog.set_config('statement_timeout', '20ms', true); select pg_sleep(2)", "discard plans",
)  # fmt: skip
CURSORS: Final = (
    "declare c cursor for select * from generate_series(1, 6)", "declare d scroll cursor for select id from items "
    "order by id", "fetch 2 from c", "fetch all from c", "fetch backward 1 from d", "fetch last from d", "move 1 in c",
    "fetch next from d", "close c", "close all", "update items set n = 9 where current of d", "close d",
    "begin; declare c cursor for select 1; fetch c",
)  # fmt: skip
LOCAL: Final = (
    "set local datestyle = 'German, DMY'", "set local timezone = 'Asia/Tokyo'", "set local timezone = 'nowhere'",
    "set local extra_float_digits = -5", "set local onetrip.word = 'local'", "set local application_name = 'local'",
    "select set_config('datestyle', 'SQL, MDY', true)", "select pick('intervalstyle', 'sql_standard', true)",
    "show datestyle", "show timezone", "show transaction_isolation", "show application_name", "set local role helper",
    "set local search_path = pg_catalog", "show search_path", "set local client_encoding = 'LATIN1'",
    "show all_nothing",
    "set local session authorization by_scram", "set local intervalstyle = 'iso_8601'; select interval '1 day'",
)  # fmt: skip
SESSION: Final = (
    "set datestyle = 'SQL, DMY'", "set timezone = 'Europe/Paris'", "reset datestyle", "reset timezone", "reset all",
    "set application_name = 'mine'", "set onetrip.word = 'kept'", "reset onetrip.word", "set search_path = pg_catalog",
    "set search_path = public, pg_catalog", "reset search_path", "set extra_float_digits = 0", "set role helper",
    "reset role", "set role none", "set session authorization default", "select set_config('timezone', 'UTC', false)",
    "select pick('datestyle', 'German', false)", "select set_config('onetrip.' || 'word', 'computed', false)",
    "set default_transaction_read_only = on", "reset default_transaction_read_only", "set intervalstyle = postgres",
    "set client_encoding = 'LATIN1'", "reset client_encoding", "set datestyle = 'nonsense'", "set nothing = 1",
    "set session characteristics as transaction isolation level serializable", "set datestyle to default",
    "set standard_conforming_strings = off", "set work_mem = '1MB'; show work_mem",
    "set bytea_output = 'escape'",
)  # fmt: skip
_SESSION_NOW: Final = () if SET_ENDS_WITH_ITS_QUERY else SESSION

# SQL with its parameters, for the extended protocol. A statement's name is its place here: one name, one meaning.
PREPARED: Final = (
    ("select id, word from items where id <= $1::int order by id", ("2",)),
    ("insert into items values ($1::int, $2::text, 0)", ("20", "twenty")),
    ("select $1::date, current_setting('datestyle')", ("2024-02-01",)),
    ("select * from generate_series(1, 7)", ()),
    ("select say($1)", ("quietly",)),
    ("update items set n = n + $1::int where id = 1 returning n", ("1",)),
    ("begin", ()),
    ("commit", ()),
    ("select $1::int / $2::int", ("1", "0")),
    ("select word from nowhere", ()),
    ("", ()),
)
NAMES: Final = tuple(f"s{number}" for number in range(len(PREPARED)))
_ODD_VALUES: Final = (None, "x", "7", "2024-13-01")


def _simple() -> SearchStrategy[str]:
    """One statement, or several in one query."""
    one = st.one_of(
        *map(st.sampled_from, (TRANSACTION, READING, READING, WRITING, WRITING, SPEAKING, CURSORS, LOCAL)),
        *([st.sampled_from(_SESSION_NOW)] * 2 if _SESSION_NOW else []),
    )
    return st.one_of(one, one, one, st.lists(one, min_size=2, max_size=4).map("; ".join))


def _values(statement: int) -> SearchStrategy[tuple[str | None, ...]]:
    """Mostly the parameters that it wants; sometimes others, or too many."""
    wanted = PREPARED[statement][1]
    odd = st.lists(st.sampled_from(_ODD_VALUES), max_size=2).map(tuple)
    return st.one_of(st.just(wanted), st.just(wanted), st.just(wanted), odd)


@st.composite
def _unnamed(draw: st.DrawFn) -> tuple[Say, ...]:
    """Parse, perhaps Describe, Bind, perhaps Describe, and Executes, all without names or with a named portal."""
    number = draw(st.integers(0, len(PREPARED) - 1))
    sql = PREPARED[number][0]
    portal = draw(st.sampled_from(("", "", "p")))
    says = [parse("", sql)]
    if draw(st.booleans()):
        says.append(describe_statement(""))
    says.append(bind(portal, "", *draw(_values(number)), binary=draw(st.integers(0, 5)) == 0))
    if draw(st.booleans()):
        says.append(describe_portal(portal))
    says += [execute(portal, rows) for rows in draw(st.lists(st.sampled_from((0, 0, 1, 2)), max_size=3))]
    if draw(st.integers(0, 5)) == 0:
        says.append(close_portal(portal))
    return tuple(says)


@st.composite
def _free_sql(draw: st.DrawFn) -> tuple[Say, ...]:
    """Any single statement by the extended protocol; several are an error there."""
    rows = draw(st.sampled_from((0, 0, 0, 1)))
    return parse("", draw(_simple())), bind("", ""), describe_portal(""), execute("", rows)


@st.composite
def _named(draw: st.DrawFn) -> tuple[Say, ...]:
    """Use of a named statement, which may be there or not."""
    number = draw(st.integers(0, len(PREPARED) - 1))
    portal = draw(st.sampled_from(("", "p", "q")))
    says = [bind(portal, NAMES[number], *draw(_values(number)))]
    if draw(st.booleans()):
        says.insert(0, describe_statement(NAMES[number]))
    return (*says, execute(portal, draw(st.sampled_from((0, 0, 2)))))


_LOOSE: Final = st.sampled_from((
    (bind("", ""), execute()), (execute("p"),), (execute("q", 1),), (describe_portal("p"),), (describe_statement(""),),
    (close_portal("p"),), (close_portal("nothing"),), (bind("p", ""), execute("p", 1)), (execute("c", 2),), (),
    (flush(),),
    (close_statement(""),), (describe_statement("unknown"),), (copy_data("stray"),), (copy_done(),),
))  # fmt: skip


def _operations() -> SearchStrategy[tuple[Say, ...]]:
    one = st.one_of(_unnamed(), _unnamed(), _unnamed(), _free_sql(), _free_sql(), _named(), _named(), _LOOSE)
    parts = st.lists(one, min_size=1, max_size=3)
    return parts.map(lambda several: tuple(say for part in several for say in part))


def _group() -> SearchStrategy[tuple[Say, ...]]:
    """What stands before a sync point, with it."""
    extended = _operations().map(lambda says: (*says, sync()))
    simple = _simple().map(lambda sql: (query(sql),))
    return st.one_of(extended, extended, simple, st.just((sync(),)), _calls())


def _calls() -> SearchStrategy[tuple[Say, ...]]:
    """The function-call message: int4pl, a text function, one that fails, and one that is not there."""
    return st.sampled_from((
        (call(177, "4", "5"),), (call(1397, "-7"),), (call(154, "1", "0"),), (call(999999, "1"),), (call(177, "x",
        "5"),),
    ))  # fmt: skip


def _single() -> SearchStrategy[tuple[Chunk, ...]]:
    return _simple().map(lambda sql: (chunk(query(sql)),))


def _one_group() -> SearchStrategy[tuple[Chunk, ...]]:
    return _group().map(lambda says: (chunk(*says),))


def _pipeline() -> SearchStrategy[tuple[Chunk, ...]]:
    groups = st.lists(_group(), min_size=2, max_size=5)
    return groups.map(lambda several: (chunk(*[say for says in several for say in says]),))


@st.composite
def _flushed(draw: st.DrawFn) -> tuple[Chunk, ...]:
    """A group whose answers are asked for before its Sync."""
    first = draw(_unnamed())
    second = draw(st.sampled_from(((), (execute("", 1),), (execute("p", 1), flush()))))
    return chunk(*first, flush(), until=Until.FLUSHED), chunk(*second, sync())


@st.composite
def _prepare(draw: st.DrawFn) -> tuple[Chunk, ...]:
    """Parse of a named statement, alone in its group, after a Close of that name."""
    number = draw(st.integers(0, len(PREPARED) - 1))
    name, sql = NAMES[number], PREPARED[number][0]
    chunks = [chunk(close_statement(name), sync()), chunk(parse(name, sql), sync())]
    if draw(st.booleans()):
        chunks = [chunk(*chunks[0].says, *chunks[1].says)]
    if draw(st.booleans()):
        chunks.append(chunk(*draw(_named()), sync()))
    return tuple(chunks)


GOOD_ROW: Final = "30\tthirty\t3\n"
BAD_ROWS: Final = ("x\ty\n", "31\n", "1\tagain\t1\n", "32\tnegative\t-1\n", "\\.\n")
COPY_IN: Final = (
    "copy items from stdin", "copy items (id, n) from stdin (format csv)", "copy nowhere from stdin",
    "copy watched from stdin", "copy items from stdin; select 1", "select 1; copy items from stdin",
)  # fmt: skip
COPY_OUT: Final = (
    "copy (select * from items order by id) to stdout",
    "copy (select 1/(3 - i) from generate_series(1, 5) i) to stdout",
    "copy (select repeat('y', 3000) from generate_series(1, 60)) to stdout", "copy nowhere to stdout",
    "copy (select say('in a copy')) to stdout; select 1", "copy (select 1 where false) to stdout (format binary)",
)  # fmt: skip


@st.composite
def _copy_rows(draw: st.DrawFn) -> tuple[Say, ...]:
    """Rows in several messages, cut anywhere, good or bad, and the end: CopyDone or CopyFail."""
    rows = "".join(draw(st.lists(st.sampled_from((GOOD_ROW, "40\tforty\t4\n", "41,5\n", *BAD_ROWS)), max_size=3)))
    cut = draw(st.integers(0, len(rows)))
    end = draw(st.sampled_from((copy_done(), copy_done(), copy_fail("the client gives up"))))
    return (*(copy_data(part) for part in (rows[:cut], rows[cut:]) if part), end)


@st.composite
def _copy_in(draw: st.DrawFn) -> tuple[Chunk, ...]:
    """COPY FROM STDIN: the data with the query or behind the answer, by both protocols."""
    sql, rows = draw(st.sampled_from(COPY_IN)), draw(_copy_rows())
    match draw(st.integers(0, 4)):
        case 0:
            return (chunk(query(sql), *rows),)
        case 1:
            return (
                chunk(query(sql), until=Until.COPY_OR_READY),
                chunk(*rows, until=Until.READY_IF_COPYING),
            )
        case 2:
            return (chunk(parse("", sql), bind("", ""), execute(), *rows, sync()),)
        case 3:
            return (
                chunk(parse("", sql), bind("", ""), execute(), sync(), until=Until.COPY_OR_READY),
                chunk(*rows, sync()),
            )
        case _:
            return (
                chunk(parse("", sql), bind("", ""), describe_portal(""), execute(), flush(), until=Until.FLUSHED),
                chunk(*rows, sync()),
            )


def _copy_out() -> SearchStrategy[tuple[Chunk, ...]]:
    sql = st.sampled_from(COPY_OUT)
    simple = sql.map(lambda text: (chunk(query(text)),))
    extended = sql.map(lambda text: (chunk(parse("", text), bind("", ""), execute(), sync()),))
    return st.one_of(simple, extended)


PARAMETERS: Final = (
    (), (("application_name", "tests"),), (("application_name", "tests"), ("DateStyle", "German, DMY")),
    (("application_name", "tests"), ("TimeZone", "Asia/Tokyo"), ("extra_float_digits", "2")),
    (("application_name", "tests"), ("options", "-c search_path=pg_catalog,public -c intervalstyle=iso_8601")),
    (("application_name", "tests"), ("client_encoding", "LATIN1")),
    (("application_name", "tests"), ("TimeZone", "nowhere")),
)  # fmt: skip


# --- what the table of differences is about ---


def _apart(topic: str, *says: tuple[Say, ...]) -> tuple[Chunk, ...]:
    """One chunk after the other, from a time on when the session is idle."""
    first, *others = says
    together = [chunk(*some, when=When.TOGETHER, topic=topic) for some in others]
    return chunk(*first, when=When.IDLE, topic=topic), *together


def _asked(topic: str, *queries: str) -> tuple[Chunk, ...]:
    return _apart(topic, *((query(sql),) for sql in queries))


def _at_once(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The same as one pipeline."""
    return (attrs.evolve(chunks[0], says=tuple(say for one in chunks for say in one.says)),)


_TOPICS: Final = (
    _asked(REFUSED, "listen news", "unlisten news"),
    _asked(REFUSED, "begin", "listen news", "rollback"),
    _asked(REFUSED, "select pg_advisory_lock(7)", "select pg_advisory_unlock_all()"),
    _asked(REFUSED, "declare held cursor with hold for select 1", "close all"),
    _asked(TEMPORARY, "create temp table fleeting (a int)", "drop table fleeting"),
    _asked(SQL_PREPARE, "prepare plan as select 1", "execute plan", "deallocate plan"),
    _asked(SEQUENCES, "select nextval('numbers')", "select currval('numbers')", "select lastval()"),
    _apart(
        DEALLOCATED, (close_statement("dealt"), parse("dealt", "select 5"), sync()), (query("deallocate dealt"),),
        (close_statement("dealt"), sync()),
    ),
    _asked(RESET_STARTUP, "reset all", "show application_name"),
    _asked(
        "", "begin", "create temp table fleeting (a int) on commit drop", "insert into fleeting values (1)",
        "select * from fleeting", "commit",
    ),
    _asked("", "begin", "create temp table fleeting (a int)", "select * from fleeting", "drop table fleeting",
    "commit"),
    _asked("", "begin", "select nextval('numbers') > 0", "select currval('numbers') = lastval()", "commit"),
    _asked("", "begin", "set datestyle = 'German'", "set timezone = 'UTC'", "select date '2024-02-01'", "rollback"),
    _asked("", "begin", "savepoint s", "set datestyle = 'German'", "rollback to s", "show datestyle", "rollback"),
    _asked("", "begin", "insert into items values (60, 'two', 2)", "prepare transaction 'two'",
    "commit prepared 'two'"),
    _asked("", "begin", "declare c cursor for select * from generate_series(1, 6)", "fetch 2 from c", "savepoint a",
           "fetch 1 from c", "rollback to a", "fetch 2 from c", "commit"),
    _asked("", "begin", "insert into parts values (3, 77)", "commit"),
)  # fmt: skip


def _bad_parse(name: str) -> tuple[Chunk, ...]:
    number = PREPARED.index(("select word from nowhere", ()))
    return chunk(parse(name, PREPARED[number][0]), sync()), chunk(bind("", name), execute(), sync())


SHOWN: Final = (
    *(Conversation(PARAMETERS[1], steps, name=steps[0].topic or steps[-2].says[0].sql) for steps in _TOPICS),
    Conversation(
        PARAMETERS[1],
        _apart(NAME_IN_USE, (parse("s0", "select 1"), sync()), (parse("s0", "select 1"), sync())),
        name=NAME_IN_USE,
    ),
    Conversation(PARAMETERS[1], _bad_parse("s9"), name=PARSE_FAILED),
    Conversation((), (chunk(query("show application_name")),), name=APPLICATION_NAME),
    Conversation(
        PARAMETERS[1],
        (chunk(parse("s1", "select $1::int")), chunk(bind("", "s1"), sync())),
        name=SHARED_NAME,
    ),
    Conversation(
        PARAMETERS[1],
        (
            Neighbour("select pg_catalog.set_config('onetrip.word', 'theirs', false)"),
            chunk(query("select current_setting('onetrip.word', true)")),
        ),
        name=CUSTOM,
    ),
)
"""One for each row of the table of differences, and for what is beside it."""


def _topic() -> SearchStrategy[tuple[Chunk, ...]]:
    number = st.integers(0, len(PREPARED) - 1)
    again = number.map(lambda one: _apart(NAME_IN_USE, (parse(NAMES[one], PREPARED[one][0]), sync())))
    topics = st.sampled_from(_TOPICS)
    return st.one_of(topics, topics, topics.map(_at_once), again)


_NEIGHBOURS: Final = tuple(map(Neighbour, (
    "begin; select 1", "rollback", "select 1", "set datestyle = 'Postgres, YMD'", "begin; set timezone = 'Asia/Tokyo'",
    "create temp table t_neighbour (a int) on commit drop",
    "select pg_catalog.set_config('onetrip.word', 'theirs', false)",
)))  # fmt: skip


def _shapes() -> SearchStrategy[tuple[Chunk | Neighbour, ...]]:
    neighbour = st.sampled_from(_NEIGHBOURS).map(lambda one: (one,))
    return st.one_of(
        _single(), _single(), _one_group(), _one_group(), _one_group(), _pipeline(), _flushed(), _prepare(), _copy_in(),
        _copy_out(), neighbour,
    )  # fmt: skip


@st.composite
def _transaction(draw: st.DrawFn) -> tuple[Chunk | Neighbour, ...]:
    """Some shapes between a BEGIN and an end, in either protocol."""
    begin, end = (
        draw(st.sampled_from(("begin", "begin", "start transaction isolation level serializable"))),
        draw(st.sampled_from(("commit", "rollback", "commit and chain", "prepare transaction 'one'", "end"))),
    )
    within = draw(st.lists(_shapes(), min_size=1, max_size=4))
    first, last = query(begin), query(end)
    if draw(st.booleans()):
        return (
            chunk(parse("", begin), bind("", ""), execute(), sync()), *(step for some in within for step in some),
            chunk(parse("", end), bind("", ""), execute(), sync()),
        )  # fmt: skip
    return (chunk(first), *(step for some in within for step in some), chunk(last))


_RESET: Final = re.compile(r"\breset (?:all|datestyle|timezone|search_path|client_encoding)|set datestyle to default")


def _without_reset(step: Chunk | Neighbour) -> Chunk | Neighbour:
    """Another RESET in the place of one that may be about a startup parameter."""
    if isinstance(step, Neighbour) or step.topic or not any(_RESET.search(say.sql) for say in step.says):
        return step
    says = (_said_instead(say, _RESET.sub("reset onetrip.word", say.sql)) for say in step.says)
    return attrs.evolve(step, says=tuple(says))


def _said_instead(say: Say, sql: str) -> Say:
    return say if not say.sql else query(sql) if say.tag == "Q" else parse(str(say.arguments[0]), sql)


def _conversation(
    parameters: tuple[tuple[str, str], ...], shapes: list[tuple[Chunk | Neighbour, ...]], ending: Ending
) -> Conversation:
    steps = [step for shape in shapes for step in shape]
    if parameters:
        steps = [_without_reset(step) for step in steps]
    return Conversation(parameters, tuple(steps), ending)


def conversations(min_steps: int = 3, max_steps: int = 10) -> SearchStrategy[Conversation]:
    """A session from its connect to its end."""
    shapes = st.one_of(_shapes(), _shapes(), _transaction(), _transaction(), _topic())
    steps = st.lists(shapes, min_size=min_steps, max_size=max_steps)
    return st.builds(_conversation, st.sampled_from(PARAMETERS), steps, st.sampled_from(Ending))
