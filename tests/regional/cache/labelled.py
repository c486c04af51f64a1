"""Statements, what each may be called by the query cache, and why. They run on `schema.sql`.

Written from PostgreSQL's behaviour, not from the code that is held to them. `test_labels.py` holds the labels
themselves against a real server: what is called cacheable stays the same while the clock moves, what it reads is in
its tables, and what a write changes is in its tables or it says everything.
"""

from typing import Final

import attrs

STABLE: Final = "stable function"
VOLATILE: Final = "volatile function"
# Text that is read as a date may hold 'now': the words are in the rows, not in the statement.
TEXT_AS_DATE: Final = "date word|type|stable function"
# Refused for sure; that there is no one name for it is no fault.
ANY_CLASS: Final = "*"
NOT_A_READ: Final = "not a read"


def _names(text: str | frozenset[str]) -> frozenset[str]:
    """`item, shadow.place` as `public.item` and `shadow.place`."""
    if not isinstance(text, str):
        return text
    names = [name.strip() for name in text.split(",") if name.strip()]
    return frozenset(name if "." in name else f"public.{name}" for name in names)


@attrs.frozen
class Read:
    """A statement whose answer somebody would like to keep."""

    sql: str
    reason: str
    why: str = ""
    """The class of why not, or several that will do with bars between; the first may be empty."""
    tables: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    is_exact: bool = True
    """Further tables would be too many."""
    values: tuple[str, ...] = ()
    runs: bool = True
    moves: bool = False
    """Two runs give two answers: the trap is shown to bite."""
    needs: str = ""
    """An extension that may be missing."""
    since: int = 0
    """The version of the first server that runs it."""

    @property
    def whys(self) -> frozenset[str]:
        return frozenset(self.why.split("|"))


@attrs.frozen
class Write:
    """A statement that somebody's cached answers may not outlive."""

    sql: str
    reason: str
    tables: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    everything: bool = False
    or_everything: bool = False
    """Everything is more than need be, and will do."""
    is_exact: bool = True
    outlives_rollback: bool | None = None
    runs: bool = True
    bites: bool = False
    """It changes a table that its text does not name: the trap is shown to bite."""
    needs: str = ""
    since: int = 0


def _kept(tables: str, *pairs: tuple[str, str], is_exact: bool = True) -> list[Read]:
    return [Read(sql, reason, "", tables, is_exact) for sql, reason in pairs]


def _bound(tables: str, *cases: tuple[str, tuple[str, ...], str]) -> list[Read]:
    return [Read(sql, reason, "", tables, values=values) for sql, values, reason in cases]


def _refused(
    why: str, *pairs: tuple[str, str], tables: str = "", runs: bool = True, moves: bool = False, needs: str = ""
) -> list[Read]:
    return [Read(sql, reason, why, tables, runs=runs, moves=moves, needs=needs) for sql, reason in pairs]


_PLAIN: Final = [
    *_kept(
        "item",
        ("SELECT * FROM item", "a table"),
        ("select id, name from public.item where id = 1 order by name desc nulls last limit 10 offset 1", "built in"),
        ("SELECT count(*), sum(price), avg(price), min(created_at) FROM item", "aggregates over immutable functions"),
        ("SELECT DISTINCT ON (feeling) feeling, id FROM item ORDER BY feeling, id", "an enum is compared by its oids"),
        ("SELECT i.* FROM item AS i WHERE i.name ILIKE 'it%' AND i.note IS NOT NULL", "pattern matching is immutable"),
        (
            "SELECT id FROM item WHERE id IN (1, 2, 3) AND price BETWEEN 0 AND 10 AND NOT ok IS FALSE",
            "operators as syntax",
        ),
        (
            "SELECT CASE WHEN id > 2 THEN 'big' ELSE coalesce(note, '-') END, nullif(id, 1), greatest(id, 2) FROM item",
            "CASE",
        ),
        ("SELECT id FROM item FETCH FIRST 2 ROWS ONLY", "LIMIT in other words"),
        ("SELECT id FROM item ORDER BY id FETCH FIRST 2 ROWS WITH TIES", "LIMIT in other words"),
        ("TABLE item", "SELECT * in other words"),
        ("SELECT * FROM item;", "one statement and its semicolon"),
        ("SELECT * FROM item; ; ", "empty statements do not count"),
        ("(SELECT id FROM item)", "in parentheses it is the same"),
        (
            "SELECT lower(name), length(note), substring(name from 1 for 2), trim(both ' ' from note) FROM item",
            "on text",
        ),
        (
            "SELECT id FROM item WHERE name ~ '^item [0-9]+$' AND name SIMILAR TO 'i%' AND note LIKE '2%' ESCAPE '!'",
            "patterns are immutable",
        ),
        (
            "SELECT price::text, id::bigint, price::int, name::varchar(3), CAST(id AS numeric) FROM item",
            "casts of numbers",
        ),
        ("SELECT note::uuid, note::int FROM item WHERE false", "text read as what has no word for now"),
        ("SELECT note::interval FROM item WHERE false", "intervals have no word for now; IntervalStyle is in the key"),
        ("SELECT note::mood FROM item WHERE false", "labels of an enum change by DDL only"),
        ("SELECT note::jsonb, raw::jsonb FROM item WHERE false", "JSON has no dates"),
        ("SELECT amount, amount::numeric FROM item", "money goes by lc_monetary, which is in the key"),
        ("SELECT count_of, brief, id::positive, note::short_text FROM item", "domains over harmless checks"),
        ("SELECT (pair).a, (pair).b, pair FROM item", "fields of a composite column"),
        ("SELECT words[1], words[1:2], array_length(words, 1), 'x' = ANY (words) FROM item", "arrays"),
        ("SELECT id, twice FROM item WHERE twice > 0", "a generated column is stored"),
        ("SELECT ARRAY[id, 1], ROW(id, name), ARRAY(SELECT id FROM item) FROM item", "constructors"),
        ("SELECT uid FROM item WHERE uid = '00000000-0000-0000-0000-000000000000'", "the default is of the write"),
        ('SELECT name COLLATE "C" FROM item ORDER BY name COLLATE "C"', "a collation"),
        ("SELECT 1 + id, -id, id % 2, id # 1, 2 ^ id, @ id FROM item", "arithmetic"),
        (
            "SELECT id || ' ' || name, concat(id, name), format('%s-%I', id, name), quote_literal(id) FROM item",
            "output only",
        ),
        ("SELECT md5(name), encode(sha256(name::bytea), 'hex'), hashtext(name) FROM item", "digests"),
        (
            "SELECT id FROM item WHERE (id, name) = (1, 'item 1') OR ROW(id, name) > ROW(2, 'a')",
            "rows compare by columns",
        ),
        (
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY id), mode() WITHIN GROUP (ORDER BY id) FROM item",
            "ordered sets",
        ),
        (
            "SELECT string_agg(name, ',' ORDER BY id) FILTER (WHERE id > 1), array_agg(DISTINCT id) FROM item",
            "aggregates",
        ),
    ),
    *_bound(
        "item",
        ("SELECT * FROM item WHERE id = $1", ("1",), "the parameter is in the key"),
        ("SELECT * FROM item WHERE id = ANY ($1::int[]) LIMIT $2", ("{1,2}", "5"), "an array of numbers"),
        (
            "SELECT id FROM item WHERE created_at >= $1 AND created_at < $2",
            ("2024-01-01", "2025-01-01"),
            "bound values",
        ),
        (
            "SELECT id FROM item WHERE due = $1::date",
            ("2024-02-02",),
            "a parameter's value is looked at when it is bound",
        ),
        ("SELECT id FROM item WHERE due = CAST($1 AS date)", ("2024-02-02",), "the same in the standard's words"),
        ("SELECT id, $1::timestamptz FROM item WHERE name = $2", ("2024-02-02", "x"), "the type does not matter"),
    ),
]

_DATES: Final = [
    Read(
        "SELECT xmin, tableoid FROM item",
        "a row's committed writes change them, nothing else",
        "|system column",
        "item",
    ),
    *_kept(
        "item",
        ("SELECT created_at::date, count(*) FROM item GROUP BY created_at::date", "no text: TimeZone alone decides"),
        ("SELECT date(created_at) FROM item GROUP BY date(created_at)", "a call of a type's name is a cast"),
        (
            "SELECT CAST(created_at AS date), due::timestamp, seen::timestamptz, due::timestamptz FROM item",
            "between dates",
        ),
        ("SELECT i.created_at::date FROM item i WHERE i.created_at::pg_catalog.time > '10:00'", "qualified"),
        ("SELECT id FROM item WHERE due = created_at", "stable by TimeZone only, which is in the key"),
        ("SELECT id FROM item WHERE due < '2024-03-01' AND created_at >= '2024-01-01 00:00:00+00'", "days by number"),
        ("SELECT id FROM item WHERE due = date '2024-02-02' AND seen > timestamp '2024-01-01'", "typed constants"),
        (
            "SELECT id FROM item WHERE created_at > '2024-01-01'::timestamptz - interval '7 days'",
            "stable by TimeZone only",
        ),
        ("SELECT age(created_at, seen), age(seen, '2024-01-01') FROM item", "of two: no clock"),
        (
            "SELECT date_trunc('day', created_at), date_trunc('day', created_at, 'UTC') FROM item",
            "parts of dates, by TimeZone",
        ),
        (
            "SELECT extract(epoch FROM created_at), extract(year FROM due), date_part('hour', seen) FROM item",
            "parts of dates",
        ),
        ("SELECT to_char(created_at, 'YYYY-MM-DD'), to_char(price, '999.99') FROM item", "by TimeZone and lc_time"),
        (
            "SELECT to_date(note, 'YYYY-MM-DD'), to_timestamp(note, 'YYYY-MM-DD') FROM item",
            "templates have no word for now",
        ),
        ("SELECT to_timestamp(id), make_date(2024, id, 1), make_interval(days => id) FROM item", "made of numbers"),
        ("SELECT make_timestamptz(2024, 1, id, 0, 0, 0) FROM item", "by TimeZone"),
        (
            "SELECT created_at AT TIME ZONE 'UTC', seen AT TIME ZONE 'Europe/Berlin' FROM item",
            "zones; no timetz is about",
        ),
        (
            "SELECT created_at + interval '1 day', due + 1, due - due, created_at - seen, starts + '1 h' FROM item",
            "sums of dates and intervals",
        ),
        ("SELECT created_at::text, due::text, created_at || '', to_json(created_at) FROM item", "output by DateStyle"),
        (
            "SELECT id FROM item WHERE (due, due + 2) OVERLAPS (date '2024-01-01', date '2025-01-01')",
            "built of comparisons",
        ),
        ("SELECT d, id FROM item, generate_series('2024-01-01'::date, '2024-01-03', '1 day') AS d", "a series of days"),
        ("SELECT id FROM item WHERE during @> created_at AND lower(during) < '2024-05-05'", "ranges of timestamps"),
        ("SELECT tstzrange(created_at, seen), daterange(due, due + 1, '[]') FROM item WHERE false", "ranges made"),
        (
            "SELECT id FROM item WHERE created_at < 'infinity' AND due > '-infinity' AND seen > 'epoch'",
            "words that stay",
        ),
        ("SELECT id FROM item WHERE starts < 'allballs'", "midnight, always"),
        (
            "SELECT date_bin('15 minutes', seen, '2001-01-01'), justify_days(seen - seen), isfinite(due) FROM item",
            "immutable",
        ),
        ("SELECT (created_at + interval '1 day')::date FROM item", "an operator no overload of which gives a string"),
        ("SELECT date_trunc('day', created_at)::date FROM item", "a function none of whose overloads gives a string"),
        ("SELECT max(due) - min(due), count(*) FILTER (WHERE due > '2024-01-01') FROM item", "aggregates of dates"),
        ("SELECT id::text::int, 20240101::text FROM item", "a string that is read as a number"),
        ("SELECT days[1], '2024-01-01' = ANY (days), days::timestamp[] FROM item WHERE false", "arrays of dates"),
    ),
    *_refused(
        STABLE,
        ("SELECT id FROM item WHERE created_at > now() - interval '7 days'", "now moves"),
        ("SELECT id FROM item WHERE due = CURRENT_DATE", "today moves"),
        ("SELECT id, CURRENT_TIMESTAMP FROM item", "now moves"),
        ("SELECT id, LOCALTIMESTAMP(3), CURRENT_TIME, LOCALTIME FROM item", "now moves, rounded too"),
        ("SELECT age(created_at) FROM item", "of one: counted from today"),
        ("SELECT pg_catalog.age(i.seen) FROM public.item i", "qualified it is the same"),
        ("SELECT id, statement_timestamp(), transaction_timestamp() FROM item", "now in other words"),
        ("SELECT name FROM item ORDER BY now(), id", "it stands in ORDER BY"),
        ("SELECT count(*) FROM item GROUP BY date_trunc('day', now())", "it stands in GROUP BY"),
        ("SELECT count(*) FROM item HAVING now() > '2024-01-01'", "it stands in HAVING"),
        ("SELECT id FROM item LIMIT extract(day FROM CURRENT_DATE)::int", "it stands in LIMIT"),
        ("SELECT sum(id) FILTER (WHERE created_at < now()) FROM item", "it stands in FILTER"),
        ("SELECT rank() OVER (ORDER BY now() - created_at) FROM item", "it stands in a window"),
        ("SELECT i.id FROM item i JOIN tag t ON t.id = i.id AND i.due < CURRENT_DATE", "it stands in ON"),
        ("SELECT id FROM item WHERE EXISTS (SELECT 1 FROM tag WHERE now() > item.created_at)", "in a subselect"),
        ("WITH old AS (SELECT * FROM item WHERE due < CURRENT_DATE) SELECT count(*) FROM old", "in a WITH query"),
        ("SELECT id FROM item UNION SELECT extract(day FROM now())::int", "in one arm of a set operation"),
        ("SELECT CASE WHEN due < CURRENT_DATE THEN 'past' ELSE 'coming' END FROM item", "in CASE"),
        ("SELECT * FROM item, LATERAL (SELECT now() - item.created_at AS old) x", "in LATERAL"),
        ("SELECT id FROM item WHERE id = ANY (ARRAY[extract(day FROM now())::int])", "in an array"),
        ("SELECT VALUE.d FROM item, (VALUES (now())) AS value(d)", "in VALUES"),
        ("SELECT generate_series(created_at, now(), '1000 days') FROM item", "as an argument"),
        ('SELECT "now"() FROM item', "a quoted name is the same function"),
        ("SELECT pg_catalog.now() FROM item", "a qualified name is the same function"),
        ("SELECT to_char(now(), 'YYYY') AS year, id FROM item", "inside an admitted function"),
    ),
    *_refused(
        VOLATILE,
        ("SELECT clock_timestamp(), id FROM item", "the clock itself"),
        ("SELECT timeofday() FROM item", "the clock as text"),
        moves=True,
    ),
]

