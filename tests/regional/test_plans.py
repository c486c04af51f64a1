"""No plan of an earlier session goes on with a table that a new temporary one hides."""

from itertools import chain

import pytest

from protos.link.link_pb2 import Begin
from protos.pg.framer import Piece
from protos.pg.messages import (
    bind,
    close_statement,
    copy_data,
    copy_done,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend, TransactionStatus
from regional.catalog import Catalog
from regional.cleanness import Judge
from regional.plain import plain_piece
from regional.plans import Plans, may_make_temporary
from regional.prepared import Prepared
from regional.residue import Residue
from tests.support.beside import Answer, Client, PoolSide, beside, turns, until
from tests.support.cluster import Origin

CREATE = b"create temp table planned (a int)"
CALM = b"set transaction isolation level serializable; " + CREATE
MALFORMED_CLOSE = b"C\0\0\0\5P"
MALFORMED_DESCRIBE = b"D\0\0\0\4"
FUNCTION_CALL = b"F\0\0\0\x0e\0\0\x40\0\0\0\0\0\0\0"


# --- the decision ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CREATE, True),
        (b"CREATE LOCAL TEMPORARY TABLE t ON COMMIT DROP AS SELECT 1", True),
        (b"select 1 into temp t", True),
        (b"begin; create temp sequence s; commit", True),
        (b"create view pg_temp.v as select 1", True),
        (b"create table t ()", True),  # the search_path may begin with pg_temp
        (b"explain analyze create temp table t as select 1", True),
        (b"do $$ begin create temp table t (); end $$", True),
        (b"select run('create temp table t ()')", True),
        (b"select run('create table t ()')", False),
        (b"select not_known('cre' || 'ate te' || 'mp table t ()')", True),
        (b"select attempt(), template from contemporary", False),
        (b"select 'temp'", False),
        (b"drop table t", True),
    ],
)
def test_what_may_make_a_temporary_object(text: bytes, *, expected: bool) -> None:
    residue = judge(makers=0).verdict(text)
    assert may_make_temporary(residue, text, knows_makers=False) == expected
    assert may_make_temporary(residue, text, knows_makers=True) == bool(residue & Residue.TEMPORARY)


# --- where it goes ---


def judge(*, makers: int) -> Judge:
    """With a catalogue that knows so many functions which speak of temporary objects."""
    functions = [[b"f", b"", name, b"0", b"0", b"1"] for name in (b"f", b"run", b"attempt")]
    return Judge(Catalog.from_rows([[b"v", b"", b"UTF8", b"0", b"%d" % makers, b"0"], *functions]))


def at_risk(*, makers: int = 0) -> Plans:
    plans = Plans(judge(makers=makers), Prepared())
    plans.cleaned(has_schema=True)
    return plans


def tags(plans: Plans, *messages: bytes | Piece, pipeline: Pipeline | None = None, skipped: bool = False) -> str:
    """The types of what goes out for the client's messages: ours are small letters.

    skipped: what went out before has not been done.
    """
    pipeline = pipeline or Pipeline()
    if not skipped:
        plans._prepared.plans_discarded = plans._awaited
    letters = ""
    for message in messages:
        piece = message if isinstance(message, Piece) else Piece(message[0], message, whole=True)
        out: list[bytes] = []
        plans.look(piece, {}, pipeline, out, is_utf8=True)
        letters += "".join(chr(ours[0]).lower() for ours in out)
        if piece.tag > 0:
            pipeline.sent(piece.tag)
            letters += chr(piece.tag)
    return letters


def in_status(status: int) -> Pipeline:
    pipeline = Pipeline()
    pipeline.status = status
    return pipeline


