"""The SQL that asks an origin what its statements read and write: the answer is what `Reach.from_rows` takes.

Theory of operation: what a name stands for is one row, what leads from one object to another is in its `more`, as
numbers. A view's stored tree is cut at each number of a relation or function; so also built-in functions are seen,
which pg_depend leaves out. Types have bits that spread to what is made of them (arrays, domains, composites, ranges).

One row is (kind, schema, name, oid, flags, more):
- v: schema: the database's identity; name: server_encoding; more: default_transaction_isolation
- e: name: settings that an answer may hang on, as sessions begin with them, where PostgreSQL does not report them to
  clients; more: a digest of what ALTER ROLE and ALTER DATABASE have set for the sessions of this user
- s: name: a digest of everything in the catalogue that an answer depends on; temporary objects do not count
- x: flags: something not immutable replaces what statements use without naming it
- t: a type's name and oid; flags: bits below. Rows of tables are found as the table
- f: a function's name; flags: 1 if a refused one takes a row; more: overloads, each "least most verdict bits", where
  most is -1 for any number
- o: an operator's name; schema: its number of operands; flags: verdict; oid: bits; more: the user's functions in it
- r: a relation; flags below; more: children, or what a view reads
- a: a column's name; more: the relations in which it may be (flags) 4: a string, 8: a time of day
- w: oid: a view; flags: verdict of what it calls; name: of what is refused
- b: oid: a function that may write; schema: t if only a trigger calls it; flags: 1 if the body says what, 2 if nothing
  does, 3 if `more` are its parts
- n: a name; more: functions that using it may call: a function's defaults, a type's casts and checks
- k: oid: a table with a foreign key to it; schema: its actions on delete and update; more: the referencing table
- g: oid: a table with a trigger; flags: tgtype; more: its function
- u: oid: a table with a rule; schema: the event; flags: verdict; more: relations; name: the user's functions
- d: oid: a relation; schema: r if its view or policies, w if its defaults, checks and indexes may call the functions in
  `more`

Verdicts: 0 admitted, 1 stable, 2 volatile, 3 sampled, 4 not understood. Bits of types: 1 refused, 2 is read by a date
parser, 4 may be a string, 8 time of day; of a result, 16: a time of day where there was none.

Works on PostgreSQL 12 to 18, as any user, as `regional/catalog_query.py` does.
"""

from collections.abc import Iterable
from typing import Final

from regional.builtins import (
    CLOSING,
    DENIED,
    EFFECTS,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    TRUSTED_EXTENSIONS,
)
from regional.cache.admitted import (
    EXTENSION_SETTINGS,
    SETTINGS,
    STABLE,
    STABLE_EXTENSIONS,
    WRITELESS,
    WRITELESS_EXTENSIONS,
)
from regional.cache.reach_parts import DEFAULTS, RELATIONS, REPLACED, SHAPE, TREES, TYPES, USES, VIEWS
from regional.catalog_query import HEAD
from regional.snapshot import snapshot_query

#: Flags of a relation.
SYSTEM, TEMPORARY, FOREIGN, ROW_SECURITY, BAD_TYPE, SEQUENCE, UNLOGGED = 1, 2, 4, 8, 16, 32, 64
VIEW, HAS_TIME, IN_PARTITIONS, FOLLOWABLE, HAS_DATE = 128, 512, 1024, 2048, 4096
#: Bits of a type.
REFUSED, DATE, STRING, TIME, MAKES_TIME = 1, 2, 4, 8, 16

#: Longer bodies of functions are not read.
MAX_BODY: Final = 8192

# 705 is unknown, 1083 time, 1266 timetz, 2249 record, 3734 regconfig; 16384 is FirstNormalObjectId.
_FUNCTIONS: Final = """
plain(oid, verdict) AS MATERIALIZED (
  SELECT p.oid,
    CASE WHEN p.prokind = 'p' THEN 2
         WHEN p.provolatile = 'i' THEN 0
         WHEN p.provolatile = 's' AND p.oid < 16384 AND p.proname || '/' || p.pronargs = ANY ({stable})
              AND NOT 1266 = ANY (p.proargtypes) THEN 0
         WHEN p.provolatile = 's' AND m.name = ANY ({stable_extensions}) THEN 0
         WHEN p.provolatile = 's' THEN 1 ELSE 2 END
  FROM pg_proc p LEFT JOIN extension_member m ON m.oid = p.oid
),
part(aggregate, function) AS MATERIALIZED (
  SELECT a.aggfnoid::oid, f::oid
  FROM pg_aggregate a, unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn,
                                    aggminvtransfn, aggmfinalfn]) f
  WHERE f <> 0 AND a.aggfnoid >= 16384
),
function(oid, verdict) AS MATERIALIZED (
  SELECT v.oid, greatest(v.verdict, max(of_part.verdict))
  FROM plain v LEFT JOIN part ON part.aggregate = v.oid LEFT JOIN plain of_part ON of_part.oid = part.function
  GROUP BY v.oid, v.verdict
),
"""

