"""The SQL that asks an origin what its statements may leave behind: the answer is what `Catalog.from_rows` takes.

Theory of operation: a table is harmless if nothing that runs by itself when it is read or written (view, policy, check,
index expression, generated column; trigger, default, rule, cascade) reaches a function that is not proven harmless. So
harm starts at functions and spreads against the arrows of "uses": pg_depend names what uses a function of the user's,
directly or through an operator, a type, a domain, another view. It does not name built-in functions; those are looked
for, by number, in the stored expression trees. Nor does it say what a function's body calls: that is told from the
words of the body (`regional/functions_query.py`). `bad` holds every object that harm has reached.

A built-in function is harmless if it is not volatile or its name was reviewed (`regional/builtins.py`). A function of
the user's is harmless if it is C code of a reviewed extension. Anything else could do anything.

The bits are those of `regional/catalog.py`. One row is (kind, schema, name, oid, read, write), whose last two mean:
- f: a function's name; harm of its built-in overloads, of the others
- o, t: an operator's or type's name (t with its oid); harm of using it
- r: a relation; harm of reading it, of writing it
- x: harm of any statement at all: something replaces what statements use without naming it
- v: the server's encoding is the name; how many functions of the user's speak of temporary objects
- s: the name is a digest of what statements are described by; temporary objects do not count

Works on PostgreSQL 12 to 18, as any user, with read access to the system catalogues only. Columns that not all of these
versions have are read through to_jsonb. It takes no lock on a user's table.
"""

from typing import Final

from regional.builtins import TEMPORARY_WORDS
from regional.functions_query import FUNCTIONS, MET, WRITING, pattern
from regional.snapshot import snapshot_query

#: How the queries of a catalogue begin (`cache/reach_query.py` is the other one).
# Nobody's operators, names as UTF-8, and no plan that trusts the estimates of recursive parts: one row is thousands. No
# BEGIN: the statements of one simple query are one transaction, and an error ends it.
HEAD: Final = """
SET LOCAL search_path = pg_catalog;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL jit = off;
SET LOCAL enable_nestloop = off;
SET LOCAL work_mem = '16MB';
WITH RECURSIVE
extension_member(oid, name) AS MATERIALIZED (
  SELECT d.objid, e.extname
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
),
"""

# Built-in functions in stored expressions: the text is cut at each call, and the pieces begin with the number called.
# A regular expression would do, at ten times the cost. No built-in operator or aggregate stands on a harmful function.
_EXPRESSIONS: Final = """
expression(class, object, text) AS MATERIALIZED (
  SELECT 'pg_rewrite'::regclass::oid, oid, concat(ev_qual::text, ev_action::text) FROM pg_rewrite
  UNION ALL SELECT 'pg_policy'::regclass, oid, concat(polqual::text, polwithcheck::text) FROM pg_policy
  UNION ALL SELECT 'pg_constraint'::regclass, oid, conbin::text
            FROM pg_constraint WHERE conbin IS NOT NULL AND oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, oid, typdefaultbin::text
            FROM pg_type WHERE typdefaultbin IS NOT NULL AND oid >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, oid, to_jsonb(p) ->> 'prosqlbody'
            FROM pg_proc p WHERE oid >= 16384 AND prolang = 14 AND prosrc = ''
  UNION ALL SELECT 'pg_trigger'::regclass, oid, tgqual::text FROM pg_trigger WHERE tgqual IS NOT NULL
  UNION ALL SELECT 'pg_attrdef'::regclass, oid, adbin::text FROM pg_attrdef
),
call(class, object, function, bits) AS MATERIALIZED (
  SELECT e.class, e.object, f.oid, f.bits
  FROM expression e, unnest(string_to_array(e.text, ':funcid ')) piece, builtin_function f
  WHERE f.oid::text = split_part(left(piece, 12), ' ', 1)
),
bad_expression(class, object, bits) AS (
  SELECT class, object, bits FROM call
  -- nextval() in a column's default is harm of a kind of its own; see next_value
  WHERE NOT (class = 'pg_attrdef'::regclass AND function = 1574)
),
-- pg_depend does not name system tables and views.
system_reader(class, object, relation) AS MATERIALIZED (
  SELECT e.class, e.object, c.oid
  FROM expression e, unnest(string_to_array(e.text, ':relid ')) piece, pg_class c
  WHERE e.class IN ('pg_rewrite'::regclass, 'pg_policy'::regclass) AND e.object >= 16384
    AND c.oid < 16384 AND c.oid::text = split_part(left(piece, 12), ' ', 1)
),
bad_reader(class, object, bits) AS (
  SELECT s.class, s.object, b.bits
  FROM system_reader s JOIN pg_rewrite r ON r.ev_class = s.relation AND r.ev_type = '1'
    JOIN bad_expression b ON b.class = 'pg_rewrite'::regclass AND b.object = r.oid
),
"""