def run(sql: bytes, *values: bytes) -> tuple[bytes, bytes, bytes]:
    return parse(b"", sql), bind(b"", b"", values), execute()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([query(CREATE)], "cpbeccsQ"),
        ([query(CREATE), query(b"select 1")], "cpbeccsQQ"),
        ([query(b"select 1"), *run(b"select 1"), sync()], "QPBES"),
        ([query(CALM)], "cpbeccsQ"),
        ([*run(CREATE), sync()], "cpbeccsPBES"),
        ([parse(b"", CREATE), sync(), query(b"select 1"), *run(CREATE)], "cpbeccsPSQcpbeccsPBE"),
        ([close_statement(b"old"), *run(CREATE), sync()], "CcpbeccsPBES"),
        ([*run(b"select 1"), *run(CREATE), sync()], "PBEPBcpbeccES"),
        ([*run(CREATE), *run(CREATE), sync()], "cpbeccsPBEPBcpbeccES"),
        ([parse(b"s", b"select 1"), *run(CREATE), sync(), *run(b"select 1")], "PPBEScpbeccsPBE"),
        ([parse(b"s", b"select 1"), *run(CREATE), *run(b"select 1"), sync()], "PPBEPcpbeccBES"),
        ([parse(b"s", b"select 1"), query(CREATE), query(b"select 1")], "PQqQ"),
        ([parse(b"s", b"select 1"), query(b"select 1"), query(b"select 1"), query(CREATE)], "PQQqQ"),
        ([parse(b"s", b"select 1"), query(CREATE), query(b"select 1"), sync(), query(b"x")], "PQqQSQ"),
        ([parse(b"s", b"select 1"), query(CREATE), *run(b"select 1")], "PQPcpbeccBE"),
        ([parse(b"s", b"select 1"), query(CREATE), describe_portal(b"p"), sync(), query(b"x")], "PQDScpbeccsQ"),
        ([parse(b"s", b"select 1"), query(CREATE), MALFORMED_DESCRIBE, sync(), query(b"x")], "PQDScpbeccsQ"),
        ([MALFORMED_CLOSE, *run(CREATE), sync(), query(CREATE)], "CPBEScpbeccsQ"),
        ([*run(b"select 1"), query(CREATE)], "PBEcpbeccQ"),
        ([*run(b"select run($1)", b"create temp table t ()"), sync(), *run(b"select run($1)", b"x")], "PBEScpbeccsPBE"),
        ([bind(b"", b"not made here"), execute(), sync()], "BES"),
        ([FUNCTION_CALL], "F"),
        ([Piece(Frontend.QUERY, query(b"select '" + b"x" * 99)[:50], whole=False)], "cpbeccsQ"),
    ],
)
def test_plans_are_discarded_in_front_of_what_may_make_one(messages: list[bytes | Piece], expected: str) -> None:
    assert tags(at_risk(), *messages) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([query(CREATE)], "cpbeccsQ"),
        ([query(CALM), query(b"select 1"), query(b"select 1")], "QcpbeccsQQ"),
        ([query(CALM), query(b"show work_mem"), *run(b"select 1"), sync()], "QQcpbeccsPBES"),
        ([query(CALM), query(CALM)], "QcpbeccsQ"),
        ([query(CALM), query(b"commit and chain"), query(b"start transaction read only")], "QQQ"),
        ([query(CALM), query(b"set a.b = 1; commit; begin isolation level serializable")], "QQ"),
        ([query(CALM), query(b" -- "), *run(b""), sync(), query(b"begin isolation level serializable")], "QQPBESQ"),
        ([query(CALM), *run(b"begin isolation level serializable"), sync(), *run(b"select 1")], "QPBEScpbeccsPBE"),
        ([query(CALM), *run(b"set transaction read only"), *run(b"select 1"), sync()], "QPBEPcpbeccBES"),
        ([query(CALM), parse(b"", b"lock t"), describe_statement(b""), bind(b"", b""), execute()], "QPDBE"),
        ([query(b"begin isolation level serializable; " + CREATE), query(b"select 1")], "QcpbeccsQ"),
        ([query(b"savepoint s; set transaction read only; " + CREATE), query(b"select 1")], "QcpbeccsQ"),
        ([query(b"savepoint s; " + CREATE), query(b"select 1")], "cpbeccsQQ"),
        ([query(b"commit; " + CREATE), query(b"select 1")], "cpbeccsQQ"),
        ([*run(CREATE), sync()], "PBcpbeccES"),
        ([parse(b"", CREATE), describe_statement(b""), sync()], "PDS"),
        ([close_statement(b"s"), sync(), parse(b"s", CREATE), sync(), query(b"begin read only")], "CSPSQ"),
        ([sync(), sync(), *run(CREATE), sync()], "SSPBcpbeccES"),
        ([MALFORMED_CLOSE, sync(), parse(b"s", CREATE), sync()], "CScpbeccsPS"),
        ([query(b"select 1"), parse(b"s", CREATE), sync()], "QcpbeccsPS"),
        ([*run(b"select 1"), *run(CREATE), sync()], "PBEPBcpbeccES"),
        ([bind(b"p", b""), *run(CREATE), sync(), execute(b"p")], "BPBcpbeccESE"),
        ([*run(b"commit"), *run(CREATE), *run(b"select 1"), *run(b"select 1"), sync()], "PBEPBEPcpbeccBEPBES"),
    ],
)
def test_in_a_transaction_nothing_takes_its_snapshot_too_early(messages: list[bytes], expected: str) -> None:
    assert tags(at_risk(), *messages, pipeline=in_status(TransactionStatus.INTRANS)) == expected