_WORDS: Final = [
    *_refused(
        "date word",
        ("SELECT id FROM item WHERE created_at < 'now'", "a constant that is read as now"),
        ("SELECT id FROM item WHERE due = 'today'", "a constant that is read as today"),
        ("SELECT id, 'now'::timestamptz FROM item", "cast"),
        ("SELECT id, CAST('tomorrow' AS date) FROM item", "cast in the standard's words"),
        ("SELECT id, timestamptz 'now', date 'yesterday' FROM item", "typed constants"),
        ("SELECT id, timestamptz('now') FROM item", "a call that is a cast"),
        ("SELECT id FROM item WHERE due = 'TODAY'", "in any case"),
        ("SELECT id FROM item WHERE due = '  Today  '", "with blanks around it"),
        ("SELECT id FROM item WHERE created_at < 'tomorrow 10:00'", "with a time"),
        ("SELECT id FROM item WHERE created_at < 'today10:00'", "a digit ends the word"),
        ("SELECT id FROM item WHERE created_at < '10:00today'", "a digit comes before the word"),
        ("SELECT id FROM item WHERE created_at < 'today_'", "an underscore ends the word"),
        ("SELECT id FROM item WHERE created_at < '@now'", "signs before it are skipped"),
        ("SELECT id FROM item WHERE created_at < '(today)'", "parentheses are skipped"),
        ("SELECT id FROM item WHERE created_at = ANY ('{now}')", "in an array"),
        ("SELECT id FROM item WHERE due = ANY ('{2024-01-01, \"today\"}'::date[])", "quoted in an array"),
        ("SELECT id FROM item WHERE created_at <@ '[2024-01-01,now)'::tstzrange", "in a range"),
        ("SELECT id, '(1,now)'::dated FROM item", "in a composite value"),
        ("SELECT id, E'n\\157w'::timestamptz FROM item", "behind an escape"),
        ("SELECT id, U&'\\006eow'::timestamptz FROM item", "behind a Unicode escape"),
        ("SELECT id, $$now$$::timestamptz FROM item", "in dollar quotes"),
        ("SELECT id, $x$today$x$::date FROM item", "in tagged dollar quotes"),
        ("SELECT id, 'no'\n'w'::timestamptz FROM item", "continued on the next line"),
        ("SELECT id, 'now'::text::timestamptz FROM item", "by way of text"),
        ("SELECT id, coalesce(due, 'today') FROM item", "the other argument gives it its type"),
        ("SELECT id FROM item WHERE due IN ('2024-01-01', 'tomorrow')", "in a list"),
        ("SELECT due FROM item UNION SELECT 'today'", "the other arm gives it its type"),
        ("SELECT ARRAY[due, 'yesterday'] FROM item", "the other element gives it its type"),
        ("SELECT id FROM item WHERE due BETWEEN 'yesterday' AND 'tomorrow'", "both bounds"),
        ("SELECT id FROM item WHERE name = 'now'", "of which type a constant is, the grammar does not know"),
        ("SELECT CASE WHEN ok THEN due ELSE 'today' END FROM item", "CASE gives it its type"),
        (
            "SELECT id FROM item WHERE created_at < 'now" + " " * 300 + "'",
            "blanks do not count, however many there are",
        ),
        (f"SELECT id FROM item WHERE due = ANY ('{{{'2024-01-01,' * 30}today}}')", "a long array's last element"),
        ("SELECT id, '(1,\"now\")'::dated FROM item", "quoted in a composite value"),
    ),
    *_refused(
        "date word|type|not understood",
        ("SELECT id, '(1,n\"ow\")'::dated FROM item", "quotes inside a field are dropped: it is read as now"),
        ("SELECT id, '[n\"\"ow,)'::tstzrange FROM item", "quotes inside a bound are dropped: it is read as now"),
        ("SELECT id, '{n\\ow}'::date[] FROM item", "a backslash inside an element is dropped: it is read as now"),
        ("SELECT id, '[n\\ow,)'::tstzrange FROM item", "a backslash inside a bound is dropped: it is read as now"),
    ),
    *_refused(
        TEXT_AS_DATE,
        ("SELECT note::date FROM item", "the word may stand in the rows"),
        ("SELECT CAST(note AS timestamptz) FROM item", "the word may stand in the rows"),
        ("SELECT note::time FROM item WHERE false", "a time can be now, too"),
        ("SELECT note::timestamp, note::pg_catalog.date FROM item", "qualified"),
        ('SELECT note::"date" FROM item', "quoted"),
        ("SELECT date(note) FROM item", "a call that is a cast"),
        ("SELECT pg_catalog.date(i.note) FROM item i", "a qualified call that is a cast"),
        ("SELECT timestamptz(note) FROM item", "a call that is a cast"),
        ("SELECT (i.note).date FROM item i", "a field that no column has is a cast by that name"),
        ("SELECT (note).timestamptz FROM item", "a field that no column has is a cast by that name"),
        ("SELECT id FROM item WHERE due = note::date", "in WHERE"),
        ("SELECT d::date FROM (SELECT note AS d FROM item) s", "an alias hides the column"),
        ("SELECT created_at::date FROM (SELECT note AS created_at FROM item) s", "an alias lies about the column"),
        ("SELECT s.due::date FROM (SELECT note FROM item) AS s(due)", "an alias of a subselect's columns"),
        ("SELECT due::date FROM (TABLE strings) AS s(id, list, payload, due)", "an alias of a table's columns"),
        ("SELECT due::date FROM strings AS s(id, list, payload, due)", "an alias of a table's columns"),
        ("WITH s(due) AS (SELECT note FROM item) SELECT due::date FROM s", "an alias of a WITH query's columns"),
        ("WITH s AS (SELECT note AS due FROM item) SELECT due::date FROM s", "an alias in a WITH query"),
        ("SELECT due::date FROM strings s, unnest(s.list) AS due", "a function's alias is its column's name"),
        ("SELECT x.due::date FROM strings s, unnest(s.list) AS x(due)", "an alias of a function's column"),
        ("SELECT value::date FROM strings s, jsonb_each_text(s.payload)", "a function's own names hide a date's"),
        ("SELECT value::date FROM tag, texts_of(tag.id)", "the names of what a user's function gives"),
        ("SELECT day::date FROM tag, out_text(tag.id)", "the names of what a user's function gives"),
        ("SELECT unnest::date FROM strings, unnest(list)", "a function's name is its column's"),
        ("SELECT j.due::date FROM (strings JOIN tag USING (id)) AS j(id, list, payload, due, l, p)", "a join's alias"),
        ("SELECT lower(note)::date FROM item", "a function that gives text"),
        ("SELECT (note || '')::date FROM item", "an operator that gives text"),
        ("SELECT ('no' || 'w')::timestamptz, id FROM item", "the word is put together"),
        ("SELECT replace('n_o_w', '_', '')::timestamptz, id FROM item", "the word is put together"),
        ("SELECT (chr(110) || 'ow')::timestamptz, id FROM item", "the word is put together"),
        ("SELECT max(note)::date FROM item", "an aggregate that gives text"),
        ("SELECT coalesce(note, '')::date FROM item", "COALESCE of text"),
        ("SELECT (CASE WHEN ok THEN note END)::date FROM item", "CASE of text"),
        ("SELECT (SELECT note FROM item LIMIT 1)::date FROM tag", "a subselect that gives text"),
        ("SELECT (data ->> 'day')::date FROM item", "text out of JSON"),
        ("SELECT (data #>> '{day}')::timestamptz FROM item", "text out of JSON"),
        ("SELECT words[1]::date FROM item", "an element of an array of text"),
        ("SELECT words::date[] FROM item", "an array of text"),
        ("SELECT ARRAY[note]::date[] FROM item", "an array made of text"),
        ("SELECT string_to_array(note, ',')::date[] FROM item", "an array made of text"),
        ("SELECT code::date FROM item WHERE false", "a string of fixed length"),
        ("SELECT brief::date FROM item WHERE false", "a domain over text"),
        ("SELECT note::day_domain FROM item", "a domain over date"),
        ("SELECT note::tstzrange FROM item WHERE false", "a range of timestamps"),
        ("SELECT ROW(id, note)::dated FROM item", "a composite value with a date in it"),
        ("SELECT note::dated FROM item WHERE false", "the text of a composite value with a date in it"),
        ("SELECT feeling::text::date FROM item WHERE false", "an enum's labels may be date words"),
        ("SELECT (pair).b::date FROM item WHERE false", "a field of a composite column"),
        ("SELECT created_at::text::date FROM item", "text again: which text, only the rows know"),
        ("SELECT i.name::timestamp FROM item i WHERE false", "a varchar"),
    ),
    Read(
        "SELECT ($1 || 'w')::timestamptz, id FROM item",
        "the word is put together from a value",
        TEXT_AS_DATE,
        values=("no",),
        moves=True,
    ),
    *_refused(
        f"{TEXT_AS_DATE}|not understood",
        (
            "SELECT x.d FROM item, jsonb_to_record(data) AS x(d date)",
            "the column's type reads the text: 'now' may be in it",
        ),
        (
            "SELECT x.* FROM strings, jsonb_to_recordset('[{\"d\": 1}]') AS x(a int, d text)",
            "it may read text as dates",
        ),
        ("SELECT (jsonb_populate_record(NULL::dated, data)).at FROM item", "it may read text as dates"),
        ("SELECT * FROM tag, json_populate_recordset(NULL::dated, '[]')", "it may read text as dates"),
        ('SELECT * FROM tag, json_to_record(\'{"at": "today"}\') AS x(at date)', "a date word inside JSON"),
    ),
    *_kept(
        "item",
        ("SELECT id AS now, name AS random FROM item", "functions' names as aliases"),
        ('SELECT id AS "today", name "now()" FROM item', "functions' names as quoted aliases"),
        ("SELECT /* now() */ id FROM item -- random() 'now'", "in comments"),
        ("/* created by random() */ SELECT id FROM item", "in a comment that comes first"),
        ("SELECT id FROM item WHERE name = 'random() nextval'", "functions' names in a string"),
        (
            "SELECT id FROM item WHERE name = 'nowhere' OR name = 'known' OR note = 'todays'",
            "the words inside longer words",
        ),
        ("SELECT id FROM item AS random WHERE random.id = 1", "a function's name as a table's alias"),
        ("SELECT now.id FROM item AS now", "a function's name as a table's alias"),
        ("SELECT id FROM item WHERE name = $$for update$$", "a clause in dollar quotes"),
        ("SELECT id FROM item WHERE name = 'x; delete from item'", "a statement in a string"),
    ),
    *_kept(
        "select",
        ('SELECT "now", "random", "date" FROM "select"', "functions' names as columns"),
        ('SELECT s.now, s.random FROM "select" s', "functions' names as columns of an alias"),
        ('SELECT now::date FROM "select"', "a column's name, not the function's"),
    ),
]

