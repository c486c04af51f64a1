"""The part of the catalogue's SQL that tells what a function may leave, and what its body speaks of.

Theory of operation: what a body says is seen by its words (`regional/builtins.py`); what it calls, reads and writes is
one of its words too. So a body speaks of everything of the user's whose name is a word of it, in whatever schema: too
much rather than too little. `bad` follows these arrows like all the others, so a function is as harmful as what it
speaks of. They are looked for one by one, and only from what leaves more than a plain reset takes away, as any function
does: to take thousands of bodies apart into words costs seconds.

A function of SQL or PL/pgSQL that is immutable may be **pure**: it runs nothing but queries, for PostgreSQL refuses all
else (but writes of a WITH clause, where it puts the body into its caller's query). Its body must be of ASCII, without
names in quotes, have no part that could read or write a relation, run a text, tell of something or catch a timeout
(`IMPURE`), and no word that names what is volatile, or stable by more than settings, or the time: the label may be
wrong, and the query cache believes it of pure functions. Of the user's it may meet, without a name of theirs in it, any
operator, type and cast: so no function is pure where one of those is harmful, or is not immutable (`unfit`). What it
calls has its name among the words of the body, and harm follows these.

Whoever has installed an extension owns it and may add functions to it: so only what nobody but a superuser can write
counts as the extension's.

What a body does not write down (a text that it puts together, or reads from a table) can only be run by EXECUTE, or in
another language; a function that has that may do anything unseen (`regional/unseen.py`).
"""

from collections.abc import Iterable
from typing import Final

from regional.builtins import (
    CLOSING,
    CLOSING_WORDS,
    CONSTRUCTORS,
    DDL_WORDS,
    DENIED,
    HIDING_WORDS,
    IMPURE,
    INSTABLE_WORDS,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    RUNNING,
    STATEMENT_WORDS,
    TRUSTED_EXTENSIONS,
)
from regional.cache.admitted import STABLE, STABLE_EXTENSIONS

#: The class of what is written to; its objects are relations.
WRITING: Final = "0::oid"
#: The class and object of what any pure function may meet.
MET: Final = "0::oid, 0::oid"
MANY_TABLES: Final = 50
#: Longer bodies are not looked at for their being pure, nor any if they are longer together: to cut a MiB into words
#: takes half a second.
MAX_PURE: Final = 8192
MAX_PURE_SUM: Final = 1 << 20

# Other characters than ASCII's, names in quotes or with a $, and texts between dollars.
_STRANGE: Final = r"[^\u0001-\u007f]|\"|\$[^0-9]|[a-z0-9_]\$"
# SELECT INTO makes a table.
_WRITES_INTO: Final = r"(insert|merge)\s+into"
_INTO: Final = r"\minto\M"


def _names(names: Iterable[str], kind: str = "name") -> str:
    return "'{" + ",".join(names) + f"}}'::{kind}[]"


def pattern(words: str) -> str:
    """A constant of this regular expression, also where standard_conforming_strings is off."""
    return "E'" + words.replace("\\", r"\\").replace("'", "''") + "'"


