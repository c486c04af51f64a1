"""What a session's names stand for while changes are on their way, held against a model that knows the outcomes."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.conditions import CERTAIN, Condition
from edge.registry import Registry
from protos.pg.messages import parse
from protos.pg.sql_statements import command_of

NAMES: Final = st.sampled_from([b"", b"s", b"t"])
#: Of a group: changes (a name, and whether it is made), and at which of them it fails, if at all.
GROUPS: Final = st.lists(
    st.tuples(st.lists(st.tuples(NAMES, st.booleans()), max_size=4), st.none() | st.integers(0, 3)), max_size=5
)


def change(registry: Registry, name: bytes, number: int | None) -> None:
    if name and number is not None:
        registry.made(name, parse(name, b"select %d" % number))
    elif name:
        registry.gone(name)
    else:
        registry.made_unnamed(None if number is None else parse(b"", b"select %d" % number))
    registry.place += 1


@given(GROUPS)
def test_when_all_is_settled_a_name_stands_for_what_has_happened(
    groups: list[tuple[list[tuple[bytes, bool]], int | None]],
) -> None:
    registry = Registry(b"scope")
    model: dict[bytes, int | None] = {}
    number = 0
    failures = []
    for at, (changes, fails_at) in enumerate(groups):
        for place, (name, is_made) in enumerate(changes):
            number += 1
            made = number if is_made else None
            change(registry, name, made)
            if fails_at is None or place < fails_at:
                model[name] = made
            elif place == fails_at and not name:
                model[name] = None
        registry.next_sync_point()
        if fails_at is not None:
            failures.append((at, fails_at))
    for at, place in failures:
        registry.take_back(at, at + 1, place)
    registry.answered(len(groups))
    assert not registry.in_flight.changes
    for name in (b"", b"s", b"t"):
        statement = registry.present(name)
        expected = model.get(name)
        assert (statement is None) == (expected is None)
        if statement is not None:
            assert b"\0select %d\0" % (expected or 0) in statement.parse


#: Of a group: commands (the name that they take away, all of them if it is empty; whether a message of an earlier group
#: is to have happened or failed for that) or a Parse, and at which of them it fails, if at all.
COMMANDS: Final = st.lists(
    st.tuples(
        st.lists(
            st.tuples(NAMES, st.none() | st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans())), max_size=4
        ),
        st.none() | st.integers(0, 1),
    ),
    min_size=2,
    max_size=4,
)


@settings(max_examples=600)
@given(COMMANDS)
def test_commands_that_hang_on_others_have_done_what_came_true(
    groups: list[tuple[list[tuple[bytes, tuple[int, int, bool] | None]], int | None]],
) -> None:
    registry, model, number = Registry(b"scope"), dict[bytes, int](), 0
    fails = [at for _, at in groups]
    for at, (says, fails_at) in enumerate(groups):
        for place, (name, hangs_on) in enumerate(says):
            number += 1
            happens = fails_at is None or place < fails_at
            if hangs_on is not None and hangs_on[0] < at:
                group, before, is_to_happen = hangs_on
                text = b"deallocate " + (name or b"all")
                command = command_of(text)
                assert command is not None
                registry.ran((command, text), (Condition(group, before, is_to_happen),))
                has_come = is_to_happen is ((failed := fails[group]) is None or before < failed)
                for one in [name] if name else list(model):
                    if happens and has_come:
                        model.pop(one, None)
            else:
                registry.made(name or b"u", parse(name, b"select %d" % number))
                model |= {name or b"u": number} if happens else {}
            registry.place += 1
        registry.next_sync_point()
    for at, failed in enumerate(fails):
        if failed is not None:
            registry.take_back(at, at + 1, failed)
        registry.answered(1)
    assert not registry.in_flight.changes
    found = {name: there.parse for name in (b"s", b"t", b"u") if (there := registry.present(name)) is not None}
    assert found.keys() == model.keys()
    assert all(b"\0select %d\0" % model[name] in text for name, text in found.items())


def test_alternatives_are_told_only_where_there_is_doubt() -> None:
    registry = Registry(b"scope")
    first = registry.made(b"s", parse(b"s", b"select 1"))
    assert registry.alternatives(b"s") == [(CERTAIN, first)]
    registry.next_sync_point()
    assert registry.is_in_doubt(b"s")
    assert registry.alternatives(b"s") == [((Condition(0, 0),), first), (CERTAIN, None)]
    registry.answered(1)
    assert not registry.is_in_doubt(b"s")


def test_a_query_that_drops_the_unnamed_statement_is_not_undone_by_an_earlier_failure() -> None:
    registry = Registry(b"scope")
    registry.made_unnamed(parse(b"", b"select 1"))
    registry.next_sync_point()
    registry.drop_unnamed()
    registry.next_sync_point()
    registry.take_back(0, 1, 0)
    assert registry.present(b"") is None


def test_a_query_that_is_skipped_leaves_the_unnamed_statement() -> None:
    registry = Registry(b"scope")
    registry.made_unnamed(parse(b"", b"select 1"))
    registry.next_sync_point()
    registry.answered(1)
    registry.place = 1
    for _ in range(2):
        registry.drop_unnamed()
        registry.next_sync_point()
    assert registry.present(b"") is None
    registry.take_back(1, 4, 0)
    assert registry.present(b"") is not None


def test_what_is_used_under_other_settings_is_parsed_anew() -> None:
    registry = Registry(b"scope")
    first = registry.made(b"s", parse(b"s", b"select 1"))
    registry.scope = b"other"
    second = registry.present(b"s")
    assert second is not None
    assert second.name != first.name
