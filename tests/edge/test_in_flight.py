"""Changes of statements that are on their way: which of them hang on what, and what is left when some fail."""

import time

import pytest

from edge.conditions import Condition
from edge.in_flight import MAX_CHANGES, Change, InFlight
from edge.meaning import Statement, statement_of
from edge.registry import Registry
from protos.errors import StatementMemoryError
from protos.pg.messages import parse
from protos.pg.sql_statements import command_of


def statement(number: int) -> Statement:
    return statement_of(parse(b"", b"select %d" % number), b"scope")


def noted(*places: tuple[int, int, bytes | None]) -> InFlight:
    changes = InFlight()
    for sync_point, place, name in places:
        changes.note(Change(sync_point, place, name))
    return changes


def test_a_name_hangs_on_an_earlier_group_but_not_on_its_own() -> None:
    changes = noted((0, 0, b"s"), (1, 0, b"t"))
    assert changes.has(b"s", 1)
    assert not changes.has(b"t", 1)
    assert not changes.has(b"u", 1)
    assert noted((0, 0, b"s"), (1, 3, b"s")).has(b"s", 2)
    assert not noted((0, 0, b"s"), (1, 3, b"s")).has(b"s", 1), "what is nearest stands in the same group"


def test_a_change_of_all_names_concerns_each_but_the_unnamed() -> None:
    changes = noted((0, 0, None))
    assert changes.has(b"s", 1)
    assert not changes.has(b"", 1)


def test_what_is_settled_is_forgotten() -> None:
    changes = noted((0, 0, b"s"), (1, 0, b"s"), (1, 1, b"t"))
    changes.settle(1)
    assert [one.sync_point for one in changes.of(b"s")] == [1]
    changes.settle(2)
    assert not changes.changes
    assert not changes.has(b"t", 5)


def test_what_stands_behind_a_failure_in_its_group_has_not_happened() -> None:
    changes = noted((0, 0, b"a"), (1, 0, b"b"), (1, 2, b"c"), (1, 4, b"d"), (2, 0, b"e"))
    assert [change.name for change, _ in changes.take_back(1, 2, 2)] == [b"d", b"c"]
    assert len(changes.changes) == 3


def test_a_change_that_came_later_has_then_another_one_before_it() -> None:
    old, new = statement(1), statement(2)
    changes = InFlight()
    first, second = Change(0, 0, b"s", old), Change(1, 0, b"s", new)
    changes.note(first)
    changes.note(second)
    ((change, later),) = [(one, behind.of(b"s")) for one, behind in changes.take_back(0, 1, 0)]
    assert (change, later) == (first, second)
    second.replace_before(b"s", change.before)
    assert second.before_of(b"s") is old


def test_a_change_of_all_names_knows_what_each_was() -> None:
    change = Change(0, 0, None, before_all={b"s": statement(1)})
    change.replace_before(b"t", statement(2))
    change.replace_before(b"s", None)
    assert change.before_of(b"s") is None
    assert change.before_of(b"t") is statement(2)


def test_their_number_is_bounded() -> None:
    changes = InFlight()
    for number in range(MAX_CHANGES):
        changes.note(Change(0, number, b""))
    with pytest.raises(StatementMemoryError):
        changes.note(Change(0, 0, b""))


def test_what_a_message_costs_does_not_grow_with_the_changes_before_it() -> None:
    in_flight = InFlight()
    in_flight.note(Change(0, 0, b"first"))
    for place in range(1, 40_000):
        in_flight.note(Change(0, place, b"other %d" % place))
    began = time.process_time()
    for _ in range(2_000):
        assert not in_flight.has(b"first", 0)
    in_flight.note(Change(1, 0, b"last"))
    undone = list(in_flight.take_back(0, 1, 1))
    assert time.process_time() - began < 1.0, "it took minutes"
    assert (len(undone), len(in_flight.changes)) == (39_999, 2)


def test_the_latest_is_known_where_a_later_one_was_taken_back() -> None:
    in_flight = InFlight()
    for sync_point, name in ((0, b"s"), (1, None), (2, b"s")):
        in_flight.note(Change(sync_point, 0, name, before_all={} if name is None else None))
    assert not in_flight.has(b"s", 2)
    assert len(list(in_flight.take_back(2, 3, 0))) == 1
    assert not in_flight.has(b"s", 1)
    assert in_flight.has(b"s", 2)
    assert len(list(in_flight.take_back(1, 2, 0))) == 1
    assert not in_flight.has(b"s", 0)
    assert in_flight.has(b"s", 1)
    in_flight.settle(1)
    assert not in_flight.has(b"s", 1)


def test_what_failing_costs_does_not_grow_with_what_is_behind_it() -> None:
    registry, count = Registry(b"scope"), 15_000
    for group in range(2):
        for place in range(count):
            registry.place = place
            registry.made(b"%d-%d" % (group, place), parse(b"", b"select 1"))
        registry.next_sync_point()
    began = time.process_time()
    registry.take_back(0, 1, 0)
    assert time.process_time() - began < 2.0, "it took minutes"
    assert len(registry) == count


def test_what_coming_true_costs_does_not_grow_with_what_is_behind_it() -> None:
    registry, count = Registry(b"scope"), 10_000
    gone = command_of(b"deallocate all")
    assert gone is not None
    fails = (Condition(0, 0, happens=False),)
    for number in range(count):
        registry.made(b"%d" % number, parse(b"", b"select 1"))
        registry.place += 1
    registry.next_sync_point()
    for _ in range(count):
        registry.ran((gone, b"deallocate all"), fails)
        registry.place += 1
    began = time.process_time()
    registry.take_back(0, 1, 0)
    assert time.process_time() - began < 2.0, "it took minutes"
