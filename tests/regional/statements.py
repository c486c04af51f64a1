"""Statements, what each may leave, and why: the labels that the judge is held to. They run on `schema.sql`.

Those called CLEAN are run on a real server, which is then searched for what they left. Those marked as LEAKING are run
too, and must leave something: a trap that does not bite proves nothing.
"""

from typing import Final, NamedTuple

from regional.cleanness import CLEAN, DISCARD, Residue

SETTINGS: Final = Residue.SETTINGS
LOCKS: Final = Residue.LOCKS
CURSORS: Final = Residue.CURSORS
SEQUENCES: Final = Residue.SEQUENCES
STATEMENTS: Final = Residue.STATEMENTS
DDL: Final = DISCARD | Residue.CATALOG
CLOSES: Final = DISCARD | Residue.CLOSES
HIDES: Final = DISCARD | Residue.HIDES


class Case(NamedTuple):
    """One labelled statement."""

    sql: str
    verdict: Residue
    why: str
    leaks: bool = False


def _cases(verdict: Residue, *pairs: tuple[str, str], leaks: bool = False) -> list[Case]:
    return [Case(sql, verdict, why, leaks) for sql, why in pairs]


_QUERIES: Final = _cases(
    CLEAN,
    ("", "nothing"),
    ("-- nothing\n/* set x = 1; /* nested */ */", "comments only"),
    ("select 1", "no names"),
    ("SELECT name FROM plain WHERE id = 1", "a table"),
    ("select * from public.plain where id in (1, 2) and name like 'o%'", "a qualified table"),
    ('select "plain"."id" from "plain"', "quoted names"),
    ('select id from "odd name 1"', "a quoted name of its own"),
    ("select lower(name), count(*), max(made) from plain group by 1 having count(*) > 0 order by 2 desc", "aggregates"),
    ("select * from plain_view", "a view over harmless things"),
    ("select * from plain_rows", "a materialized view"),
    ("select * from only plain p tablesample system (50) repeatable (1)", "a built-in sampling method"),
    ("select a.id from plain a join other using (id) left join plain c on c.id = a.n for update of a", "row locks"),
    ("with recursive t(n) as (select 1 union all select n + 1 from t where n < 5) select sum(n) from t", "recursion"),
    ("with plain as (select 1 as id) select id from plain", "a WITH query's name hides the table's"),
    ("with unknown_name as (select 1) select * from unknown_name", "a WITH query's name is no relation"),
    ("with a as (select 1 as x), b as (select x from a) select * from b, a", "a WITH query sees those before it"),
    ("select case id when 1 then 'a' else coalesce(name, 'b') end, greatest(id, n), nullif(id, 1) from plain", "CASE"),
    ("select id between 1 and 2, id is distinct from n, ok is not true, not ok from plain", "operators as syntax"),
    (
        "select extract(year from made), made at time zone 'utc', substring(name from 1 for 2), trim(name) from plain",
        "syntax for functions",
    ),
    ("select row_number() over (partition by ok order by id) from plain window w as (order by n)", "windows"),
    ("select array(select id from plain), (array[1, 2])[1:2], row(1, 2) = row(2, 3)", "arrays and rows"),
    ("select x.a, y from jsonb_to_record('{\"a\": 1}') as x(a int, b color), generate_series(1, 3) y", "in FROM"),
    ("select jsonb_build_object('a', 1) -> 'a', '{}'::json ->> 'b', to_jsonb(p) from plain p", "JSON"),
    (
        "select current_date, current_user, localtimestamp, now(), clock_timestamp(), random(), gen_random_uuid()",
        "volatile and reviewed",
    ),
    ("select 'red'::color, cast(5 as small), (c).a from (select '(1,red)'::pair as c) x", "harmless types"),
    ("select * from typed where c = 'red' and s > 5 and (p).b = 'green'", "columns of such types"),
    ("select null::plain, to_json(t) from typed t", "a row type is as harmless as its table"),
    ("select exists (select from plain where id = any (array[1, 2])), 1 in (select id from plain)", "subqueries"),
    ("select 1 union all select id from plain intersect select n from plain limit 5 offset 1", "set operations"),
    ("values (1, 'a'), (2, 'b')", "rows without a table"),
    ("table plain", "a table by itself"),
    ("select * from pg_stat_activity, pg_settings, information_schema.tables limit 1", "system views"),
    ("select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)", "locks that end with the transaction"),
    ("select pg_notify('channel', 'text')", "notifications are the transaction's"),
    ("select set_config('my.leak', 'x', true)", "set for the transaction"),
    ("select set_config('search_path', 'shadow', true), id from plain", "names do not depend on search_path"),
    ("select current_setting('my.leak', true)", "reading a setting"),
    ("select serials.id from serials", "the defaults are not called"),
    ("select * from triggered, ruled, defaulted", "nothing runs when they are read"),
    ("select last_value from numbers", "a sequence as a table"),
    ("select 'set_config(''my.leak'', ''x'', false)', $$ nextval('numbers') $$, 'a' -- leak()", "text is no call"),
    ("select '\\d+', name ~ '^\\w' from plain", "a backslash, the same in both readings"),
    ("select " + "+".join(["1"] * 200), "deep nesting"),
    ("select id from plain where " + " or ".join(f"id = {number}" for number in range(300)), "a wide condition"),
    ("explain select * from plain", "a plan"),
    ("explain (analyze, costs off) delete from plain where id = -1", "EXPLAIN ANALYZE runs it, and it is clean"),
    ("copy plain to stdout", "COPY of a table"),
    ("copy (select id from plain) to stdout (format csv)", "COPY of a query"),
    ("copy plain (id) from stdin", "COPY into a table"),
    ("select é from (select 1 as é) x", "not ASCII"),
)

