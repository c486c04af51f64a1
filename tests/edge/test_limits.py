"""Who waits for what, and how long: the limits themselves; what follows from them is with those whom they concern."""

import socket
from collections.abc import Iterator

import pytest

from edge.limits import AT_ONCE_S, LINGER_S, Limits
from edge.newcomer import Newcomer
from protos.runtime.connection import Connection
from tests.support.stage import Stage

NOW = 1000.0


@pytest.fixture
def newcomer(stage: Stage) -> Newcomer:
    """Somebody who has connected and said nothing; the edge's own limits do not know it any more."""
    stage.dial()
    (one,) = stage.edge.newcomers
    stage.edge.limits.forget_newcomer(one)
    return one


def ended(stage: Stage) -> bool:
    return not stage.edge.newcomers


def test_a_handshake_has_a_limit(stage: Stage, newcomer: Newcomer) -> None:
    limits = Limits(handshake_timeout_s=15.0, wait_timeout_s=15.0)
    limits.start_handshake(newcomer, NOW)
    limits.tick(NOW + 14.9)
    assert not ended(stage)
    limits.tick(NOW + 15.0)
    assert ended(stage)


def test_who_waits_for_a_pool_node_is_not_in_its_handshake(stage: Stage, newcomer: Newcomer) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    limits.start_handshake(newcomer, NOW)
    limits.await_pool_node(newcomer, NOW + 1)
    assert limits.waiting() == [newcomer]
    limits.await_pool_node(newcomer, NOW + 10)  # still: the wait began before
    limits.tick(NOW + 15.9)
    assert not ended(stage)
    limits.tick(NOW + 16)
    assert ended(stage)
    assert limits.waiting() == []


def test_who_has_waited_is_in_its_handshake_again(stage: Stage, newcomer: Newcomer) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    limits.await_pool_node(newcomer, NOW)
    limits.stop_waiting(newcomer, NOW + 10)
    assert limits.waiting() == []
    limits.tick(NOW + 14.9)
    assert not ended(stage)
    limits.tick(NOW + 15)
    assert ended(stage)


def test_who_is_forgotten_is_left_alone(stage: Stage, newcomer: Newcomer) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    limits.start_handshake(newcomer, NOW)
    limits.await_pool_node(newcomer, NOW)
    limits.start_handshake(newcomer, NOW)
    limits.forget_newcomer(newcomer)
    limits.tick(NOW + 100)
    assert not ended(stage)


def test_a_wait_of_nothing_is_over_at_the_next_tick_but_not_forgotten(stage: Stage, newcomer: Newcomer) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=0.0)
    limits.await_pool_node(newcomer, NOW)
    assert limits.waiting() == [newcomer]
    limits.tick(NOW + AT_ONCE_S)
    assert ended(stage)


def test_a_client_that_holds_a_statement_waits_too(stage: Stage) -> None:
    stage.up()
    stage.connect()
    (client,) = stage.edge.clients
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    limits.hold(client, NOW)
    assert limits.waiting() == [client]
    limits.stop_holding(client)
    assert limits.waiting() == []


@pytest.fixture
def lingering(stage: Stage, newcomer: Newcomer) -> Iterator[tuple[Connection, socket.socket]]:
    """A finished connection whose peer has not taken everything, and the peer."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    connection = Connection(stage.pump, theirs, newcomer)
    connection.write(bytes(4_000_000))
    connection.finish()
    connection.blocked_at = NOW
    yield connection, ours
    ours.close()


def test_a_finished_connection_whose_peer_takes_nothing_is_closed(
    lingering: tuple[Connection, socket.socket],
) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    connection, _ = lingering
    limits.linger(connection, NOW + 5)
    limits.tick(NOW + 5 + LINGER_S - 1)
    assert not connection.is_closed
    assert limits.is_anyone_lingering
    limits.tick(NOW + 5 + LINGER_S)
    assert connection.is_closed
    assert not limits.is_anyone_lingering


def test_one_whose_peer_takes_something_now_and_then_is_not(
    stage: Stage, lingering: tuple[Connection, socket.socket]
) -> None:
    limits = Limits(handshake_timeout_s=5.0, wait_timeout_s=15.0)
    connection, peer = lingering
    limits.linger(connection, NOW)
    for seconds in range(20, 100, 20):
        assert peer.recv(500_000)
        stage.pump.turn()
        connection.blocked_at = NOW + seconds  # which is when it has taken that
        limits.tick(NOW + seconds + 19)
        assert not connection.is_closed
    while connection.pending_bytes:
        assert peer.recv(500_000)
        stage.pump.turn()
    assert not limits.is_anyone_lingering