_WRITES: Final = """
may_write(name, oid, flags, more) AS (
  SELECT p.proname, p.oid, 2, '' FROM pg_proc p
  WHERE p.oid < 16384 AND NOT 2281 = ANY (p.proargtypes) AND p.prorettype <> 3310
    AND (p.proname = ANY ({denied}) OR p.provolatile = 'v' AND p.proname <> ALL ({writeless}))
  UNION ALL
  SELECT p.proname, p.oid,
    CASE WHEN p.prokind = 'a' THEN 3
         WHEN l.lanname IN ('sql', 'plpgsql') AND length(p.prosrc) BETWEEN 1 AND {max_body}
              AND to_jsonb(p) ->> 'prosqlbody' IS NULL THEN 1 ELSE 2 END,
    CASE WHEN p.prokind = 'a'
         THEN (SELECT string_agg(function::text, ' ') FROM part WHERE aggregate = p.oid)
         WHEN l.lanname IN ('sql', 'plpgsql') AND length(p.prosrc) <= {max_body} THEN p.prosrc ELSE '' END
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang LEFT JOIN extension_member m ON m.oid = p.oid
  -- an immutable one may call one that writes
  WHERE p.oid >= 16384
    AND NOT (l.lanname IN ('c', 'internal')
             AND (p.provolatile <> 'v' AND p.prokind <> 'a' OR coalesce(m.name = ANY ({writeless_extensions}), false)))
),
"""

_ROWS: Final = """
SELECT 'v' AS kind, concat_ws(' ', pg_postmaster_start_time()::timestamptz(6) AT TIME ZONE 'UTC', d.oid) AS schema,
       current_setting('server_encoding') AS name, 0::oid AS oid, 0 AS flags,
       current_setting('default_transaction_isolation') AS more
FROM pg_database d WHERE d.datname = current_database()
UNION ALL SELECT 's', '', concat_ws(' ', count(*), sum(hash)), 0, 0, '' FROM shape_of
UNION ALL SELECT 'e', '', (SELECT string_agg(s.name || '=' || s.reset_val, ' ' ORDER BY s.name COLLATE "C")
                          FROM pg_settings s WHERE s.name = ANY ({settings}))
                         || (SELECT string_agg(concat(' ', s.name, '=', CASE s.value WHEN '' THEN s.otherwise
                                      ELSE coalesce(substring(s.value FROM '^[0-9]*[.]?[0-9]+$')::float8::text, s.value)
                                    END), '' ORDER BY s.name COLLATE "C")
                             FROM (SELECT name, otherwise, coalesce(current_setting(name, true), '')
                                   FROM (VALUES {extension_settings}) AS v(name, otherwise)) s(name, otherwise, value)),
                         0, 0,
  (SELECT concat(sum(hashtextextended(concat_ws(' ', s.role, s.database, s.setting), 0)))
   FROM (SELECT setrole, setdatabase, unnest(setconfig) FROM pg_db_role_setting) s(role, database, setting)
   WHERE s.role IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
     AND s.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
UNION ALL SELECT 'x', '', '', 0, 1, '' FROM replaced
UNION ALL SELECT 't', '', t.typname, t.oid, coalesce(b.bits, 0), ''
FROM pg_type t LEFT JOIN type_bits b ON b.oid = t.oid
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
  LEFT JOIN pg_class c ON c.oid = CASE WHEN t.typrelid <> 0 THEN t.typrelid ELSE coalesce(e.typrelid, 0) END
WHERE (t.typtype <> 'p' OR t.oid = 705) AND (c.oid IS NULL OR c.relkind = 'c')
UNION ALL SELECT 'f', '', name, 0, bit_or(takes_row),
  string_agg(DISTINCT concat_ws(' ', least, most, verdict, bits), ',')
FROM (
  SELECT p.proname, p.pronargs - p.pronargdefaults - CASE WHEN p.provariadic <> 0 THEN 1 ELSE 0 END,
    CASE WHEN p.provariadic <> 0 THEN -1 ELSE p.pronargs END,
    greatest(f.verdict, d.verdict, coalesce(b.bits, 0) & 1),
    coalesce(b.bits, 0) & 12
      | CASE WHEN coalesce(b.bits, 0) & 8 <> 0 AND NOT 1083 = ANY (p.proargtypes)
                  OR p.oid >= 16384 AND 1083 = ANY (p.proallargtypes) THEN 16 ELSE 0 END,
    CASE WHEN f.verdict > 0 AND p.pronargs > 0 AND a.typtype IN ('c', 'p') THEN 1 ELSE 0 END
  FROM pg_proc p JOIN function f ON f.oid = p.oid LEFT JOIN defaulting d ON d.oid = p.oid
    LEFT JOIN type_bits b ON b.oid = p.prorettype LEFT JOIN pg_type a ON a.oid = p.proargtypes[0]
  WHERE p.oid >= 16384 OR NOT (p.proargtypes::oid[] && ARRAY[1266, 2275, 2281]::oid[])
) spec(name, least, most, verdict, bits, takes_row) GROUP BY name
UNION ALL SELECT 'o', operands, oprname, bit_or(bits)::oid, max(verdict), coalesce(string_agg(code, ' '), '')
FROM (
  SELECT CASE WHEN o.oprleft <> 0 AND o.oprright <> 0 THEN '2' ELSE '1' END, o.oprname,
    coalesce(b.bits, 0) & 12
      | CASE WHEN b.bits & 8 <> 0 AND 1083 NOT IN (o.oprleft, o.oprright) THEN 16 ELSE 0 END,
    f.verdict, CASE WHEN f.oid >= 16384 THEN f.oid::text END
  FROM pg_operator o JOIN function f ON f.oid = o.oprcode LEFT JOIN type_bits b ON b.oid = o.oprresult
) spec(operands, oprname, bits, verdict, code) GROUP BY operands, oprname
UNION ALL SELECT 'r', schema, name, oid, flags, others FROM related
UNION ALL SELECT 'a', '', name, 0, 4, coalesce(string_agg(relation::text, ' ') FILTER (WHERE bits & 4 <> 0), '')
FROM col GROUP BY name
UNION ALL SELECT 'a', '', name, 0, 8, string_agg(relation::text, ' ') FROM col WHERE bits & 8 <> 0 GROUP BY name
UNION ALL SELECT 'w', '', name, relation, verdict, '' FROM viewed WHERE event = '1'
UNION ALL SELECT 'u', event::text,
  coalesce((SELECT string_agg(b.function::text, ' ') FROM by_object b
            WHERE b.class = 'pg_rewrite'::regclass AND b.object = viewed.object), ''), relation, verdict,
  coalesce((SELECT string_agg(s.source::text, ' ') FROM source s WHERE s.object = viewed.object), '')
FROM viewed WHERE event <> '1'
UNION ALL SELECT 'b', CASE WHEN p.prorettype = 2279 THEN 't' ELSE '' END, name, w.oid, flags, more
FROM may_write w JOIN pg_proc p ON p.oid = w.oid
UNION ALL SELECT 'n', '', p.proname, 0, 0, string_agg(b.function::text, ' ')
FROM by_object b JOIN pg_proc p ON p.oid = b.object
WHERE b.class = 'pg_proc'::regclass AND p.proargdefaults IS NOT NULL GROUP BY p.proname
UNION ALL SELECT 'n', '', t.typname, 0, 0, string_agg(i.function::text, ' ')
FROM in_type i JOIN pg_type t ON t.oid = i.type GROUP BY t.typname
UNION ALL SELECT 'k', confdeltype::text || confupdtype::text, '', confrelid, 0, conrelid::text
FROM pg_constraint WHERE contype = 'f'
UNION ALL SELECT 'g', '', '', tgrelid, tgtype::int, tgfoid::text
FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgfoid >= 16384
UNION ALL SELECT 'd', how, '', relation, 0, string_agg(function::text, ' ') FROM uses GROUP BY relation, how
"""


