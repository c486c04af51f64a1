"""What a session has sent and nobody has taken yet."""

from protos.pg.messages import bind, copy_data, copy_done, parse, query, sync
from regional.requests import Requests, without_copy


def test_what_waits_is_taken_in_order_and_once() -> None:
    requests = Requests()
    assert not requests
    assert requests.hold(requests.feed(query(b"a")))
    assert not requests.hold(requests.feed(query(b"b") + sync()))
    assert [piece.data for piece in requests.take()] == [query(b"a"), query(b"b"), sync()]
    assert not requests
    requests.hold(requests.feed(sync()))
    requests.drop()
    assert not requests


ONE, TWO, THREE = parse(b"one", b"select 1"), parse(b"two", b"select 2"), parse(b"three", b"select 3")


def test_statements_are_forgotten_when_the_next_request_names_its_own() -> None:
    requests = Requests()
    requests.refer(ONE, is_holding=False)
    requests.refer(TWO, is_holding=False)
    assert requests.texts == {b"one": ONE, b"two": TWO}
    requests.feed(bind(b"", b"one") + bind(b"", b"two") + sync())
    assert requests.texts == {b"one": ONE, b"two": TWO}, "the origin is yet to be told of them"
    requests.refer(THREE, is_holding=False)
    assert requests.texts == {b"three": THREE}


def test_a_request_without_end_remembers_no_more_than_it_is_about_to_use() -> None:
    """A transaction, say."""
    requests = Requests()
    for number in range(100):
        requests.refer(parse(b"s%d" % number, b"select 1"), is_holding=False)
        requests.feed(bind(b"", b"s%d" % number) + sync())
        assert list(requests.texts) == [b"s%d" % number]


def test_statements_stay_while_messages_wait_that_are_about_them() -> None:
    requests = Requests()
    requests.refer(ONE, is_holding=False)
    requests.hold(requests.feed(bind(b"", b"one")))
    requests.refer(TWO, is_holding=False)
    assert requests.texts == {b"one": ONE, b"two": TWO}
    requests.take()
    requests.feed(bind(b"", b"two"))
    requests.refer(THREE, is_holding=True)
    assert requests.texts == {b"one": ONE, b"two": TWO, b"three": THREE}, "the connection holds them back"


def test_statements_stay_while_the_rest_of_their_request_is_on_its_way() -> None:
    requests = Requests()
    requests.refer(ONE, is_holding=False)
    message = bind(b"", b"one", [b"x" * 100])
    requests.feed(message[:20])
    requests.refer(TWO, is_holding=False)
    assert b"one" in requests.texts


def test_outside_of_a_copy_its_messages_mean_nothing() -> None:
    requests = Requests()
    pieces = requests.feed(copy_data(b"1") + copy_done() + query(b"a"))
    assert [piece.data for piece in without_copy(pieces)] == [query(b"a")]


def test_what_belongs_to_a_copy_that_is_just_asked_for_stays() -> None:
    requests = Requests()
    wanted = [query(b"copy a from stdin"), copy_data(b"1"), copy_done()]
    pieces = requests.feed(copy_done() + b"".join(wanted))
    assert [piece.data for piece in without_copy(pieces)] == wanted
