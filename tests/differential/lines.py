"""The lines that clients say in conversations: statements, messages and small scenes, to be put together at random.

A scene about a row of the table of differences is made of chunks with a `topic`, and undoes what it has done, so that
the two sides are equal again behind it. `SHOWN` has one such conversation for each row.
"""

from typing import Final

import attrs

from tests.differential.differences import (
    APPLICATION_NAME,
    BEGUN,
    CACHED_READS,
    CUSTOM,
    EXECUTE_OF_EXECUTE,
    FAILED,
    FORGOTTEN,
    HIDDEN_AGAIN,
    PARSED_ANEW,
    PORTAL_OF_BEGIN,
    PREPARED_HERE,
    PREPARED_STATEMENTS,
    REFUSED,
    RESET_STARTUP,
    SEQUENCES,
    SQL_PREPARE,
    TEMPORARY,
    TEMPORARY_SCHEMA,
    WRONG_LENGTH,
)
from tests.differential.script import (
    Chunk,
    Conversation,
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
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    raw,
    sync,
)

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
    "select generate_series(1, 4), repeat('x', 50)", "select date '2024-02-01', interval '1 day 2 hours'",
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
    "set local timezone to default", "set time zone local", "set local onetrip.word to default",
    "set standard_conforming_strings = off", "set work_mem = '1MB'; show work_mem",
    "set bytea_output = 'escape'",
)  # fmt: skip

# What a session holds on its connection.
HELD: Final = (
    "listen news", "notify news, 'y'", "unlisten news", "create temp table fleeting (a int)", "drop table fleeting",
    "insert into fleeting values (1)", "select * from fleeting", "create temp view glance as select * from items",
    "select * from glance", "declare held cursor with hold for select * from generate_series(1, 6)", "close held",
    "fetch 2 from held", "fetch backward 1 from held", "close all", "select pg_advisory_lock(7)",
    "select pg_advisory_unlock(7)", "select pg_advisory_unlock_all()", "prepare plan as select 1; select 2",
    "prepare plan as select 6; execute plan", "execute plan", "deallocate plan", "discard temp", "discard all",
    "create temp table items (id int, word text, n int)", "drop table if exists pg_temp.items", "begin", "commit",
    "rollback", "select * from items order by id",
)  # fmt: skip

# Reads whose answers may be kept, with their parameters; and what changes them, or the settings that they hang on.
CACHEABLE: Final = (
    ("select * from items order by id", ()), ("select count(*), sum(n) from items", ()), ("table watched", ()),
    ("select i.word, p.id from items i left join parts p on p.item = i.id order by 1, 2", ()),
    ("select id, date '2024-02-01', 1.1::float8 / 3 from items order by id", ()), ("select n / 0 from items", ()),
    ("select id, word from items where id <= $1::int order by id", ("2",)),
    ("select n from items where id = $1", ("3",)), ("select id, $1::text from items order by id", ("a word",)),
)  # fmt: skip
WRITES: Final = (
    "insert into items values (4, 'four', 4)", "insert into items values (5, 'five', 5) returning id, word",
    "update items set n = n + 1 where id = 3", "update items set word = 'other' where id = 1 returning *",
    "delete from items where id = 3", "delete from items where id > 3", "insert into parts values (1, 1)",
    "delete from parts", "insert into watched values (1)", "truncate watched", "call spell()",
    "with gone as (delete from parts returning id) select count(*) from gone", "update items set n = -1 where id = 1",
    "begin; update items set n = n + 1; rollback", "begin; update items set n = n + 1; commit", "do $$ begin end $$",
)  # fmt: skip
CHANGING: Final = (
    *WRITES, "begin", "begin", "begin read only", "rollback", "commit", "set datestyle = 'SQL, DMY'", "reset all",
    "set extra_float_digits = 0", "set role helper", "reset role", "set search_path = pg_catalog", "reset search_path",
)  # fmt: skip

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
    ("execute s3", ()),
    ("deallocate s3", ()),
    ("prepare s3 as select 'made', 3", ()),
)
NAMES: Final = tuple(f"s{number}" for number in range(len(PREPARED)))
# SQL that is about prepared statements by name, which are those of the protocol too.
COMMANDS: Final = (
    "prepare s0 as select 1", "prepare s1 (int, text) as select $1, $2", "PREPARE s2 AS select id from items where id "
    "= $1", "prepare s3 as selec 1", "prepare s4 as select * from nowhere", "prepare s5 (nonsense) as select 1",
    "execute s0", "EXECUTE s1 (1, 'x')", "execute s1(1)", "execute s2(2)", "execute s3; ", "/* so */ execute s0 -- far",
    "execute s4('said')", "execute s5(1)", "execute s6", "execute s7", "execute unknown", 'execute "s8" (4, 2)',
    "deallocate s0", "deallocate prepare s1", "deallocate S2", "deallocate unknown", "deallocate all", "discard all",
    "discard plans", "execute s0 (", "deallocate prepare all", "prepare s6 as insert into items values ($1, 'made', 1)",
    "execute s6 (80)", "execute s9", "execute s11", "execute s12", "execute s13", "execute s3",
)  # fmt: skip
ODD_VALUES: Final = (None, "x", "7", "2024-13-01")

