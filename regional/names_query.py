"""Names of an application's own parameters in the origin's catalogue, for functions that no client's statement shows.

`pg_settings` does not list such parameters, so their names have to be known before a session can be asked for their
values (`session_state.py`). A function may set one whose name its callers never say. What is looked through here: the
texts of functions (a name in quotes, or behind SET), their own SET clauses, the arguments of triggers, and the
constants of stored expressions that call `set_config` or a function of the user's. More names than needed cost
nothing; a name that is put together while a function runs is not found.

Names behind SET or in set_config come first, and names of relations are left out of the others; MAX_FOUND are enough.

The query runs in whatever settings a client has, so no backslash is in it. It takes no lock on a user's table, and
reads what PostgreSQL 12 to 18 have.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

MAX_FOUND: Final = 200
_LONGEST: Final = 80  # characters
_LONGEST_CONSTANT: Final = 5 * _LONGEST  # each byte of a stored one is a number and a space

_NAME: Final = "([a-z_][a-z0-9_]*(?:[.][a-z_][a-z0-9_]*)+)"
# The functions that an expression calls, by number: set_config, and those from 16000 on.
_CALLS: Final = ":funcid (2078|1[6-9][0-9]{3}|[2-9][0-9]{4}|[0-9]{6,}) "

#: One simple query, for outside a transaction; the rows are those of its only SELECT: `names_in` reads them.
NAMES_QUERY: Final = f"""
SET LOCAL search_path = pg_catalog;
SET LOCAL jit = off;
WITH source(text, is_setter) AS MATERIALIZED (
  SELECT replace(text, '$', ''''), text LIKE '%set_config%'
  FROM pg_proc, lower(prosrc COLLATE "C") text
  WHERE oid >= 16384 AND prolang NOT IN (12, 13) AND prosrc LIKE '%.%'
),
quoted(text, is_set) AS MATERIALIZED (
  SELECT piece, bool_or(is_setter) FROM source, unnest(string_to_array(text, '''')) piece
  WHERE piece LIKE '%.%' AND length(piece) <= {_LONGEST} GROUP BY piece
),
behind_set(text) AS MATERIALIZED (
  SELECT DISTINCT left(piece, {_LONGEST}) FROM source, unnest(string_to_array(text, 'set ')) piece
),
named(name, is_set) AS (
  SELECT text, is_set FROM quoted WHERE text ~ '^{_NAME}$'
  UNION ALL SELECT substring(text FROM '^[[:space:]]*(?:(?:session|local)[[:space:]]+)?{_NAME}'), true FROM behind_set
  UNION ALL SELECT lower(split_part(setting, '=', 1)), true FROM pg_proc, unnest(proconfig) setting WHERE oid >= 16384
  UNION ALL SELECT lower(argument), false
            FROM pg_trigger, unnest(string_to_array(encode(tgargs, 'escape'), chr(92) || '000')) argument
            WHERE argument ~* '^{_NAME}$'
),
expression(text) AS (
  SELECT ev_action::text FROM pg_rewrite WHERE oid >= 16384
  UNION ALL SELECT concat(polqual::text, polwithcheck::text) FROM pg_policy
  UNION ALL SELECT conbin::text FROM pg_constraint WHERE conbin IS NOT NULL AND oid >= 16384
  UNION ALL SELECT typdefaultbin::text FROM pg_type WHERE typdefaultbin IS NOT NULL AND oid >= 16384
  UNION ALL SELECT tgqual::text FROM pg_trigger WHERE tgqual IS NOT NULL
  UNION ALL SELECT adbin::text FROM pg_attrdef
  UNION ALL SELECT to_jsonb(p) ->> 'prosqlbody' FROM pg_proc p WHERE oid >= 16384 AND prolang = 14 AND prosrc = ''
)
(SELECT 'name', name
 FROM (SELECT name, bool_or(is_set) AS is_set FROM named WHERE name LIKE '%.%' GROUP BY name) AS found
 WHERE is_set OR NOT EXISTS (
   SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = split_part(name, '.', 1)::name AND c.relname = split_part(name, '.', 2)::name)
 ORDER BY is_set DESC, name LIMIT {MAX_FOUND})
UNION ALL
(SELECT DISTINCT 'constant', split_part(split_part(piece, '[ ', 2), ' ]', 1)
 FROM expression, unnest(string_to_array(text, ':constvalue ')) piece
 WHERE text ~ '{_CALLS}' AND split_part(left(piece, {_LONGEST_CONSTANT}), ']', 1) LIKE '%[ % 46 %'
 LIMIT {MAX_FOUND})
"""


def names_in(rows: Iterable[Sequence[bytes | None]]) -> Iterator[bytes]:
    """Texts that hold names, from the rows of NAMES_QUERY in text format."""
    for kind, text in rows:
        if kind == b"constant":  # each byte as a signed number
            yield bytes(int(number) & 0xFF for number in (text or b"").split())
        else:
            yield text or b""
