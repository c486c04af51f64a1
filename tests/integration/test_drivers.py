"""Each driver's scripts over a counted link: every result is right, and so many crossings does each step take.

The scripts are those of `python -m bench drivers`, for the drivers from PyPI and npm and PostgreSQL's own programs,
each with its defaults. They run as processes against real nodes; between edge and pool node stands the relay of
`bench.turns`. What is expected is a number, whatever the machine's pace.
"""

from collections.abc import Iterator
from typing import Final

import attrs
import pytest

from bench.driver_list import BY_NAME
from bench.driver_scripts.stage import SCRIPTS, SETUP, TABLE
from bench.played import Counter, open_counter, play
from bench.workspace import UnavailableError
from tests.support.cluster import Origin
from tests.support.onetrip import LOOPBACK, NODE_OPTIONS, House
from tests.support.target import port_of

# Crossings to connect + to work (+ to give the connection back to the driver's own pool), through a warm edge.
EXPECTED: Final = """
|                        | cold      | again     | transaction | ten        | batch  | orm   |
| psql                   | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| pgbench-simple         | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     |        |       |
| pgbench-extended       | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| pgbench-prepared       | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| psycopg                | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 2  |       |
| psycopg-async          | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 2  |       |
| psycopg-pipeline       | 0 + 1     | 0 + 1     | 0 + 1       | 0 + 10     | 0 + 1  |       |
| psycopg-cursor         | 0 + 4     | 0 + 4     | 0 + 6       | 0 + 40     |        |       |
| psycopg2               | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 11 |       |
| asyncpg                | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| pg8000                 | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 11 |       |
| sqlalchemy-psycopg     | 0 + 1 + 1 | 0 + 1 + 1 | 0 + 3       | 0 + 10 + 1 | 0 + 2  | 0 + 3 |
| sqlalchemy-asyncpg     | 0 + 1 + 1 | 0 + 1 + 1 | 0 + 3       | 0 + 10 + 1 | 0 + 2  | 0 + 3 |
| django                 | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 2  | 0 + 3 |
| node-postgres          | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| node-postgres-named    | 0 + 1     | 0 + 1     |             | 0 + 10     |        |       |
| node-postgres-pipeline | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| node-postgres-pool     | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
| postgres.js            | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 11 |       |
| postgres.js-unprepared | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 11 |       |
| drizzle                | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  | 0 + 3 |
| asyncpg-pool           | 0 + 1     | 0 + 1     | 0 + 3       | 0 + 10     | 0 + 1  |       |
"""


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _expected() -> dict[str, dict[str, str]]:
    """The cells that are not empty, by driver and script."""
    head, *lines = (_cells(line) for line in EXPECTED.strip().splitlines())
    return {
        name: {script: cell for script, cell in zip(head[1:], cells, strict=True) if cell} for name, *cells in lines
    }


@attrs.frozen
class CountedEdge:
    """An edge whose link is counted."""

    url: str
    counter: Counter


@pytest.fixture(scope="module")
def counted_edge(house: House, origin: Origin) -> Iterator[CountedEdge]:
    with origin.connect() as connection:
        for statement in (*SETUP, f"alter table {TABLE} owner to by_scram"):
            connection.execute(statement.encode())
    connection_string = house.create("drivers", origin.url(), "--no-caching")
    with open_counter("grpc", LOOPBACK, house.link_port) as counter:
        edge = house.place.start(
            "edge", "--listen", f"{LOOPBACK}:0", "--pool", f"{LOOPBACK}:{counter.port}", *NODE_OPTIONS
        )
        port = port_of(edge.ready())
        before, _, after = connection_string.rpartition(f":{house.edge_port}/")
        yield CountedEdge(f"{before}:{port}/{after}", counter)
        assert edge.stop() == 0, edge.log


@pytest.mark.parametrize("name", _expected())
def test_a_driver_crosses_exactly_so_often(name: str, counted_edge: CountedEdge) -> None:
    try:
        argv = BY_NAME[name].argv()
    except UnavailableError as error:
        pytest.skip(str(error))
    # Once more if need be: that the catalogue has changed is noticed every 30 s, and makes an edge ask again.
    for _ in range(2):
        outcomes = play(argv, counted_edge.url, SCRIPTS, counted_edge.counter.take)
        counted = {script: outcome.text() for script, outcome in outcomes.items()}
        if counted == _expected()[name]:
            break
    row = [name, *(counted.get(script, "") for script in SCRIPTS)]
    assert counted == _expected()[name], f"its row is now: | {' | '.join(row)} | {outcomes}"


# At most so many crossings in all, the connection's included.
AIMS: Final = {"cold": 1, "again": 1, "transaction": 3, "ten": 10}
# Those that need more, and for what.
BEYOND: Final = {
    "psycopg-cursor": "a cursor on the server is declared, described, fetched from and closed, one after the other",
}


def test_every_driver_reaches_the_aims_but_for_these() -> None:
    def needed(cell: str) -> int:
        connect, work, *_ = cell.split(" + ")
        return int(connect) + int(work)

    missed = {
        name
        for name, cells in _expected().items()
        if any(needed(cells[script]) > most for script, most in AIMS.items() if script in cells)
    }
    assert missed == set(BEYOND)
