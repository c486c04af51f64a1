"""An edge hears how a statement is described from whoever prepares it first, never what only one transaction sees."""

from typing import Any

import pytest

from protos.link.link_pb2 import Description
from protos.pg.description import digest_of, split_description
from protos.pg.messages import bind, describe_statement, execute, flush, parse, query, sync
from regional.configuration import Early
from tests.support.beside import Edge, PoolSide, beside, turns
from tests.support.cluster import Origin
from tests.support.told import digest_in

SQL = b"select a from telling where a = $1"
TYPES = [23]
PREPARED_AT = b"select prepare_time::text from pg_prepared_statements where statement = '%s'" % SQL
#: The edge answers nothing itself, as one that knows nothing.
PREPARE = Early(begin=False, prepare=True)


def make(origin: Origin) -> None:
    with origin.connect(origin.database) as direct:
        direct.execute("set lock_timeout = 5000")
        direct.execute("drop table if exists telling; create table telling (a int); grant all on telling to public")
        direct.execute("alter table telling owner to by_scram")


def told(edge: Edge) -> list[Description]:
    return [frame.description for frame in edge.frames if frame.HasField("description")]


async def stage(side: PoolSide, origin: Origin, **changes: Any) -> Edge:
    make(origin)
    edge = side.serve(origin, **{"early": PREPARE, **changes})
    await side.alone()
    return edge


@beside
async def test_a_parse_alone_is_enough(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin)
    one, other = edge.client(), edge.client()
    counts: list[int] = []
    one.on_settled = lambda: counts.append(len(told(edge)))
    assert (await one.ask(parse(b"s", SQL, TYPES), sync())).tags == "1Z"
    assert counts == [1], "before its client goes on"
    answer = await other.ask(parse(b"t", SQL, TYPES), describe_statement(b"t"), sync())
    assert answer.tags == "1tTZ"
    descriptions = told(edge)
    assert {one.statement for one in descriptions} == {descriptions[0].statement}
    assert {digest_of(*split_description(one.description)) for one in descriptions} == {digest_in(answer)}


@beside
async def test_only_the_edge_that_asked_is_told(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin)
    bystander, late = side.edge(), side.edge()
    await edge.client().ask(parse(b"s", SQL, TYPES), sync())
    await turns()
    assert not told(bystander)
    await late.client().ask(parse(b"s", SQL, TYPES), sync())
    assert told(late) == told(edge)


@beside
async def test_nobody_is_told_where_edges_answer_nothing(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin, early=Early(begin=False, prepare=False))
    assert (await edge.client().ask(parse(b"s", SQL, TYPES), sync())).tags == "1Z"
    assert not told(edge)


@pytest.mark.parametrize("answers", [True, False])
@beside
async def test_where_edges_answer_nothing_each_parse_is_the_origin_s(
    side: PoolSide, origin: Origin, *, answers: bool
) -> None:
    client = (await stage(side, origin, early=Early(prepare=answers))).client()
    times = set[bytes | None]()
    for name in (b"s", b"t", b"u"):
        assert (await client.ask(parse(name, SQL, TYPES), sync())).tags == "1Z"
        times.add((await client.ask(query(PREPARED_AT))).value)
    assert len(times) < 3 if answers else len(times) == 3


@beside
async def test_the_client_reads_nothing_of_it(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin)
    client = edge.client()
    answer = await client.ask(
        parse(b"s", SQL, TYPES), bind(b"", b"s", [b"1"]), execute(), parse(b"bad", b"select nothing_there"), sync(),
        parse(b"t", b"select 1"), parse(b"u", b"select 2"), describe_statement(b"u"), bind(b"", b"t"), execute(),
        sync(),
    )  # fmt: skip
    assert (answer.tags, answer.code) == ("12CEZ11tT2DCZ", "42703")
    client.send(parse(b"v", b"select 3"), flush())
    assert (await client.more("1")).tags == "1"
    assert (await client.ask(sync())).tags == "Z"
    assert len({one.statement for one in told(edge)}) == 4


@beside
async def test_after_ddl_it_is_told_anew(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin)
    every = b"select * from telling"
    await edge.client().ask(parse(b"s", every), sync())
    await edge.client().ask(query(b"alter table telling add b text"))
    await side.quiet()
    await side.alone()
    await edge.client().ask(parse(b"s", every), sync())
    before, after = told(edge)
    assert before.statement == after.statement
    assert before.description != after.description


@pytest.mark.parametrize("sql", [b"alter table telling add b text", b"set local search_path = pg_catalog, public"])
@beside
async def test_what_one_transaction_sees_is_told_to_nobody(side: PoolSide, origin: Origin, sql: bytes) -> None:
    edge = await stage(side, origin)
    client = edge.client()
    await client.ask(query(b"begin"), query(sql))
    assert (await client.ask(parse(b"s", b"select * from telling"), sync())).tags == "1Z"
    await client.ask(query(b"rollback"))
    assert not told(edge)


@beside
async def test_a_failed_transaction_says_so(side: PoolSide, origin: Origin) -> None:
    edge = await stage(side, origin)
    client = edge.client()
    await client.ask(query(b"begin"), query(b"select 1/0"))
    answer = await client.ask(parse(b"s", SQL, TYPES), sync())
    assert (answer.tags, answer.code) == ("EZ", "25P02")
    await client.ask(query(b"rollback"))
    assert (await client.ask(parse(b"s", SQL, TYPES), sync())).tags == "1Z"
    assert len(told(edge)) == 1
