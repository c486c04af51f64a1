"""What commands do to the names of a session's statements: portals, and what an EXECUTE comes to."""

from collections.abc import Sequence

import pytest

from edge.commands import MAX_PORTALS, MAX_STEPS, Commands, Run
from edge.conditions import CERTAIN, Condition
from edge.registry import Registry
from protos.errors import StatementMemoryError
from protos.pg.messages import parse
from protos.pg.sql_statements import command_of

DROP = b"deallocate s"


def session() -> tuple[Registry, Commands]:
    registry = Registry(b"scope")
    return registry, Commands(registry, {})


def made(registry: Registry, name: bytes, sql: bytes) -> None:
    registry.made(name, parse(name, sql))
    registry.place += 1


def test_the_portals_that_run_commands_are_bounded() -> None:
    registry, commands = session()
    made(registry, b"d", DROP)
    for number in range(2 * MAX_PORTALS):
        commands.bound(b"p%d" % number, commands.of(b"d"))
    assert len(commands.portals) == MAX_PORTALS


def test_a_portal_that_is_bound_anew_runs_no_command_any_more() -> None:
    registry, commands = session()
    made(registry, b"d", DROP)
    made(registry, b"s", b"select 1")
    commands.bound(b"p", commands.of(b"d"))
    commands.bound(b"p", commands.of(b"s"))
    commands.executed(b"p")
    assert b"s" in registry


def test_a_command_that_is_the_same_in_each_case_is_not_in_doubt() -> None:
    registry, commands = session()
    made(registry, b"d", DROP)
    registry.next_sync_point()
    registry.answered(1)
    registry.gone(b"d")
    registry.place += 1
    made(registry, b"d", DROP)
    registry.next_sync_point()
    (run,) = commands.of(b"d")
    assert run[0] == CERTAIN


def test_what_an_execute_comes_to_hangs_on_each_name_in_between() -> None:
    registry, commands = session()
    for name, sql in ((b"one", b"deallocate a"), (b"two", b"deallocate b"), (b"x", b"execute one")):
        made(registry, name, sql)
    registry.next_sync_point()
    registry.answered(1)
    registry.gone(b"x")
    registry.place += 1
    made(registry, b"x", b"execute two")
    registry.next_sync_point()
    for name in (b"a", b"b"):
        made(registry, name, b"select 1")
    registry.next_sync_point()
    command = command_of(b"execute x")
    assert command is not None
    commands.run([(CERTAIN, (command, b"execute x"))])
    registry.next_sync_point()
    dropped = [(change.name, change.conditions) for change in list(registry.in_flight.changes)[-2:]]
    # Where the Close has happened and the Parse has not, x is gone: then this message fails, and its changes with it.
    assert dropped == [(b"b", (Condition(1, 1),)), (b"a", (Condition(1, 1, happens=False),))]


def ladder(registry: Registry, depth: int, end: bytes) -> None:
    """Names that run names, each of which may be one of two: the first is a0, the last one runs this."""
    for step in range(2):
        for number in range(depth):
            below = end if number == depth - 1 else b"execute %c%d" % (b"ab"[step], number + 1)
            for name in (b"a%d" % number, b"b%d" % number):
                if step:
                    registry.gone(name)
                    registry.place += 1
                made(registry, name, below)
                registry.next_sync_point()
        if not step:
            registry.answered(registry.asked)


@pytest.mark.parametrize("end", [DROP, b"execute a0"], ids=["ends", "turns in a circle"])
def test_what_a_message_costs_does_not_double_with_each_name(monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    registry, commands = session()
    ladder(registry, 14, end)
    looked_up: list[bytes] = []
    of = commands.of

    def counted(commands: Commands, name: bytes) -> Sequence[Run]:
        looked_up.append(name)
        return of(name)

    monkeypatch.setattr(Commands, "of", counted)
    command = command_of(b"execute a0")
    assert command is not None
    with pytest.raises(StatementMemoryError):
        commands.run([(CERTAIN, (command, b"execute a0"))])
    assert len(looked_up) <= MAX_STEPS


def test_a_discard_that_was_not_expected_takes_all_names_away() -> None:
    registry, commands = session()
    for name, sql in ((b"a", b"select 1"), (b"d", b"discard all")):
        made(registry, name, sql)
    registry.next_sync_point()
    registry.answered(1)
    registry.gone(b"d")
    registry.place += 1
    made(registry, b"d", b"deallocate a")
    registry.next_sync_point()
    commands.run(commands.of(b"d"))
    registry.next_sync_point()
    made(registry, b"later", b"select 2")
    registry.next_sync_point()
    assert len(registry) == 2
    registry.take_back(1, 2, 0)
    assert [name for name in (b"a", b"d", b"later") if name in registry] == [b"later"]
    registry.take_back(3, 4, 0)
    registry.answered(3)
    assert len(registry) == 0