_NESTED: Final = [
    *_kept(
        "item, tag",
        ("SELECT * FROM item JOIN tag USING (id)", "a join"),
        ("SELECT * FROM item i LEFT JOIN tag t ON t.id = i.id AND t.label <> ''", "an outer join"),
        ("SELECT * FROM item NATURAL JOIN tag", "a natural join"),
        ("SELECT * FROM item, tag WHERE item.id = tag.id", "a join by comma"),
        ("SELECT id FROM item WHERE id IN (SELECT id FROM tag)", "IN"),
        ("SELECT id FROM item i WHERE EXISTS (SELECT FROM tag t WHERE t.id = i.id)", "EXISTS"),
        ("SELECT id, (SELECT label FROM tag t WHERE t.id = i.id) FROM item i", "in the target list"),
        ("SELECT id FROM item ORDER BY (SELECT max(id) FROM tag), id", "in ORDER BY"),
        ("SELECT id FROM item LIMIT (SELECT count(*) FROM tag)", "in LIMIT"),
        ("SELECT id FROM item OFFSET (SELECT min(id) FROM tag)", "in OFFSET"),
        ("SELECT count(*) FROM item HAVING count(*) > (SELECT count(*) FROM tag)", "in HAVING"),
        ("SELECT count(*) FROM item GROUP BY (SELECT max(id) FROM tag)", "in GROUP BY"),
        ("SELECT count(*) FILTER (WHERE id IN (SELECT id FROM tag)) FROM item", "in FILTER"),
        ("SELECT sum(id) OVER (ORDER BY (SELECT max(id) FROM tag)) FROM item", "in a window"),
        ("SELECT coalesce(note, (SELECT label FROM tag LIMIT 1)) FROM item", "as an argument"),
        ("SELECT CASE WHEN EXISTS (SELECT 1 FROM tag) THEN id END FROM item", "in CASE"),
        ("SELECT ARRAY(SELECT label FROM tag), id FROM item", "in ARRAY"),
        ("SELECT id FROM item WHERE id > ALL (SELECT id - 9 FROM tag)", "ALL"),
        ("SELECT id FROM item WHERE (id, 1) IN (SELECT id, 1 FROM tag)", "rows IN"),
        ("SELECT i.id FROM item i JOIN tag t ON t.id = (SELECT min(id) FROM item)", "in ON"),
        ("SELECT * FROM item i CROSS JOIN LATERAL (SELECT label FROM tag t WHERE t.id <= i.id) x", "LATERAL"),
        ("SELECT id FROM item UNION SELECT id FROM tag", "UNION"),
        ("SELECT id FROM item EXCEPT SELECT id FROM tag ORDER BY 1", "EXCEPT"),
        ("SELECT id FROM item INTERSECT ALL (SELECT id FROM tag LIMIT 1)", "INTERSECT"),
        ("TABLE tag UNION ALL SELECT id, name, id FROM item", "TABLE in a set operation"),
        ("VALUES ((SELECT count(*) FROM item)), ((SELECT count(*) FROM tag))", "VALUES with subselects"),
        ("WITH t AS (SELECT id FROM tag) SELECT * FROM item JOIN t USING (id)", "WITH"),
        (
            "WITH t AS MATERIALIZED (TABLE tag), i AS NOT MATERIALIZED (TABLE item) SELECT 1 FROM t, i",
            "how, is no matter",
        ),
        ("SELECT * FROM (WITH t AS (TABLE tag) SELECT id FROM t) x JOIN item USING (id)", "WITH inside FROM"),
        ("SELECT x.a FROM (VALUES ((SELECT max(id) FROM tag)), (3)) AS x(a), item", "VALUES in FROM"),
        ("SELECT * FROM ((SELECT id FROM item) UNION (SELECT id FROM tag)) u", "a set operation in FROM"),
        ("SELECT * FROM item i JOIN (tag a JOIN tag b ON a.id = b.parent_id) ON i.id = a.id", "joins in a join"),
        (
            "WITH first AS (SELECT id FROM tag), tag AS (SELECT id FROM item) SELECT 1 FROM first, tag",
            "not yet hidden there",
        ),
    ),
    *_kept(
        "item",
        ("WITH tag AS (SELECT id FROM item) SELECT * FROM tag", "the WITH query hides the table"),
        ("WITH item AS (SELECT * FROM item) SELECT * FROM item", "not in itself: there the table is meant"),
        ("WITH item AS (SELECT 1 AS id) SELECT * FROM public.item", "a qualified name is never a WITH query"),
        ("SELECT rank() OVER w, lag(id, 1) OVER w FROM item WINDOW w AS (PARTITION BY feeling ORDER BY id)", "windows"),
        ("SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM item", "frames"),
        (
            "SELECT sum(id) OVER (ORDER BY due RANGE BETWEEN '1 day' PRECEDING AND '2 days' FOLLOWING) FROM item",
            "by days",
        ),
        (
            "SELECT feeling, ok, count(*), grouping(feeling) FROM item GROUP BY GROUPING SETS ((feeling), (ok), ())",
            "sets",
        ),
        ("SELECT feeling, ok, count(*) FROM item GROUP BY ROLLUP (feeling, ok)", "rollup"),
        ("SELECT feeling, ok, count(*) FROM item GROUP BY CUBE (feeling, ok) ORDER BY 1, 2, 3", "cube"),
        ("SELECT * FROM item WHERE id = (SELECT 1)", "a subselect without a table"),
        ("SELECT n, i.id FROM item i, generate_series(1, i.id) AS n", "a function in FROM"),
        ("SELECT w, o FROM item, unnest(words) WITH ORDINALITY AS x(w, o)", "WITH ORDINALITY"),
        ("SELECT * FROM item, ROWS FROM (generate_series(1, 2), unnest(ARRAY[1])) AS x(a, b)", "ROWS FROM"),
    ),
    *_kept(
        "tag",
        (
            "WITH RECURSIVE up AS (SELECT id, parent_id FROM tag WHERE id = 2 UNION ALL "
            "SELECT t.id, t.parent_id FROM tag t JOIN up ON t.id = up.parent_id) SELECT * FROM up",
            "recursion",
        ),
        (
            "WITH RECURSIVE up(id, depth) AS (SELECT id, 1 FROM tag UNION SELECT id, depth + 1 FROM up "
            "WHERE depth < 3) SELECT count(*) FROM up",
            "recursion with named columns",
        ),
    ),
    *_refused(
        "|not understood",
        (
            "WITH RECURSIVE up AS (SELECT id, parent_id FROM tag UNION ALL SELECT t.id, t.parent_id FROM tag t, up "
            "WHERE t.id = up.parent_id) SEARCH DEPTH FIRST BY id SET seq CYCLE id SET looped USING path "
            "SELECT id FROM up",
            "recursion with SEARCH and CYCLE is rare",
        ),
        tables="tag",
    ),
    *_kept(
        "item",
        ("WITH a AS (WITH tag AS (SELECT id FROM item) SELECT * FROM tag) SELECT * FROM a", "hidden where it is"),
        is_exact=False,
    ),
    *_kept(
        "item, tag",
        ("SELECT 1 FROM (WITH tag AS (SELECT id FROM item) SELECT * FROM tag) a, tag", "hidden only where it is"),
        ("SELECT * FROM tag WHERE id IN (WITH tag AS (SELECT id FROM item) SELECT id FROM tag)", "hidden only there"),
    ),
    *_kept(
        "item",
        (
            "WITH RECURSIVE a AS (SELECT id FROM tag), tag AS (SELECT id FROM item) SELECT * FROM a",
            "RECURSIVE looks ahead",
        ),
        is_exact=False,
    ),
]

