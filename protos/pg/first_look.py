"""What a text looks like before anybody parses it: a first look, of a microsecond, at whether it is worth more.

It may be wrong in one direction only: what it passes is judged by PostgreSQL's grammar at the pool node; what it does
not pass is never looked at again, and crosses.
"""

import re
from typing import Final

MAX_FACT_BYTES: Final = 8 << 10
MAX_READ_BYTES: Final = 64 << 10

_FACT_WORDS: Final = re.compile(rb"\bpg_|\b(?:set|reset|show|set_config|version|current_\w+)\b", re.IGNORECASE)
# Blanks, comments (those that nest are taken for over early) and parentheses may come first.
_READ: Final = re.compile(
    rb"(?:[\s(]++|--[^\n\r]*+|/\*.*?\*/)*+(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL
).match


def may_be_fact(sql: bytes) -> bool:
    """Whether it may be one of the questions and settings of drivers and ORMs (regional/facts.py)."""
    return len(sql) <= MAX_FACT_BYTES and _FACT_WORDS.search(sql) is not None


def may_be_read(sql: bytes) -> bool:
    """Whether it may be a query whose answer can be kept (regional/cache/reading.py)."""
    return len(sql) <= MAX_READ_BYTES and _READ(sql) is not None
