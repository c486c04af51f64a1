"""A statement is run only as its session was told of it, whatever state the connection is in (rules 9 and 10)."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from protos.link.link_pb2 import Begin, Reason
from protos.pg.description import digest_of, split_description
from protos.pg.messages import (
    bind,
    close_statement,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)  # fmt: skip
from protos.pg.tags import TransactionStatus
from regional.configuration import Early
from tests.support.beside import Answer, Edge, PoolSide, active, beside, turns, until
from tests.support.cluster import Origin
from tests.support.told import WRONG, Told, digest_in

Direct = psycopg.Connection[tuple[Any, ...]]
RUN = (execute(), sync())
SQL = b"select * from told order by 1"
IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR


@pytest.fixture
def direct(origin: Origin) -> Iterator[Direct]:
    """A way around us, with the table `told`, which has one column and the rows 1 and 2."""
    with origin.connect(origin.database) as connection:
        connection.execute("set lock_timeout = 5000")
        connection.execute("drop table if exists told; create table told (a int); insert into told values (1), (2)")
        connection.execute("grant all on told to public")
        yield connection


async def told_alone(side: PoolSide, edge: Edge) -> Told:
    """A session that was told of SQL as s, on a pool whose one connection has never seen it."""
    client = Told(edge)
    await side.known()
    await client.learn(b"s", SQL)
    await side.quiet()
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    await client.ask(query(b"select 1"))
    await side.alone()
    assert not held(side)
    return client


def held(side: PoolSide) -> list[bytes]:
    """The statements that we believe to be on the one connection."""
    (connected,) = side.tenant.pool.all()
    return list(connected.prepared._names)


def status(client: Told) -> int:
    return client.telling.statuses[-1] & 0xFF


BIND = bind(b"", b"s")


@beside
async def test_what_is_as_it_was_told_runs(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await told_alone(side, side.serve(origin))
    answer = await client.ask(BIND, *RUN)
    assert (answer.tags, answer.rows) == ("2DCZ", [[b"1"], [b"2"]])
    when = b"select count(*) from pg_prepared_statements where name = '%s'" % client.name
    assert (await client.ask(query(when))).value == b"1"
    assert status(client) == IDLE


@beside
async def test_what_is_known_costs_nothing(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await told_alone(side, side.serve(origin))
    await client.ask(BIND, *RUN)
    when = query(b"select prepare_time from pg_prepared_statements where name = '%s'" % client.name)
    before = (await client.ask(when)).value
    for _ in range(3):
        assert (await client.ask(BIND, *RUN)).tags == "2DCZ"
        assert (await client.ask(describe_statement(b"s"), sync())).tags == "tTZ"
    assert (await client.ask(when)).value == before


def assert_outdated(answer: Answer) -> None:
    error = answer.error
    assert (error["S"], error["V"], error["C"]) == ("ERROR", "ERROR", "0A000")
    assert (error["M"], error["R"]) == ("cached plan must not change result type", "RevalidateCachedQuery")


@beside
async def test_what_is_otherwise_gets_0a000_and_nothing_runs(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await told_alone(side, side.serve(origin))
    direct.execute("alter table told add b text")
    answer = await client.ask(BIND, *RUN)
    assert answer.tags == "EZ"
    assert_outdated(answer)
    assert status(client) == IDLE
    assert (await client.ask(describe_statement(b"s"), sync())).code == "0A000"
    await client.ask(query(b"begin"))
    answer = await client.ask(BIND, *RUN)
    assert_outdated(answer)
    assert status(client) == INERROR
    await client.ask(query(b"rollback"))
    answer = await client.ask(BIND, execute(), BIND, execute(), sync(), query(b"select 5"), BIND, *RUN)
    assert answer.tags == "EZTDCZEZ"


@pytest.mark.parametrize(
    "change", ["alter table told rename to told_before; alter table told_next rename to told", "drop table told"]
)
@beside
async def test_another_table_in_the_place_of_the_one_that_it_was_told_of_is_as_good(
    side: PoolSide, origin: Origin, direct: Direct, change: str
) -> None:
    """As in PostgreSQL, for a session that never asks how its statement is described now."""
    direct.execute("drop table if exists told_next, told_before; create table told_next (a int)")
    direct.execute("insert into told_next values (3); grant all on told_next to public")
    client = await told_alone(side, side.serve(origin))
    direct.execute(f"begin; {change}; alter table if exists told_next rename to told; commit")
    for _ in range(2):
        answer = await client.ask(BIND, *RUN)
        assert (answer.tags, answer.rows) == ("2DCZ", [[b"3"]])


@beside
async def test_the_edges_are_told_how_it_is_described_now(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin, early=Early(begin=False, prepare=False))
    other_edge = side.edge()
    client = await told_alone(side, edge)
    direct.execute("alter table told add b text")
    await client.ask(BIND, *RUN)
    fresh = Told(edge)
    digest = await fresh.learn(b"s", SQL)
    await turns()
    for each in (edge, other_edge):
        (pushed,) = [frame.description for frame in each.frames if frame.HasField("description")]
        assert pushed.statement == client.name
        assert pushed.description[:1] == b"t"
        assert digest == digest_of_both(pushed.description)
    client.tell(digest)
    assert (await client.ask(BIND, *RUN)).tags == "2DCZ"


def digest_of_both(description: bytes) -> bytes:
    return digest_of(*split_description(description))


@beside
async def test_an_older_copy_of_another_session_is_made_anew(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin)
    await side.alone()
    old, new = Told(edge), Told(edge)
    await old.learn(b"s", SQL)
    direct.execute("alter table told add b text")
    new.telling.told = {old.name: b""}
    digest = await unshared_digest(new)
    new.tell(digest)
    await new.ask(parse(b"s", SQL), sync())
    answer = await new.ask(BIND, *RUN)
    assert answer.tags == "2DCZ", "an older session's 0A000 is none of this one's business"
    assert len(answer.rows[0]) == 2
    assert_outdated(await old.ask(BIND, *RUN))


async def unshared_digest(client: Told) -> bytes:
    """How the origin describes SQL now, found without the shared statement."""
    answer = await client.ask(parse(b"", SQL), describe_statement(b""), sync())
    return digest_in(answer)


@beside
async def test_a_statement_that_cannot_be_parsed_any_more_says_so_in_its_place(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    client = await told_alone(side, side.serve(origin))
    direct.execute("drop table told")
    answer = await client.ask(parse(b"", b"select 1"), bind(b"", b""), execute(), BIND, *RUN)
    assert answer.tags == "12DCEZ"
    assert (answer.code, status(client)) == ("42P01", IDLE)
    await client.ask(query(b"begin"))
    answer = await client.ask(BIND, execute(), BIND, *RUN)
    assert (answer.tags, answer.code, status(client)) == ("EZ", "42P01", INERROR)
    assert (await client.ask(query(b"rollback"))).tags == "CZ"
    answer = await client.ask(BIND, execute(), flush(), BIND, *RUN, query(b"select 6"), BIND, *RUN, query(b"select 7"))
    assert answer.tags == "EZTDCZEZTDCZ"
    direct.execute("create table told (a int)")
    direct.execute("grant all on told to public")


@beside
async def test_a_failed_transaction_says_what_it_says_to_any_bind(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    client = await told_alone(side, side.serve(origin))
    await client.ask(query(b"begin"))
    await client.ask(query(b"select 1/0"))
    answer = await client.ask(BIND, *RUN)
    assert (answer.tags, answer.code, status(client)) == ("EZ", "25P02", INERROR)
    await client.ask(query(b"rollback"))
    assert (await client.ask(BIND, *RUN)).tags == "2DCZ"
    answer = await client.ask(query(b"begin"), query(b"select 1/0"), BIND, *RUN, query(b"rollback"), BIND, *RUN)
    assert answer.tags == "CZEZEZCZ2DCZ"


@beside
async def test_a_rollback_may_be_verified_in_a_failed_transaction(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.known()
    client = Told(edge)
    await client.learn(b"r", b"rollback")
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    await client.ask(query(b"begin"))
    await client.ask(query(b"select 1/0"))
    answer = await client.ask(bind(b"", b"r"), *RUN)
    assert (answer.tags, status(client)) == ("2CZ", IDLE)


@beside
async def test_it_is_verified_in_the_middle_of_a_group(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await told_alone(side, side.serve(origin))
    client.send(
        parse(b"", b"select 'first'"), bind(b"", b""), execute(), BIND, describe_portal(b""), execute(), flush()
    )
    answer = await client.more("C")
    await until(lambda: len(client._peek()) + len(answer.messages) >= 9)
    answer = Answer([*answer.messages, *client.take().messages])
    assert answer.tags == "12DC2TDC"
    assert [row[0] for row in answer.rows] == [b"first", b"1", b"2"]
    assert (await client.ask(sync())).tags == "Z"


@beside
async def test_an_error_before_it_skips_it(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await told_alone(side, side.serve(origin))
    bad = (parse(b"", b"select 1/0"), bind(b"", b""), execute())
    answer = await client.ask(*bad, BIND, execute(), BIND, *RUN, BIND, *RUN)
    assert (answer.tags, answer.code) == ("1EZ2DCZ", "22012")


@beside
async def test_several_are_verified_once_each(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin)
    await side.known()
    client = Told(edge)
    for number in range(4):
        await client.learn(b"s%d" % number, b"select %d, a from told" % number)
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    one = [message for n in range(4) for message in (bind(b"", b"s%d" % n), execute())]
    answer = await client.ask(*one, *one, sync(), *one, sync())
    assert answer.tags == "2DC" * 8 + "Z" + "2DC" * 4 + "Z"
    assert [row[0] for row in answer.rows[::2]] == [b"%d" % n for n in (0, 1, 2, 3) * 3]
    there = b"select count(*) from pg_prepared_statements"
    assert (await client.ask(query(there))).value == b"4"


@beside
async def test_a_bind_over_1_mib_waits_as_well(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin)
    await side.known()
    client = Told(edge)
    await client.learn(b"s", b"select length($1::text), count(*) from told", [25])
    for round_number in range(2):
        for connected in list(side.tenant.pool.idle):
            side.tenant.discard(connected, "the test wants another")
        for size in (3 << 20, 5):
            big = bind(b"", b"s", [b"x" * size]) + execute() + sync()
            for start in range(0, len(big), 50_000):
                client.send(big[start : start + 50_000])
                await turns(1)
            answer = await client.answer()
            assert answer.rows == [[b"%d" % size, b"2"]]
        if not round_number:
            client.tell(WRONG)
            client.send(bind(b"", b"s", [b"x" * (2 << 20)]) + execute() + sync())
            assert_outdated(await client.answer())
            await client.ask(close_statement(b"s"), sync())
            await client.learn(b"s", b"select length($1::text), count(*) from told", [25])


@pytest.mark.parametrize("waits", [True, False], ids=["seen", "unseen"])
@beside
async def test_in_a_copy_it_is_as_any_bind(side: PoolSide, origin: Origin, direct: Direct, *, waits: bool) -> None:
    client = await told_alone(side, side.serve(origin))
    plain = Told(client.edge)
    await plain.ask(parse(b"s", SQL), sync())
    answers = []
    for each in (plain, client):
        each.send(query(b"copy told from stdin"))
        if waits:
            await each.more("G")
        each.send(BIND, execute(), sync())
        await until(lambda each=each: each.is_over or not each.session.owed)  # type: ignore[misc]
        answers.append(each.take())
    codes = [[error["C"] for error in answer.errors] for answer in answers]
    assert answers[0].tags == answers[1].tags
    assert codes[0] == codes[1]
    assert "08P01" in codes[0]
    assert direct.execute("select count(*) from told").fetchone() == (2,)


@pytest.mark.parametrize("is_good", [True, False], ids=["opened", "failed"])
@beside
async def test_a_transaction_that_began_at_the_edge_is_opened_before(
    side: PoolSide, origin: Origin, direct: Direct, *, is_good: bool
) -> None:
    client = await told_alone(side, side.serve(origin))
    value = b"UTC" if is_good else b"Nowhere/At_all"
    begin = Begin(statements=[b"begin", b"set local timezone = '%s'" % value])
    client.edge.begin(client, begin)
    answer = await client.ask(BIND, *RUN)
    if is_good:
        assert (answer.tags, status(client)) == ("2DCZ", INTRANS)
    else:
        assert (answer.tags, answer.code, status(client)) == ("EZ", "22023", INERROR)
        assert (await client.ask(BIND, *RUN)).code == "25P02"


@beside
async def test_an_error_of_ours_is_not_taken_for_one_of_the_opening(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    client = await told_alone(side, side.serve(origin))
    direct.execute("drop table told")
    client.edge.begin(client, Begin(statements=[b"begin"]))
    assert (await client.ask(BIND, *RUN)).code == "42P01"
    assert (await client.ask(query(b"select 1"))).code == "25P02"


@beside
async def test_descriptions_are_not_mistaken_for_each_other(side: PoolSide, origin: Origin, direct: Direct) -> None:
    edge = side.serve(origin)
    await side.known()
    client, plain = Told(edge), Told(edge)
    first, second = await client.learn(b"s", SQL), await plain.learn(b"t", b"select 'x' as other")
    one, other = client.name, plain.name
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    await client.ask(parse(b"t", b"select 'x' as other"), sync())
    await client.ask(describe_statement(b"s"), describe_statement(b"t"), sync())
    (connected,) = side.tenant.pool.idle
    assert [connected.prepared.copies.digest(name) for name in (one, other)] == [first, second]


# --- while the origin takes its time ---


PARSING = "select * from told order by 1"


async def verifying(side: PoolSide, origin: Origin, direct: Direct, **changes: object) -> Told:
    client = await told_alone(side, side.serve(origin, **changes))
    direct.execute("begin; lock table told")
    client.send(BIND, *RUN)
    await active(origin, PARSING)
    return client


@beside
async def test_the_time_limit_of_a_query_holds(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await verifying(side, origin, direct, query_timeout_s=30)
    side.tick(25)
    side.tick(31)
    answer = await client.answer()
    assert (answer.tags, answer.code, status(client)) == ("EZ", "57014", IDLE)
    direct.execute("rollback")
    assert (await client.ask(BIND, *RUN)).tags == "2DCZ"


@beside
async def test_it_is_not_idle_in_transaction(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await verifying(side, origin, direct, query_timeout_s=0, idle_in_transaction_timeout_s=5)
    side.tick(60)
    await turns()
    assert not client.is_over
    direct.execute("rollback")
    assert (await client.answer()).tags == "2DCZ"


@beside
async def test_a_cancel_request_reaches_it(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await verifying(side, origin, direct)
    side.tenants.cancel(client.process_id, client.secret)
    answer = await client.answer()
    assert (answer.tags, answer.code) == ("EZ", "57014")
    direct.execute("rollback")


@pytest.mark.parametrize("reason", [Reason.TERMINATED, Reason.LOST], ids=["terminated", "lost"])
@beside
async def test_a_client_leaves_meanwhile(side: PoolSide, origin: Origin, direct: Direct, reason: Reason) -> None:
    edge = side.serve(origin)
    client = Told(edge)
    await side.known()
    await client.learn(b"i", b"insert into told select 3 from told where a = 1")
    for connected in list(side.tenant.pool.idle):
        side.tenant.discard(connected, "the test wants another")
    direct.execute("begin; lock table told")
    client.send(bind(b"", b"i"), *RUN)
    await active(origin, "insert into told select 3")
    client.leave(reason)
    await turns()
    direct.execute("rollback")
    await side.quiet()
    rows = [(1,), (2,), (3,)] if reason == Reason.TERMINATED else [(1,), (2,)]
    assert direct.execute("select a from told order by a").fetchall() == rows
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"


@beside
async def test_a_client_that_terminates_without_a_sync_frees_the_connection(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    client = await told_alone(side, side.serve(origin))
    client.send(BIND)
    client.leave(Reason.TERMINATED)
    await side.quiet()
    assert not side.tenant.channels


@beside
async def test_an_origin_that_dies_ends_the_session(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await verifying(side, origin, direct)
    (connected,) = side.tenant.pool.leased
    direct.execute("select pg_terminate_backend(%s)", (connected.process_id,))
    answer = await client.ended()
    assert answer.errors[-1]["C"] in ("57P01", "08006")
    direct.execute("rollback")


@beside
async def test_what_comes_meanwhile_waits_in_order(side: PoolSide, origin: Origin, direct: Direct) -> None:
    client = await verifying(side, origin, direct)
    client.send(query(b"select 'next'"))
    client.send(BIND, *RUN, query(b"select 'last'"))
    direct.execute("rollback")
    answer = await client.answer()
    assert answer.tags == "2DCZTDCZ2DCZTDCZ"
    assert [row[0] for row in answer.rows] == [b"1", b"2", b"next", b"1", b"2", b"last"]


@beside
async def test_what_hangs_on_messages_that_are_held_waits_for_their_outcome(
    side: PoolSide, origin: Origin, direct: Direct
) -> None:
    client = await told_alone(side, side.serve(origin))
    fails = (bind(b"", b"nowhere"), parse(b"", b"select 1"), sync())
    answer = await client.ask(parse(b"", b"selec"), BIND, sync(), *fails, bind(b"", b""), *RUN)
    assert [error["C"] for error in answer.errors] == ["42601", "26000", "26000"]
    client = await told_alone(side, side.serve(origin))
    answer = await client.ask(parse(b"", b"selec"), BIND, query(b"begin"), bind(b"", b""), *RUN)
    assert (answer.tags, answer.code) == ("EZ", "42601")
