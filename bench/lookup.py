"""The measuring client of the cache: one connection that asks for rows by key, one after the other, each timed.

It is a process of its own, as bench/client.py is and for the same reasons. Each line on standard input is a request, a
JSON object: `open` a connection and prepare the statement on it, `ask` for some keys by one of the protocols. Each is
answered by one line.
"""

import json
import sys
import time
from typing import Final

from psycopg import pq

from bench.client import RefusedError, connect

# As pgbench sends it, so that what one has asked for the other finds.
SELECT: Final = "SELECT abalance FROM pgbench_accounts WHERE aid = {};"
NAME: Final = b"by_key"
PROTOCOLS: Final = ("simple", "prepared")


class Lookup:
    """One connection."""

    def __init__(self, conninfo: str) -> None:
        self._connection = connect(conninfo)
        self._check(self._connection.prepare(NAME, SELECT.format("$1").encode()), pq.ExecStatus.COMMAND_OK)

    def times_ms(self, protocol: str, keys: list[int]) -> list[float]:
        """Ask for each key; how long each took."""
        connection, times = self._connection, []
        for key in keys:
            text = SELECT.format(key).encode()
            value = str(key).encode()
            begun = time.perf_counter()
            result = connection.exec_(text) if protocol == "simple" else connection.exec_prepared(NAME, [value])
            times.append((time.perf_counter() - begun) * 1000)
            self._check(result, pq.ExecStatus.TUPLES_OK)
        return times

    def close(self) -> None:
        self._connection.finish()

    def _check(self, result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
        if result.status != status:
            raise RefusedError(result.get_error_message().strip())


def main() -> None:
    """Answer requests until standard input ends."""
    held: Lookup | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object] = {}
        try:
            if "open" in request:
                if held is not None:
                    held.close()
                held = Lookup(request["open"])
            elif held is not None:
                answer["ms"] = held.times_ms(request["ask"], request["keys"])
        except RefusedError as error:
            answer["refused"] = str(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
