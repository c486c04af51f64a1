"""Statements that PostgreSQL 15 does not know yet, labelled as in `labelled.py`, and all of both.

They need the server that they name. An older one must refuse to run them, and the classifier must not keep their
answers where the names in them are unknown. The tables of theirs that an older server cannot have are made by `LATER`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import attrs

from tests.regional.cache import labelled
from tests.regional.cache.labelled import NOT_A_READ, STABLE, VOLATILE, Read, Write

_Case = TypeVar("_Case", Read, Write)

#: What only servers from such a version on have beside `schema.sql`.
LATER: Final[Mapping[int, str]] = {
    17: "create view order_totals as select id, total from orders;",
    18: """
create table computed (id int primary key, price numeric, doubled numeric generated always as (price * 2) virtual,
  label text generated always as (upper('number ' || id::text)) virtual);
insert into computed values (1, 10), (2, 20);
create view computed_view as select id, doubled from computed;
create table room (number int4range, open daterange, primary key (number, open without overlaps));
create table booking (number int4range, taken daterange, foreign key (number, period taken)
  references room (number, period open));
insert into room values ('[1,2)', '[2024-01-01,2025-01-01)');
insert into booking values ('[1,2)', '[2024-02-01,2024-03-01)');
""",
}

_NOT_UNDERSTOOD: Final = "not understood"


def _since(version: int, *cases: _Case) -> list[_Case]:
    return [attrs.evolve(case, since=version) for case in cases]


def _kept(tables: str, *pairs: tuple[str, str]) -> Iterable[Read]:
    return (Read(sql, reason, "", tables) for sql, reason in pairs)


def _refused(why: str, *pairs: tuple[str, str], moves: bool = False, runs: bool = True) -> Iterable[Read]:
    return (Read(sql, reason, why, moves=moves, runs=runs) for sql, reason in pairs)


def _write(tables: str, *pairs: tuple[str, str]) -> Iterable[Write]:
    return (Write(sql, reason, tables, outlives_rollback=False) for sql, reason in pairs)


_READS: Final = (
    *_since(
        16,
        *_kept(
            "item",
            ("SELECT any_value(feeling), feeling FROM item GROUP BY feeling", "an aggregate of equal values"),
            ("SELECT JSON_OBJECT('id': id, 'at': created_at), JSON_ARRAY(id, name NULL ON NULL) FROM item", "output"),
            ("SELECT JSON_OBJECTAGG(name: id), JSON_ARRAYAGG(id ORDER BY id) FROM item", "aggregates of output"),
            ("SELECT id FROM item WHERE note IS JSON OBJECT OR data::text IS JSON WITH UNIQUE KEYS", "a predicate"),
            ("SELECT id FROM item WHERE id IN (0x01, 0b10, 0o3, 1_000)", "numbers in other words"),
            ("SELECT max(id) FROM (SELECT id FROM item)", "a subquery needs no name"),
            (
                "SELECT date_add(created_at, '1 day'), date_subtract(created_at, '1 day', 'Europe/Berlin') FROM item",
                "by TimeZone, which is in the key, or by the zone that is named",
            ),
            (
                "SELECT id, d FROM item, generate_series(created_at, created_at + '2 days', '1 day', 'UTC') AS d",
                "a series in a zone",
            ),
            ("SELECT erf(id), erfc(id) FROM item", "arithmetic"),
        ),
        *_refused(
            _NOT_UNDERSTOOD,
            ("SELECT JSON_ARRAY(SELECT id FROM item ORDER BY id) FROM tag", "an array of a query"),
            ("SELECT JSON_OBJECT('at': note RETURNING jsonb) FROM item", "another type is asked for"),
            ("SELECT JSON_ARRAYAGG(id RETURNING text) FROM item", "another type is asked for"),
        ),
        *_refused(
            STABLE,
            ("SELECT id, SYSTEM_USER FROM item", "how the origin's connection has logged in"),
            ("SELECT pg_input_is_valid(note, 'date') FROM item", "it reads text as any type, dates too"),
        ),
        *_refused(VOLATILE, ("SELECT random_normal(), id FROM item", "another number each time"), moves=True),
        *_refused(
            VOLATILE,
            ("SELECT array_shuffle(words), array_sample(words, 1) FROM item", "another order each time"),
        ),
    ),
    *_since(
        17,
        *_kept(
            "item",
            ("SELECT created_at AT LOCAL, seen AT LOCAL FROM item", "by TimeZone, which is in the key"),
            ("SELECT to_bin(id), to_oct(id), uuid_extract_version(uid) FROM item", "numbers in other words"),
            ("SELECT uuid_extract_timestamp(uid), '1 day'::interval * 'infinity' FROM item WHERE false", "immutable"),
        ),
        *_refused(
            _NOT_UNDERSTOOD,
            ("SELECT JSON_VALUE(data, '$.day' RETURNING date) FROM item", "it reads text as a date"),
            ("SELECT JSON_VALUE(data, '$.a') FROM item", "the same without"),
            ("SELECT JSON_QUERY(data, '$.list' WITH WRAPPER) FROM item", "a path may have methods of dates"),
            ("SELECT id FROM item WHERE JSON_EXISTS(data, '$.a')", "a path may have methods of dates"),
            (
                "SELECT id, t.n FROM item, JSON_TABLE(data, '$.list[*]' COLUMNS (n int PATH '$')) AS t",
                "columns of JSON",
            ),
            (
                "SELECT t.* FROM item, JSON_TABLE(data, '$' COLUMNS (d date PATH '$.day', NESTED '$.list[*]' "
                "COLUMNS (n int PATH '$'))) AS t",
                "it reads text as a date",
            ),
            ("SELECT JSON(note), JSON_SCALAR(id), JSON_SERIALIZE(raw) FROM item WHERE false", "made of text"),
        ),
        *_refused(VOLATILE, ("SELECT random(1, 1000000000), id FROM item", "another number each time"), moves=True),
        *_refused(STABLE, ("SELECT to_regtypemod('varchar(3)') FROM item", "it asks the catalogue")),
        *_refused(
            "writes",
            (
                "WITH m AS (MERGE INTO orders o USING item i ON o.id = i.id WHEN MATCHED THEN UPDATE SET total = 1 "
                "RETURNING merge_action(), o.id) SELECT * FROM m",
                "it merges in WITH",
            ),
        ),
        *_refused(
            NOT_A_READ,
            (
                "MERGE INTO orders o USING item i ON o.id = i.id WHEN MATCHED THEN DO NOTHING RETURNING o.id",
                "it may write, although it returns rows",
            ),
        ),
    ),
    *_since(
        18,
        *_kept(
            "item",
            (
                "SELECT casefold(name), crc32(name::bytea), array_sort(words), array_reverse(words) FROM item",
                "immutable",
            ),
            ("SELECT gamma(id), lgamma(id), id::bytea, reverse(name::bytea) FROM item", "immutable"),
        ),
        *_kept(
            "computed",
            ("SELECT id, doubled, label FROM computed WHERE doubled > 15", "a virtual column is made of its row"),
            ("SELECT * FROM computed_view", "by way of a view"),
            ("SELECT sum(c.doubled) FROM computed c GROUP BY c.label", "in an aggregate"),
        ),
        *_kept("room", ("SELECT number FROM room WHERE open @> date '2024-02-02'", "periods are ranges")),
        *_refused(
            STABLE,
            ("SELECT has_largeobject_privilege(1, 'select') FROM item WHERE false", "it asks the catalogue"),
        ),
        *_refused(
            VOLATILE,
            ("SELECT uuidv7(), id FROM item", "another one each time"),
            ("SELECT uuidv7('-1 hour'), uuidv4() FROM item", "another one each time"),
            moves=True,
        ),
    ),
)

_WRITES: Final = (
    *_since(
        17,
        *_write(
            "orders",
            (
                "MERGE INTO orders o USING item i ON o.id = i.id WHEN MATCHED THEN UPDATE SET total = 1 "
                "WHEN NOT MATCHED THEN INSERT VALUES (i.id, 0) RETURNING merge_action(), o.*",
                "it merges and returns rows",
            ),
            (
                "MERGE INTO orders o USING tag t ON o.id = t.id AND t.id > 1 WHEN NOT MATCHED BY SOURCE THEN DELETE",
                "it deletes what has no match",
            ),
            (
                "WITH m AS (MERGE INTO orders o USING item i ON o.id = i.id WHEN MATCHED THEN UPDATE SET total = 2 "
                "RETURNING o.id) SELECT count(*) FROM m",
                "it merges in WITH",
            ),
            (
                "MERGE INTO order_totals o USING item i ON o.id = i.id WHEN MATCHED THEN UPDATE SET total = 3",
                "it merges into a view",
            ),
            ("COPY orders FROM STDIN WITH (ON_ERROR ignore)", "rows that are none are left out"),
        ),
    ),
    *_since(
        18,
        *_write(
            "orders",
            ("UPDATE orders SET total = total + 1 RETURNING old.total, new.total, orders.id", "rows of before, too"),
            (
                "INSERT INTO orders VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET total = 9 "
                "RETURNING WITH (OLD AS o, NEW AS n) o.total, n.total",
                "rows of before under another name",
            ),
            ("DELETE FROM orders RETURNING old.*, new.id", "rows of before, too"),
        ),
        *_write(
            "computed",
            ("INSERT INTO computed (id, price) VALUES (9, 1) RETURNING doubled", "a virtual column is not written"),
            ("UPDATE computed SET price = price + 1 WHERE doubled > 5", "a virtual column is read"),
        ),
        *_write("booking", ("UPDATE booking SET taken = '[2024-03-01,2024-04-01)'", "a period that refers to another")),
        *_write(
            "room",
            ("INSERT INTO room VALUES ('[3,4)', '[2024-01-01,2025-01-01)')", "its key is a period"),
            ("DELETE FROM room WHERE number = '[3,4)'", "bookings only hold it back"),
        ),
    ),
)


def _with_merges(case: _Case) -> _Case:
    return attrs.evolve(case, since=15) if case.sql.startswith("MERGE") else case


READS: Final = (*map(_with_merges, labelled.READS), *_READS)
WRITES: Final = (*map(_with_merges, labelled.WRITES), *_WRITES)