def test_a_portal_that_makes_one_may_run_late() -> None:
    plans, pipeline = at_risk(), in_status(TransactionStatus.INTRANS)
    assert tags(plans, parse(b"", CREATE), bind(b"p", b""), sync(), pipeline=pipeline) == "PBS"
    pipeline = in_status(TransactionStatus.INTRANS)
    assert tags(plans, query(b"select 1"), pipeline=pipeline) == "Q"
    pipeline = in_status(TransactionStatus.INTRANS)
    assert tags(plans, execute(b"p"), sync(), pipeline=pipeline) == "cpbeccsES"


def test_a_parse_leaves_plans_that_are_due_to_what_runs_or_plans() -> None:
    """It plans nothing, so what comes behind it may still set the transaction's modes."""
    plans = at_risk()
    tags(plans, query(CALM), pipeline=in_status(TransactionStatus.INTRANS))
    for messages, expected in (
        ([parse(b"s", b""), sync()], "PS"),
        ([query(b"start transaction isolation level serializable")], "Q"),
        ([parse(b"t", b"select 1"), describe_portal(b"p"), sync()], "PDS"),
        ([bind(b"", b"t"), execute(), sync()], "cpbeccsBES"),
    ):
        assert tags(plans, *messages, pipeline=in_status(TransactionStatus.INTRANS)) == expected


def test_what_is_due_goes_in_front_of_a_transaction_that_is_opened() -> None:
    plans, pipeline, out = at_risk(), Pipeline(), list[bytes]()
    plans.open(pipeline, out)
    assert not out, "nothing is due"
    tags(plans, query(CALM), pipeline=in_status(TransactionStatus.INTRANS))
    plans.open(pipeline, out)
    assert b"".join(message[:1] for message in out) == b"CPBECCS"
    assert tags(plans, query(b"set a.b = 1; set transaction read only; select 1")) == "Q"


def test_what_was_due_and_skipped_is_due_again() -> None:
    plans = at_risk()
    tags(plans, query(CALM), pipeline=in_status(TransactionStatus.INTRANS))
    assert tags(plans, *run(b"select 1"), sync(), pipeline=in_status(TransactionStatus.INTRANS)) == "PcpbeccBES"
    for _ in range(2):
        assert tags(plans, query(b"rollback"), pipeline=in_status(TransactionStatus.INERROR), skipped=True) == "Q"
    assert tags(plans, query(b"select 1"), query(b"select 1"), skipped=True) == "cpbeccsQQ"
    assert tags(plans, query(b"select 1")) == "Q"
    assert tags(plans, query(b"rollback; " + CREATE)) == "cpbeccsQ"
    assert tags(plans, query(b"select 1"), skipped=True) == "cpbeccsQ", "what was before it had failed"
    plans.kept()
    assert plans.is_at_risk, "it may have been skipped"