LOOSE: Final = (
    (execute("p"),), (execute("q", 1),), (describe_portal("p"),), (close_portal("p"),), (close_portal("nothing"),),
    (execute("c", 2),), (), (flush(),), (describe_statement("unknown"),), (copy_data("stray"),), (copy_done(),),
)  # fmt: skip
# Whatever the unnamed statement is.
UNNAMED: Final = (
    (bind("", ""), execute()), (bind("p", ""), execute("p", 1)), (describe_statement(""),), (close_statement(""),),
)  # fmt: skip
# The function-call message: int4pl, a text function, one that fails, and one that is not there.
CALLS: Final = (
        (call(177, "4", "5"),), (call(1397, "-7"),), (call(154, "1", "0"),), (call(999999, "1"),), (call(177, "x",
        "5"),),
    )  # fmt: skip
GOOD_ROW: Final = "30\tthirty\t3\n"
BAD_ROWS: Final = ("x\ty\n", "31\n", "1\tagain\t1\n", "32\tnegative\t-1\n", "\\.\n")
COPY_IN: Final = (
    "copy items from stdin", "copy items (id, n) from stdin (format csv)", "copy nowhere from stdin",
    "copy watched from stdin", "copy items from stdin; select 1", "select 1; copy items from stdin",
)  # fmt: skip
COPY_OUT: Final = (
    "copy (select * from items order by id) to stdout",
    "copy (select 1/(3 - i) from generate_series(1, 5) i) to stdout",
    "copy (select repeat('y', 3000) from generate_series(1, 20)) to stdout", "copy nowhere to stdout",
    "copy (select say('in a copy')) to stdout; select 1", "copy (select 1 where false) to stdout (format binary)",
)  # fmt: skip
PARAMETERS: Final = (
    (), (("application_name", "tests"),), (("application_name", "tests"), ("DateStyle", "German, DMY")),
    (("application_name", "tests"), ("TimeZone", "Asia/Tokyo"), ("extra_float_digits", "2")),
    (("application_name", "tests"), ("options", "-c search_path=pg_catalog,public -c intervalstyle=iso_8601")),
    (("application_name", "tests"), ("client_encoding", "LATIN1"), ("onetrip.word", BEGUN.decode())),
    (("application_name", "tests"), ("TimeZone", "nowhere")),
)  # fmt: skip


# --- what the table of differences is about ---


def apart(topic: str, *says: tuple[Say, ...]) -> tuple[Chunk, ...]:
    """One chunk after the other, from a time on when the session is idle."""
    first, *others = says
    together = [chunk(*some, when=When.TOGETHER, topic=topic) for some in others]
    return chunk(*first, when=When.IDLE, topic=topic), *together


def _asked(topic: str, *queries: str) -> tuple[Chunk, ...]:
    return apart(topic, *((query(sql),) for sql in queries))


