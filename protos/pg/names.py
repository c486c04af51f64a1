"""The names of prepared statements that the two tiers agree on. No client's name that begins so reaches an origin.

A shared name is PREFIX and 32 hexadecimal digits (edge/meaning.py). The others stand for no statement in particular.
"""

from typing import Final

PREFIX: Final = b"onetrip:"

#: Never prepared, so a Bind to them gets PostgreSQL's own error; the first is for the unnamed statement.
MISSING: Final = PREFIX + b"none"
GONE: Final = PREFIX + b"gone"

#: Prepared on every connection that needs it, so a Parse of it gets PostgreSQL's own error.
USED: Final = PREFIX + b"used"

#: With a number: which statement is meant is said beside the message.
TOKEN: Final = PREFIX + b"?"