def test_what_was_skipped_with_what_it_was_for_is_not_due() -> None:
    plans = at_risk()
    assert tags(plans, *run(CREATE), sync(), pipeline=in_status(TransactionStatus.INTRANS)) == "PBcpbeccES"
    assert tags(plans, query(b"rollback"), pipeline=in_status(TransactionStatus.INERROR), skipped=True) == "Q"
    assert tags(plans, query(b"select 1"), skipped=True) == "Q"
    assert tags(plans, query(CREATE), skipped=True) == "cpbeccsQ"
    assert tags(plans, query(b"select 1"), skipped=True) == "Q"
    plans.kept()
    assert not plans.is_at_risk


def test_what_is_due_goes_in_front_of_what_ends_the_transaction() -> None:
    """For the next one may be chained to it, and have modes to be set."""
    intrans = TransactionStatus.INTRANS
    for text in (b"commit and chain", b"rollback", b"prepare transaction 'x'"):
        for messages, expected in (([query(text)], "cpbeccsQ"), ([*run(text), sync()], "PBcpbeccES")):
            plans = at_risk()
            tags(plans, query(CALM), pipeline=in_status(intrans))
            assert tags(plans, *messages, pipeline=in_status(intrans)) == expected
            assert tags(plans, query(b"set transaction read only; select 1"), pipeline=in_status(intrans)) == "Q"
    for text in (b"rollback to s", b"savepoint s", b"set transaction read only; commit"):
        plans = at_risk()
        tags(plans, query(CALM), pipeline=in_status(intrans))
        assert tags(plans, query(text), pipeline=in_status(intrans)) == "Q"
        assert tags(plans, query(b"select 1"), pipeline=in_status(intrans)) == "cpbeccsQ"


def test_nothing_goes_out_where_the_origin_would_not_run_it() -> None:
    plans = at_risk()
    for text in (CREATE, b"selec temp", b"execute s"):
        assert tags(plans, query(text), pipeline=in_status(TransactionStatus.INERROR)) == "Q"
        assert tags(plans, query(b"select 1")) == "Q"
    assert tags(plans, query(b"rollback; " + CREATE), pipeline=in_status(TransactionStatus.INERROR)) == "Q"
    assert tags(plans, query(b"rollback"), pipeline=in_status(TransactionStatus.INERROR)) == "Q"
    assert tags(plans, query(b"select 1")) == "cpbeccsQ"
    for name in ("is_skipping", "in_copy_in"):
        pipeline = Pipeline()
        setattr(pipeline, name, True)
        assert tags(plans, *run(CREATE), pipeline=pipeline) == "PBE"


def test_what_functions_make_is_nobody_s_guess() -> None:
    for messages in ([query(b"select f()")], [FUNCTION_CALL], [*run(b"select f()"), sync()]):
        assert tags(at_risk(makers=1), *messages).startswith("cpbeccs")
        assert "c" not in tags(at_risk(), *messages)
    assert tags(at_risk(makers=1), query(b"select 1")) == "Q"
    assert tags(Plans(Judge(), Prepared()), query(b"select f()")) == "cpbeccsQ"  # nothing is known of the catalogue


def test_what_was_made_under_a_name_for_sql_may_be_executed_later() -> None:
    plans = at_risk()
    makes = plain_piece(b"s", parse(b"onetrip:1", CREATE), is_sql=False, made_for=Frontend.QUERY)
    reads = plain_piece(b"s", parse(b"onetrip:2", b"select 1"), is_sql=False, made_for=Frontend.QUERY)
    assert tags(plans, reads, query(b"execute s")) == "Q"
    assert tags(plans, makes, query(b"execute s"), query(b"execute s")) == "cpbeccsQcpbeccsQ"
    plans.begin()
    assert tags(plans, query(b"execute s")) == "Q"


def test_the_session_s_own_temporary_objects_are_no_risk() -> None:
    plans = at_risk()
    plans.kept()
    assert not plans.is_at_risk
    plans.cleaned(has_schema=True)
    tags(plans, query(CALM), pipeline=in_status(TransactionStatus.INTRANS))
    plans.kept()
    assert plans.is_at_risk  # plans are still to be discarded
    plans.cleaned(has_schema=False)
    assert not plans.is_at_risk


