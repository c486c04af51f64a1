"""Words that PostgreSQL's date parser reads off the clock: now, today, tomorrow, yesterday.

They need no function: `'now'` as a timestamp is the moment. ParseDateTime (src/backend/utils/adt/datetime.c) cuts a
value into runs of letters, in any case, so a word counts wherever no letter is next to it. In the literal of an array,
range or row a backslash or a quote may stand inside the word; both are taken out for a second look.
"""

import re
from typing import Final

_has_word: Final = re.compile(rb"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])").search


def _may_have(lowered: bytes) -> bool:
    return b"now" in lowered or b"today" in lowered or b"tomorrow" in lowered or b"yesterday" in lowered


def has_date_word(values: bytes) -> bool:
    """May one of the values of a Bind, or a constant, be read as a date that depends on the clock?"""
    lowered = values.lower()
    if _may_have(lowered) and _has_word(lowered):
        return True
    if b"\\" not in values and b'"' not in values:
        return False
    lowered = lowered.replace(b"\\", b"").replace(b'"', b"")
    return _may_have(lowered) and _has_word(lowered) is not None