# 16384 is FirstNormalObjectId; languages 12, 13 and 14 are internal, C and SQL.
_FUNCTIONS: Final = r"""
builtin_function(oid, bits) AS MATERIALIZED (
  SELECT oid, CASE WHEN proname = ANY ({closing}) THEN 3 WHEN proname = ANY ({running}) THEN 33 ELSE 1 END
  FROM pg_proc
  WHERE oid < 16384
    AND (proname = ANY ({denied}) OR provolatile = 'v' AND proname <> ALL ({reviewed_volatile}))
),
short(oid, text) AS MATERIALIZED (
  SELECT p.oid, f.text
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace,
    lower(p.prosrc COLLATE "C") f(text)
  WHERE p.oid >= 16384 AND p.provolatile = 'i' AND p.prokind = 'f' AND (p.prolang = 14 OR l.lanname = 'plpgsql')
    AND left(n.nspname, 7) <> 'pg_temp'
    AND (p.proconfig IS NULL OR array_length(p.proconfig, 1) = 1 AND left(p.proconfig[1], 12) = 'search_path=')
    AND p.proargdefaults IS NULL
    AND length(f.text) BETWEEN 1 AND {max_pure} AND f.text !~ {strange}
    AND NOT EXISTS (SELECT FROM unnest({impure}) part WHERE strpos(f.text, part) > 0)
),
candidate(oid, text) AS MATERIALIZED (
  SELECT oid, text FROM short WHERE (SELECT sum(length(text)) FROM short) <= {max_pure_sum}
),
word(oid, word) AS MATERIALIZED (
  SELECT DISTINCT oid, unnest(string_to_array(regexp_replace(text, '[^a-z0-9_]+', ' ', 'g'), ' ')) FROM candidate
),
instable_function(oid, name) AS MATERIALIZED (
  SELECT p.oid, p.proname
  FROM pg_proc p LEFT JOIN extension_member m ON m.oid = p.oid
  WHERE p.provolatile = 'v' OR p.oid < 16384 AND p.proname = ANY ({denied})
     OR p.provolatile = 's' AND (p.oid < 16384 AND p.proname || '/' || p.pronargs = ANY ({stable})
                                 OR m.name = ANY ({stable_extensions})) IS NOT TRUE
),
instable(word) AS MATERIALIZED (
  SELECT lower(name::text COLLATE "C") FROM instable_function UNION SELECT unnest({instable})
),
-- What is longer is cut when it is looked up.
pure(oid) AS MATERIALIZED (
  SELECT oid FROM candidate
  WHERE oid NOT IN (SELECT w.oid FROM word w LEFT JOIN instable i ON i.word = w.word
                    WHERE i.word IS NOT NULL OR length(w.word) > 62)
),
user_function(oid, bits) AS MATERIALIZED (
  SELECT p.oid,
    CASE WHEN p.oid IN (SELECT oid FROM pure) OR p.prolang = 12 AND p.prosrc = ANY ({constructors})
           OR p.prolang IN (12, 13)  -- of aggregates, harm comes from what they are made of
              AND (m.name = ANY ({trusted}) OR m.name = ANY ({reviewed}) AND p.provolatile <> 'v') THEN 0
         ELSE 1
              | CASE WHEN p.prolang NOT IN (12, 13, 14) AND l.lanname <> 'plpgsql'
                       OR p.prosrc ~* {closing_words} THEN 2 ELSE 0 END
              | CASE WHEN p.prosrc ~* {statement_words} THEN 4 ELSE 0 END
              | CASE WHEN p.prolang <> 14 AND l.lanname <> 'plpgsql' AND p.prokind <> 'a'
                            AND (m.name = ANY ({reviewed})) IS NOT TRUE
                       OR p.prosrc ~* {ddl_words} OR p.prosrc ~* {hiding_words}
                       OR p.prolang = 14 AND regexp_replace(p.prosrc, {writes_into}, '', 'gi') ~* {into}
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
spoken(oid, class, object) AS MATERIALIZED (
  SELECT w.oid, c.class, c.object FROM word w JOIN pure ON pure.oid = w.oid JOIN called c ON c.name = w.word
  WHERE c.class = 'pg_proc'::regclass
  UNION ALL SELECT oid, {met} FROM pure
),
meets(class, object) AS (
  SELECT 'pg_operator'::regclass::oid, oid FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, t.oid
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE t.oid >= 16384 AND (c.oid IS NULL OR c.relkind = 'c') AND t.oid NOT IN (SELECT typarray FROM pg_type)
              AND left(n.nspname, 7) <> 'pg_temp'
  UNION ALL SELECT 'pg_proc'::regclass, castfunc FROM pg_cast WHERE castfunc >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, amproc FROM pg_amproc WHERE amproc >= 16384
),
unfit(why) AS (
  SELECT 1 FROM pg_operator o JOIN instable_function f ON f.oid = o.oprcode WHERE o.oid >= 16384
  UNION ALL SELECT 1 FROM pg_cast c LEFT JOIN instable_function f ON f.oid = c.castfunc
            WHERE c.oid >= 16384 AND (c.castmethod = 'i' OR f.oid IS NOT NULL)
  UNION ALL SELECT 1 FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
              CROSS JOIN unnest(string_to_array(c.conbin::text, 'funcid ')) piece
              LEFT JOIN instable_function f ON f.oid::text = split_part(left(piece, 12), ' ', 1)
            WHERE c.contypid >= 16384 AND left(n.nspname, 7) <> 'pg_temp'
              AND (f.oid IS NOT NULL OR strpos(piece, '{{SQLVALUEFUNCTION ') + strpos(piece, '{{COERCEVIAIO ') > 0)
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
    writes_into=pattern(_WRITES_INTO),
    into=pattern(_INTO),
    strange=pattern(_STRANGE),
    impure=_names(IMPURE, "text"),
    instable=_names(INSTABLE_WORDS, "text"),
    stable=_names(STABLE, "text"),
    stable_extensions=_names(STABLE_EXTENSIONS),
    constructors=_names(CONSTRUCTORS, "text"),
    max_pure=str(MAX_PURE),
    max_pure_sum=str(MAX_PURE_SUM),
) + _SPEAKS.format(writing=WRITING, met=MET, many=MANY_TABLES)
