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


def test_statements_are_forgotten_when_the_next_request_names_its_own() -> None:
    requests = Requests()
    one, two = parse(b"one", b"select 1"), parse(b"two", b"select 2")
    requests.refer(one, is_idle=True)
    assert requests.texts == {b"one": one}
    requests.request_ended()
    requests.refer(two, is_idle=False)
    assert requests.texts == {b"one": one, b"two": two}, "its connection is at work"
    requests.refer(two, is_idle=True)
    assert requests.texts == {b"two": two}


def test_statements_stay_while_the_rest_of_their_request_is_on_its_way() -> None:
    requests = Requests()
    one = parse(b"one", b"select 1")
    requests.refer(one, is_idle=True)
    message = bind(b"", b"one", [b"x" * 100])
    requests.feed(message[:20])
    requests.request_ended()
    requests.refer(parse(b"two", b""), is_idle=True)
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