_FUNCTIONS: Final = [
    *_kept(
        "item",
        ("SELECT add_one(id), add_two(n => id) FROM item", "the user calls them immutable, and is trusted"),
        ("SELECT public.add_one(id) FROM item WHERE public.add_two(id) > 1", "qualified"),
        ("SELECT by_count(id) FROM item", "the volatile one takes two arguments"),
        ("SELECT plain_sum(id) FROM item", "an aggregate over an immutable function"),
        ("SELECT id FROM item WHERE id <~> 2", "an operator over an immutable function"),
        ("SELECT id OPERATOR(public.<~>) 2, id OPERATOR(pg_catalog.+) 1 FROM item", "qualified operators"),
        ("SELECT i.quiet_label FROM item i", "an immutable function called as a column"),
        ("SELECT initcap(name) FROM item", "the other initcap is immutable"),
        (
            "SELECT data -> 'a', data ->> 'a', data #>> '{b,c}', data @> '{\"a\": 1}', data ? 'a' FROM item",
            "JSON operators",
        ),
        ("SELECT json_agg(i), json_agg(row_to_json(i) ORDER BY id) FROM item i", "output functions only"),
        ("SELECT jsonb_agg(to_jsonb(i) - 'note'), jsonb_object_agg(id, name) FROM item i", "output functions only"),
        ("SELECT jsonb_build_object('id', id, 'at', created_at), json_build_array(id, due) FROM item", "output only"),
        ("SELECT e.value FROM item, jsonb_array_elements(data -> 'list') AS e", "JSON taken apart"),
        ("SELECT k.key, k.value FROM item, jsonb_each(data) AS k", "JSON taken apart"),
        ("SELECT jsonb_path_query_array(data, '$.list[*] ? (@ > 1)'), data @? '$.a' FROM item", "paths"),
        ("SELECT jsonb_set(data, '{a}', '2'), jsonb_typeof(data), jsonb_pretty(data) FROM item", "JSON made"),
        ("SELECT array_to_json(words), array_to_string(words, ','), cardinality(words) FROM item", "arrays to text"),
        (
            "SELECT array_agg(words), array_cat(words, words), words || 'x'::text FROM item GROUP BY words",
            "arrays",
        ),
        ("SELECT id FROM item WHERE body @@ to_tsquery('english', 'cat')", "the configuration changes by DDL only"),
        (
            "SELECT id FROM item WHERE to_tsvector(note) @@ plainto_tsquery('cat')",
            "the default configuration is in the key",
        ),
        ("SELECT ts_rank(body, q), ts_headline(note, q) FROM item, websearch_to_tsquery('cat') q", "text search"),
        ("SELECT regexp_replace(name, 'i', 'j'), regexp_matches(name, '[0-9]') FROM item", "regular expressions"),
        (
            "SELECT round(price, 1), trunc(price), ceil(price), width_bucket(price, 0, 10, 5), mod(id, 2) FROM item",
            "numbers",
        ),
        (
            "SELECT row_number() OVER (), ntile(2) OVER (ORDER BY id), first_value(id) OVER (ORDER BY id) FROM item",
            "windows",
        ),
        ("SELECT corr(id, price), stddev(price), bool_and(ok), every(ok), bit_or(id) FROM item", "statistics"),
        ("SELECT split_part(name, ' ', 1), position('m' IN name), overlay(name placing 'x' from 1) FROM item", "text"),
        (
            "SELECT convert_to(name, 'UTF8'), ascii(name), left(name, 2), lpad(name, 20), reverse(name) FROM item",
            "text",
        ),
        ("SELECT string_to_array(name, ' '), regexp_split_to_table(name, ' ') FROM item", "text taken apart"),
        ("SELECT hashtextextended(name, 0), num_nonnulls(id, note) FROM item", "immutable"),
    ),
    *_kept(
        "pictures",
        (
            "SELECT area(shape), shape @> spot, spot <-> point '(0,0)', net << '10.0.0.0/8', host(net) FROM pictures",
            "shapes",
        ),
        ("SELECT bits & B'101', bits::int, mac::text, net + 1 FROM pictures WHERE label > 'a'", "bits and addresses"),
    ),
    *_refused(
        VOLATILE,
        ("SELECT id, random() FROM item", "another number each time"),
        ("SELECT id FROM item ORDER BY random() LIMIT 1", "another order each time"),
        ("SELECT gen_random_uuid() FROM item", "another one each time"),
        ("SELECT pg_catalog.random() FROM item", "qualified"),
        ('SELECT "random"() FROM item', "quoted"),
        ("SELECT nextval('numbers') FROM item", "it counts"),
        ("SELECT noise(id) FROM item", "the user calls it volatile"),
        ("SELECT n.* FROM item i, noise(i.id) AS n", "in FROM"),
        ("SELECT by_count(id, 2) FROM item", "the volatile one of two"),
        ("SELECT defaulting(id) FROM item", "an argument with a default may be left out"),
        ("SELECT many(id, 2, 3) FROM item", "a variadic function takes any number of arguments"),
        ("SELECT i.noisy_label FROM item i", "a function called as a column"),
        ("SELECT noisy_label(i) FROM item i", "the same function called as a function"),
        ("SELECT (i).noisy_label FROM item i", "the same function called as a field"),
        ("SELECT loud_sum(id) FROM item", "an aggregate is as volatile as what it is made of, whatever is said of it"),
        ("SELECT sum(id) OVER w, loud_sum(id) OVER w FROM item WINDOW w AS (ORDER BY id)", "an aggregate as a window"),
        ("SELECT id FROM item WHERE id @@@ 1", "an operator over a volatile function"),
        ("SELECT id FROM item WHERE id OPERATOR(public.@@@) 1", "a qualified operator"),
        ("SELECT id FROM item WHERE id @@@ ANY (ARRAY[1, 2])", "an operator with ANY"),
        ("SELECT log_it('x'), id FROM item", "it writes"),
        ("SELECT log_sql(id) FROM item", "it writes"),
        ("SELECT id, (SELECT random()) FROM item", "in a subselect"),
        ("SELECT coalesce(nullif(note, note), random()::text) FROM item", "as an argument"),
        ("WITH r AS (SELECT random() AS r) SELECT id, r FROM item, r", "in a WITH query"),
        ("SELECT id FROM item UNION ALL SELECT (random() * 1000000)::int", "in one arm of a set operation"),
        moves=True,
    ),
    *_refused(
        VOLATILE,
        ("SELECT mixed(id) FROM item", "an overload of one argument is volatile, and which is meant is not known"),
        ("SELECT upper(t) FROM tag t", "the user's overload of a built-in function"),
        ("SELECT label ^@ 'r' FROM tag", "the user's overload of a built-in operator"),
        ("SELECT hidden(id) FROM item", "the other schema's is volatile, and search_path decides"),
        ("SELECT pg_sleep(0), id FROM item", "it is called for what it does"),
        ("SELECT pg_advisory_xact_lock(1) FROM item", "it takes a lock"),
        ("SELECT pg_try_advisory_xact_lock(id) FROM item", "it takes a lock"),
        ("SELECT pg_advisory_unlock_all(), id FROM item", "it gives locks back"),
        ("SELECT set_config('my.x', name, true) FROM item", "it sets"),
        ("SELECT pg_notify('c', name) FROM item", "it tells others"),
        ("SELECT setval('numbers', 5) FROM item", "it sets"),
        ("SELECT setseed(0.5) FROM item", "it sets"),
        ("SELECT id FROM item WHERE pg_relation_size('item') > 0", "sizes grow without a write to the table"),
    ),
    *_refused(
        VOLATILE,
        ("SELECT currval('numbers'), id FROM item", "what this session has counted"),
        ("SELECT lastval() FROM item", "what this session has counted"),
        ("SELECT id FROM item WHERE currval('numbers') = 1 OR nextval('numbers') = 2", "it counts"),
        runs=False,
    ),
    *_refused(
        STABLE,
        ("SELECT stamp(), id FROM item", "the user calls it stable: which tables it reads, or clocks, is not known"),
        ("SELECT count_tags(id) FROM item", "it reads another table"),
        ("SELECT log_quietly(id) FROM item", "stable, and writes by way of another"),
        ("SELECT current_setting('TimeZone'), id FROM item", "it reads settings"),
        ("SELECT pg_backend_pid(), id FROM item", "it tells which connection"),
        ("SELECT version(), id FROM item", "it tells of the server"),
        ("SELECT txid_current() FROM item", "another one each time"),
        ("SELECT has_table_privilege('item', 'select'), id FROM item", "it reads the catalogue"),
        ("SELECT pg_get_viewdef('item_view'::text), id FROM item", "it reads the catalogue"),
        ("SELECT obj_description(1, 'pg_class'), id FROM item", "it reads the catalogue"),
        ("SELECT id FROM item WHERE to_regclass('item') IS NOT NULL", "it reads the catalogue"),
        ("SELECT inet_client_addr(), id FROM item", "it tells which connection"),
        ("SELECT pg_postmaster_start_time(), id FROM item", "it tells of the server"),
    ),
    *_refused(
        f"{STABLE}|{VOLATILE}",
        ("SELECT query_to_xml('select * from tag', true, true, ''), id FROM item", "it reads tables by text"),
        ("SELECT table_to_xml('tag', true, true, ''), id FROM item", "it reads tables by name"),
        ("SELECT s.word FROM item, ts_stat('SELECT body FROM item') s", "it reads tables by text"),
    ),
    *_refused(
        f"|{STABLE}",
        ("SELECT CURRENT_USER, id FROM item", "the role is in the key"),
        ("SELECT current_database(), id FROM item", "there is one for a configuration"),
        ("SELECT id FROM item WHERE current_schema() = 'public'", "search_path is in the key, schemas change by DDL"),
        tables="item",
    ),
    *_refused(
        f"|{VOLATILE}",
        ("SELECT pg_catalog.upper(name) FROM item", "qualified, the user's overload is not meant"),
        ("SELECT public.hidden(id) FROM item", "qualified, the other schema's is not meant"),
        tables="item",
    ),
    Read(
        "SELECT defaulting_now(id) FROM item",
        "an immutable function's default for what is left out reads the clock",
        f"{STABLE}|{VOLATILE}",
        moves=True,
    ),
    Read("SELECT shadow.hidden(id) FROM item", "qualified, and volatile", VOLATILE, moves=True),
    *_refused(
        "unknown name|volatile function|stable function",
        ("SELECT no_such_function(id) FROM item", "nobody knows it"),
        ("SELECT id FROM item WHERE id <~~~> 1", "nobody knows the operator"),
        runs=False,
    ),
]

_TYPES: Final = [
    *_refused(
        "type",
        ("SELECT * FROM zoned", "a time with a zone is left out altogether"),
        ("SELECT id FROM zoned", "its table is, too: the grammar does not know which columns meet"),
        ("SELECT * FROM zoned_inside", "inside a composite column"),
        ("SELECT created_at::timetz FROM item", "a cast to it"),
        ("SELECT starts::time with time zone FROM item", "midsummer or not is asked of today"),
        ("SELECT id FROM item WHERE '10:00+00'::timetz > '09:00+00'", "a constant of it"),
        ("SELECT 'item'::regclass::oid, id FROM item", "a name is looked up in the catalogue"),
        ("SELECT id::regclass FROM item", "a number is looked up in the catalogue"),
        ("SELECT id FROM item WHERE 'item'::regclass IS NOT NULL", "a name is looked up in the catalogue"),
        ("SELECT id::regtype::text FROM item", "a number is looked up in the catalogue"),
    ),
    *_refused(
        "type|volatile function",
        ("SELECT id::loud FROM item", "a domain's check calls a function that writes"),
        ("SELECT CAST(name AS loud) FROM item WHERE false", "a domain's check calls a function that writes"),
        ("SELECT ARRAY[id]::loud[] FROM item", "in an array"),
        ("SELECT id::pence FROM item", "a cast of the user's calls a function that writes"),
        ("SELECT CAST(id AS public.pence) FROM item", "a cast of the user's calls a function that writes"),
    ),
    Read("SELECT id, v FROM of_loud", "a column of a domain is read without its check", "|type", "of_loud"),
    Read("SELECT CAST(id AS no_such_type) FROM item", "nobody knows it", "unknown name|type", runs=False),
]

_RELATIONS: Final = [
    *_kept(
        "event, event_low, event_high, event_high_a, event_rest",
        ("SELECT * FROM event", "a partitioned table is its partitions, and theirs"),
        ("SELECT * FROM event WHERE id = 5", "whichever is left out by the plan"),
        ("SELECT count(*) FROM event_view", "by way of a view"),
    ),
    *_kept(
        "event_high, event_high_a",
        ("SELECT * FROM event_high", "a partition that is partitioned"),
    ),
    *_kept(
        "event_low",
        ("SELECT * FROM event_low", "a partition by its own name"),
        ("SELECT id FROM public.event_low e WHERE at > '2024-01-01'", "a partition by its own name"),
    ),
    *_kept(
        "animal, dog, puppy",
        ("SELECT * FROM animal", "a parent has its children's rows"),
        ("SELECT * FROM animal*", "the same in old words"),
        ("SELECT n FROM animal_view", "by way of a view"),
    ),
    *_kept("dog, puppy", ("SELECT name, breed FROM dog", "a child that is a parent")),
    *_kept("puppy", ("SELECT * FROM puppy", "a child")),
    *_kept("animal", ("SELECT * FROM ONLY animal", "its own rows only"), is_exact=False),
    *_kept(
        "item",
        ("SELECT * FROM item_view", "a view"),
        ("SELECT id FROM public.item_view WHERE name <> 'x'", "a qualified view"),
        ("SELECT n FROM immutable_view", "a view that calls an immutable function"),
        ("SELECT id FROM frozen_today_view", "the constant was read when the view was made"),
        ("SELECT created_day FROM created_day_view", "a view with a cast that reads no text"),
    ),
    *_kept(
        "item, tag",
        ("SELECT * FROM item_names", "a view of a view and a table"),
        ("SELECT i.id FROM item_names n JOIN item i USING (id)", "beside its table"),
    ),
    *_kept("tag, place", ("SELECT n FROM subselect_view", "a subselect in a view"), is_exact=True),
    *_kept("item, shadow.only_here", ("SELECT id FROM union_view", "a set operation in a view")),
    *_kept("tag", ("SELECT n FROM function_view", "a function in FROM in a view")),
    *_kept(
        "item_stats",
        ("SELECT * FROM item_stats", "a materialized view is what was last stored"),
        ("SELECT n FROM over_stats", "a view of a materialized view"),
    ),
    *_kept("place, shadow.place", ("SELECT * FROM place", "which one, search_path decides")),
    *_kept("shadow.place", ("SELECT * FROM shadow.place", "qualified")),
    *_kept("place", ("SELECT p.* FROM public.place p", "qualified")),
    *_kept("Orders", ('SELECT "Total" FROM "Orders"', "quoted: not the other one")),
    *_kept("orders", ("SELECT total FROM Orders", "folded: not the quoted one")),
    *_kept("odd name", ('SELECT "my ""col""" FROM "odd name"', "blanks and quotes in names")),
    *_kept(
        "größe",
        ('SELECT "länge" FROM "größe"', "letters beyond ASCII"),
        ("SELECT länge FROM größe WHERE id > 0", "unquoted, too"),
        ('SELECT U&"l\\00e4nge" FROM U&"gr\\00f6\\00dfe"', "by code"),
    ),
    *_kept("item", ("SELECT id FROM item WHERE name = 'Ünïcode ✓ 日本'", "text beyond ASCII")),
    *_kept(
        "a123456789_123456789_123456789_123456789_123456789_123456789_12",
        (
            "SELECT id FROM a123456789_123456789_123456789_123456789_123456789_123456789_12_and_more",
            "names are cut at 63 bytes",
        ),
    ),
    Read(
        "SELECT * FROM fleeting", "unlogged: written like others, but a crash empties it", "|unlogged table", "fleeting"
    ),
    *_kept("serials", ("SELECT * FROM serials", "its default is of the write")),
    *_kept("shadow.only_here", ("SELECT id FROM shadow.only_here", "another schema")),
    Read("SELECT id FROM only_here", "a name is looked for in every schema", "", "shadow.only_here", runs=False),
    *_refused(
        STABLE,
        ("SELECT * FROM clock_view", "a view that reads the clock"),
        ("SELECT * FROM clock_over", "a view of a view that reads the clock"),
        ("SELECT n FROM stable_view", "a view that calls a stable function of the user's"),
    ),
    Read("SELECT id FROM today_view", "a view that reads today's date", f"{STABLE}|{VOLATILE}"),
    Read("SELECT id FROM me_view", "a view that asks who reads it", f"|{STABLE}|{VOLATILE}", "owned"),
    *_refused(
        VOLATILE,
        ("SELECT * FROM dice_view", "a view that calls random()"),
        ("SELECT * FROM loud_view", "a view that calls a function that writes"),
        ("SELECT * FROM loud_sum_view", "an aggregate over a function that writes"),
        ("SELECT * FROM sequence_view", "a view that counts"),
        ("SELECT id FROM item WHERE id IN (SELECT id FROM dice_view WHERE dice > 0.5)", "a view in a subselect"),
        moves=True,
    ),
    *_refused(
        VOLATILE,
        ("SELECT id FROM loud_operator_view", "a view with an operator that writes"),
    ),
    *_refused("volatile function|type", ("SELECT n FROM loud_domain_view", "a domain's check that writes, in a view")),
    *_refused(
        f"{TEXT_AS_DATE}|not understood",
        ("SELECT id FROM later_today_view", "the text is read as a date each time"),
        ("SELECT note_day FROM note_day_view", "a view that reads text as dates"),
    ),
    Read("SELECT id FROM sampled_view", "a view that samples", "sampled"),
    Read("SELECT id FROM locking_view", "a view that locks rows", "locks rows|not understood"),
    *_refused(
        "system table",
        ("SELECT relname FROM pg_class", "the catalogue"),
        ("SELECT * FROM pg_catalog.pg_tables WHERE false", "the catalogue"),
        ("SELECT count(*) FROM pg_stat_activity", "who is here"),
        ("SELECT table_name FROM information_schema.tables", "the catalogue in the standard's words"),
        ("SELECT i.id FROM item i, pg_settings s", "beside a table"),
        ("SELECT id FROM item WHERE EXISTS (SELECT FROM pg_locks)", "in a subselect"),
        ("SELECT count(*) FROM catalog_view", "by way of a view"),
        ("SELECT typname FROM pg_type ORDER BY 1 LIMIT 1", "the catalogue"),
    ),
    *_refused(
        "row security",
        ("SELECT * FROM guarded", "which rows, a policy decides"),
        ("SELECT i.id FROM item i LEFT JOIN guarded g USING (id)", "beside a table"),
        ("SELECT id FROM guarded_view", "by way of a view"),
        ("SELECT id FROM guarded_parent", "a child's policy"),
        ("SELECT id FROM one_safe", "the one in the other schema has a policy"),
        ("SELECT 1 FROM item WHERE id IN (SELECT id FROM guarded)", "in a subselect"),
    ),
    *_kept("one_safe", ("SELECT id FROM public.one_safe", "qualified, the guarded one is not meant")),
    *_refused(
        "temporary table",
        ("SELECT * FROM scratch", "each session has its own"),
        ("SELECT i.id FROM item i JOIN scratch USING (id)", "beside a table"),
        ("SELECT id FROM pg_temp.scratch", "qualified"),
    ),
    *_refused(
        "foreign table",
        ("SELECT * FROM outside", "who writes it, nobody here sees"),
        ("SELECT * FROM halves", "a partition is a foreign table"),
        ("SELECT i.id FROM item i, outside_view", "by way of a view"),
        needs="file_fdw",
    ),
    *_refused(
        ANY_CLASS,
        ("SELECT last_value FROM numbers", "a sequence: nextval is no write"),
        ("SELECT * FROM number_view", "a sequence by way of a view"),
        ("SELECT ctid, id FROM item", "VACUUM FULL and CLUSTER move rows, and write nothing"),
        ("SELECT xmax FROM item", "a lock or a write rolled back changes it"),
    ),
    *_refused(
        "unknown name",
        ("SELECT * FROM no_such_table", "nobody knows it"),
        ("SELECT * FROM item JOIN no_such_schema.item USING (id)", "no such schema"),
        ("SELECT * FROM tag WHERE id IN (SELECT id FROM no_such_table)", "in a subselect"),
        ('SELECT * FROM "Item"', "a quoted name is another one"),
        ("SELECT * FROM other_database.public.no_such_table", "of another database, and unknown"),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT id FROM item) SELECT * FROM a", "what comes later is not seen"),
        runs=False,
    ),
]

