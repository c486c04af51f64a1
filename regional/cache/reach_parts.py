"""Parts of the SQL of `reach_query.py`: what types, relations and views are, and what they reach.

Each part is some WITH queries that the rows, and parts after it, are made of. Stored expression trees are text in the
words of PostgreSQL's nodes/outfuncs.c; a string in them has its blanks escaped, so "funcid 1" is always a call.
"""

from typing import Final

TREES: Final = """
tree(class, object, relation, event, text) AS MATERIALIZED (
  SELECT 'pg_rewrite'::regclass::oid, r.oid, r.ev_class, r.ev_type, concat(r.ev_qual::text, r.ev_action::text)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  WHERE r.ev_class >= 16384 AND (c.relkind <> 'm' OR r.ev_type <> '1')
  UNION ALL SELECT 'pg_constraint'::regclass, oid, contypid, '', conbin::text
            FROM pg_constraint WHERE contypid >= 16384 AND conbin IS NOT NULL
  UNION ALL SELECT 'pg_proc'::regclass, oid, oid, '', proargdefaults::text
            FROM pg_proc WHERE oid >= 16384 AND proargdefaults IS NOT NULL
),
call(class, object, relation, event, function) AS MATERIALIZED (
  SELECT DISTINCT t.class, t.object, t.relation, t.event, split_part(left(piece, 12), ' ', 1)
  FROM tree t, unnest(string_to_array(replace(t.text, 'fnoid ', 'funcid '), 'funcid ')) WITH ORDINALITY u(piece, n)
  WHERE n > 1
),
source(object, relation, event, source) AS MATERIALIZED (
  SELECT DISTINCT t.object, t.relation, t.event, c.oid
  FROM tree t, unnest(string_to_array(t.text, ':relid ')) WITH ORDINALITY u(piece, n), pg_class c
  WHERE n > 1 AND t.class = 'pg_rewrite'::regclass AND c.oid::text = split_part(left(piece, 12), ' ', 1)
    AND c.oid <> t.relation
),
"""

# What is left out of a call is computed by the function's defaults.
DEFAULTS: Final = """
defaulting(oid, verdict) AS MATERIALIZED (
  SELECT t.object, greatest(max(f.verdict), max(CASE WHEN strpos(t.text, '{SQLVALUEFUNCTION ') > 0 THEN 1 ELSE 0 END))
  FROM tree t LEFT JOIN call c ON c.class = t.class AND c.object = t.object
    LEFT JOIN function f ON f.oid::text = c.function
  WHERE t.class = 'pg_proc'::regclass GROUP BY t.object
),
"""

# Rows of tables are types too, but seldom those of columns.
TYPES: Final = """
row_used(oid) AS MATERIALIZED (
  SELECT c.reltype FROM pg_class c JOIN pg_type t ON t.oid = c.reltype
    JOIN pg_depend d ON d.refobjid IN (t.oid, t.typarray)
  WHERE d.refclassid = 'pg_type'::regclass AND d.deptype = 'n' AND c.relkind <> 'c' AND c.oid >= 16384
),
made_of(type, part) AS MATERIALIZED (
  SELECT oid, typelem FROM pg_type WHERE typelem <> 0 AND typlen = -1
  UNION ALL SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT c.reltype, a.atttypid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE (c.relkind = 'c' OR c.reltype IN (SELECT oid FROM row_used)) AND c.oid >= 16384
              AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
  UNION ALL SELECT (to_jsonb(r) ->> 'rngmultitypid')::oid, rngtypid FROM pg_range r WHERE to_jsonb(r) ? 'rngmultitypid'
),
type_bit(oid, bit) AS (
  SELECT oid, 1 FROM pg_type
  WHERE oid < 16384 AND (typname LIKE 'reg%' AND oid <> 3734 OR typname IN ('timetz', 'aclitem'))
  UNION SELECT u.type, 1 FROM (
          SELECT t.oid, code::oid FROM pg_type t, unnest(ARRAY[typinput, typoutput]) code
          WHERE t.oid >= 16384 AND t.typtype = 'b' AND code >= 16384
        ) u(type, code) JOIN function f ON f.oid = u.code WHERE f.verdict > 0
  UNION SELECT r.rngtypid, 1 FROM pg_range r JOIN function f ON f.oid = r.rngcanonical
        WHERE r.rngtypid >= 16384 AND f.verdict > 0
  UNION SELECT c.relation, 1 FROM call c JOIN function f ON f.oid::text = c.function
        WHERE c.class = 'pg_constraint'::regclass AND f.verdict > 0
  UNION SELECT type, 1 FROM pg_cast c LEFT JOIN function f ON f.oid = c.castfunc,
          unnest(ARRAY[c.castsource, c.casttarget]) type
        WHERE type >= 16384 AND (f.verdict > 0 OR c.castmethod = 'i' AND c.casttarget IN (1082, 1083, 1114, 1184))
  UNION SELECT oid, 2 FROM pg_type WHERE oid IN (1082, 1083, 1114, 1184, 1266)
  UNION SELECT oid, 4 FROM pg_type
        WHERE typcategory IN ('S', 'Z', 'X') OR typtype = 'c'
           OR oid IN (2249, 2275, 2276, 2277, 2283, 2776, 5077, 5078, 5080)
  UNION SELECT 1083, 8
  UNION SELECT m.type, b.bit FROM type_bit b JOIN made_of m ON m.part = b.oid
),
type_bits(oid, bits) AS MATERIALIZED (
  SELECT oid, bit_or(bit) FROM type_bit GROUP BY oid
),
"""