# What is harmful only when rows are written: an object of the class WRITING is a relation. A view on a system
# table may be updated into pg_settings, whose rule calls set_config(); pg_depend does not name system tables.
_WRITES: Final = """
written(relation) AS MATERIALIZED (
  SELECT oid FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f')
),
writes(relation, other) AS MATERIALIZED (
  SELECT r.ev_class, d.refobjid
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
  UNION SELECT inhparent, inhrelid FROM pg_inherits
  UNION SELECT confrelid, conrelid FROM pg_constraint
        WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
),
"""

_USES: Final = """
uses(class, object, used_class, used) AS MATERIALIZED (
  SELECT classid, objid, refclassid, refobjid FROM pg_depend
  WHERE refobjid >= 16384 AND deptype <> 'e'
    AND (refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass)
         OR refclassid = 'pg_class'::regclass AND classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass))
  UNION ALL SELECT 'pg_class'::regclass, ev_class, 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_type = '1'
  UNION ALL SELECT 'pg_class'::regclass, polrelid, 'pg_policy'::regclass, oid FROM pg_policy
  UNION ALL SELECT 'pg_class'::regclass, conrelid, 'pg_constraint'::regclass, oid
            FROM pg_constraint WHERE conrelid <> 0 AND contype <> 't'
  UNION ALL SELECT 'pg_type'::regclass, contypid, 'pg_constraint'::regclass, oid FROM pg_constraint WHERE contypid <> 0
  UNION ALL SELECT 'pg_class'::regclass, indrelid, 'pg_class'::regclass, indexrelid
            FROM pg_index WHERE indexrelid >= 16384
  UNION ALL SELECT 'pg_class'::regclass, stxrelid, 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
  UNION ALL SELECT 'pg_class'::regclass, inhparent, 'pg_class'::regclass, inhrelid FROM pg_inherits
  UNION ALL SELECT 'pg_class'::regclass, d.adrelid, 'pg_attrdef'::regclass, d.oid
            FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE a.attgenerated <> ''
  UNION ALL SELECT 'pg_type'::regclass, oid, 'pg_class'::regclass, typrelid
            FROM pg_type WHERE typrelid <> 0 AND oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, type, 'pg_operator'::regclass, oid
            FROM pg_operator, unnest(ARRAY[oprleft, oprright]) type WHERE oid >= 16384 AND type >= 16384
  UNION ALL SELECT 'pg_type'::regclass, type, 'pg_proc'::regclass, castfunc
            FROM pg_cast, unnest(ARRAY[castsource, casttarget]) type WHERE castfunc <> 0 AND type >= 16384
  UNION ALL SELECT 'pg_type'::regclass, opcintype, 'pg_opclass'::regclass, oid
            FROM pg_opclass WHERE opcintype >= 16384
  UNION ALL SELECT 'pg_opclass'::regclass, c.oid, 'pg_proc'::regclass, p.amproc
            FROM pg_opclass c JOIN pg_amproc p ON p.amprocfamily = c.opcfamily WHERE p.amproc >= 16384
  UNION ALL SELECT 'pg_opclass'::regclass, c.oid, 'pg_operator'::regclass, o.amopopr
            FROM pg_opclass c JOIN pg_amop o ON o.amopfamily = c.opcfamily WHERE o.amopopr >= 16384
  -- the planner puts the one in the place of the other, and an operator class hashes and compares
  UNION ALL SELECT 'pg_operator'::regclass, oid, 'pg_operator'::regclass, other
            FROM pg_operator, unnest(ARRAY[oprnegate, oprcom]) other WHERE other >= 16384 AND other <> oid
  UNION ALL SELECT 'pg_operator'::regclass, o.amopopr, 'pg_proc'::regclass, p.amproc
            FROM pg_amop o JOIN pg_amproc p ON p.amprocfamily = o.amopfamily WHERE p.amproc >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, objid, {writing}, refobjid  -- BEGIN ATOMIC
            FROM pg_depend WHERE classid = 'pg_proc'::regclass AND refclassid = 'pg_class'::regclass
  UNION ALL SELECT 'pg_proc'::regclass, oid, class, object FROM spoken
  UNION ALL SELECT {met}, class, object FROM meets
  UNION ALL SELECT {writing}, relation, 'pg_class'::regclass, relation FROM written
  UNION ALL SELECT {writing}, relation, {writing}, other FROM writes
  UNION ALL SELECT {writing}, tgrelid, 'pg_trigger'::regclass, oid FROM pg_trigger
  UNION ALL SELECT {writing}, adrelid, 'pg_attrdef'::regclass, oid FROM pg_attrdef
  UNION ALL SELECT {writing}, ev_class, 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_type <> '1'
  -- a foreign key is checked by a query on the other table
  UNION ALL SELECT {writing}, conrelid, 'pg_class'::regclass, confrelid FROM pg_constraint WHERE contype = 'f'
  UNION ALL SELECT {writing}, confrelid, 'pg_class'::regclass, conrelid FROM pg_constraint WHERE contype = 'f'
),
bad(class, object, bits) AS (
  SELECT 'pg_proc'::regclass::oid, oid, bits FROM user_function WHERE bits > 0
  UNION SELECT 'pg_proc'::regclass, oid, bits FROM body
  UNION SELECT class, object, bits FROM bad_expression
  UNION SELECT class, object, bits FROM bad_reader
  UNION SELECT 'pg_class'::regclass, oid, 1
        FROM pg_class WHERE relkind NOT IN ('r', 'p', 'v', 'm', 'i', 'I', 'S', 't', 'c')
  UNION SELECT 'pg_trigger'::regclass, t.oid, b.bits FROM pg_trigger t JOIN builtin_function b ON b.oid = t.tgfoid
  UNION SELECT 'pg_operator'::regclass, o.oid, b.bits FROM pg_operator o JOIN builtin_function b ON b.oid = o.oprcode
  UNION SELECT 'pg_proc'::regclass, a.aggfnoid::oid, b.bits
        FROM pg_aggregate a, unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn,
                                          aggminvtransfn, aggmfinalfn]) part, builtin_function b
        WHERE a.aggfnoid >= 16384 AND b.oid = part::oid
  UNION SELECT {met}, 1 FROM unfit
  UNION SELECT 'pg_type'::regclass, type, b.bits
        FROM pg_cast c JOIN builtin_function b ON b.oid = c.castfunc, unnest(ARRAY[castsource, casttarget]) type
        WHERE type >= 16384
  UNION SELECT {writing}, ev_class, 1 FROM pg_rewrite WHERE ev_type <> '1'
  UNION SELECT {writing}, r.ev_class, 9 FROM system_reader s JOIN pg_rewrite r ON r.oid = s.object
        WHERE s.class = 'pg_rewrite'::regclass
  UNION SELECT {writing}, confrelid, 1 FROM pg_constraint WHERE contype = 'f' AND 'd' IN (confdeltype, confupdtype)
  UNION SELECT found.class, found.object, bad.bits
        FROM bad LEFT JOIN uses ON uses.used_class = bad.class AND uses.used = bad.object
          LEFT JOIN called c ON c.class = bad.class AND c.object = bad.object AND bad.bits > 1
          LEFT JOIN LATERAL (
            SELECT oid FROM body
            WHERE c.name IS NOT NULL AND (bad.bits > 33 OR NOT (SELECT all_hide FROM audited))
              AND (body.bits | bad.bits) > body.bits
              AND CASE WHEN strpos(body.text, c.name) > 0 THEN body.text ~ c.pattern END
            OFFSET 0  -- for itself, so that where there is no name no body is looked at
          ) speaks ON true,
          LATERAL (VALUES (uses.class, uses.object), ('pg_proc'::regclass, speaks.oid)) found(class, object)
        WHERE found.object IS NOT NULL
),
bad_object(class, object, bits) AS MATERIALIZED (
  SELECT class, object, bit_or(bits) FROM bad GROUP BY class, object
),
"""