_CLAUSES: Final = [
    *_refused(
        "locks rows",
        ("SELECT * FROM item WHERE id = 1 FOR UPDATE", "it locks"),
        ("SELECT * FROM item FOR SHARE", "it locks"),
        ("SELECT * FROM item FOR NO KEY UPDATE", "it locks"),
        ("SELECT * FROM item FOR KEY SHARE", "it locks"),
        ("SELECT * FROM item ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", "it locks what others have not"),
        ("SELECT * FROM item i JOIN tag t USING (id) FOR UPDATE OF i NOWAIT", "it locks one of them"),
        ("SELECT * FROM (SELECT id FROM item FOR UPDATE) s", "a subselect locks"),
        ("WITH a AS (SELECT id FROM item FOR SHARE) SELECT * FROM a", "a WITH query locks"),
        ("SELECT (SELECT name FROM item LIMIT 1 FOR UPDATE), id FROM tag", "a subselect in the target list locks"),
    ),
    *_refused(
        "writes",
        ("WITH gone AS (DELETE FROM item_tag RETURNING *) SELECT * FROM gone", "a WITH query deletes"),
        ("WITH made AS (INSERT INTO tag (id) VALUES (90) RETURNING id) SELECT id FROM made", "a WITH query inserts"),
        ("WITH a AS (UPDATE tag SET label = label) SELECT * FROM item", "a WITH query that nobody reads updates"),
    ),
    *_refused(
        "writes|not a read",
        ("INSERT INTO orders VALUES (91, 1)", "it writes"),
        ("UPDATE tag SET label = 'x' WHERE id = 999 RETURNING *", "it writes"),
        ("DELETE FROM orders WHERE id = 999", "it writes"),
        ("WITH a AS (SELECT 999 AS id) DELETE FROM orders USING a WHERE orders.id = a.id", "it writes"),
        ("MERGE INTO orders o USING tag t ON o.id = t.id WHEN MATCHED THEN DO NOTHING", "it may write"),
    ),
    *_refused(
        "stores|not a read",
        ("SELECT id INTO TEMP kept_1 FROM item", "it makes a table"),
        ("CREATE TEMP TABLE kept_2 AS SELECT id FROM item", "it makes a table"),
    ),
    Read("SELECT * INTO UNLOGGED kept_3 FROM item", "it makes a table", "stores", runs=False),
    *_refused(
        "sampled",
        ("SELECT * FROM item TABLESAMPLE system (50)", "other rows each time"),
        ("SELECT * FROM item TABLESAMPLE bernoulli (50) REPEATABLE (1)", "which rows, their places decide"),
    ),
    *_refused(
        "no table",
        ("SELECT 1", "is the database there?"),
        ("VALUES (1), (2)", "no table"),
        ("SELECT 'x' || 'y', 1 + 1", "no table"),
        ("SELECT * FROM generate_series(1, 3)", "a function is no table"),
        ("WITH item AS (SELECT 1 AS id) SELECT * FROM item", "the WITH query hides the table"),
        ("SELECT", "not even a column"),
        ("SELECT add_one(1) UNION SELECT 2", "no table"),
        ("SELECT * FROM (VALUES (1, 'a')) AS item(id, name)", "an alias is no table"),
    ),
    *_refused("no table|stable function", ("SELECT now()", "no table"), ("SELECT current_date", "no table")),
    *_refused("no table|volatile function", ("SELECT random()", "no table"), ("SELECT pg_sleep(0)", "no table")),
    *_refused(
        "several statements",
        ("SELECT * FROM item; SELECT * FROM tag", "two answers"),
        ("SELECT 1; SELECT * FROM item;", "two answers"),
        ("SET LOCAL my.x = '1'; SELECT * FROM item", "the first is no read"),
    ),
    *_refused(
        "not a read|not understood|no table",
        ("", "nothing"),
        (" ;; ", "nothing"),
        ("-- only a comment", "nothing"),
    ),
    *_refused(
        NOT_A_READ,
        ("EXPLAIN SELECT * FROM item", "plans change without a write"),
        ("EXPLAIN ANALYZE SELECT * FROM item", "times"),
        ("SHOW timezone", "a setting"),
        ("SET my.x = '1'", "a setting"),
        ("BEGIN", "a transaction"),
        ("COMMIT", "a transaction"),
        ("PREPARE p1 AS SELECT * FROM item", "it keeps a statement"),
        ("DISCARD PLANS", "it drops something"),
        ("LISTEN something", "it listens"),
        ("DO $$ begin perform 1; end $$", "a block of code"),
        ("ANALYZE item", "statistics"),
        ("CREATE TEMP TABLE kept_4 (id int)", "DDL"),
    ),
    *_refused(
        NOT_A_READ,
        ("DECLARE c CURSOR FOR SELECT * FROM item", "a cursor"),
        ("FETCH 1 FROM c", "a cursor"),
        ("EXECUTE p", "which statement that is, the session knows"),
        ("COPY (SELECT * FROM item) TO STDOUT", "another protocol"),
        ("COPY item TO STDOUT", "another protocol"),
        ("CALL log_procedure()", "a procedure"),
        ("LOCK TABLE item", "it locks"),
        runs=False,
    ),
    *_refused(
        "not understood",
        ("SELECT FROM FROM item", "no SQL"),
        ("SELEC * FROM item", "no SQL"),
        ("SELECT 'open FROM item", "no end of the string"),
        ("SELECT * FROM item WHERE id = ?", "another system's parameters"),
        ("{call something()}", "another system's words"),
        runs=False,
    ),
    *_refused(
        "bypassed",
        ("/* onetrip: cache=off */ SELECT * FROM item", "asked for"),
        ("-- onetrip: cache=off\nSELECT * FROM item", "asked for in a line's comment"),
        ("/*ONETRIP:CACHE=OFF*/SELECT * FROM item", "case and blanks are free"),
        ("  \n /*  onetrip :  cache = off  */ SELECT * FROM item", "case and blanks are free"),
        ("/* onetrip: cache=off */ WITH a AS (TABLE item) SELECT * FROM a", "asked for"),
    ),
    *_kept(
        "item",
        ("SELECT /* onetrip: cache=off */ * FROM item", "the comment does not come first"),
        ("SELECT * FROM item -- onetrip: cache=off", "the comment does not come first"),
        ("SELECT * FROM item WHERE name = '/* onetrip: cache=off */'", "a string is no comment"),
        ("/* onetrip is nice */ SELECT * FROM item", "another comment"),
        ("/* cache=off */ SELECT * FROM item", "not said to us"),
        ("/* outer /* inner */ */ SELECT * FROM item", "comments in comments"),
        ("SELECT id FROM item /* action='index',controller='posts',traceparent='00-4bf9' */", "a trace's comment"),
    ),
    Read(f"SELECT id FROM item WHERE id IN ({', '.join(map(str, range(60_000)))})", "beyond every bound", "too long"),
    *_refused(
        "|not understood",
        ("SELECT XMLELEMENT(NAME x, id), XMLFOREST(name) FROM item", "XML is rare"),
        ("SELECT XMLCONCAT(XMLELEMENT(NAME x, id), '<y/>') FROM item", "XML is rare"),
        tables="item",
    ),
]