_CHANGES: Final = _cases(
    CLEAN,
    (
        "insert into plain (id, name) values (10, 'ten') on conflict (id) do update set n = excluded.n returning *",
        "harmless defaults",
    ),
    ("insert into other select id, name from plain where id = 1", "a foreign key, a check, a policy"),
    ("insert into typed values ('red', 5, row(1, 'green'))", "columns of the user's types"),
    ("insert into parts values (1, 'a')", "a partitioned table"),
    ("update plain set n = n + 1, made = default where id = 1", "a default that calls now()"),
    ("update plain p set name = o.note from other o where o.id = p.id", "a join"),
    ("update serials set v = 'x' where id = 1", "no default is called"),
    ("delete from plain where id = -1", "nothing hangs on the table"),
    ("delete from serials using plain where serials.id = plain.id", "a deletion calls no default"),
    (
        "with gone as (delete from plain where id = 99 returning id) insert into other select id from gone",
        "changes in a WITH query",
    ),
    ("insert into plain_view (id, name) select 1, 'x' where false", "refused by the server"),
    ("delete from serials_view where id = -1", "through a view"),
)

_TRANSACTIONS: Final = _cases(
    CLEAN,
    ("begin", "transaction control"),
    ("begin isolation level serializable read only; commit", "with modes"),
    ("begin; savepoint a; rollback to a; release a; end", "savepoints"),
    ("begin; set local my.leak = 'x'; set local statement_timeout = 5000; commit", "SET LOCAL"),
    ("begin; set local role by_scram; set local search_path = shadow, public; select id from plain; rollback", "roles"),
    ("begin; set transaction isolation level repeatable read; set constraints all deferred; commit", "modes"),
    ("begin; declare c cursor for select id from plain; fetch all from c; move c; close c; commit", "a cursor"),
    ("begin; declare c no scroll cursor without hold for select 1; commit", "ends with the transaction"),
    ("begin; lock table plain in share mode; commit", "a lock of the transaction's"),
    ("prepare transaction 'one'; rollback prepared 'two'", "in two phases, as far as that goes here"),
    ("begin; delete from plain where id = 12345; rollback", "rolled back"),
    ("show search_path", "SHOW"),
    ("notify channel, 'text'", "NOTIFY"),
    ("unlisten *", "takes something away"),
    ("discard plans", "takes something away"),
    ("discard temp; discard sequences", "take something away"),
)

