"""A snapshot of an origin's catalogue, whose rows travel only if they are others than those of the last one.

The origin has to put the rows together in any case; it then makes a digest of them too. What an unchanged catalogue is
spared is the way here, and the work of taking thousands of rows apart.
"""

from collections.abc import Iterable, Sequence
from typing import Final

Row = Sequence[bytes | None]

_DIGEST: Final = b"digest"
_KNOWN: Final = "<> ''::text -- known"

# A sum needs no order.
_SNAPSHOT: Final = """,
snapshot AS MATERIALIZED ({rows}),
summary(digest) AS MATERIALIZED (
  SELECT concat_ws(' ', count(*), sum(hashtextextended(snapshot::text, 0))) FROM snapshot WHERE {lasting}
)
SELECT 'digest', '', digest, 0::oid, 0, {last} FROM summary
UNION ALL SELECT snapshot.* FROM snapshot, summary WHERE digest {known}
"""


def snapshot_query(parts: str, rows: str, *, lasting: str = "true", last: str = "0") -> str:
    """The SQL of a snapshot that is made of WITH queries and a SELECT of rows; nothing of it is known yet.

    lasting: which rows are in the digest; last: the value of the last column where there is none.
    """
    return parts + _SNAPSHOT.format(rows=rows, lasting=lasting, last=last, known=_KNOWN)


def unless_known(query: str, digest: str) -> bytes:
    """The same, for somebody who knows the snapshot of this digest."""
    if not digest.replace(" ", "").replace("-", "").isdigit():  # also empty
        return query.encode()
    return query.replace(_KNOWN, f"<> '{digest}'").encode()


def answer_of(rows: Iterable[Row]) -> tuple[str, list[Row]]:
    """The digest, and the rows; none if that digest was known. Raises ValueError if it is no such answer."""
    rows = list(rows)
    found = next((place for place, row in enumerate(rows) if row[0] == _DIGEST and len(row) > 2), None)
    if found is None:
        raise ValueError("an answer without a digest")
    digest = (rows.pop(found)[2] or b"").decode("ascii", "replace")
    return digest, rows