# What object mappers send: Django, SQLAlchemy, Rails, Prisma, Hibernate.
_MAPPER_READS: Final = [
    Read(
        """SELECT "auth_user"."id", "auth_user"."password", "auth_user"."last_login", "auth_user"."is_superuser",
        "auth_user"."username", "auth_user"."first_name", "auth_user"."last_name", "auth_user"."email",
        "auth_user"."is_staff", "auth_user"."is_active", "auth_user"."date_joined"
        FROM "auth_user" WHERE "auth_user"."id" = 1 LIMIT 21""",
        "Django: who is logged in",
        "",
        "auth_user",
    ),
    Read(
        """SELECT "blog_post"."id", "blog_post"."title", "blog_post"."slug", "blog_post"."body", "blog_post"."status",
        "blog_post"."published_at", "blog_post"."author_id", "blog_post"."category_id", "blog_category"."id",
        "blog_category"."name", "blog_category"."slug", "auth_user"."id", "auth_user"."username", "auth_user"."email"
        FROM "blog_post" LEFT OUTER JOIN "blog_category" ON ("blog_post"."category_id" = "blog_category"."id")
        INNER JOIN "auth_user" ON ("blog_post"."author_id" = "auth_user"."id")
        WHERE ("blog_post"."status" = 'published' AND UPPER("blog_post"."title"::text) LIKE UPPER('%sale%'))
        ORDER BY "blog_post"."published_at" DESC LIMIT 25""",
        "Django: upper has an overload of the user's that is volatile, in this schema",
        VOLATILE,
    ),
    Read(
        """SELECT "blog_post"."id", "blog_post"."title", "blog_post"."slug", "blog_post"."body", "blog_post"."status",
        "blog_post"."published_at", "blog_post"."author_id", "blog_post"."category_id", "blog_category"."id",
        "blog_category"."name", "blog_category"."slug", "auth_user"."id", "auth_user"."username", "auth_user"."email"
        FROM "blog_post" LEFT OUTER JOIN "blog_category" ON ("blog_post"."category_id" = "blog_category"."id")
        INNER JOIN "auth_user" ON ("blog_post"."author_id" = "auth_user"."id")
        WHERE ("blog_post"."status" = 'published' AND "blog_post"."title"::text LIKE '%sale%')
        ORDER BY "blog_post"."published_at" DESC LIMIT 25""",
        "Django: select_related",
        "",
        "blog_post, blog_category, auth_user",
    ),
    Read(
        """SELECT "blog_category"."id", "blog_category"."name", COUNT("blog_post"."id") AS "posts",
        SUM("blog_post"."view_count") FILTER (WHERE "blog_post"."status" = 'published') AS "views"
        FROM "blog_category" LEFT OUTER JOIN "blog_post" ON ("blog_category"."id" = "blog_post"."category_id")
        GROUP BY "blog_category"."id" HAVING COUNT("blog_post"."id") > 0 ORDER BY "posts" DESC""",
        "Django: annotate",
        "",
        "blog_category, blog_post",
    ),
    Read(
        """SELECT DATE_TRUNC('month', "blog_post"."published_at" AT TIME ZONE 'Europe/Berlin') AS "month",
        COUNT(*) AS "n" FROM "blog_post" WHERE "blog_post"."published_at" BETWEEN
        '2024-01-01T00:00:00+00:00'::timestamptz AND '2024-12-31T23:59:59.999999+00:00'::timestamptz GROUP BY 1
        ORDER BY 1 ASC""",
        "Django: TruncMonth",
        "",
        "blog_post",
    ),
    Read(
        """SELECT ("blog_post"."published_at" AT TIME ZONE 'UTC')::date AS "day", COUNT("blog_post"."id") AS "n"
        FROM "blog_post" WHERE EXTRACT(YEAR FROM "blog_post"."published_at" AT TIME ZONE 'UTC') = 2024 GROUP BY 1""",
        "Django: TruncDate",
        "",
        "blog_post",
    ),
    Read(
        """SELECT 1 AS "a" FROM "django_session" WHERE "django_session"."session_key" = 'abc' LIMIT 1""",
        "Django: exists()",
        "",
        "django_session",
    ),
    Read(
        """SELECT "django_session"."session_key", "django_session"."session_data", "django_session"."expire_date"
        FROM "django_session" WHERE ("django_session"."expire_date" > '2024-05-05 10:00:00+00:00'::timestamptz
        AND "django_session"."session_key" = 'abc') LIMIT 21""",
        "Django: the session, with the time as Python saw it",
        "",
        "django_session",
    ),
    Read(
        """SELECT "blog_post"."id" FROM "blog_post" WHERE "blog_post"."published_at" <= (STATEMENT_TIMESTAMP())
        ORDER BY "blog_post"."published_at" DESC""",
        "Django: Now()",
        STABLE,
    ),
    Read(
        """SELECT "blog_post"."id", "blog_post"."title" FROM "blog_post" ORDER BY RANDOM() ASC LIMIT 5""",
        "Django: order_by('?')",
        VOLATILE,
    ),
    Read(
        """SELECT "blog_post"."id", "blog_post"."status" FROM "blog_post" WHERE "blog_post"."id" = 1 LIMIT 21
        FOR UPDATE OF "blog_post" SKIP LOCKED""",
        "Django: select_for_update",
        "locks rows",
    ),
    Read(
        """SELECT "blog_post"."id", "blog_post"."title", (SELECT U0."username" FROM "auth_user" U0 WHERE U0."id"
        = ("blog_post"."author_id") LIMIT 1) AS "author" FROM "blog_post" WHERE EXISTS(SELECT 1 AS "a" FROM
        "blog_category" U0 WHERE (U0."id" = ("blog_post"."category_id") AND U0."slug" IS NULL) LIMIT 1)""",
        "Django: Subquery and Exists",
        "",
        "blog_post, auth_user, blog_category",
    ),
    Read(
        """SELECT users.id AS users_id, users.name AS users_name, users.fullname AS users_fullname, users.email
        AS users_email, users.created_at AS users_created_at FROM users WHERE users.email = $1::VARCHAR LIMIT
        $2::INTEGER""",
        "SQLAlchemy: one object",
        "",
        "users",
        values=("ann@example.com", "1"),
    ),
    Read(
        """SELECT anon_1.users_id AS anon_1_users_id, anon_1.users_name AS anon_1_users_name, posts_1.id AS
        posts_1_id, posts_1.user_id AS posts_1_user_id, posts_1.title AS posts_1_title, posts_1.created_at AS
        posts_1_created_at FROM (SELECT users.id AS users_id, users.name AS users_name FROM users WHERE
        users.name ILIKE $1::VARCHAR ORDER BY users.id LIMIT $2::INTEGER) AS anon_1 LEFT OUTER JOIN posts AS
        posts_1 ON anon_1.users_id = posts_1.user_id ORDER BY anon_1.users_id, posts_1.id DESC""",
        "SQLAlchemy: joinedload under a limit",
        "",
        "users, posts",
        values=("a%", "10"),
    ),
    Read(
        """SELECT count(*) AS count_1 FROM (SELECT DISTINCT CAST(posts.created_at AS DATE) AS day, posts.user_id AS
        user_id
        FROM posts WHERE posts.published IS true AND posts.user_id IN (1, 2, 3)) AS anon_1""",
        "SQLAlchemy: a count over a subselect",
        "",
        "posts",
    ),
    Read(
        """WITH RECURSIVE anon_1(id, depth) AS (SELECT tag.id AS id, 0 AS depth FROM tag WHERE tag.parent_id IS
        NULL UNION ALL SELECT tag_1.id AS id, anon_1.depth + 1 AS anon_2 FROM tag AS tag_1 JOIN anon_1 ON
        tag_1.parent_id = anon_1.id) SELECT anon_1.id, anon_1.depth, row_number() OVER (PARTITION BY
        anon_1.depth ORDER BY anon_1.id) AS n FROM anon_1""",
        "SQLAlchemy: a recursive cte()",
        "",
        "tag",
    ),
    Read(
        """SELECT posts.id, posts.title FROM posts WHERE posts.created_at > now() - make_interval(days => 7)
        AND posts.published ORDER BY posts.id""",
        "SQLAlchemy: func.now()",
        STABLE,
    ),
    Read(
        """SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON
        pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname =
        $1::VARCHAR AND pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_namespace.nspname
        != 'pg_catalog'""",
        "SQLAlchemy: has_table",
        "system table",
        values=("users",),
    ),
    Read(
        """SELECT "users".* FROM "users" WHERE "users"."email" = $1 ORDER BY "users"."id" ASC LIMIT $2
        /*application:Shop,controller:users,action:show*/""",
        "Rails: find_by, with its comment",
        "",
        "users",
        values=("ann@example.com", "1"),
    ),
    Read(
        """SELECT "users"."id" AS t0_r0, "users"."name" AS t0_r1, "users"."created_at" AS t0_r2, "posts"."id" AS
        t1_r0, "posts"."title" AS t1_r1, "posts"."updated_at" AS t1_r2 FROM "users" LEFT OUTER JOIN "posts" ON
        "posts"."user_id" = "users"."id" WHERE "users"."created_at" BETWEEN '2024-01-01 00:00:00' AND
        '2024-12-31 23:59:59.999999' AND ("posts"."published" = TRUE OR "posts"."id" IS NULL) ORDER BY
        "users"."name" ASC, "posts"."id" DESC""",
        "Rails: eager_load",
        "",
        "users, posts",
    ),
    Read(
        """SELECT 1 AS one FROM "posts" INNER JOIN "users" ON "users"."id" = "posts"."user_id"
        WHERE "posts"."user_id" = $1 AND (posts.created_at::date = '2024-01-01') LIMIT $2""",
        "Rails: exists?, with a day",
        "",
        "posts, users",
        values=("1", "1"),
    ),
    Read(
        """SELECT COUNT(*) AS "count_all", date_trunc('week', "posts"."created_at"::timestamptz AT TIME ZONE 'Etc/UTC')
        AT TIME ZONE 'Etc/UTC' AS "week" FROM "posts" WHERE "posts"."created_at" IS NOT NULL GROUP BY 2""",
        "Rails: groupdate",
        "",
        "posts",
    ),
    Read(
        """SELECT "posts".* FROM "posts" WHERE (posts.created_at >= 'yesterday'::date) ORDER BY RANDOM() LIMIT 3""",
        "Rails: a word for a day, and chance",
        "date word|volatile function",
    ),
    Read(
        """SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE a.attrelid = '"users"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
        "Rails: the columns of a table",
        "system table|type|stable function",
    ),
    Read(
        """SELECT "public"."User"."id", "public"."User"."email", "public"."User"."name", "public"."User"."createdAt"
        FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3""",
        "Prisma: findUnique",
        "",
        "User",
        values=("1", "1", "0"),
    ),
    Read(
        """SELECT "t1"."id", "t1"."title", "t1"."published", "t1"."authorId" FROM "public"."Post" AS "t1" WHERE
        ("t1"."id") IN (SELECT "t0"."id" FROM "public"."Post" AS "t0" INNER JOIN "public"."User" AS "j0" ON
        ("j0"."id") = ("t0"."authorId") WHERE ("j0"."email"::text ILIKE $1 AND "t0"."id" IS NOT NULL)) ORDER BY
        "t1"."id" ASC OFFSET $2""",
        "Prisma: a filter by a relation",
        "",
        "Post, User",
        values=("%ann%", "0"),
    ),
    Read(
        """SELECT "t0"."id", "t0"."name", COALESCE("t1"."__prisma_data__", '[]'::jsonb) AS "posts" FROM
        "public"."User" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS
        "__prisma_data__" FROM (SELECT "t3"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t2"."id",
        'title', "t2"."title") AS "__prisma_data__" FROM (SELECT "t1".* FROM "public"."Post" AS "t1" WHERE
        "t0"."id" = "t1"."authorId") AS "t2") AS "t3") AS "t4") AS "t1" ON TRUE LIMIT 20""",
        "Prisma: a join made of JSON",
        "",
        "User, Post",
    ),
    Read(
        """select e1_0.id, d1_0.id, d1_0.name, e1_0.hired, e1_0.name, e1_0.salary from employee e1_0 left join
        department d1_0 on d1_0.id=e1_0.department_id where e1_0.name like $1 escape '' order by e1_0.salary
        desc fetch first $2 rows only""",
        "Hibernate: a join with a page",
        "",
        "employee, department",
        values=("a%", "10"),
    ),
    Read(
        """select d1_0.name, count(e1_0.id), avg(e1_0.salary), max(e1_0.hired), sum(case when e1_0.salary>cast($1 as
        numeric(38,2)) then 1 else 0 end) from department d1_0 join employee e1_0 on e1_0.department_id=d1_0.id
        where date_part('year', e1_0.hired)=$2 or e1_0.hired is null group by d1_0.name having count(e1_0.id)>$3""",
        "Hibernate: a report",
        "",
        "employee, department",
        values=("10", "2024", "0"),
    ),
    Read(
        "select e1_0.id, e1_0.name from employee e1_0 where e1_0.hired<current_date and e1_0.salary>$1",
        "Hibernate: current_date",
        STABLE,
        values=("1",),
    ),
    Read("select nextval('numbers')", "Hibernate: the next id", "no table|volatile function", moves=True),
    Read(
        """select e1_0.id, e1_0.name, e1_0.salary from employee e1_0 where e1_0.id=$1 for no key update""",
        "Hibernate: a pessimistic lock",
        "locks rows",
        values=("1",),
    ),
]

_MAPPER_WRITES: Final = [
    Write(
        """INSERT INTO "blog_post" ("title", "slug", "body", "status", "published_at", "author_id", "category_id",
        "view_count") VALUES ('two', 'two', '', 'draft', '2024-05-05T10:00:00+00:00'::timestamptz, 1, 1, 0)
        RETURNING "blog_post"."id" """,
        "Django: create()",
        "blog_post",
    ),
    Write(
        """UPDATE "blog_post" SET "view_count" = ("blog_post"."view_count" + 1) WHERE "blog_post"."id" IN
        (SELECT U0."id" FROM "blog_post" U0 INNER JOIN "auth_user" U1 ON (U0."author_id" = U1."id") WHERE
        U1."is_active")""",
        "Django: update() with F()",
        "blog_post",
    ),
    Write(
        """UPDATE "auth_user" SET "last_login" = '2024-05-05T10:00:00+00:00'::timestamptz WHERE "auth_user"."id" = 1""",
        "Django: a login; keys to it only check",
        "auth_user",
    ),
    Write(
        """DELETE FROM "django_session" WHERE "django_session"."session_key" IN ('abc', 'def')""",
        "Django: logout",
        "django_session",
    ),
    Write(
        """INSERT INTO users (name, email, created_at) VALUES ('a', 'a', now()), ('b', 'b', now()) ON CONFLICT (email)
        DO UPDATE SET name = excluded.name, updated_at = CURRENT_TIMESTAMP RETURNING users.id""",
        "SQLAlchemy: an upsert of many",
        "users",
    ),
    Write(
        """INSERT INTO "posts" ("user_id","title","created_at","updated_at") VALUES (1, 'a', '2024-01-01',
        '2024-01-01'),
        (1, 'b', '2024-01-01', '2024-01-01') ON CONFLICT DO NOTHING RETURNING "id" """,
        "Rails: insert_all",
        "posts",
    ),
    Write(
        """UPDATE "posts" SET "title" = 'c', "updated_at" = '2024-01-02 00:00:00' WHERE "posts"."id" = 1
        /*application:Shop,controller:posts*/""",
        "Rails: update",
        "posts",
    ),
    Write(
        """DELETE FROM "public"."User" WHERE "public"."User"."id" = 1""", "Prisma: a key that sets null", "User, Post"
    ),
    Write(
        """UPDATE "public"."Post" SET "published" = true WHERE ("public"."Post"."id" = 1 AND 1=1) RETURNING "id" """,
        "Prisma: update",
        "Post",
    ),
    Write("update employee set department_id=1, name='x', salary=5 where id=1", "Hibernate: update", "employee"),
    Write("insert into employee (name, id) values ('y', nextval('employee_id_seq'))", "Hibernate: insert", "employee"),
]

READS: Final = (
    *_PLAIN,
    *_DATES,
    *_WORDS,
    *_NESTED,
    *_FUNCTIONS,
    *_TYPES,
    *_RELATIONS,
    *_CLAUSES,
    *_MAPPER_READS,
)


def _write(
    tables: str,
    *pairs: tuple[str, str],
    or_everything: bool = False,
    is_exact: bool = True,
    runs: bool = True,
    bites: bool = False,
) -> list[Write]:
    """What is rolled back with its transaction."""
    made = (Write(sql, reason, tables, or_everything=or_everything, is_exact=is_exact) for sql, reason in pairs)
    outlives = None if or_everything else False
    return [attrs.evolve(case, outlives_rollback=outlives, runs=runs, bites=bites) for case in made]


def _all(
    *pairs: tuple[str, str], outlives_rollback: bool | None = None, runs: bool = True, bites: bool = False
) -> list[Write]:
    made = (Write(sql, reason, everything=True, outlives_rollback=outlives_rollback) for sql, reason in pairs)
    return [attrs.evolve(case, runs=runs, bites=bites) for case in made]


def _by_trigger(*cases: tuple[str, str, str]) -> list[Write]:
    """What writes more than it says; how much of it is found out is free."""
    return [Write(sql, reason, tables, or_everything=True, is_exact=False, bites=True) for sql, tables, reason in cases]


def _nothing(*pairs: tuple[str, str], runs: bool = True) -> list[Write]:
    return [Write(sql, reason, outlives_rollback=False, runs=runs) for sql, reason in pairs]


_ROWS: Final = [
    *_write(
        "orders",
        ("INSERT INTO orders VALUES (50, 1)", "it inserts"),
        ("INSERT INTO public.orders (id) SELECT 51 RETURNING *", "it inserts what it reads"),
        ("INSERT INTO orders VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET total = excluded.total", "it does either"),
        ("UPDATE orders SET total = 2", "it updates"),
        ("UPDATE Orders SET total = 3", "folded"),
        ("DELETE FROM orders", "it deletes"),
        ("DELETE FROM orders o USING tag t WHERE o.id = t.id", "the other table is only read"),
        ("UPDATE orders o SET total = i.id FROM item i WHERE i.id = o.id", "the other table is only read"),
        ("MERGE INTO orders o USING item i ON o.id = i.id WHEN NOT MATCHED THEN INSERT VALUES (i.id, 0)", "it merges"),
        ("WITH n AS (SELECT 60 AS id) INSERT INTO orders SELECT id FROM n", "WITH before a write"),
        ("WITH made AS (INSERT INTO orders VALUES (61) RETURNING id) SELECT * FROM made", "a write in WITH"),
        ("WITH item AS (UPDATE orders SET total = 9 RETURNING id) SELECT * FROM item", "the name in WITH is no table"),
        ("TRUNCATE orders", "it empties"),
        ("TRUNCATE TABLE ONLY public.orders RESTART IDENTITY", "it empties"),
        ("EXPLAIN ANALYZE UPDATE orders SET total = 5", "it runs what it explains"),
        ("EXPLAIN (COSTS off, ANALYZE) INSERT INTO orders VALUES (62)", "it runs what it explains"),
        ("/* onetrip: cache=off */ UPDATE orders SET total = 6", "a comment changes nothing for a write"),
        ("PREPARE w1 AS UPDATE orders SET total = $1", "what is prepared is run by a name later"),
        ("LOCK orders; UPDATE orders SET total = 8", "two statements, one of which writes"),
    ),
    *_write(
        "orders, tag",
        ("WITH a AS (DELETE FROM orders RETURNING id) INSERT INTO tag SELECT id + 100 FROM a", "two writes in one"),
        ("INSERT INTO orders VALUES (70); UPDATE tag SET label = 'x' WHERE id = 1", "two statements"),
        (
            "WITH a AS (INSERT INTO orders VALUES (71) RETURNING id), b AS (UPDATE tag SET label = NULL RETURNING id) "
            "SELECT * FROM a, b",
            "two writes in WITH",
        ),
    ),
    *_write("Orders", ('UPDATE "Orders" SET "Total" = 1', "quoted: not the other one")),
    *_write("Orders, orders", ('INSERT INTO "Orders" SELECT id FROM orders; DELETE FROM orders', "one each")),
    *_write("größe", ('INSERT INTO "größe" VALUES (1, 1)', "letters beyond ASCII")),
    *_write("odd name", ('INSERT INTO "odd name" (id, "my ""col""") VALUES (1, \'x\')', "blanks and quotes in names")),
    *_write("place, shadow.place", ("INSERT INTO place VALUES (1)", "which one, search_path decides")),
    *_write("shadow.place", ("INSERT INTO shadow.place VALUES (1)", "qualified")),
    *_write("place", ("DELETE FROM public.place", "qualified")),
    *_write("serials", ("INSERT INTO serials (v) VALUES ('x')", "counting is no write to a table")),
    *_write("identities", ("INSERT INTO identities (v) VALUES ('x')", "counting is no write to a table")),
    *_write("fleeting", ("INSERT INTO fleeting VALUES (1, 1)", "unlogged is written like others")),
    *_write("guarded", ("INSERT INTO guarded VALUES (1, 'x')", "row security changes which, not what")),
    *_write(
        "item", ("UPDATE item SET price = price + 1, created_at = now() WHERE id = 1", "functions that do not write")
    ),
    *_write("item", ("UPDATE item SET note = md5(random()::text) WHERE id < 3", "random() writes nothing")),
    *_write("item_tag", ("DELETE FROM item_tag WHERE item_id = 1", "nothing refers to it")),
    *_write("item, item_tag", ("DELETE FROM item WHERE id = 1", "a foreign key deletes, too")),
    *_write(
        "item_stats",
        ("REFRESH MATERIALIZED VIEW item_stats", "what it stores is new"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY item_stats", "what it stores is new"),
    ),
    *_write(
        "orders",
        ("COPY orders FROM STDIN", "rows come with the copy"),
        ("COPY public.orders (id) FROM STDIN", "the same for some columns"),
    ),
    *_write("orders", ("UPDATE orders SET total = 1 WHERE CURRENT OF c", "by way of a cursor"), runs=False),
    *_write("orders", ("DECLARE c2 CURSOR FOR SELECT 1; DELETE FROM orders", "the cursor only reads")),
]