def _names(names: Iterable[str]) -> str:
    """An array constant of names."""
    return "'{" + ",".join(names) + "}'::text[]"


_LISTS: Final = {
    "stable": _names(STABLE),
    "stable_extensions": _names(STABLE_EXTENSIONS),
    "denied": _names(set(DENIED) - set(CLOSING)),
    "writeless": _names(sorted({*WRITELESS, *REVIEWED_VOLATILE, *CLOSING, *EFFECTS})),
    "writeless_extensions": _names((*WRITELESS_EXTENSIONS, *TRUSTED_EXTENSIONS, *REVIEWED_EXTENSIONS)),
    "max_body": str(MAX_BODY),
    "settings": _names(SETTINGS),
    "extension_settings": ", ".join(f"('{name}', '{value}')" for name, value in EXTENSION_SETTINGS.items()),
}

# pg_settings has those only where the extension is loaded. Elsewhere they are texts, as they were written.
_BASE: Final = "".join(f"SET LOCAL {name} TO DEFAULT;\n" for name in EXTENSION_SETTINGS)

_PARTS: Final = "".join(
    (
        _BASE,
        HEAD,
        _FUNCTIONS.format(**_LISTS),
        TREES,
        DEFAULTS,
        TYPES,
        RELATIONS,
        _WRITES.format(**_LISTS),
        USES,
        VIEWS,
        REPLACED,
        SHAPE,
    )
)
_LASTING: Final = """
  kind <> ALL ('{r,w,k,g,u,d}') OR oid IN (SELECT oid FROM relation WHERE NOT is_temporary)
"""

_SELECT: Final = _ROWS.format(**_LISTS)

#: One simple query, for outside a transaction; the rows are those of its only SELECT.
REACH_QUERY: Final = _PARTS + _SELECT
#: The same as a snapshot; temporary tables are not in its digest.
REACH_SNAPSHOT: Final = snapshot_query(_PARTS, _SELECT, lasting=_LASTING, last="''")