_NEXT_VALUES: Final = """
next_value(relation) AS (
  SELECT attrelid FROM pg_attribute WHERE attidentity <> '' AND NOT attisdropped
  UNION SELECT d.adrelid FROM call JOIN pg_attrdef d ON d.oid = call.object
        WHERE call.class = 'pg_attrdef'::regclass AND call.function = 1574
  UNION SELECT writes.relation FROM next_value JOIN writes ON writes.other = next_value.relation
),
"""

_NAMES: Final = """
function(name, builtin_bits, user_bits) AS (
  SELECT p.proname, bit_or(coalesce(b.bits, 0)), bit_or(coalesce(o.bits, 0))
  FROM pg_proc p LEFT JOIN builtin_function b ON b.oid = p.oid
    LEFT JOIN bad_object o ON o.class = 'pg_proc'::regclass AND o.object = p.oid
  GROUP BY p.proname
),
-- An operator whose every operand has a harmful type of its own is met only by who has such a value, and relations,
-- types and functions that give one are harmful anyway. So the "=" of some extension's type does not taint every "=".
-- Not if an unknown literal, a row or an implicit cast could become that type.
bad_type(oid) AS MATERIALIZED (
  SELECT object FROM bad_object WHERE class = 'pg_type'::regclass
),
met(type) AS MATERIALIZED (
  SELECT casttarget FROM pg_cast
  WHERE castcontext = 'i' AND casttarget >= 16384 AND castsource NOT IN (SELECT oid FROM bad_type)
),
bad_operator(oid, name, bits) AS MATERIALIZED (
  SELECT o.oid, o.oprname, b.bits
  FROM bad_object b JOIN pg_operator o ON o.oid = b.object
    LEFT JOIN pg_type l ON l.oid = o.oprleft LEFT JOIN pg_type r ON r.oid = o.oprright
  WHERE b.class = 'pg_operator'::regclass
    AND NOT (
      (o.oprname, o.oprleft = 0) IN (SELECT oprname, oprleft = 0 FROM pg_operator WHERE oid < 16384)
      AND (o.oprleft = 0 OR o.oprleft IN (SELECT oid FROM bad_type) AND o.oprleft NOT IN (SELECT type FROM met))
      AND (o.oprright = 0 OR o.oprright IN (SELECT oid FROM bad_type) AND o.oprright NOT IN (SELECT type FROM met))
      AND coalesce(l.typcategory, 'U') IN ('U', 'E', 'C') AND coalesce(r.typcategory, 'U') IN ('U', 'E', 'C')
      AND ('C' NOT IN (coalesce(l.typcategory, 'U'), coalesce(r.typcategory, 'U'))
           OR o.oprname IN ('=', '<>', '<', '<=', '>', '>='))
    )
),
operator(name, bits) AS (
  SELECT o.oprname, bit_or(coalesce(b.bits, 0))
  FROM pg_operator o LEFT JOIN bad_operator b ON b.oid = o.oid
  GROUP BY o.oprname
),
type(oid, name, bits) AS (
  SELECT t.oid, t.typname, coalesce(b.bits, 0)
  FROM pg_type t LEFT JOIN bad_object b ON b.class = 'pg_type'::regclass AND b.object = t.oid
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
    LEFT JOIN pg_class c ON c.oid = CASE WHEN t.typrelid <> 0 THEN t.typrelid ELSE coalesce(e.typrelid, 0) END
  -- the row type of a table is found as the table
  WHERE t.typtype <> 'p' AND (c.oid IS NULL OR c.relkind = 'c')
),
relation(schema, name, read_bits, write_bits) AS (
  SELECT n.nspname, c.relname, coalesce(b.bits, 0),
    coalesce(w.bits, 0)
      | CASE WHEN c.oid < 16384 THEN 9 WHEN c.relkind IN ('S', 'm') THEN 1 ELSE 0 END
      | CASE WHEN q.relation IS NULL THEN 0 ELSE 16 END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN bad_object b ON b.class = 'pg_class'::regclass AND b.object = c.oid
    LEFT JOIN bad_object w ON w.class = {writing} AND w.object = c.oid
    LEFT JOIN next_value q ON q.relation = c.oid
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg_toast%'
),
replaced(bits) AS (
  SELECT b.bits FROM pg_operator o JOIN bad_operator b ON b.oid = o.oid
  WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=')
     OR o.oprleft < 16384 AND o.oprright < 16384
        AND o.oprname IN (SELECT oprname FROM pg_operator WHERE oid < 16384)
  UNION SELECT b.bits FROM pg_cast c JOIN bad_object b ON b.class = 'pg_proc'::regclass AND b.object = c.castfunc
  WHERE c.castsource < 16384 AND c.casttarget < 16384
  UNION SELECT b.bits FROM pg_cast c JOIN builtin_function b ON b.oid = c.castfunc
  WHERE c.oid >= 16384 AND c.castsource < 16384 AND c.casttarget < 16384
  UNION SELECT b.bits FROM pg_opclass c JOIN pg_amproc p ON p.amprocfamily = c.opcfamily
    JOIN bad_object b ON b.class = 'pg_proc'::regclass AND b.object = p.amproc
  WHERE c.opcdefault AND c.opcintype < 16384 AND c.opcmethod IN (403, 405)  -- B-tree and hash, as joins and sorts use
)
"""