RELATIONS: Final = """
relation(oid, schema, name, kind, is_temporary, is_system) AS MATERIALIZED (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 't',
    c.oid < 16384 OR n.nspname IN ('pg_catalog', 'information_schema')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT LIKE 'pg\\_toast%'
),
col(relation, name, bits) AS MATERIALIZED (
  SELECT a.attrelid, a.attname, coalesce(b.bits, 0)
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid LEFT JOIN type_bits b ON b.oid = a.atttypid
  WHERE NOT r.is_system AND NOT r.is_temporary AND r.kind <> 'S' AND a.attnum > 0 AND NOT a.attisdropped
),
col_bits(relation, bits) AS MATERIALIZED (
  SELECT relation, bit_or(bits) FROM col GROUP BY relation
),
edge(relation, other) AS MATERIALIZED (
  SELECT inhparent, inhrelid FROM pg_inherits
  UNION SELECT relation, source FROM source WHERE event = '1'
),
edges(relation, others) AS MATERIALIZED (
  SELECT relation, string_agg(other::text, ' ' ORDER BY other) FROM edge GROUP BY relation
),
identified(relation) AS MATERIALIZED (
  SELECT DISTINCT c.oid FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384
    AND (c.relreplident = 'f' OR c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)
),
related(schema, name, oid, flags, others) AS (
  SELECT r.schema, r.name, r.oid,
    CASE WHEN r.is_system THEN 1 ELSE 0 END
    | CASE WHEN r.is_temporary THEN 2 ELSE 0 END
    | CASE WHEN r.kind = 'f' THEN 4 ELSE 0 END
    | CASE WHEN c.relrowsecurity THEN 8 ELSE 0 END
    | CASE WHEN b.bits & 1 <> 0 THEN 16 ELSE 0 END
    | CASE WHEN r.kind = 'S' THEN 32 ELSE 0 END
    | CASE WHEN c.relpersistence = 'u' AND r.kind IN ('r', 'p', 'm') THEN 64 ELSE 0 END
    | CASE WHEN r.kind = 'v' THEN 128 ELSE 0 END
    | CASE WHEN b.bits & 8 <> 0 THEN 512 ELSE 0 END
    | CASE WHEN r.kind = 'p' OR c.relispartition THEN 1024 ELSE 0 END
    | CASE WHEN i.relation IS NULL THEN 0 ELSE 2048 END
    | CASE WHEN b.bits & 2 <> 0 THEN 4096 ELSE 0 END,
    coalesce(e.others, '')
  FROM relation r JOIN pg_class c ON c.oid = r.oid LEFT JOIN col_bits b ON b.relation = r.oid
    LEFT JOIN edges e ON e.relation = r.oid LEFT JOIN identified i ON i.relation = r.oid
),
"""

