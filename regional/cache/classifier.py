"""Judge statements for the query cache under one snapshot of the catalogue, and remember what was found.

Texts come again with other constants. What is read hangs on constants only where one may hold a date word, so other
texts share one verdict under their folded form. Strings that stand one after the other are one constant, whose word
may begin in one and end in the next; such a text is judged for itself.
"""

import re
from typing import Final

from regional.cache.bypass import is_bypassed
from regional.cache.reach import Reach
from regional.cache.reach_query import REFUSED, TIME
from regional.cache.reading import MAX_BYTES, read
from regional.cache.verdicts import EVERYTHING, NOTHING, Reading, Writing
from regional.cache.words import has_date_word
from regional.cache.writing import written
from regional.folding import fold
from regional.memo import Memo

#: Verdicts kept, by the size of their texts; half of it for what is read, half for what is written.
MAX_MEMO_BYTES: Final = 8 << 20
# What an entry costs beside its text.
_ENTRY_BYTES: Final = 400

_is_continued: Final = re.compile(rb"'(?:\s|--[^\n\r]*[\n\r])*[\n\r](?:\s|--[^\n\r]*[\n\r])*'").search
_TOO_LONG: Final = Reading("too long")
_NOT_UTF8: Final = Reading("not understood: encoding")
_NO_CATALOGUE: Final = Reading("catalogue unknown")


class Classifier:
    """What statements read and write. Setting `reach` forgets the memos."""

    def __init__(self, reach: Reach | None = None, *, max_memo_bytes: int = MAX_MEMO_BYTES) -> None:
        self._max_bytes = max_memo_bytes
        self.reach = reach

    @property
    def reach(self) -> Reach | None:
        return self._reach

    @reach.setter
    def reach(self, reach: Reach | None) -> None:
        self._reach = reach
        self._readings: Memo[tuple[Reading, bool]] = Memo(self._max_bytes // 2, entry_bytes=_ENTRY_BYTES)
        self._writings: Memo[Writing] = Memo(self._max_bytes // 2, entry_bytes=_ENTRY_BYTES)

    @property
    def memo_bytes(self) -> int:
        return self._readings.held_bytes + self._writings.held_bytes

    def reading(self, sql: bytes, types_raw: bytes = b"", *, is_utf8: bool = True) -> Reading:
        """Return what SQL reads.

        types_raw: the parameter types of a Parse, as on the wire. is_utf8: the client's encoding is UTF-8.
        """
        reach = self._reach
        if len(sql) > MAX_BYTES:
            return _TOO_LONG
        if is_bypassed(sql):
            return Reading("bypassed")
        if reach is None:
            return _NO_CATALOGUE
        if not (sql.isascii() or (is_utf8 and reach.is_utf8)):
            return _NOT_UTF8
        reading, calls_timezone = self._readings.get(sql) or self._read(sql, reach)
        if len(types_raw) > 2 and reading.is_cacheable:
            return _with_types(reading, types_raw, reach, calls_timezone=calls_timezone)
        return reading

    def writing(self, sql: bytes, *, is_utf8: bool = True) -> Writing:
        """Return what SQL writes. is_utf8: the client's encoding is UTF-8."""
        if len(sql) > MAX_BYTES:
            return EVERYTHING
        if not (sql.isascii() or (is_utf8 and (self._reach is None or self._reach.is_utf8))):
            return EVERYTHING
        return self._writings.get(sql) or self._written(sql)

    def _read(self, sql: bytes, reach: Reach) -> tuple[Reading, bool]:
        key = sql if _hangs_on_constants(sql) else fold(sql)
        found = self._readings.get(key)
        if found is None:
            found = read(sql, reach)
            self._readings.keep(key, found)
        return found

    def _written(self, sql: bytes) -> Writing:
        key = fold(sql)
        found = self._writings.get(key)
        if found is None:
            read_before = self._readings.get(key)
            # What may be kept calls nothing that writes.
            is_known = read_before is not None and read_before[0].is_cacheable
            found = NOTHING if is_known else written(sql, self._reach)
            self._writings.keep(key, found)
        return found


def _hangs_on_constants(sql: bytes) -> bool:
    return b"'" in sql and (has_date_word(sql) or _is_continued(sql) is not None)


def _with_types(reading: Reading, types_raw: bytes, reach: Reach, *, calls_timezone: bool) -> Reading:
    for start in range(2, len(types_raw), 4):
        oid = int.from_bytes(types_raw[start : start + 4], "big")
        found = reach.type_oids.get(oid, REFUSED) if oid else 0
        if found & REFUSED:
            return Reading("type: of a parameter")
        if found & TIME and calls_timezone:
            return Reading("stable function: timezone")
    return reading
