"""What the origin is doing, asked of the origin itself: for tests that must act in the middle of something."""

import time
from typing import Final

from tests.support.cluster import Origin

TIMEOUT_S: Final = 30.0
QUESTION: Final = """
    select count(*) from pg_stat_activity where state = 'active' and query like %s and pid <> pg_backend_pid()
"""


def is_active(origin: Origin, text: str) -> bool:
    """Whether a backend runs a statement that holds TEXT."""
    with origin.connect() as connection:
        row = connection.execute(QUESTION, (f"%{text}%",)).fetchone()
    return row is not None and bool(row[0])


def wait_until_active(origin: Origin, text: str, *, active: bool = True) -> None:
    """Wait until a statement that holds TEXT runs, or no longer runs."""
    deadline = time.monotonic() + TIMEOUT_S
    while is_active(origin, text) is not active:
        assert time.monotonic() < deadline, f"{text!r} should {'run' if active else 'have ended'}"
        time.sleep(0.02)