def at_once(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """The same as one pipeline."""
    return (attrs.evolve(chunks[0], says=tuple(say for one in chunks for say in one.says)),)


def _made(name: str, sql: str) -> tuple[Say, Say]:
    return close_statement(name), parse(name, sql)


HIDES: Final = "create temp table items (id int, word text, n int) on commit drop"

TOPICS: Final = (
    _asked(REFUSED, "listen news", "unlisten news"),
    _asked(REFUSED, "begin", "listen news", "rollback"),
    _asked(REFUSED, "select pg_advisory_lock(7)", "select pg_advisory_unlock_all()"),
    _asked(REFUSED, "declare held cursor with hold for select 1", "close all"),
    _asked(TEMPORARY, "create temp table fleeting (a int)", "drop table fleeting"),
    _asked(HIDDEN_AGAIN, "create temp table fleeting (a int) on commit drop", "select tally()", "begin", HIDES,
           "select tally()", "rollback"),
    _asked("", "prepare plan as select 1", "execute plan", "deallocate plan"),
    _asked(SQL_PREPARE, "prepare plan as select 1; select 2", "execute plan", "deallocate plan"),
    _asked(SEQUENCES, "select nextval('numbers')", "select currval('numbers')", "select lastval()"),
    apart(
        "", (close_statement("dealt"), parse("dealt", "select 5"), sync()), (query("deallocate dealt"),),
        (bind("", "dealt"), execute(), sync()), (query("deallocate dealt"),), (close_statement("dealt"), sync()),
    ),
    apart(
        "", (close_statement("x0"), parse("x0", "execute plan"), sync()), (query("prepare plan as select 5 as five"),),
        (describe_statement("x0"), bind("", "x0"), describe_portal(""), execute(), sync()),
        (query("deallocate plan"),), (close_statement("x0"), sync()),
    ),
    _asked(FORGOTTEN, "set search_path = pg_catalog", "reset search_path"),
    _asked(FORGOTTEN, "set role helper", "reset role"),
    _asked("", "set role helper; select current_user; reset role", "select current_user"),
    _asked("", "begin", "set role helper", "select current_user", "reset role", "commit"),
    _asked(RESET_STARTUP, "reset all; show application_name", "show application_name"),
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
    # Statements of the protocol that are commands about others, run by SQL and by the protocol.
    apart(
        "", (*_made("deep", "select 5 as five"), *_made("middle", "execute deep"), sync()), (query("execute middle"),),
        (describe_statement("middle"), bind("", "middle"), describe_portal(""), execute(), sync()),
        (*_made("top", "execute middle"), sync()), (query("execute top"),),
        (*_made("drops", "deallocate deep"), sync()), (query("execute drops"),), (bind("", "deep"), sync()),
        (query("execute top"),), (bind("", "drops"), execute(), sync()),
    ),
    apart(
        "", (close_statement("made"), *_made("makes", "prepare made (int) as select $1 + 1"), sync()),
        (query("execute makes"),), (query("execute made (4)"),), (query("execute makes"),),
        (bind("", "made", "5"), execute(), sync()), (*_made("drops", "deallocate made"), bind("", "drops"), execute(),
        execute(), sync()), (query("execute makes"),), (query("execute drops"),), (query("execute made (6)"),),
    ),
    apart(
        "", (*_made("deep", "select 5"), *_made("drops", "deallocate all"), sync()), (query("execute drops"),),
        (bind("", "deep"), execute(), sync()), (query("execute drops"),), (*_made("deep", "select 6"), sync()),
        (query("execute deep"),), (bind("", "deep"), execute(), sync()),
    ),
    apart(
        "", (*_made("deep", "select 5"), *_made("drops", "deallocate deep"), *_made("itself", "execute itself (1)"),
        sync()), (query("begin"),), (bind("late", "drops"), sync()), (query("execute deep"),), (execute("late"),
        sync()), (query("execute deep"),), (query("rollback"),), (bind("", "deep"), execute(), sync()),
        (query("deallocate itself"),), (query("execute itself"),),
    ),
)  # fmt: skip


LONG: Final = "select 1 -- " + "x" * (1 << 20)
BEGINS: Final = ("begin", "savepoint a1", "set transaction read only", "rollback")
TYPED: Final = (bind("", ""), execute())

SHOWN: Final = (
    *(Conversation(PARAMETERS[1], steps, name=steps[0].topic or steps[-2].says[0].sql) for steps in TOPICS),
    *(Conversation(PARAMETERS[1], at_once(steps), name="at once, " + steps[-2].says[0].sql) for steps in TOPICS[-4:]),
    Conversation((), (chunk(query("show application_name")),), name=APPLICATION_NAME),
    Conversation((), (chunk(query("select 1"), raw(b"Q\0\0\0\3"), until=Until.MARKED),), name=WRONG_LENGTH),
    Conversation(
        (("application_name", "alone"),),  # so no connection fits better than the one that the neighbour has just used
        (
            Neighbour("select pg_catalog.set_config('onetrip.word', 'theirs', false)"),
            chunk(query("select current_setting('onetrip.word', true)")),
            chunk(query("select setseed(0.5)")),  # closes the connection that it had, if that was another
        ),
        name=CUSTOM,
    ),
    Conversation(
        (("application_name", "alone"),),
        (
            Neighbour("create temp table t_neighbour (a int) on commit drop"),
            chunk(query("drop table if exists pg_temp.items")),
        ),
        name=TEMPORARY_SCHEMA,
    ),
    Conversation(
        (("application_name", "alone"),),
        (
            Neighbour("create temp table t_neighbour (a int) on commit drop"),
            Neighbour("select tally()"),
            chunk(query("begin")),
            chunk(query(HIDES)),
            chunk(query("select tally()")),
            chunk(query("rollback")),
        ),
        name="a function behind a temporary table",
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("s4", "select say($1)"), sync()),
            chunk(query("select setseed(0.5)")),  # closes the connection that has it
            chunk(query("begin")),
            chunk(query("set search_path = pg_catalog")),
            chunk(bind("", "s4", "quietly"), execute(), sync()),
        ),
        name=PARSED_ANEW,
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("s5", PREPARED[5][0]), describe_statement("s5"), sync()),
            chunk(close_statement("s5"), sync()),
            chunk(query("begin; lock table items in share mode; prepare transaction 'one'")),
            chunk(parse("s5", PREPARED[5][0]), sync()),
        ),
        name=PREPARED_HERE,
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("s6", "select 6"), bind("", "s6"), execute(), sync()),
            chunk(query("select name, statement from pg_prepared_statements")),
        ),
        name=PREPARED_STATEMENTS,
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("s7", "execute s3"), sync()),  # of what is not there
            chunk(query("prepare s3 as select 'made', 3")),
            chunk(parse("", "execute s7"), bind("", ""), describe_portal(""), sync()),
            chunk(parse("", "execute s7"), bind("", ""), execute(), sync()),
        ),
        name=EXECUTE_OF_EXECUTE,
    ),
    Conversation(
        PARAMETERS[1],
        (chunk(parse("", "begin"), bind("", ""), execute(), sync()), chunk(execute("", 1), sync())),
        name=PORTAL_OF_BEGIN,
    ),
    *(
        Conversation(
            PARAMETERS[1],
            (
                *[chunk(query("select count(*) from items"))] * 2,
                chunk(query("begin")),
                chunk(query("select count(*) from items")),
                chunk(query(sql)),
                chunk(query("rollback")),
            ),
            name=CACHED_READS,
        )
        for sql in (
            "start transaction isolation level repeatable read",
            "set transaction isolation level serializable",
            "begin isolation level serializable",
        )
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("used", "select 1"), sync()),
            chunk(parse("used", LONG), bind("", "used"), execute(), sync()),
            chunk(bind("", "used"), execute(), sync(), parse("used", LONG), sync(), query("select 2")),
            chunk(parse("used", "selec " + LONG), sync(), bind("", "used"), execute(), sync()),
            chunk(close_statement("used"), sync(), parse("used", LONG), sync(), query("select 3")),
            chunk(parse("again", "select 4"), sync(), parse("again", LONG), sync(), bind("", "again"), sync()),
            chunk(query("begin")),
            chunk(parse("again", LONG), sync()),
            chunk(query("rollback")),
            chunk(bind("", "again"), execute(), sync()),
        ),
        name="a Parse of over 1 MiB under a name in use",
    ),
    Conversation(
        PARAMETERS[1],
        (
            *(chunk(parse("", sql, *types), *TYPED, sync()) for types in ((23,), (0,), (23, 25)) for sql in BEGINS),
            *(chunk(parse("", sql, 23), describe_statement(""), sync()) for sql in BEGINS),
            *(chunk(parse("", sql, 23), bind("", "", "1"), execute(), sync()) for sql in BEGINS),
        )
        * 2,
        name="what begins or ends a transaction, with types of parameters",
    ),
    Conversation(
        PARAMETERS[1],
        (
            chunk(parse("s1", "select $1::int"), sync()),
            chunk(query("select setseed(0.5)")),  # closes the connection that has it
            chunk(query("begin; select 1/0")),
            chunk(bind("", "s1"), sync()),
        ),
        name=FAILED,
    ),
)
"""One for each row of the table of differences, and for what is beside it."""

NEIGHBOURS: Final = tuple(map(Neighbour, (
    "begin; select 1", "rollback", "select 1", "set datestyle = 'Postgres, YMD'", "begin; set timezone = 'Asia/Tokyo'",
    "create temp table t_neighbour (a int) on commit drop",
    "select pg_catalog.set_config('onetrip.word', 'theirs', false)",
)))  # fmt: skip
