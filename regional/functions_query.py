"""The part of the catalogue's SQL that tells what a function may leave, and what its body speaks of.

Theory of operation: what a body says is seen by its words (`regional/builtins.py`); what it calls, reads and writes is
one of its words too. So a body speaks of everything of the user's whose name is a word of it, in whatever schema: too
much rather than too little. `bad` follows these arrows like all the others, so a function is as harmful as what it
speaks of. They are looked for one by one, and only from what leaves more than a plain reset takes away, as any function
does: to take thousands of bodies apart into words costs seconds.

A function of SQL or PL/pgSQL that is immutable may be **pure**: it runs nothing but queries, for PostgreSQL refuses all
else (but writes of a WITH clause, where it puts the body into its caller's query). Its body must be of ASCII, have no
part that could read or write a relation or run a text (`IMPURE`), and name no volatile function of PostgreSQL's. Of the
user's it may meet, without a name of theirs in it, any operator, type and cast: so no function is pure where one of
those is harmful. What it calls has its name among the words of the body, and harm follows these.

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
    IMPURE,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    RUNNING,
    STATEMENT_WORDS,
    TRUSTED_EXTENSIONS,
)

#: The class of what is written to; its objects are relations.
WRITING: Final = "0::oid"
#: The class and object of what any pure function may meet.
MET: Final = "0::oid, 0::oid"
MANY_TABLES: Final = 50
#: Longer bodies are not looked at for their being pure.
MAX_PURE: Final = 8192


def _names(names: Iterable[str], kind: str = "name") -> str:
    return "'{" + ",".join(names) + f"}}'::{kind}[]"


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
    AND p.proargdefaults IS NULL
    AND length(f.text) BETWEEN 1 AND {max_pure} AND f.text !~ '[^\u0001-\u007f]'
    AND NOT EXISTS (SELECT FROM unnest({impure}) part WHERE strpos(f.text, part) > 0)
),
word(oid, word) AS MATERIALIZED (
  SELECT DISTINCT oid, unnest(string_to_array(regexp_replace(text, '[^a-z0-9_]+', ' ', 'g'), ' ')) FROM candidate
),
-- What is longer is cut when it is looked up.
pure(oid, text) AS MATERIALIZED (
  SELECT oid, text FROM candidate
  WHERE oid NOT IN (SELECT w.oid FROM word w LEFT JOIN (
                      SELECT lower(proname::text) FROM pg_proc
                      WHERE oid < 16384 AND (provolatile = 'v' OR proname = ANY ({denied}))
                    ) n(name) ON n.name = w.word
                    WHERE n.name IS NOT NULL OR length(w.word) > 62)
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
named(name, class, object) AS (
  SELECT proname::text, 'pg_proc'::regclass::oid, oid FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT relname::text, {writing}, oid
            FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL SELECT t.typname::text, 'pg_type'::regclass, t.oid
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.oid >= 16384 AND t.typtype <> 'p' AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
  UNION ALL SELECT oprname::text, 'pg_operator'::regclass, oid FROM pg_operator WHERE oid >= 16384
),
called(name, pattern, class, object) AS MATERIALIZED (
  SELECT name, CASE WHEN name ~ '^[a-z0-9_]+$' THEN '(^|[^a-z0-9_])' || name || '($|[^a-z0-9_])' ELSE '' END,
    class, object
  FROM (SELECT lower(replace(name, '"', '""') COLLATE "C"), class, object FROM named) n(name, class, object)
),
-- What a pure function may call, and what any of them may meet.
quoted(name, object) AS MATERIALIZED (
  SELECT name, object FROM called WHERE class = 'pg_proc'::regclass AND pattern = ''
),
spoken(oid, class, object) AS MATERIALIZED (
  SELECT w.oid, c.class, c.object FROM word w JOIN pure ON pure.oid = w.oid JOIN called c ON c.name = w.word
  WHERE c.class = 'pg_proc'::regclass
  UNION ALL SELECT pure.oid, 'pg_proc'::regclass, q.object FROM pure, quoted q WHERE strpos(pure.text, q.name) > 0
  UNION ALL SELECT oid, {met} FROM pure
),
meets(class, object) AS (
  SELECT 'pg_operator'::regclass::oid, oid FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.oid >= 16384 AND (c.oid IS NULL OR c.relkind = 'c') AND t.oid NOT IN (SELECT typarray FROM pg_type)
  UNION ALL SELECT 'pg_proc'::regclass, castfunc FROM pg_cast WHERE castfunc >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, amproc FROM pg_amproc WHERE amproc >= 16384
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
    impure=_names(IMPURE, "text"),
    max_pure=str(MAX_PURE),
) + _SPEAKS.format(writing=WRITING, met=MET, many=MANY_TABLES)