_SETTINGS: Final = [
    *_cases(
        SETTINGS,
        ("set my.leak = 'x'", "SET is for the session"),
        ("set session my.leak to 'x'", "so is SET SESSION"),
        ("set search_path = shadow", "SET"),
        ("set time zone 'Asia/Tokyo'", "SET in other words"),
        ("set names 'latin1'", "SET in other words"),
        ("set session characteristics as transaction read only", "SET in other words"),
        ("set role traps_role", "a role"),
        ("begin; set my.leak = 'x'; commit", "SET in a transaction outlives it"),
        ("select set_config('my.leak', 'x', false)", "SET as a function"),
        ("select pg_catalog.set_config('my.leak', 'x', name is null) from plain", "it may be for the session"),
        ("select SET_CONFIG('my.leak', 'x', 'f')", "case folds, and false has other spellings"),
        ("select \"set_config\"('my.leak', 'x', 1 = 2)", "quoted"),
        ("explain analyze select set_config('my.leak', 'x', false)", "EXPLAIN ANALYZE runs it"),
        ("insert into plain (id, name) values (20, set_config('my.leak', 'x', false))", "a value"),
        ("delete from plain where set_config('my.leak', 'x', false) = 'y'", "a condition"),
        ("with a as (select set_config('my.leak', 'x', false) as b) select * from a", "in a WITH query"),
        ("select 1 order by set_config('my.leak', 'x', false)", "in an ORDER BY"),
        ("select 1 limit length(set_config('my.leak', 'x', false))", "in a LIMIT"),
        ("select coalesce(case when true then array[set_config('my.leak', 'x', false)] end, null)", "deep inside"),
        ("copy (select set_config('my.leak', 'x', false)) to stdout", "in a COPY"),
        leaks=True,
    ),
    *_cases(
        SETTINGS,
        ("set session authorization by_scram", "an authorization"),
        ("select set_config(setting_name => 'my.leak', new_value => 'x', is_local => true)", "not the known form"),
        ("reset all", "the settings of the lease go too"),
        ("reset my.leak", "so does a single one"),
        ("begin; set local client_encoding = 'SJIS'; commit", "what follows would not be what we read"),
        ("select set_config('client_encoding', 'SJIS', true)", "the same"),
    ),
    *_cases(
        SETTINGS | Residue.CLOSES,
        ("set seed = 0.5", "the generator stays seeded"),
        ("begin; set local seed = 0.5; commit", "also if it is local"),
        ("select set_config('SEED', '0.5', true)", "and by another name"),
    ),
]

_SESSION: Final = [
    *_cases(
        LOCKS,
        ("select pg_advisory_lock(1)", "a lock of the session's"),
        ("select pg_try_advisory_lock_shared(1, 2)", "a shared one"),
        ("select (5::bigint).pg_advisory_lock", "a call written as a column"),
        ("select (x.y).pg_advisory_lock from (select 7::bigint as y) x", "the same, further away"),
        ("begin; select pg_advisory_lock(1); rollback", "not undone by a rollback"),
        leaks=True,
    ),
    *_cases(
        SEQUENCES,
        ("select nextval('numbers')", "lastval() tells"),
        ("select ('numbers'::regclass).nextval", "a call written as a column"),
        ("insert into serials (v) values ('x')", "a serial column"),
        ("insert into identities (v) values ('x')", "an identity column"),
        ("insert into serials_view (v) values ('x')", "a serial column behind a view"),
        ("update serials set id = default, v = 'y'", "an update may call the default"),
        ("copy serials (v) from stdin", "so does COPY"),
        leaks=True,
    ),
    *_cases(SEQUENCES, ("select currval('numbers')", "reads what others left"), ("select lastval()", "the same")),
    *_cases(Residue.CHANNELS, ("listen channel", "LISTEN"), leaks=True),
    *_cases(CURSORS, ("begin; declare c cursor with hold for select 1; commit", "WITH HOLD"), leaks=True),
    *_cases(
        CURSORS | SETTINGS,
        ("begin; declare c cursor with hold for select set_config('my.leak', 'x', false); commit", "and its query"),
        leaks=True,
    ),
    *_cases(STATEMENTS, ("prepare p as select id from plain where id = $1", "PREPARE"), leaks=True),
    *_cases(STATEMENTS, ("deallocate all", "ours are gone"), ("deallocate p", "it may be one of ours")),
    *_cases(STATEMENTS | DISCARD | Residue.CLOSES, ("prepare p as select setseed(0.5)", "its query counts")),
    *_cases(DISCARD | STATEMENTS, ("discard all", "everything is gone")),
    *_cases(HIDES, ("execute p(1)", "prepared by whomever")),
    *_cases(
        CLOSES,
        ("load 'plpgsql'", "a library stays loaded"),
        ("select setseed(0.5)", "the generator stays seeded"),
        ("select (0.5::float8).setseed", "written as a column"),
        ("select dblink_connect('c', 'dbname=x')", "connections of an extension that may not be there"),
        ("select pg_replication_origin_session_setup('x')", "a replication origin"),
        ("select pg_create_physical_replication_slot('x', true, true)", "a temporary slot"),
        ("select seeds()", "a function that seeds"),
    ),
    *_cases(
        CLOSES | HIDES,
        ("do language plpython3u 'pass'", "globals of another language"),
        ("do $$ begin perform setseed(0.5); end $$", "DO that seeds"),
    ),
]

