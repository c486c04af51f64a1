"""The ways to the database that every driver test takes: straight, and through both kinds of edge.

The straight way is the control: it proves that a test says what PostgreSQL does, so that a failure on the other ways
is Onetrip's. An application sees one database by all of them.
"""

import itertools
from pathlib import Path
from typing import Final

import pytest
from psycopg import sql

from tests.support.cluster import Origin
from tests.support.onetrip import House
from tests.support.target import Target, target_of

STRAIGHT: Final = "straight"
PLAIN: Final = "edge"
TLS: Final = "edge-with-tls"
WAYS: Final = (STRAIGHT, PLAIN, TLS)
TABLE_NUMBERS: Final = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here needs a real PostgreSQL."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.postgres)


def _target(way: str, request: pytest.FixtureRequest, configuration: str) -> Target:
    """The way named WAY; nodes are only started for ways that use them."""
    origin: Origin = request.getfixturevalue("origin")
    if way == STRAIGHT:
        certificate = origin.certificate
        return Target(
            port=origin.port, user="by_scram", password=origin.password, database=origin.database, ca_file=certificate
        )
    house: House = request.getfixturevalue("house")
    connection_string: str = request.getfixturevalue(configuration)
    if way == PLAIN:
        return target_of(connection_string)
    return target_of(connection_string, port=house.tls_edge_port, ca_file=house.certificate.cert_file)


@pytest.fixture(params=WAYS)
def target(request: pytest.FixtureRequest) -> Target:
    """Each way to the application's database in turn."""
    return _target(request.param, request, "configuration")


@pytest.fixture(params=(STRAIGHT, TLS))
def secure_target(request: pytest.FixtureRequest) -> Target:
    """The ways that have TLS."""
    return _target(request.param, request, "configuration")


@pytest.fixture
def table(origin: Origin) -> str:
    """The name of an empty table `(id int primary key, word text)` of this test's own."""
    name = f"words_{next(TABLE_NUMBERS)}"
    identifier = sql.Identifier(name)
    # It stays until the cluster goes: dropping it would wait for whatever a failed test holds open.
    with origin.connect() as connection:
        connection.execute(sql.SQL("create table {} (id int primary key, word text)").format(identifier))
        connection.execute(sql.SQL("alter table {} owner to by_scram").format(identifier))
    return name
