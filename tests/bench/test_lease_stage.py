"""The stage is a pool node with idle connections on which plain statements are proven clean."""

from bench.lease_stage import CONNECTIONS, Stage, Taker, kinds


def test_the_statements_are_clean_and_the_connections_idle() -> None:
    stage = Stage()
    assert len(stage.tenant.pool.idle) == CONNECTIONS
    for kind in kinds():
        assert not stage.tenant.judge(kind.judged(5))


def test_a_taker_has_its_connection_at_once() -> None:
    stage = Stage()
    taker = Taker()
    stage.tenant.checkout(taker)
    assert taker.origin is stage.origins[-1]
    stage.tenant.lease_ended(taker.origin)
    assert len(stage.tenant.pool.idle) == CONNECTIONS