_CATALOGUE: Final = [
    *_write(
        "event, event_low, event_high, event_high_a, event_rest",
        ("INSERT INTO event VALUES (7, '2024-01-01', 'a')", "it lands in one partition"),
        ("UPDATE event SET id = 950 WHERE id = 1", "rows move between partitions"),
        ("DELETE FROM event", "rows of all partitions"),
        ("TRUNCATE event", "all partitions are emptied"),
        ("COPY event FROM STDIN", "rows land in any partition"),
    ),
    *_write("event_low", ("UPDATE event_low SET kind = 'b'", "one partition")),
    *_write("event_high, event_high_a", ("DELETE FROM event_high", "a partition that is partitioned")),
    *_write(
        "animal, dog, puppy",
        ("UPDATE animal SET name = 'x'", "the children's rows, too"),
        ("DELETE FROM public.animal", "the children's rows, too"),
    ),
    *_write("puppy", ("INSERT INTO puppy VALUES (9, 'x', 'y', 1)", "a child's rows")),
    *_write("dog, puppy", ("UPDATE dog SET breed = 'z'", "a child that is a parent")),
    *_write(
        "animal",
        ("DELETE FROM ONLY animal", "its own rows only"),
        ("INSERT INTO animal VALUES (10, 'x')", "inserted where it says"),
        is_exact=False,
    ),
    *_write(
        "parent, kid_cascade, grandkid, kid_null, kid_default",
        ("DELETE FROM parent WHERE id = 1", "keys that cascade, set null, set the default, and cascade on"),
        is_exact=False,
    ),
    *_write(
        "kid_cascade, grandkid",
        ("DELETE FROM kid_cascade", "a key that sets null"),
    ),
    *_write("kid_none", ("INSERT INTO kid_none VALUES (1, 2)", "a key that only checks")),
    *_write(
        "parent",
        ("INSERT INTO parent VALUES (3, 30, 'c')", "keys do nothing for an insert"),
        is_exact=False,
        or_everything=True,
    ),
    *_write("coded, coded_kid", ("UPDATE coded SET id = 2", "a key that follows")),
    *_write(
        "split_parent, split_kid, split_kid_low",
        ("DELETE FROM split_parent", "a key that cascades into partitions"),
    ),
    *_write("loop_a, loop_b", ("DELETE FROM loop_b", "keys in a ring")),
    *_write(
        "parent, kid_cascade, grandkid, kid_null, kid_default, kid_none, account, account_line",
        ("TRUNCATE parent CASCADE", "all that refers to it is emptied, whatever the key does"),
        or_everything=True,
    ),
    *_write("item, item_tag", ("TRUNCATE item CASCADE", "all that refers to it is emptied")),
    *_write(
        "article",
        ("UPDATE article SET title = 'x' WHERE id = 1", "a trigger that only assigns to the row"),
        ("INSERT INTO article (id) VALUES (5)", "no trigger for an insert"),
    ),
    *_write("comment", ("UPDATE comment SET title = 'y'", "a trigger that assigns under conditions")),
    *_write("searched", ("UPDATE searched SET body = 'b'", "a built-in trigger that assigns"), or_everything=True),
    *_write("silent", ("UPDATE silent SET updated_at = now()", "its trigger is disabled"), or_everything=True),
    *_write(
        "ruled, ruled_log",
        ("INSERT INTO ruled VALUES (1, 'x')", "a rule inserts elsewhere, too"),
        or_everything=True,
    ),
    *_write(
        "hidden_log",
        ("DELETE FROM hidden_rows", "a rule inserts elsewhere instead"),
        or_everything=True,
        is_exact=False,
    ),
    *_write(
        "item",
        ("UPDATE item_view SET name = 'x' WHERE id = 2", "a view that is written is its table"),
        ("INSERT INTO item_view VALUES (77, 'x', now())", "a view that is written is its table"),
        or_everything=True,
    ),
    *_write(
        "item, item_tag",
        ("DELETE FROM item_view WHERE id = 2", "a view's table has keys that cascade"),
        or_everything=True,
    ),
    *_write(
        "account, account_audit",
        ("UPDATE account SET balance = 1", "a trigger writes elsewhere"),
        ("INSERT INTO account (id) VALUES (9)", "a trigger writes elsewhere"),
        or_everything=True,
        bites=True,
    ),
    *_by_trigger(
        ("DELETE FROM owner", "owner, owned_account, account_audit", "a key cascades to a table with such a trigger"),
        ("UPDATE conditional SET at = now()", "conditional, log", "a trigger's condition calls a function that writes"),
        ("UPDATE moved SET id = 2", "moved, log", "a trigger assigns what a function that writes returns"),
        ("INSERT INTO split VALUES (1)", "split, split_low, account_audit", "a partition's trigger writes elsewhere"),
        ("TRUNCATE emptied", "emptied, log", "a trigger for TRUNCATE writes elsewhere"),
        ("INSERT INTO instead_view VALUES (5, 5)", "log", "a trigger stands for the view"),
        ("INSERT INTO defaulted (id) VALUES (1)", "defaulted, log", "a default calls a function that writes"),
        ("INSERT INTO checked VALUES (1)", "checked, log", "a check calls a function that writes"),
        ("INSERT INTO of_loud VALUES (1, 2)", "of_loud, log", "a domain's check calls a function that writes"),
        ("INSERT INTO orders SELECT 600 + log_it('x')", "orders, log", "a function that writes, in a write"),
        ("UPDATE orders SET total = log_sql(1)", "orders, log", "a function that writes, in a write"),
    ),
    *_all(("UPDATE dynamic SET id = 2", "a trigger runs text"), bites=True),
]

