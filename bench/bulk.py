"""A client that takes one large result as fast as it comes, and throws it away.

A process of its own: it prints a line when the first bytes came, and a line with bytes and seconds at the end. The
connection string comes on standard input, since a command line is for all to read.
"""

import json
import sys
import time
from typing import Final

import psycopg

ROW_BYTES: Final = 8000


def query(total_bytes: int) -> str:
    """A statement whose result has about that many bytes."""
    rows = max(1, total_bytes // (ROW_BYTES + 1))
    return f"COPY (SELECT repeat('x', {ROW_BYTES}) FROM generate_series(1, {rows})) TO STDOUT"


def main() -> None:
    """Take the result."""
    total_bytes = int(sys.argv[1])
    conninfo = sys.stdin.readline().strip()
    with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
        begun = time.monotonic()
        received = 0
        with cursor.copy(query(total_bytes).encode()) as copy:
            for part in copy:
                if not received:
                    print(json.dumps({"first_byte_s": time.monotonic() - begun}), flush=True)
                received += len(part)
        print(json.dumps({"bytes": received, "seconds": time.monotonic() - begun}), flush=True)


if __name__ == "__main__":
    main()