# pg_depend leads from views, defaults, checks, indexes and policies to the user's functions, also through operators and
# types. A value of a type may be cast without being asked.
USES: Final = """
by_function(class, object, function) AS MATERIALIZED (
  SELECT d.classid, d.objid, d.refobjid FROM pg_depend d
  WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384 AND d.deptype <> 'e'
  UNION SELECT d.classid, d.objid, o.oprcode::oid FROM pg_depend d JOIN pg_operator o ON o.oid = d.refobjid
        WHERE d.refclassid = 'pg_operator'::regclass AND d.refobjid >= 16384
),
in_type(type, function) AS (
  SELECT t.oid, f FROM pg_type t, unnest(ARRAY[t.typinput::oid, t.typoutput::oid]) f
  WHERE t.oid >= 16384 AND f >= 16384
  UNION SELECT c.contypid, b.function FROM pg_constraint c JOIN by_function b
          ON b.class = 'pg_constraint'::regclass AND b.object = c.oid WHERE c.contypid <> 0
  UNION SELECT type, castfunc FROM pg_cast, unnest(ARRAY[castsource, casttarget]) type
        WHERE castfunc >= 16384 AND type >= 16384
  UNION SELECT m.type, i.function FROM in_type i JOIN made_of m ON m.part = i.type
),
by_object(class, object, function) AS MATERIALIZED (
  SELECT class, object, function FROM by_function
  UNION SELECT d.classid, d.objid, i.function FROM pg_depend d JOIN in_type i ON i.type = d.refobjid
        WHERE d.refclassid = 'pg_type'::regclass
  UNION SELECT c.class, c.object, w.oid FROM call c JOIN may_write w ON w.oid::text = c.function
),
uses(relation, how, function) AS (
  SELECT p.polrelid, 'r', b.function FROM pg_policy p JOIN by_object b
    ON b.class = 'pg_policy'::regclass AND b.object = p.oid
  UNION SELECT r.ev_class, CASE WHEN c.relkind = 'm' THEN 'w' ELSE 'r' END, b.function
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN by_object b
          ON b.class = 'pg_rewrite'::regclass AND b.object = r.oid AND r.ev_type = '1'
  UNION SELECT d.adrelid, 'w', b.function FROM pg_attrdef d JOIN by_object b
          ON b.class = 'pg_attrdef'::regclass AND b.object = d.oid
  UNION SELECT c.conrelid, 'w', b.function FROM pg_constraint c JOIN by_object b
          ON b.class = 'pg_constraint'::regclass AND b.object = c.oid WHERE c.conrelid <> 0
  UNION SELECT i.indrelid, 'w', b.function FROM pg_index i JOIN by_object b
          ON b.class = 'pg_class'::regclass AND b.object = i.indexrelid
  UNION SELECT t.tgrelid, 'w', b.function FROM pg_trigger t JOIN by_object b
          ON b.class = 'pg_trigger'::regclass AND b.object = t.oid AND b.function <> t.tgfoid
  UNION SELECT a.attrelid, how, i.function FROM pg_attribute a JOIN in_type i ON i.type = a.atttypid
          JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm', 'f'), unnest('{r,w}'::text[]) how
        WHERE NOT a.attisdropped
),
"""

# What a stored tree may not hold, in the words of nodes/outfuncs.c. A CoerceViaIO to a date reads it out of a text.
VIEWS: Final = """
tree_call(object, relation, event, verdict, name) AS MATERIALIZED (
  SELECT t.object, t.relation, t.event, coalesce(max(f.verdict), 0),
    coalesce((array_agg(p.proname ORDER BY f.verdict DESC))[1], '')
  FROM tree t LEFT JOIN call c ON c.class = t.class AND c.object = t.object
    LEFT JOIN function f ON f.oid::text = c.function LEFT JOIN pg_proc p ON p.oid = f.oid
  WHERE t.class = 'pg_rewrite'::regclass
  GROUP BY t.object, t.relation, t.event
),
result(object, bits) AS MATERIALIZED (
  SELECT r.object, bit_or(b.bits) FROM (
    SELECT DISTINCT t.object, split_part(left(piece, 12), ' ', 1)
    FROM tree t, unnest(string_to_array(t.text, ':resulttype ')) WITH ORDINALITY u(piece, n)
    WHERE n > 1 AND t.class = 'pg_rewrite'::regclass
  ) r(object, type) JOIN type_bits b ON b.oid::text = r.type GROUP BY r.object
),
odd(object, verdict, name) AS MATERIALIZED (
  SELECT t.object,
    CASE WHEN strpos(t.text, '{TABLESAMPLECLAUSE ') > 0 THEN 3
         WHEN strpos(t.text, '{SQLVALUEFUNCTION ') > 0 OR strpos(t.text, '{NEXTVALUEEXPR ') > 0 THEN 2 ELSE 4 END, ''
  FROM tree t LEFT JOIN result r ON r.object = t.object
  WHERE t.class = 'pg_rewrite'::regclass
    AND (r.bits & 1 <> 0 OR r.bits & 2 <> 0 AND strpos(t.text, '{COERCEVIAIO ') > 0
      OR strpos(t.text, '{TABLESAMPLECLAUSE ') > 0 OR strpos(t.text, '{SQLVALUEFUNCTION ') > 0
      OR strpos(t.text, '{NEXTVALUEEXPR ') > 0
      OR strpos(t.text, '{ROWMARKCLAUSE ') > 0 OR strpos(t.text, '{TABLEFUNC ') > 0 OR strpos(t.text, '{JSONEXPR ') > 0
      OR strpos(t.text, '{XMLEXPR ') > 0 OR strpos(t.text, '{CURRENTOFEXPR ') > 0)
),
viewed(object, relation, event, verdict, name) AS (
  SELECT c.object, c.relation, c.event, greatest(c.verdict, coalesce(o.verdict, 0)),
    CASE WHEN o.object IS NULL THEN c.name ELSE o.name END
  FROM tree_call c LEFT JOIN odd o ON o.object = c.object
),
"""

