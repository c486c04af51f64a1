"""The part of the catalogue's SQL that tells what a function may leave, and what its body speaks of.

Theory of operation: what a body says is seen by its words (`regional/builtins.py`); what it calls, reads and writes is
one of its words too. So a body speaks of everything of the user's whose name is a word of it, in whatever schema: too
much rather than too little. `bad` follows these arrows like all the others, so a function is as harmful as what it
speaks of. They are looked for one by one, and only from what leaves more than a plain reset takes away, as any function
does: to take thousands of bodies apart into words costs seconds.

A function of SQL or PL/pgSQL that is immutable may be **pure**. PostgreSQL itself lets it run nothing but queries. If
its body reads no relation and has no word that names a harmful function of PostgreSQL's, nothing but what else it
speaks of can make it harmful. That is followed from whatever is harmful, by the words of these few bodies.

What a body does not write down (a text that it puts together, or reads from a table) can only be run by EXECUTE, or in
another language; a function that has that may do anything unseen (`regional/unseen.py`).
"""

from collections.abc import Iterable
from typing import Final

from regional.builtins import (
    CLOSING,
    CLOSING_WORDS,
    DDL_WORDS,
    DENIED,
    HIDING_WORDS,
    IMPURE_WORDS,
    NOT_READING,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    RUNNING,
    STATEMENT_WORDS,
    TRUSTED_EXTENSIONS,
)

#: The class of what is written to; its objects are relations.
WRITING: Final = "0::oid"
MANY_TABLES: Final = 50
#: Longer bodies are not looked at for their being pure.
MAX_PURE: Final = 8192


def _names(names: Iterable[str]) -> str:
    return "'{" + ",".join(names) + "}'::name[]"


def pattern(words: str) -> str:
    """A constant of this regular expression."""
    return "'" + words.replace("'", "''") + "'"


# 16384 is FirstNormalObjectId; languages 12, 13 and 14 are internal, C and SQL.
_FUNCTIONS: Final = r"""
builtin_function(oid, bits) AS MATERIALIZED (
  SELECT oid, CASE WHEN proname = ANY ({closing}) THEN 3 WHEN proname = ANY ({running}) THEN 33 ELSE 1 END
  FROM pg_proc
  WHERE oid < 16384
    AND (proname = ANY ({denied}) OR provolatile = 'v' AND proname <> ALL ({reviewed_volatile}))
),
candidate(oid, text) AS MATERIALIZED (
  SELECT p.oid, f.text
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang LEFT JOIN extension_member m ON m.oid = p.oid,
    lower(p.prosrc COLLATE "C") f(text)
  WHERE p.oid >= 16384 AND p.provolatile = 'i' AND p.prokind = 'f' AND (p.prolang = 14 OR l.lanname = 'plpgsql')
    AND m.name IS DISTINCT FROM 'citext'
    AND (p.proconfig IS NULL OR array_length(p.proconfig, 1) = 1 AND p.proconfig[1] LIKE 'search\_path=%')
    AND (p.proargdefaults IS NULL OR strpos(p.proargdefaults::text, ':funcid') = 0)
    AND length(f.text) <= {max_pure}
    AND strpos(f.text, 'u&') = 0
    AND NOT EXISTS (SELECT FROM pg_depend d  -- BEGIN ATOMIC
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass)
),
word(oid, word) AS MATERIALIZED (
  SELECT DISTINCT oid, unnest(string_to_array(regexp_replace(text, '[^a-z0-9_]+', ' ', 'g'), ' ')) FROM candidate
),
pure(oid, text) AS MATERIALIZED (
  SELECT oid, text FROM candidate
  WHERE oid NOT IN (SELECT w.oid FROM builtin_function b JOIN pg_proc p ON p.oid = b.oid
                      JOIN word w ON w.word = lower(p.proname::text))
    AND oid NOT IN (SELECT oid FROM word WHERE word = ANY ({impure}::text[]))
    AND (strpos(text, '%') = 0 OR oid NOT IN (SELECT oid FROM word WHERE word IN ('type', 'rowtype')))
    AND (oid NOT IN (SELECT oid FROM word WHERE word = 'from')
         OR regexp_replace(text, {not_reading}, '', 'g') !~ '(^|[^a-z0-9_])from([^a-z0-9_]|$)')
),
user_function(oid, bits) AS MATERIALIZED (
  SELECT p.oid,
    CASE WHEN p.oid IN (SELECT oid FROM pure)
           OR p.prolang IN (12, 13)
              AND (m.name = ANY ({trusted}) OR m.name = ANY ({reviewed}) AND p.provolatile <> 'v')
           OR p.prolang = 14 AND m.name = 'citext' THEN 0
         ELSE 1
              | CASE WHEN p.prolang NOT IN (12, 13, 14) AND l.lanname <> 'plpgsql'
                       OR p.prosrc ~* {closing_words} THEN 2 ELSE 0 END
              | CASE WHEN p.prosrc ~* {statement_words} THEN 4 ELSE 0 END
              | CASE WHEN p.prolang <> 14 AND l.lanname <> 'plpgsql' AND p.prokind <> 'a'
                            AND (m.name = ANY ({reviewed})) IS NOT TRUE
                       OR p.prosrc ~* {ddl_words} OR p.prosrc ~* {hiding_words}
                       -- SELECT INTO makes a table
                       OR p.prolang = 14 AND regexp_replace(p.prosrc, '(insert|merge)\s+into', '', 'gi') ~* '\minto\M'
                     THEN 32 ELSE 0 END
    END
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang LEFT JOIN extension_member m ON m.oid = p.oid
  WHERE p.oid >= 16384
),
"""

