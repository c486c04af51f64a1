"""Many idle clients in one process: it opens connections through libpq and keeps them.

Standard input holds one JSON request a line: `open` some more connections to a connection string, or `query` once on
each that is open. Each is answered by one line when it is done.
"""

import json
import resource
import sys

from psycopg import pq

from bench.client import RefusedError, ask, connect


def main() -> None:
    """Answer requests until standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held: list[pq.abc.PGconn] = []
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object] = {}
        try:
            if "open" in request:
                held.extend(connect(request["open"]) for _ in range(request["count"]))
            else:
                for connection in held:
                    ask(connection)
            answer["held"] = len(held)
        except RefusedError as error:
            answer["refused"] = f"at {len(held)} clients: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
