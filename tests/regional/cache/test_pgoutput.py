"""pgoutput: which tables a transaction has changed, from bytes made here and from those of a real PostgreSQL."""

import struct
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import RemoteProtocolError
from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.messages import copy_data
from protos.pg.tags import Backend
from regional.cache import pgoutput
from regional.cache.pgoutput import Changes, Committed, Event, StatusWanted, position_of, status_update
from tests.regional.cache.followed import Database

OIDS: Final = st.integers(1, 2**32 - 1)
# A row of one text column, as Insert has it.
ROW: Final = b"N\0\1t\0\0\0\3abc"


def data(payload: bytes, position: int = 0) -> bytes:
    """XLogData."""
    return copy_data(b"w" + struct.pack(">QQq", position, position, 0) + payload)


def begin(xid: int) -> bytes:
    return data(b"B" + struct.pack(">QqI", 0, 0, xid))


def commit(end: int = 0) -> bytes:
    return data(b"C" + struct.pack(">BQQq", 0, 0, end, 0))


def change(kind: str, oid: int, row: bytes = ROW) -> bytes:
    return data(kind.encode() + struct.pack(">I", oid) + row)


def truncate(*oids: int) -> bytes:
    return data(b"T" + struct.pack(f">IB{len(oids)}I", len(oids), 0, *oids))


def keepalive(position: int, *, wants_reply: bool) -> bytes:
    return copy_data(b"k" + struct.pack(">Qq?", position, 0, wants_reply))


def take(changes: Changes, *messages: bytes) -> list[Event]:
    return [event for message in messages if (event := changes.take(message)) is not None]


CHANGES: Final = st.one_of(
    st.tuples(st.sampled_from("IUD"), OIDS).map(lambda one: ({one[1]}, change(*one))),
    st.lists(OIDS, min_size=1, max_size=5).map(lambda oids: (set(oids), truncate(*oids))),
    st.sampled_from([b"R\0\0\0\1public\0item\0d\0\0", b"Y\0\0\0\1public\0kind\0", b"O" + bytes(8) + b"there\0",
                     b"M\0" + bytes(8) + b"x\0\0\0\0\0"]).map(lambda payload: (set[int](), data(payload))),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.lists(CHANGES, max_size=6)), max_size=5))
def test_each_transaction_gives_the_tables_that_it_has_changed(
    transactions: list[tuple[int, list[tuple[set[int], bytes]]]],
) -> None:
    changes, expected, events = Changes(), [], []
    for end, (xid, made) in enumerate(transactions, 1):
        events += take(changes, begin(xid), *(message for _, message in made), commit(end))
        tables = frozenset[int]().union(*(oids for oids, _ in made))
        if tables:
            expected.append(Committed(xid, tables))
        assert changes.position == end
    assert events == expected


@given(st.lists(CHANGES, max_size=3).flatmap(lambda made: st.tuples(st.just(made), st.data())))
def test_what_ends_too_early_is_told_and_nothing_else_happens(
    drawn: tuple[list[tuple[set[int], bytes]], st.DataObject],
) -> None:
    made, choose = drawn
    messages = [begin(1), *(message for _, message in made), commit()]
    index = choose.draw(st.integers(0, len(messages) - 1))
    cut = messages[index][: choose.draw(st.integers(0, len(messages[index]) - 1))]
    changes = Changes()
    take(changes, *messages[:index])
    with suppress(RemoteProtocolError):
        assert not isinstance(changes.take(cut), Committed)  # a row may be cut: only its table is read


@given(st.binary(max_size=60))
def test_garbage_is_a_broken_protocol(payload: bytes) -> None:
    changes = Changes()
    for message in (copy_data(payload), data(payload)):
        with suppress(RemoteProtocolError):
            changes.take(message)


@pytest.mark.parametrize(
    "messages",
    [[change("I", 1)], [truncate(1)], [commit()], [begin(1), begin(2)], [begin(1), data(b"S")], [copy_data(b"x")]],
    ids=["change alone", "truncate alone", "commit alone", "begin twice", "streamed", "neither"],
)
def test_what_version_1_does_not_say_is_refused(messages: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        take(Changes(), *messages)


def test_a_keepalive_moves_the_position_and_may_want_an_answer() -> None:
    changes = Changes()
    assert take(changes, keepalive(7, wants_reply=False)) == []
    assert take(changes, keepalive(5, wants_reply=True)) == [StatusWanted()]
    assert changes.position == 7


def test_a_row_that_is_not_whole_still_names_its_table() -> None:
    changes = Changes()
    events: list[Event | None] = []
    framer = Framer(BACKEND_LIMITS, frozenset({Backend.COPY_DATA}), max_whole_bytes=pgoutput.MAX_WHOLE_BYTES)
    stream = begin(1) + change("I", 5, bytes(3 * pgoutput.MAX_WHOLE_BYTES)) + change("D", 6) + commit()
    for start in range(0, len(stream), 5_000):
        pieces = [piece for piece in framer.feed(stream[start : start + 5_000]) if piece.tag]
        events += [changes.take(piece.data, whole=piece.whole) for piece in pieces]
    assert [event for event in events if event] == [Committed(1, frozenset({5, 6}))]


def test_a_truncate_that_is_not_whole_may_be_anything() -> None:
    changes = Changes()
    changes.take(begin(1))
    changes.take(truncate(*range(1, 300))[:1024], whole=False)
    assert changes.take(commit()) == Committed(1, None)


def test_more_tables_than_are_counted_are_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgoutput, "MAX_TABLES", 3)
    changes = Changes()
    assert take(changes, begin(1), *(change("I", oid) for oid in range(1, 6)), commit()) == [Committed(1, None)]
    assert take(changes, begin(2), change("I", 9), commit()) == [Committed(2, frozenset({9}))]


def test_a_status_update_says_the_position_three_times() -> None:
    update = status_update(0x16B374D848, now_s=946_684_801.5, wants_reply=True)
    assert update == copy_data(b"r" + 3 * bytes.fromhex("00000016b374d848") + struct.pack(">qB", 1_500_000, 1))


def test_a_position_is_read() -> None:
    assert position_of(b"16/B374D848") == 0x16B374D848


def test_what_a_real_postgresql_says_is_understood(database: Database) -> None:
    database.run("create publication p for table item, other, measure_1, measure_2, whole")
    with database.connect() as connection:
        slot = f"recorded_{database.name}"
        connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput', true)", [slot])
        database.run(
            "insert into item values (20, 'x'); update item set id = 21 where id = 20; delete from other",
            "insert into measure values (1, 5), (2, 15)",
            "insert into keyless values ('untold')",
            "update whole set name = 'none'",
            "insert into whole values (repeat('x', 100)); update whole set name = 'y'",
            "truncate item, measure",
        )
        options = "'proto_version', '1', 'publication_names', 'p'"
        query = f"select lsn::text, data from pg_logical_slot_get_binary_changes('{slot}', null, null, {options})"
        rows = connection.execute(query.encode()).fetchall()
    changes = Changes()
    events = [changes.take(data(payload, position_of(lsn.encode()))) for lsn, payload in rows]
    told = [event.tables for event in events if isinstance(event, Committed)]
    oids = database.oids
    assert told == [
        oids("item", "other"), oids("measure_1", "measure_2"), oids("whole"), oids("item", "measure_1", "measure_2"),
    ]  # fmt: skip