_CALLS: Final = [
    *_write(
        "log",
        ("SELECT log_it('x')", "a function that writes"),
        ("SELECT public.log_sql(1)", "a function that writes, in SQL"),
        ("SELECT id FROM item WHERE log_it('where') = 1", "in WHERE"),
        ("SELECT * FROM item, log_it('from')", "in FROM"),
        ("SELECT log_quietly(1)", "a stable function may call a volatile one, and that one may write"),
        ("SELECT mixed('x')", "an overload that writes"),
        ("SELECT loud_sum(id) FROM item", "an aggregate over a function that writes"),
        ("SELECT id FROM item WHERE id @@@ 1", "an operator over a function that writes"),
        ("SELECT id::pence FROM item", "a cast that writes"),
        ("SELECT id::loud FROM item", "a domain's check that writes"),
        ("SELECT * FROM loud_view", "a view that calls a function that writes"),
        ("SELECT * FROM loud_operator_view", "a view with an operator that writes"),
        ("SELECT * FROM loud_sum_view", "a view with an aggregate that writes"),
        ("SELECT * FROM loud_domain_view", "a view with a domain whose check writes"),
        ("EXPLAIN ANALYZE SELECT log_it('explained')", "it runs what it explains"),
        ("COPY (SELECT log_it('copied')) TO '/dev/null'", "the query of a copy"),
        ("VALUES (log_it('values'))", "in VALUES"),
        ("WITH a AS MATERIALIZED (SELECT log_it('with')) SELECT * FROM a", "in WITH"),
        bites=True,
        or_everything=True,
        is_exact=False,
    ),
    *_all(("SELECT query_to_xml('select log_it()', true, true, '')", "it runs text"), bites=True),
    *_write(
        "log",
        ("DECLARE c3 CURSOR WITH HOLD FOR SELECT log_it('held')", "a cursor runs it by and by"),
        or_everything=True,
        is_exact=False,
    ),
    *_write(
        "",
        ("SELECT i.noisy_label FROM item i", "a volatile function called as a column; it only reads"),
        ("SELECT noise(1)", "a volatile function of the user's; it only reads"),
        or_everything=True,
    ),
    *_all(
        ("SELECT dblink_exec('x', 'delete from item')", "nobody knows it"),
        ("SELECT no_such_function()", "nobody knows it"),
        ("UPDATE no_such_table SET a = 1", "nobody knows it"),
        ("INSERT INTO no_such_schema.item VALUES (1)", "nobody knows it"),
        ("EXECUTE w2 (1)", "which statement that is, the session knows"),
        ("CREATE INDEX CONCURRENTLY i2 ON orders (total)", "DDL"),
        ("DROP DATABASE other", "DDL"),
        runs=False,
    ),
    *[
        Write(sql, "not understood: another PostgreSQL may", everything=True, runs=False)
        for sql in ("UPDATE FROM WHERE", "{call log_it()}", "DELETE FROM item RETURNING")
    ],
    *_all(
        ("CALL log_procedure()", "a procedure does what it likes, and may commit"),
        ("DO $$ begin insert into tag values (55); end $$", "a block does what it likes, and may commit"),
        outlives_rollback=True,
    ),
    *_all(
        ("COMMIT PREPARED 'x'", "another transaction's writes become visible"),
        ("CALL no_such_procedure()", "nobody knows it"),
        outlives_rollback=True,
        runs=False,
    ),
    *_all(
        ("CREATE TABLE fresh (id int)", "DDL"),
        ("ALTER TABLE orders ADD COLUMN more int DEFAULT 5", "DDL"),
        ("DROP TABLE kid_none", "DDL"),
        ("CREATE VIEW fresh_view AS SELECT 1", "DDL"),
        ("CREATE OR REPLACE FUNCTION add_one(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select 2'", "DDL"),
        ("CREATE TABLE fresh AS SELECT * FROM item", "DDL"),
        ("SELECT * INTO fresh FROM item", "DDL in other words"),
        ("CREATE MATERIALIZED VIEW fresh AS SELECT log_it('made')", "DDL"),
        ("ALTER TABLE event DETACH PARTITION event_low", "DDL"),
        ("GRANT SELECT ON orders TO by_md5", "who may read, changes"),
        ("REVOKE ALL ON orders FROM public", "who may read, changes"),
        ("ALTER ROLE by_md5 SET search_path = shadow", "what names mean, changes"),
        ("ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'", "what is shown, changes"),
        ("CREATE POLICY p ON orders USING (false)", "which rows, changes"),
        ("ALTER DATABASE labels SET timezone = 'UTC'", "what is shown, changes"),
        ("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", "DDL"),
        ("DROP SCHEMA shadow CASCADE", "DDL"),
        ("INSERT INTO orders VALUES (80); CREATE TABLE fresh (id int)", "one of two is DDL"),
        ("EXPLAIN ANALYZE CREATE TABLE fresh AS SELECT * FROM item", "it runs what it explains"),
    ),
]

_HARMLESS: Final = [
    *_nothing(
        ("SELECT * FROM item", "it reads"),
        ("SELECT id, now(), random() FROM item FOR UPDATE", "locks are no writes"),
        ("SELECT add_one(id), add_two(id) FROM item", "immutable functions"),
        (
            "SELECT lower(name), to_char(created_at, 'YYYY') FROM item_names JOIN item USING (id, name)",
            "by way of views",
        ),
        ("SELECT nextval('numbers'), setval('numbers', 7)", "sequences are never cached"),
        ("SELECT pg_advisory_xact_lock(1), set_config('my.x', '1', true), pg_notify('a', 'b')", "reviewed"),
        ("SELECT 'insert into item', $$delete from item$$ -- update item", "writes in strings and comments"),
        ("EXPLAIN UPDATE orders SET total = 1", "it only plans"),
        ("EXPLAIN ANALYZE SELECT * FROM item", "it runs a read"),
        ("PREPARE r1 AS SELECT * FROM item", "it will read"),
        ("DECLARE c4 CURSOR FOR SELECT * FROM item", "it will read"),
        ("COPY (SELECT * FROM item) TO '/dev/null'", "it reads"),
        ("COPY item TO '/dev/null'", "it reads"),
        ("BEGIN", "a transaction"),
        ("START TRANSACTION READ WRITE", "a transaction"),
        ("SAVEPOINT s", "a transaction"),
        ("SET my.x = 'insert'", "a setting"),
        ("SET LOCAL search_path = shadow", "a setting"),
        ("RESET ALL", "a setting"),
        ("SHOW search_path", "a setting"),
        ("LISTEN c", "it listens"),
        ("NOTIFY c, 'delete from item'", "it tells others"),
        ("LOCK TABLE item IN SHARE MODE", "it locks"),
        ("ANALYZE item", "statistics"),
        ("CLUSTER item USING item_pkey", "the same rows elsewhere"),
        ("REINDEX TABLE item", "indexes"),
        ("CHECKPOINT", "the same rows, on disk"),
        ("DEALLOCATE ALL", "it forgets a statement"),
        ("DISCARD PLANS", "it forgets plans"),
        ("SET CONSTRAINTS ALL IMMEDIATE", "when, not what"),
        ("VALUES (1)", "it reads"),
        ("", "nothing"),
        ("-- insert into item", "nothing"),
    ),
    *_nothing(
        ("COMMIT", "what was written before counts, not this"),
        ("END", "a COMMIT in other words"),
        ("VACUUM item", "room"),
        ("VACUUM (FULL, ANALYZE)", "room"),
        ("FETCH ALL FROM c", "the cursor's query was looked at when it was declared"),
        ("CLOSE c", "a cursor"),
        ("RELEASE SAVEPOINT s", "a transaction"),
        ("ROLLBACK TO SAVEPOINT s", "it is not the whole transaction"),
        ("ROLLBACK TO s", "it is not the whole transaction"),
        ("ROLLBACK AND CHAIN", "another transaction begins"),
        ("ROLLBACK PREPARED 'x'", "another transaction"),
        ("PREPARE TRANSACTION 'x'", "what was written before counts later"),
        ("SELECT 1; ROLLBACK", "more than a ROLLBACK"),
        runs=False,
    ),
    *_nothing(
        ("ROLLBACK", "a transaction's end"),
        ("rollback work;", "a transaction's end"),
        ("ABORT", "a ROLLBACK in other words"),
        ("/* a */ ROLLBACK TRANSACTION -- b", "comments change nothing"),
        ("ROLLBACK AND NO CHAIN", "nothing follows"),
        runs=False,
    ),
    *[
        Write(sql, reason, tables, runs=False)
        for sql, tables, reason in (
            ("BEGIN; UPDATE orders SET total = 1; COMMIT", "orders", "it commits what it has written"),
            ("INSERT INTO orders VALUES (99); COMMIT; SELECT 1", "orders", "it commits, and goes on"),
            ("INSERT INTO orders VALUES (98); END; UPDATE tag SET label = 'y'", "orders, tag", "END commits"),
            ("UPDATE orders SET total = 2; COMMIT AND CHAIN", "orders", "it commits, and another begins"),
            ("SELECT 1; COMMIT", "", "what was written before is committed"),
        )
    ],
]

WRITES: Final = (*_ROWS, *_CATALOGUE, *_CALLS, *_HARMLESS, *_MAPPER_WRITES)


@attrs.frozen
class Value:
    """A value for a parameter, and a type that reads the clock for it, if one does."""

    text: str
    type_name: str
    reason: str


VALUES: Final = (
    Value("now", "timestamptz", "the word"),
    Value("ToDay", "date", "in any case"),
    Value("  tomorrow 10:00", "timestamp", "blanks before, a time behind"),
    Value("yesterday\t", "date", "a tab behind"),
    Value("today10:00", "timestamptz", "a digit ends the word"),
    Value("10:00today", "timestamptz", "a digit comes before the word"),
    Value("today_", "timestamptz", "an underscore ends the word"),
    Value("@now", "timestamptz", "signs before it are skipped"),
    Value("(today)", "timestamptz", "parentheses are skipped"),
    Value("now", "time", "a time"),
    Value("now" + " " * 500, "timestamptz", "blanks do not count, however many there are"),
    Value("{2024-01-01,today}", "date[]", "in an array"),
    Value("{" + "2024-01-01," * 40 + "today}", "date[]", "in a long array"),
    Value('{"now"}', "timestamptz[]", "quoted in an array"),
    Value("{n\\ow}", "date[]", "a backslash in an element is dropped"),
    Value("[2024-01-01,now)", "tstzrange", "in a range"),
    Value('[n"o"w,)', "tstzrange", "quotes in a bound are dropped"),
    Value("[n\\ow,)", "tstzrange", "a backslash in a bound is dropped"),
    Value("{[now,)}", "tstzmultirange", "in a multirange"),
    Value("(1,today)", "dated", "in a composite value"),
    Value('(1,to"da"y)', "dated", "quotes in a field are dropped"),
    Value('{"(1,\\"today\\")"}', "dated[]", "in an array of composite values"),
    Value('{"at": "today"}', "json", "JSON may be read as a record with a date"),
    Value("2024-01-01", "", "a day"),
    Value("infinity", "", "a word that stays"),
    Value("epoch", "", "a word that stays"),
    Value("ann@example.com", "", "an address"),
    Value("nowhere", "", "the word inside a longer one"),
    Value("5", "", "a number"),
    Value("", "", "nothing"),
)
