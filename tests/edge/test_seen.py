"""An EXECUTE is described by what it found when it was parsed, whatever its name stands for since."""

from edge.meaning import Statement
from edge.registry import MAX_ALTERNATIVES, Registry
from protos.errors import StatementMemoryError
from protos.pg.messages import parse

SCOPE = b"scope"


def parsed(registry: Registry) -> Statement:
    return registry.made(b"x", parse(b"x", b"execute s"))


def name_of(statement: Statement) -> bytes:
    assert statement.seen is not None
    described = statement.seen.as_described(statement)
    assert described.parse == parse(described.name, b"execute s")
    return described.name


def found(statement: Statement) -> list[bytes]:
    assert statement.seen is not None
    return [b"" if one is None else one.parse for _, one in statement.seen.alternatives]


def settled(registry: Registry) -> None:
    registry.next_sync_point()
    registry.answered(1)


def test_what_is_found_later_changes_nothing_and_what_is_found_tells_names_apart() -> None:
    registry = Registry(SCOPE)
    without = parsed(registry)
    settled(registry)
    statement = registry.made(b"s", parse(b"s", b"select 1"))
    settled(registry)
    first = parsed(registry)
    assert registry.present(b"x") is first
    assert (found(without), found(first)) == ([b""], [statement.parse])
    assert without.name == first.name
    assert len({first.name, name_of(without), name_of(first)}) == 3
    assert name_of(parsed(registry)) == name_of(first)


def test_it_is_kept_where_the_session_has_other_settings() -> None:
    registry = Registry(SCOPE)
    first = parsed(registry)
    settled(registry)
    registry.scope = b"another"
    second = registry.present(b"x")
    assert second is not None
    assert second.name != first.name
    assert second.seen is first.seen


def test_what_it_found_on_its_way_is_known_when_that_has_happened_or_failed() -> None:
    for fails in (False, True):
        registry = Registry(SCOPE)
        made = registry.made(b"s", parse(b"s", b"select 1"))
        registry.next_sync_point()
        statement = parsed(registry)
        assert found(statement) == [made.parse, b""]
        unsure = name_of(statement)
        if fails:
            registry.take_back(0, 1, 0)
        registry.answered(1)
        assert found(statement) == [b"" if fails else made.parse]
        assert name_of(statement) != unsure


def test_a_channel_that_is_lost_leaves_nothing_unknown() -> None:
    registry = Registry(SCOPE)
    registry.made(b"s", parse(b"s", b"select 1"))
    registry.next_sync_point()
    registry.made_unnamed(registry.meaning_of(parse(b"", b"execute s")))
    statement = registry.present(b"")
    assert statement is not None
    registry.refused()
    assert found(statement) == [b""]


def test_what_it_keeps_counts_as_memory_of_the_session() -> None:
    registry = Registry(SCOPE)
    registry.made(b"s", parse(b"s", b"-" * (StatementMemoryError.BOUND // 3)))
    settled(registry)
    assert len(found(registry.made(b"x", parse(b"x", b"execute s")))) == 1
    assert registry.made(b"y", parse(b"y", b"execute s")).seen is None
    settled(registry)
    registry.gone(b"x")
    settled(registry)
    assert registry.made(b"y", parse(b"y", b"execute s")).seen is not None


def test_no_more_than_so_many_wait_for_what_they_have_found() -> None:
    registry = Registry(SCOPE)
    registry.made(b"s", parse(b"s", b"select 1"))
    registry.next_sync_point()
    waiting = [registry.made(b"x", parse(b"x", b"execute s")) for _ in range(MAX_ALTERNATIVES + 1)]
    assert [one.seen is None for one in waiting] == [*[False] * MAX_ALTERNATIVES, True]
    settled(registry)
    assert parsed(registry).seen is not None