# --- beside a real PostgreSQL ---

SCHEMA = """
drop table if exists planned cascade;
create table planned (a int);
grant all on planned to public;
create or replace function fill(a int) returns void language plpgsql as $$ begin insert into planned values (a); end $$;
create or replace procedure fills(a int) language plpgsql as $$ begin insert into planned values (a); end $$;
"""
MAKER = """
create or replace function maker() returns void language plpgsql as $$
  begin create temp table planned (a int) on commit drop; end $$;
create or replace procedure commits() language plpgsql as $$ begin commit; end $$;
"""
DROP = "drop function if exists maker, fill; drop procedure if exists commits, fills; drop table if exists planned"
WRITES = (
    b"select fill(1)",
    b"call fills(1)",
    b"do $$ begin perform fill(1); call fills(1); end $$",
    b"insert into planned values (1)",
)
COUNT = b"select count(*) from planned"


def permanent(origin: Origin) -> int:
    with origin.connect(origin.database) as connection:
        row = connection.execute(COUNT.decode()).fetchone()
    assert row is not None
    return int(row[0])


async def on_used(side: PoolSide, origin: Origin, mode: str = "track", *, more: str = "") -> Client:
    """A session, and one connection that has plans for the table and has had a temporary schema."""
    with origin.connect(origin.database) as connection:
        connection.execute(DROP)
        connection.execute(SCHEMA + more)
    edge = side.serve(origin, session_state=mode)
    await side.alone()
    other = edge.client()
    await ask(side, other, query(b"create temp table used (a int) on commit drop"))
    for number, text in enumerate(WRITES):
        await ask(side, other, query(text))
        await ask(side, other, parse(b"s%d" % number, text), bind(b"", b"s%d" % number), execute(), sync())
    await ask(side, other, query(b"delete from planned"))
    (lease,) = side.tenant.pool.idle
    assert lease.plans.is_at_risk
    return edge.client()


async def ask(side: PoolSide, client: Client, *messages: bytes) -> Answer:
    """Ask, and have nobody open a second connection while the first is cleaned."""
    answer = await client.ask(*messages)
    await turns()
    pool = side.tenant.pool
    await until(lambda: not (pool.resetting or pool.dialing or any(one.is_in_exchange for one in pool.all())))
    for idle in [one for one in pool.idle if not one.plans.is_at_risk][: pool.size - 1]:
        side.tenant.discard(idle, "the test wants one")
    return answer


WAYS = ("one text", "queries at once", "queries", "groups", "groups at once", "one group", "named")


def said(way: str, texts: list[bytes]) -> list[tuple[bytes, ...]]:
    """What a client sends at once, one after the other, to run these texts."""
    groups = [(*run(text), sync()) for text in texts]
    names = [b"s%d" % number for number in range(len(texts))]
    ways: dict[str, list[tuple[bytes, ...]]] = {
        "one text": [(query(b";".join(texts)),)],
        "queries at once": [tuple(map(query, texts))],
        "queries": [(query(text),) for text in texts],
        "groups": list(groups),
        "groups at once": [tuple(chain(*groups))],
        "one group": [(*chain(*map(run, texts)), sync())],
        "named": [
            *((parse(name, text), sync()) for name, text in zip(names, texts, strict=True)),
            *((bind(b"", name), execute(), sync()) for name in names),
        ],
    }
    return ways[way]


