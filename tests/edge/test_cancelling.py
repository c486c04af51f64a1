"""Cancel requests that come to another edge than the session's, and what those get who wait for one request."""

from typing import Final

from protos.link.link_pb2 import Cancel, Frame
from protos.pg.messages import error_fields, error_response, query
from tests.support.cached import Cached, row
from tests.support.stage import Driver, PlayedPool, configuration, ready, staged

READ: Final = query(b"select v from t")
CANCELLED: Final = error_response({"S": "ERROR", "C": "57014", "M": "cancelled"})


def flight(cache: Cached, clients: int) -> tuple[list[Driver], list[Cancel]]:
    """The first reads for all; and the cancel request for each, as its client would send it."""
    drivers: list[Driver] = []
    cancels = []
    for _ in range(clients):
        before = set(cache.stage.edge.clients)
        driver = cache.stage.connect()
        (client,) = set(cache.stage.edge.clients) - before
        cancels.append(Cancel(process_id=client.process_id, secret_key=client.secret_key))
        drivers.append(driver)
        driver.send(READ)
    assert len(cache.pool.channels) == 1
    return drivers, cancels


def passed_on(cache: Cached, cancel: Cancel, number: bytes) -> None:
    """A pool node tells of a cancel request that has come to another edge."""
    cache.pool.say(cancel=Cancel(process_id=cancel.process_id, secret_key=cancel.secret_key, number=number))
    cache.stage.settle()


def cancels_heard(pool: PlayedPool) -> list[Cancel]:
    return [frame.cancel for frame in pool.heard if frame.HasField("cancel")]


def test_only_what_names_no_session_of_this_edge_has_a_number() -> None:
    with staged(pools=(("pool-1", 1), ("pool-2", 2))) as stage:
        for pool in stage.pools:
            pool.link()
            pool.welcome(configuration())
        stage.settle()
        stage.connect()
        (client,) = stage.edge.clients
        stage.edge.cancelling.asked(client.process_id, client.secret_key, "192.0.2.1")
        stage.edge.cancelling.asked(client.process_id, b"", "192.0.2.1")
        stage.edge.cancelling.asked(7, b"", "192.0.2.1")
        stage.settle()
        first, second = [[one.number for one in cancels_heard(pool)] for pool in stage.pools]
        assert first == second
        assert [len(number) for number in first] == [0, 8, 8]
        assert first[1] != first[2]


def test_a_cancel_at_another_edge_ends_the_wait_of_that_client_alone(cache: Cached) -> None:
    (leader, follower, other), (_, cancel, _) = flight(cache, 3)
    passed_on(cache, cancel, b"one")
    error, last = follower.messages()
    assert (error_fields(error)["C"], last) == ("57014", ready())
    assert [leader.read(), other.read()] == [b"", b""]
    cache.answer(row(b"1"))
    assert [leader.read(), other.read(), follower.read()] == [row(b"1") + ready()] * 2 + [b""]


def test_what_comes_from_each_pool_node_is_done_once(cache: Cached) -> None:
    (_, follower), (_, cancel) = flight(cache, 2)
    passed_on(cache, cancel, b"one")
    follower.messages()
    follower.send(READ)
    passed_on(cache, cancel, b"one")
    assert follower.read() == b""
    passed_on(cache, cancel, b"two")
    error, _ = follower.messages()
    assert error_fields(error)["C"] == "57014"


def test_who_waits_for_a_leader_that_is_cancelled_at_another_edge_waits_for_the_next(cache: Cached) -> None:
    (leader, *followers), (cancel, *_) = flight(cache, 4)
    passed_on(cache, cancel, b"one")
    cache.pool.answer(CANCELLED + ready(), channel=cache.pool.channels[0])
    assert leader.read() == CANCELLED + ready()
    assert len(cache.pool.channels) == 2, "one of them leads again"
    cache.answer(row(b"1"), channel=cache.pool.channels[1])
    assert [follower.read() for follower in followers] == [row(b"1") + ready()] * 3


def test_a_guess_cancels_nothing(cache: Cached) -> None:
    (_, follower), (_, cancel) = flight(cache, 2)
    for wrong in (
        Cancel(process_id=cancel.process_id, secret_key=cancel.secret_key[:-1], number=b"one"),
        Cancel(process_id=cancel.process_id, number=b"one"),
        Cancel(process_id=cancel.process_id + 1, secret_key=cancel.secret_key, number=b"one"),
        cancel,
    ):
        cache.pool.mux.send_control(Frame(cancel=wrong))
        cache.stage.settle()
    assert follower.read() == b""
