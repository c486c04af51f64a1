"""Whether a statement asks not to be served from the cache: `/* onetrip: cache=off */` as its first comment.

Only what stands before everything else counts. That it is a comment the grammar's own scanner says, which is asked only
where the text begins like one.
"""

import re
from typing import Final

from regional.grammar import COMMENTS, scan

_asks: Final = re.compile(rb"\s*(?:--|/\*)\s*onetrip\s*:\s*cache\s*=\s*off\s*(?:\*/)?\s*\Z", re.IGNORECASE).match
_begins: Final = re.compile(rb"\s*(?:--|/\*)").match


def is_bypassed(sql: bytes) -> bool:
    if not _begins(sql):
        return False
    tokens = scan(sql)
    if not tokens or tokens[0].kind not in COMMENTS:
        return False
    return _asks(sql[tokens[0].start : tokens[0].end]) is not None