async def say(side: PoolSide, client: Client, way: str, texts: list[bytes]) -> list[bytes | None]:
    """The last row that comes when texts are run."""
    answers = [await ask(side, client, *messages) for messages in said(way, texts)]
    assert not [error for answer in answers for error in answer.errors]
    return [row for answer in answers for row in answer.rows][-1]


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["track", "reset", "pin"])
@beside
async def test_who_writes_behind_a_temporary_table_writes_to_it(side: PoolSide, origin: Origin, mode: str) -> None:
    client = await on_used(side, origin, mode)
    for way in WAYS:
        texts = [b"begin", CREATE + b" on commit drop", *WRITES, COUNT, b"commit"]
        if mode == "pin":
            texts = [CREATE, *WRITES, COUNT]
        assert await say(side, client, way, texts) == [b"5"], way
        assert permanent(origin) == 0
        await ask(side, client, query(b"discard temp"))
        await ask(side, client, query(b"select fill(2); delete from planned"))  # that is a plan for the permanent one
        (lease,) = side.tenant.pool.idle
        assert lease.plans.is_at_risk


@pytest.mark.postgres
@beside
async def test_what_a_function_makes_hides_as_well(side: PoolSide, origin: Origin) -> None:
    client = await on_used(side, origin, more=MAKER)
    assert await say(side, client, "queries", [b"begin", b"select maker()", *WRITES, COUNT, b"commit"]) == [b"5"]
    assert permanent(origin) == 0
    for way in WAYS[3:]:
        await ask(side, client, query(b"select fill(2); delete from planned"))
        assert await say(side, client, way, [b"begin", b"select maker()", *WRITES, COUNT, b"commit"]) == [b"5"], way
    assert permanent(origin) == 0


@pytest.mark.postgres
@beside
async def test_what_cannot_run_behind_another_message_runs(side: PoolSide, origin: Origin) -> None:
    client = await on_used(side, origin, more=MAKER)
    for text in (b"call commits()", b"vacuum planned", b"do $$ begin commit; end $$"):
        for messages in (run(text), (close_statement(b"old"), *run(text)), (parse(b"", b"select 1"), *run(text))):
            answer = await client.ask(*messages, sync())
            assert not answer.errors, (text, answer.errors)
            assert answer.tags.endswith("12CZ")


@pytest.mark.postgres
@beside
@pytest.mark.parametrize(
    "end", [b"commit", b"Rollback /* as CASE ... END */", b"prepare transaction 'plans'", b"commit; discard all"]
)
async def test_what_cannot_run_behind_another_message_runs_behind_the_end_of_a_transaction(
    side: PoolSide, origin: Origin, end: bytes
) -> None:
    client = await on_used(side, origin, more=MAKER)
    for text in (b"call commits()", b"vacuum planned"):
        for begins in ((), (query(b"begin"),), (*run(b"begin"), sync()), (*run(b"begin"), *run(b"select 1"))):
            ends = (message for part in end.split(b"; ") for message in run(part))
            if not begins:
                await client.ask(query(b"begin"))
                await client.ask(query(b"select 1"))
            answer = await client.ask(*begins, *ends, *run(text), sync())
            await client.ask(query(b"rollback prepared 'plans'"))
            assert not answer.errors, (text, answer.errors)
            assert answer.tags.endswith("12CZ")


@pytest.mark.postgres
@beside
async def test_a_transaction_s_modes_may_still_be_set(side: PoolSide, origin: Origin) -> None:
    client = await on_used(side, origin)
    for texts in ([b"set transaction isolation level serializable; " + CREATE + b" on commit drop"],
                  [b"set transaction isolation level serializable", CREATE + b" on commit drop"]):  # fmt: skip
        await client.ask(query(b"begin"))
        for text in texts:
            assert not (await client.ask(query(text))).errors
        assert (await client.ask(query(b"show transaction_isolation"))).value == b"serializable"
        assert await say(side, client, "queries", [*WRITES, COUNT]) == [b"5"]
        await client.ask(query(b"commit"))
    assert permanent(origin) == 0


@pytest.mark.postgres
@beside
async def test_the_error_of_a_transaction_that_could_not_be_opened_is_the_client_s(
    side: PoolSide, origin: Origin
) -> None:
    client = await on_used(side, origin)
    for messages in ((query(CREATE),), (*run(CREATE), sync())):
        client.edge.begin(client, Begin(statements=[b"begin", b"set local timezone = 'nowhere'"]))
        assert (await client.ask(*messages)).code == "22023"
        await ask(side, client, query(b"rollback"))