# What a body may speak of: its name as it may be written there, and a pattern. With "C" only ASCII letters have a case,
# as in the names of PostgreSQL.
_SPEAKS: Final = """
named(name, class, object, by_pure) AS (
  SELECT proname::text, 'pg_proc'::regclass::oid, oid, true FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT relname::text, {writing}, oid, false
            FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL SELECT t.typname::text, 'pg_type'::regclass, t.oid, true
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.oid >= 16384 AND t.typtype <> 'p' AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
  -- Whoever has a value of a type of the user's has named the type, or what gives one.
  UNION ALL SELECT oprname::text, 'pg_operator'::regclass, oid,
              oprleft BETWEEN 1 AND 16383 OR oprright BETWEEN 1 AND 16383
              OR EXISTS (SELECT FROM pg_cast WHERE castcontext = 'i' AND casttarget IN (oprleft, oprright))
            FROM pg_operator WHERE oid >= 16384
),
called(name, pattern, class, object, by_pure) AS MATERIALIZED (
  SELECT name, CASE WHEN name ~ '^[a-z0-9_]+$' THEN '(^|[^a-z0-9_])' || name || '($|[^a-z0-9_])' ELSE '' END,
    class, object, by_pure
  FROM (SELECT lower(replace(name, '"', '""') COLLATE "C"), class, object, by_pure FROM named)
    n(name, class, object, by_pure)
),
sign(name, class, object) AS MATERIALIZED (  -- what is called is no word
  SELECT name, class, object FROM called WHERE by_pure AND pattern = ''
),
spoken(oid, class, object) AS MATERIALIZED (
  SELECT w.oid, c.class, c.object FROM word w JOIN pure ON pure.oid = w.oid JOIN called c ON c.name = w.word
  WHERE c.by_pure
  UNION ALL SELECT pure.oid, s.class, s.object FROM pure, sign s WHERE strpos(pure.text, s.name) > 0
),
-- Where triggers that may do anything are on many tables, what writes may do anything; it would take long to say which.
audited(all_hide) AS MATERIALIZED (
  SELECT count(DISTINCT t.tgrelid) > {many} FROM pg_trigger t JOIN user_function u ON u.oid = t.tgfoid
  WHERE u.bits & 32 > 0
),
body(oid, bits, text) AS MATERIALIZED (
  SELECT p.oid, u.bits | CASE WHEN (SELECT all_hide FROM audited) THEN 32 ELSE 0 END, lower(p.prosrc COLLATE "C")
  FROM pg_proc p JOIN user_function u ON u.oid = p.oid
  WHERE u.bits > 0 AND p.prolang NOT IN (12, 13)
),
"""

FUNCTIONS: Final = _FUNCTIONS.format(
    closing=_names(CLOSING),
    denied=_names(DENIED),
    running=_names(RUNNING),
    reviewed_volatile=_names(REVIEWED_VOLATILE),
    trusted=_names(TRUSTED_EXTENSIONS),
    reviewed=_names(REVIEWED_EXTENSIONS),
    closing_words=pattern(CLOSING_WORDS),
    statement_words=pattern(STATEMENT_WORDS),
    ddl_words=pattern(DDL_WORDS),
    hiding_words=pattern(HIDING_WORDS),
    impure=_names(IMPURE_WORDS),
    not_reading=pattern(NOT_READING),
    max_pure=str(MAX_PURE),
) + _SPEAKS.format(writing=WRITING, many=MANY_TABLES)
