"""What a client reads when the pool cannot serve it: the state of the pool, and what to do."""

import pytest

from protos.errors import IdleInTransactionError, ServiceError
from protos.pg.messages import query
from regional import complaints
from tests.support.beside import PoolSide, beside, configuration_for
from tests.support.cluster import Origin


@beside
async def test_the_state_of_the_pool_is_told(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin, origin_connection_limit=9)
    await side.alone()
    await edge.client().ask(query(b"begin"))
    for error in (complaints.overdue(side.tenant), complaints.too_many_waiters(side.tenant)):
        assert (error.sqlstate, error.severity) == ("53300", "ERROR")
        assert error.detail == "Configuration app: 1 of 1 origin connections in use, limit 9, 0 waiting."
        assert error.hint


@beside
async def test_what_keeps_the_pool_from_growing_is_told_and_what_to_do_about_it(side: PoolSide, origin: Origin) -> None:
    side.serve(origin, origin_connection_limit=9)
    await side.alone()
    sizing = side.tenant.sizing

    def said() -> tuple[str, str]:
        error = complaints.overdue(side.tenant)
        return error.detail or "", error.hint or ""

    sizing.suspected = 2
    assert "2 of its connections are suspected dead" in said()[0]
    sizing.share = 6
    assert "share of origin_total_limit is 6" in said()[0]
    assert "origin_total_limit" in said()[1]
    sizing.refused(0.0)
    assert "The database has refused more than 1." in said()[0]
    assert "max_connections" in said()[1]
    sizing.control.is_holding = True
    sizing.control.limit = sizing.control.floor = 1
    assert "does not grow beyond 1: more get no more done" in said()[0]
    assert "more connections would not help" in said()[1]


@beside
async def test_the_last_failure_is_told_without_what_only_operators_may_know(side: PoolSide, origin: Origin) -> None:
    side.put(configuration_for(origin), "wrong")
    await side.edge().client().ask(query(b"select 1"))
    detail = complaints.overdue(side.tenant).detail
    assert detail is not None
    assert "The last attempt to open one failed" in detail
    assert not any(secret in detail for secret in ("by_scram", "wrong", str(origin.port), origin.password))


@pytest.mark.parametrize(
    ("error", "sqlstate", "word"),
    [(IdleInTransactionError.after(300.0), "25P03", "300 s"), (complaints.withdrawn("app"), "57P01", "app")],
)
def test_an_end_of_the_session_says_why(error: ServiceError, sqlstate: str, word: str) -> None:
    assert (error.sqlstate, error.severity) == (sqlstate, "FATAL")
    assert word in f"{error.public_message} {error.detail}"
