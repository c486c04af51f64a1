"""The part of the catalogue's SQL that tells what a function may leave, and what its body speaks of.

Theory of operation: what a body says is seen by its words (`regional/builtins.py`); what it calls, reads and writes is
one of its words too. So a body speaks of everything of the user's whose name is a word of it, in whatever schema: too
much rather than too little. `bad` follows these arrows like all the others, so a function is as harmful as what it
speaks of. What a body does not write down (a text that it puts together, or reads from a table) can only be run by
EXECUTE, or in another language; a function that has that may do anything unseen (`regional/unseen.py`).
"""

from collections.abc import Iterable
from functools import reduce
from typing import Final

from regional.builtins import (
    CLOSING,
    CLOSING_WORDS,
    DDL_WORDS,
    DENIED,
    HIDING_WORDS,
    REVIEWED_EXTENSIONS,
    REVIEWED_VOLATILE,
    RUNNING,
    STATEMENT_WORDS,
    TRUSTED_EXTENSIONS,
)

#: The class of what is written to; its objects are relations.
WRITING: Final = "0::oid"
#: Whatever ends a word of a body. Names with one of these in them are looked for as they are.
_BETWEEN: Final = "\t\n\v\f\r!\"#%&'()*+,-./:;<=>?@[\\]^`{|}~"


def _names(names: Iterable[str]) -> str:
    return "'{" + ",".join(names) + "}'::name[]"


def pattern(words: str) -> str:
    """A constant of this regular expression."""
    return "'" + words.replace("'", "''") + "'"


def _constant(text: str) -> str:
    """A constant of this text, whatever is set about backslashes."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return "E'" + "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in quoted) + "'"


def _spaced(text: str) -> str:
    """The words of a text, with nothing but blanks between them. One translate() takes ten times as long."""
    return reduce(lambda inner, between: f"replace({inner}, {_constant(between)}, ' ')", _BETWEEN, text)


# 16384 is FirstNormalObjectId; languages 12, 13 and 14 are internal, C and SQL.
_FUNCTIONS: Final = """
builtin_function(oid, bits) AS MATERIALIZED (
  SELECT oid, CASE WHEN proname = ANY ({closing}) THEN 3 WHEN proname = ANY ({running}) THEN 33 ELSE 1 END
  FROM pg_proc
  WHERE oid < 16384
    AND (proname = ANY ({denied}) OR provolatile = 'v' AND proname <> ALL ({reviewed_volatile}))
),
user_function(oid, bits) AS MATERIALIZED (
  SELECT p.oid,
    CASE WHEN p.prolang IN (12, 13)
              AND (m.name = ANY ({trusted}) OR m.name = ANY ({reviewed}) AND p.provolatile <> 'v')
           OR p.prolang = 14 AND m.name = 'citext' THEN 0
         ELSE 1
              | CASE WHEN p.prolang NOT IN (12, 13, 14) AND l.lanname <> 'plpgsql'
                       OR p.prosrc ~* {closing_words} THEN 2 ELSE 0 END
              | CASE WHEN p.prosrc ~* {statement_words} THEN 4 ELSE 0 END
              | CASE WHEN p.prolang <> 14 AND l.lanname <> 'plpgsql' AND p.prokind <> 'a'
                            AND (m.name = ANY ({reviewed})) IS NOT TRUE
                       OR p.prosrc ~* {ddl_words} OR p.prosrc ~* {hiding_words} THEN 32 ELSE 0 END
    END
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang LEFT JOIN extension_member m ON m.oid = p.oid
  WHERE p.oid >= 16384
),
"""

# Unless some function does more than what a plain reset takes away, all are alike and there is nothing to follow. With
# "C" only ASCII letters have a case, as in the names of PostgreSQL.
_SPEAKS: Final = """
called(name, class, object) AS MATERIALIZED (
  SELECT lower(p.proname::text COLLATE "C"), 'pg_proc'::regclass::oid, p.oid
  FROM pg_proc p JOIN user_function u ON u.oid = p.oid WHERE u.bits > 0
  UNION ALL SELECT lower(relname::text COLLATE "C"), {writing}, oid
            FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL SELECT lower(typname::text COLLATE "C"), 'pg_type'::regclass, oid
            FROM pg_type WHERE oid >= 16384 AND typtype <> 'p' AND typrelid = 0 AND typelem = 0
  UNION ALL SELECT o.oprname::text, 'pg_operator'::regclass, o.oid
            FROM pg_operator o JOIN user_function u ON u.oid = o.oprcode WHERE u.bits > 0
),
body(oid, text) AS MATERIALIZED (
  SELECT p.oid, lower(p.prosrc COLLATE "C") FROM pg_proc p JOIN user_function u ON u.oid = p.oid
  WHERE u.bits > 0 AND p.prolang NOT IN (12, 13)
    AND (EXISTS (SELECT FROM user_function WHERE bits > 1) OR EXISTS (SELECT FROM call WHERE bits > 1))
),
odd(name, class, object) AS MATERIALIZED (
  SELECT * FROM called WHERE strpos({spaced_name}, ' ') > 0
),
spoken(oid, word) AS MATERIALIZED (
  SELECT b.oid, word FROM body b, unnest(string_to_array({spaced_text}, ' ')) word
  WHERE (word IN (SELECT name FROM called)) IS TRUE  -- no join, which would sort all of the words
),
speaks(oid, used_class, used) AS MATERIALIZED (
  SELECT DISTINCT s.oid, c.class, c.object FROM spoken s JOIN called c ON c.name = s.word
  UNION ALL SELECT b.oid, o.class, o.object FROM body b, odd o WHERE strpos(b.text, o.name) > 0
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
) + _SPEAKS.format(writing=WRITING, spaced_name=_spaced("name"), spaced_text=_spaced("b.text"))
