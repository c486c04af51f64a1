"""An origin that is a pooler in transaction mode is found out; one in session mode, and PostgreSQL, pass."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest
from structlog.testing import capture_logs

from protos.errors import OriginRefusedError
from protos.pg.messages import query
from regional import backends
from regional.backends import CURE, WHAT, take_turns
from regional.configuration import OriginSecret
from regional.control_here import ControlHere
from regional.server import LinkServer
from tests.regional.test_watch import FakeVault
from tests.support.beside import PoolSide, beside, configuration_for, until
from tests.support.cluster import Origin
from tests.support.pooler import open_pooler

TRANSACTION: Final = {"mode": "transaction"}
IN_TURN: Final = {"mode": "transaction", "round_robin": True}


@pytest.fixture
def pooler(origin: Origin, request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a PgBouncer in front of the origin; the parameter says how it works."""
    with (
        tempfile.TemporaryDirectory(prefix="onetrip-") as directory,
        open_pooler(origin, Path(directory), **request.param) as port,
    ):
        yield port


def control_of(side: PoolSide) -> ControlHere:
    links = LinkServer(side.tenants, checks_role=False)
    return ControlHere(side.tenants, links, FakeVault(), side.nursery)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooler", [TRANSACTION, IN_TURN, {"mode": "statement"}], indirect=True)
@beside
async def test_the_check_refuses_a_pooler_whose_connections_take_turns(
    side: PoolSide, origin: Origin, pooler: int
) -> None:
    with pytest.raises(OriginRefusedError, match="in transaction mode") as refusal:
        await control_of(side).check(configuration_for(origin, port=pooler), OriginSecret(origin.password))
    assert refusal.value.hint == CURE
    await until(lambda: len(side.pump) == 0)


@pytest.mark.parametrize("pooler", [TRANSACTION, IN_TURN], indirect=True)
@beside
async def test_a_pooler_that_has_connections_to_choose_from_is_found_out(
    side: PoolSide, origin: Origin, pooler: int
) -> None:
    made, url = configuration_for(origin, port=pooler), f"host=127.0.0.1 port={pooler} dbname={origin.database} user=by"
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        one.execute("select 1")
        other.execute("select 1")
    assert await take_turns(side.tenants.dialer, made, OriginSecret(origin.password))


@pytest.mark.parametrize("pooler", [{"mode": "session"}], indirect=True)
@beside
async def test_the_check_passes_a_pooler_in_session_mode(side: PoolSide, origin: Origin, pooler: int) -> None:
    made, secret = configuration_for(origin, port=pooler), OriginSecret(origin.password)
    await control_of(side).check(made, secret)
    await until(lambda: len(side.pump) == 0)
    assert not await take_turns(side.tenants.dialer, made, secret)


@beside
async def test_connections_of_postgresql_itself_are_not_looked_at(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "take_turns", None)
    side.serve(origin)
    await side.known()
    assert side.tenant.knowledge.judge.catalog is not None
    assert not await take_turns(side.tenants.dialer, side.tenant.configuration, side.tenant.opener.secret)


@pytest.mark.parametrize("pooler", [TRANSACTION], indirect=True)
@beside
async def test_a_pool_node_warns_once_and_serves(side: PoolSide, origin: Origin, pooler: int) -> None:
    edge = side.serve(origin, port=pooler)
    with capture_logs() as logs:
        await side.known()
        await side.tenant.knowledge.load()
    assert [(line["log_level"], line["cure"]) for line in logs if line["event"] == WHAT] == [("warning", CURE)]
    assert side.tenant.knowledge.backends.are_shared
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"
    side.put(configuration_for(origin, version=2))
    await side.tenant.knowledge.load()
    assert not side.tenant.knowledge.backends.are_shared, "it is another one now"


@pytest.mark.parametrize("pooler", [{"mode": "session"}], indirect=True)
@beside
async def test_a_pooler_without_room_is_not_waited_for(
    side: PoolSide, origin: Origin, pooler: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "LOOK_LIMIT_S", 0.0)
    made = configuration_for(origin, port=pooler)
    assert not await take_turns(side.tenants.dialer, made, OriginSecret(origin.password))
    assert len(side.pump) == 0
