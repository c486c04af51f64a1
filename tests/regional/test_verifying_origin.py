"""Random conversations of a session that was told its descriptions, and of one straight to PostgreSQL: they are alike.

Both sessions prepare the same statements. Then some of their tables are changed or dropped by somebody else, and at
times the pool's connections lose what they had prepared, or a session that knows nothing of the past prepares it there.
What each gets for the same messages is the same: the rows, the errors in their places, the transaction status.
"""

import random
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.pg.messages import bind, describe_portal, describe_statement, execute, flush, parse, query, sync
from protos.pg.parsers import error_fields
from regional.configuration import Early
from tests.differential.player import Address
from tests.differential.player import Client as Straight
from tests.support.beside import PoolSide, beside, turns
from tests.support.cluster import DATABASE, PASSWORD, Origin
from tests.support.told import Told

EXAMPLES = 12
GROUPS = 14

STATEMENTS = {
    b"right": b"select a from v_right order by a",
    b"changed": b"select * from v_changed",
    b"gone": b"select * from v_gone",
    b"later": b"select * from v_later",
    b"insert": b"insert into v_log values ($1)",
    b"rollback": b"rollback",
}
TABLES = ("v_right", "v_changed", "v_gone", "v_later", "v_log")


def make(direct: psycopg.Connection[Any]) -> None:
    direct.execute("set lock_timeout = 5000")
    for table in TABLES:
        direct.execute(f"drop table if exists {table}; create table {table} (a int); grant all on {table} to public")
    direct.execute("insert into v_right values (1), (2)")


def change(direct: psycopg.Connection[Any]) -> None:
    direct.execute("alter table v_changed add b text")
    direct.execute("drop table v_gone")


def part(rng: random.Random) -> list[bytes]:
    """Some extended messages without a Sync."""
    name = rng.choice(list(STATEMENTS))
    values: list[bytes | None] = [b"7"] if name == b"insert" else []
    kind = rng.randrange(12)
    if kind < 7:
        return [bind(b"", name, values), *([describe_portal(b"")] if rng.random() < 0.4 else []), execute()]
    if kind < 9 and name not in (b"insert", b"rollback"):
        return [describe_statement(name)]
    if kind == 9:
        return [flush()]
    sql = rng.choice([b"select 1/0", b"select 'x'", b"begin", b"rollback", b"savepoint p", b"rollback to p", b"commit"])
    return [parse(b"", sql), bind(b"", b""), execute()]


def group(rng: random.Random) -> list[bytes]:
    if rng.random() < 0.35:
        return [
            query(rng.choice([b"begin", b"commit", b"rollback", b"select 1/0", b"select 5", b"select 5; select 6"]))
        ]
    return [message for _ in range(rng.randint(1, 5)) for message in part(rng)] + [sync()]


def seen(messages: list[bytes]) -> list[object]:
    """What a driver sees. A Describe that fails may have said the parameters before, or not."""
    said: list[object] = []
    for message in messages:
        if message[:1] in b"EN":
            fields = error_fields(message)
            if said and isinstance(said[-1], bytes) and said[-1][:1] == b"t":
                said.pop()
            said.append((message[:1], fields["C"], fields["M"]))
        else:
            said.append(message)
    return said


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
@beside
async def test_a_told_session_sees_what_postgresql_says(side: PoolSide, origin: Origin, rng: random.Random) -> None:
    with origin.connect(origin.database) as direct:
        make(direct)
        early = Early(begin=False, prepare=rng.random() < 0.5)
        edge = side.serve(origin, origin_connection_limit=5, early=early)
        await side.known()
        client = Told(edge)
        straight = Straight(Address(origin.port, "by_scram", PASSWORD, DATABASE), {"application_name": "Onetrip"})
        try:
            for name, sql in STATEMENTS.items():
                await client.learn(name, sql)
                straight.socket.sendall(parse(name, sql) + sync())
                straight._read(lambda came: came[-1][:1] == b"Z")
            change(direct)
            for number in range(GROUPS):
                await side.quiet() if client.status == ord("I") else await turns()
                if rng.random() < 0.4:
                    for connected in list(side.tenant.pool.idle):
                        side.tenant.discard(connected, "the test wants another")
                if rng.random() < 0.4:
                    name = rng.choice(list(STATEMENTS))
                    await edge.client().ask(parse(name, STATEMENTS[name]), describe_statement(name), sync())
                if client.status == ord("I") and number == GROUPS // 2:
                    direct.execute("alter table v_later add b text")
                await ask_both(client, straight, [group(rng) for _ in range(rng.choice([1, 1, 2, 3]))], rng)
        finally:
            straight.leave()
            client.leave()


async def ask_both(client: Told, straight: Straight, groups: list[list[bytes]], rng: random.Random) -> None:
    data = b"".join(message for messages in groups for message in messages)
    straight.socket.sendall(data)
    expected = straight._read(lambda came: sum(one[:1] == b"Z" for one in came) >= len(groups))
    position = 0
    while position < len(data):
        size = rng.choice([3, 40, 200, len(data)])
        client.send(data[position : position + size])
        position += size
        await turns(rng.choice([0, 1, 5]))
    answer = await client.answer()
    assert seen([message.data for message in answer.messages]) == seen(expected), groups