ODD = (
    (query(b"select nope; " + CREATE),),
    (query(b"begin"), query(b"select nope"), query(CREATE), *run(CREATE), sync(), query(b"rollback; " + CREATE)),
    (*run(b"select nope"), *run(CREATE), sync(), *run(CREATE), sync()),
    (*run(CREATE), *run(CREATE), *run(COUNT), sync()),
    (*run(CREATE), flush(), *run(COUNT), sync()),
    (query(b"begin"), query(CREATE), query(b"copy planned from stdin"), copy_data(b"1\n"), copy_done(), query(COUNT),
     query(b"rollback")),
    (query(b"begin read only"), query(CREATE), query(b"select fill(1)"), query(COUNT), query(b"commit")),
    (parse(b"", CREATE), describe_statement(b""), bind(b"", b""), execute(), execute(), sync()),
    (MALFORMED_CLOSE, *run(CREATE), sync(), query(COUNT)),
    (parse(b"", b"selec"), query(b"select 1"), *run(CREATE), sync(), query(b"select 2")),
    (parse(b"", b"selec"), query(b"select 1"), query(CREATE), query(b"select 1"), sync(), query(b"select 2")),
    (query(b"begin"), parse(b"", b"select 1"), query(b"select nope"), query(CREATE), query(COUNT), query(b"select 2")),
    (query(b"begin"), parse(b"", b"select 1"), query(b"select nope"), parse(b"", b""), query(CREATE), query(COUNT)),
    (query(b"begin"), parse(b"", b"select 1"), query(b"select nope"), FUNCTION_CALL, query(COUNT)),
    (query(b"begin"), parse(b"", b"select 1"), query(b"select nope"), parse(b"", b""), FUNCTION_CALL, query(COUNT)),
    (query(b"begin"), parse(b"", b"select 1"), query(CREATE), query(b"select nope"), query(CALM), sync()),
    (parse(b"", b"select 1"), query(b"begin"), query(CREATE), query(b"select fill(1)"), query(COUNT)),
    (close_statement(b"s"), sync(), query(b"begin"), parse(b"s", b"insert into planned values (1)"),
     query(b"select nope"), query(CREATE), describe_statement(b"s"), sync(), query(COUNT)),
    (query(b""), query(b"-- temp"), query(b"selec temp"), query(b"begin; " + CREATE + b"; select fill(1); rollback")),
)  # fmt: skip


@pytest.mark.postgres
@beside
async def test_answers_are_those_of_a_connection_of_one_s_own(side: PoolSide, origin: Origin) -> None:
    client = await on_used(side, origin)
    used = await odd_answers(side, client)
    (lease,) = side.tenant.pool.idle
    fresh = []
    for messages in ODD:
        for idle in list(side.tenant.pool.idle):
            side.tenant.discard(idle, "the test wants a new one")
        fresh += await odd_answers(side, client, messages)
    assert used == fresh
    assert lease.plans.is_at_risk


async def odd_answers(side: PoolSide, client: Client, *groups: tuple[bytes, ...]) -> list[list[bytes]]:
    answers = []
    for messages in groups or ODD:
        answer = await ask(side, client, *messages)
        answers.append([message.data for message in answer.messages if message.tag != ord("N")])
        await ask(side, client, query(b"rollback"))
    return answers


@pytest.mark.postgres
@beside
async def test_a_query_behind_one_that_fails_its_transaction_gets_its_own_answer(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    await client.ask(query(CREATE + b" on commit drop"))
    await client.ask(query(b"begin; select 1"))
    answer = await client.ask(*run(b"select 1"), query(b"selec"), query(CREATE), sync())
    assert answer.tags == "12DCEZEZZ"


@beside
async def test_a_connection_that_has_had_no_temporary_object_is_left_alone(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await side.alone()
    for text, expected in (
        (b"do $$ begin end $$", False),
        (b"begin; " + CREATE + b"; rollback", False),
        (CREATE, True),
    ):
        await ask(side, client, query(text))
        (lease,) = side.tenant.pool.idle
        assert lease.plans.is_at_risk == expected