REPLACED: Final = """
replaced(yes) AS (
  SELECT 1 FROM pg_operator o JOIN function f ON f.oid = o.oprcode
  WHERE o.oid >= 16384 AND f.verdict > 0 AND o.oprname IN ('=', '<>', '<', '<=', '>', '>=')
  UNION ALL SELECT 1 FROM pg_cast c LEFT JOIN function f ON f.oid = c.castfunc
  WHERE c.oid >= 16384 AND c.castsource < 16384 AND c.casttarget < 16384 AND (c.castmethod = 'i' OR f.verdict > 0)
  UNION ALL SELECT 1 FROM pg_amproc p JOIN function f ON f.oid = p.amproc WHERE p.amproc >= 16384 AND f.verdict > 0
),
"""

# A row of the catalogue that was written again has another xmin.
SHAPE: Final = """
shape_of(hash) AS (
  SELECT hashtextextended(concat_ws(' ', 'r', c.oid, c.xmin, n.nspname, n.xmin), 0)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
  UNION ALL SELECT hashtextextended(concat_ws(' ', 'a', a.attrelid, a.attnum, a.xmin), 0)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0
  UNION ALL SELECT hashtextextended(concat_ws(' ', 'q', oid, rolname, rolsuper, rolinherit), 0)
  FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')
    OR oid IN (SELECT relowner FROM pg_class UNION SELECT proowner FROM pg_proc)
  UNION ALL SELECT hashtextextended(concat_ws(' ', class, oid, row), 0) FROM (
    SELECT 'f' AS class, oid, xmin FROM pg_proc WHERE oid >= 16384 OR proacl IS NOT NULL
    UNION ALL SELECT 'h', oid, xmin FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%temp\\_%'
    UNION ALL SELECT 'w', oid, xmin FROM pg_rewrite WHERE ev_class >= 16384 AND ev_class IN
      (SELECT oid FROM pg_class WHERE relpersistence <> 't')
    UNION ALL SELECT 't', oid, xmin FROM pg_type WHERE oid >= 16384 AND typnamespace NOT IN
      (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%temp\\_%')
    UNION ALL SELECT 'e', oid, xmin FROM pg_enum
    UNION ALL SELECT 'o', oid, xmin FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT 'c', oid, xmin FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'p', oid, xmin FROM pg_policy
    UNION ALL SELECT 'm', roleid, xmin FROM pg_auth_members
    UNION ALL SELECT 's', oid, xmin FROM pg_ts_config
    UNION ALL SELECT 'd', oid, xmin FROM pg_ts_dict
    UNION ALL SELECT 'i', mapcfg, xmin FROM pg_ts_config_map
    UNION ALL SELECT 'n', oid, xmin FROM pg_conversion WHERE oid >= 16384
    UNION ALL SELECT 'l', oid, xmin FROM pg_collation WHERE oid >= 16384
    UNION ALL SELECT 'y', setdatabase, xmin FROM pg_db_role_setting
  ) row(class, oid, row)
)
"""