# hashtextextended() costs little, and a sum needs no order. A row of the catalogue that was written again has another
# xmin; pg_attribute is read by its values, because statistics targets and the like are nobody's business.
_SHAPE: Final = """,
shape_of(hash) AS (
  SELECT hashtextextended(concat_ws(' ', n.nspname, c.relname, c.oid, c.relkind, a.attnum, a.attname, a.atttypid,
                                    a.atttypmod, a.attcollation, a.attnotnull, a.attisdropped), 0)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
  UNION ALL
  SELECT hashtextextended(concat_ws(' ', 't', t.oid, t.xmin), 0)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_%temp\\_%'
  UNION ALL SELECT hashtextextended(concat_ws(' ', 'f', oid, xmin), 0) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT hashtextextended(concat_ws(' ', 'o', oid, xmin), 0) FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT hashtextextended(concat_ws(' ', 'c', oid, xmin), 0) FROM pg_cast WHERE oid >= 16384
),
shape(text) AS (
  SELECT concat_ws(' ', count(*), sum(hash)) FROM shape_of
)
"""

_ROWS: Final = f"""
SELECT 'f' AS kind, '' AS schema, name::text, 0::oid AS oid, builtin_bits AS read, user_bits AS write FROM function
UNION ALL SELECT 'o', '', name, 0, bits, 0 FROM operator UNION ALL SELECT 'x', '', '', 0, bits, 0 FROM replaced
UNION ALL SELECT 't', '', name, oid, bits, 0 FROM type
UNION ALL SELECT 'r', schema, name, 0, read_bits, write_bits FROM relation
UNION ALL SELECT 'v', '', current_setting('server_encoding'), 0, count(*)::int, 0
          FROM pg_proc WHERE oid >= 16384 AND prosrc ~* {pattern(TEMPORARY_WORDS)}
UNION ALL SELECT 's', '', text, 0, 0, 0 FROM shape
"""


_PARTS: Final = "".join(
    (
        HEAD,
        FUNCTIONS,
        _EXPRESSIONS,
        _WRITES,
        _USES.format(writing=WRITING, met=MET),
        _NEXT_VALUES,
        _NAMES.format(writing=WRITING),
        _SHAPE,
    )
)

#: One simple query, for outside a transaction; the rows are those of its only SELECT.
CATALOG_QUERY: Final = _PARTS + _ROWS
#: The same as a snapshot.
CATALOG_SNAPSHOT: Final = snapshot_query(_PARTS, _ROWS)