_CODE: Final = [
    *_cases(
        DISCARD,
        ("select leak()", "a function of the user's"),
        ("select * from leak('x') x", "in FROM"),
        ("select leak_sum(id) from plain", "an aggregate of the user's"),
        ("select name, p.leak_row from plain p", "a function written as a column"),
        ("select (p).leak_row from plain p", "the same"),
        ("call leak_procedure()", "a procedure"),
        ("insert into triggered values (1)", "a trigger"),
        ('insert into "odd name 2" values (1)', "a trigger; the name differs in a digit"),
        ("update conditional set id = 2", "a trigger's condition"),
        ("update triggered_view set v = 'x'", "a trigger behind a view"),
        ("delete from parents where id = 1", "a trigger behind a cascade"),
        ("delete from grandparents where id = 2", "a trigger behind two cascades"),
        ("insert into split values (1)", "a trigger of a partition"),
        ("copy triggered (id) from stdin", "a trigger fired by COPY"),
        (
            "merge into triggered t using (values (77)) v on t.id = 77 when not matched then insert values (77)",
            "a trigger fired by MERGE",
        ),
        ("with a as (insert into triggered values (1) returning id) select id from a", "a trigger in a WITH query"),
        ("insert into ruled values (1)", "a rule"),
        ("insert into defaulted (id) values (1)", "a default"),
        ("insert into default_built_in (id) values (1)", "a built-in function as default"),
        ("insert into computed (id) values (1)", "a generated column"),
        ("insert into indexed values (2)", "an index on an expression"),
        ("select * from planned where id = 1", "an index that is read when a query is planned"),
        ("insert into planned_children values (1)", "such an index behind a foreign key"),
        ("insert into checked values (1)", "a check"),
        ("insert into check_built_in values (1)", "a built-in function as check"),
        ("select * from guarded", "a policy"),
        ("select count(*) from guarded", "a policy, and nothing selected"),
        ("select * from leak_view", "a view"),
        ("select id from leak_view_above where leak is not null", "a view of a view"),
        ("select * from leak_function_view", "a view that calls a function of the user's"),
        ("select '5'::leak_domain", "a domain's check"),
        ("select leak_domain '5'", "the same, as a prefix"),
        ("select cast(5 as leak_domain_above)", "a domain of a domain"),
        ("select * from jsonb_to_record('{\"a\": 1}') as x(a leak_domain)", "a domain as a column's type"),
        ("select '(1,2)'::leak_pair", "a domain in a composite type"),
        ("select '{5}'::leak_domain[]", "a domain in an array"),
        ("insert into leak_columns (d) values (5)", "a domain as a column's type"),
        ("select jsonb_populate_record(null::leak_columns, '{\"d\": 1}')", "a domain in a row type"),
        ("select 'good'::mood + 1", "a cast of the user's"),
        ("select m + 1 from moods", "a cast of a column's type"),
        ("select 1 === 2", "an operator of the user's"),
        ("select pure.leak_call(1)", "an immutable function calls another"),
        ("select pure.leak_next(1)", "and is called by one"),
        ("select pure.leak_built_in()", "an immutable function calls a built-in one"),
        ("select pure.leak_operator(1)", "an immutable function uses an operator"),
        ("select pure.leak_cast(1)", "a domain"),
        ("select pure.leak_taken(1)", "a domain as its argument"),
        ("select pure.leak_column(1)", "a domain that it does not name"),
        ("select pure.leak_default()", "the default of its argument"),
        (
            "begin; set local search_path = shadow, public, pg_catalog; select pure.leak_shadowed('x'); end",
            "what hides a built-in one",
        ),
        ("select 1 operator(public.===) 2", "qualified"),
        ("select 1 = any (array[2]) or 1 === all (array[3])", "over an array"),
        ("set local search_path = shadow, pg_catalog; select initcap('x')", "a function that hides a built-in one"),
        (
            "begin; set local search_path = shadow, public, pg_catalog; select reverse('x'); end",
            "a domain called like a function is a cast",
        ),
        leaks=True,
    ),
    *_cases(
        HIDES,
        ("select query_to_xml('select set_config(''my.leak'', ''x'', false)', false, false, '')", "SQL in a string"),
        ("do $$ begin perform set_config('my.leak', 'x', false); end $$", "DO"),
        ("select domain_in('5', 'leak_domain'::regtype, -1) is null", "a domain's input function by hand"),
        ("select table_to_xml('leak_view', true, false, '')", "a view's name in a string"),
        ("select pure.leak_escaped()", "an immutable function calls what it does not name as it is"),
        leaks=True,
    ),
    *_cases(
        DISCARD,
        ("select add_one(1)", "harmless, but with harmful types and operators about nobody can tell"),
        ("select pure.reads()", "immutable, and reads a table"),
        ("select pure.seeded()", "immutable, and seeds"),
        ("select * from distant", "a foreign table"),
        ("select * from computed", "a generated column that newer servers compute when it is read"),
        ("select * from unknown_table", "not in the catalogue"),
        ("select null::unknown_type", "not in the catalogue"),
        ("with a as (select * from b), b as (select 1) select 1 from a", "not yet visible: it is a table's name"),
        ("with triggered as (select 1) insert into triggered values (1)", "what is written is no WITH query"),
        ("select lo_open(1, 262144)", "large objects are not reviewed"),
        ("select pg_terminate_backend(1)", "not reviewed"),
        ("vacuum plain", "runs index expressions"),
        ("truncate plain", "triggers, and sequences"),
        ("refresh materialized view plain_rows", "runs its query"),
        ("create temp table t (id int) on commit drop", "hides another table meanwhile"),
        ("create temporary table t as select 1", "a temporary table"),
        ("select 1 as id into temp t", "a temporary table"),
    ),
    *_cases(
        HIDES,
        ("select unknown_function(1)", "not in the catalogue"),
        ("select 1 <=!=> 2", "no such operator"),
        ("select ts_stat('select leak()::tsvector')", "SQL in a string"),
        ("select json_value('a', 'b')", "syntax that was a function's name"),
        ("copy plain to program 'cat'", "a program"),
        ("copy plain to '/tmp/x'", "a file of the server's"),
        ("truncate plain cascade", "whatever refers to it"),
        ("truncate only plain cascade", "the same"),
        ("selec 1", "not understood"),
        ("select 'a\\' || set_config('my.leak', 'x', false) || '\\'", "understood in one reading only"),
        ("insert into plain (id) values " + ",".join("(1)" for _ in range(3000)), "too long to be worth it"),
        ("select " + "+".join(["1"] * 2000), "nested too deep"),
        ("select creates()", "a function that creates"),
    ),
    *_cases(SETTINGS, ("select '\\' /*', set_config($$my.leak$$, $$x$$, false) -- */", "one of two readings calls it")),
    *_cases(HIDES | STATEMENTS, ("select deallocates()", "a function that deallocates")),
    *_cases(
        DDL,
        ("create table t (id int)", "DDL"),
        ("drop table if exists no_such_table", "may run event triggers, and shows what it hid"),
        ("create function f() returns int language sql as 'select 1'", "DDL"),
        ("alter table plain add column x int", "DDL"),
        ("create view v as select 1", "DDL"),
        ("create trigger t before insert on plain for each row execute function leak_trigger()", "DDL"),
        ("select 1 as id into t", "DDL as a query"),
        ("explain analyze create table t as select 1", "DDL in EXPLAIN"),
        ("update pg_settings set setting = 'x' where name = 'search_path'", "its rule calls set_config"),
        ("update settings_view set setting = 'x' where name = 'search_path'", "the same behind a view"),
    ),
    *_cases(
        DDL | HIDES,
        ("create temp table t (id int default creates())", "its default, whoever writes to it"),
        ("create temp table t (id int check (id > creates()))", "its check"),
        ("create temp table t (check (creates() > id), id int)", "the same"),
        ("do $$ begin create table x (); end $$", "DO that creates"),
        ("create table " + "x" * 9000 + " (id int)", "too long, but its words tell"),
    ),
    *_cases(HIDES | STATEMENTS, ("deallocate all /* " + "x" * 9000 + " */", "too long, but its words tell")),
    *_cases(Residue.CATALOG, ("commit prepared 'x'", "of a transaction that we have not seen")),
]

CASES: Final = [*_QUERIES, *_CHANGES, *_TRANSACTIONS, *_SETTINGS, *_SESSION, *_CODE]
