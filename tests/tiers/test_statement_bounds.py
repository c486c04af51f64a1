"""Thousands of statements over many sessions: what they cost the edge, the link, the pool node and the origin."""

import gc
import tracemalloc

from edge import meaning
from protos.errors import StatementMemoryError
from protos.link.dictionary import DICTIONARY_BYTES
from protos.pg.messages import bind, close_statement, describe_statement, execute, parse, sync
from protos.pg.parsers import error_fields
from regional.cleanness import MAX_MEMO_BYTES
from regional.prepared import MAX_STATEMENTS
from tests.support.beside import PoolSide, beside
from tests.support.cluster import Origin
from tests.support.two_tiers import READY, tags, two_tiers

SESSIONS = 20
ROUNDS = 10
IN_A_GROUP = 100
MAX_GROWTH_BYTES = 24 << 20
"""Of both tiers together, between an early round and the last; their bounds sum up to more."""


@beside
async def test_distinct_statements_without_end_cost_no_memory_without_end(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin, origin_connection_limit=5) as tiers:
        sizes = []
        tracemalloc.start()
        for number in range(ROUNDS):
            drivers = [await tiers.connect() for _ in range(SESSIONS // ROUNDS)]
            for at, driver in enumerate(drivers):
                for part in range(5):
                    first = ((number * len(drivers) + at) * 5 + part) * IN_A_GROUP
                    made = [parse(b"s%d" % n, b"select %d as a%d" % (n, n)) for n in range(first, first + IN_A_GROUP)]
                    answer = await driver.ask(*made, bind(b"", b"s%d" % first), execute(), sync())
                    assert tags(answer) == "1" * IN_A_GROUP + "2DCZ"
            for driver in drivers:
                driver.hang_up()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        print([size >> 10 for size in sizes], "KiB")
        await side.quiet()
        assert sizes[-1] - sizes[1] < MAX_GROWTH_BYTES, sizes
        for connected in side.tenant.pool.all():
            assert len(connected.prepared) <= MAX_STATEMENTS
        assert tiers.uplink._dictionary.size_bytes <= DICTIONARY_BYTES
        assert side.tenant.knowledge.judge.memo_bytes <= MAX_MEMO_BYTES
        gc.collect()
        assert len(meaning._interned) <= SESSIONS, "nobody has them any more"


@beside
async def test_names_of_64_kib_are_names_by_their_first_63_bytes(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        long = b"n" * (64 << 10)
        assert tags(await driver.ask(parse(long, b"select 1"), sync())) == "1Z"
        assert tags(await driver.ask(bind(b"", long[:63] + b"other"), execute(), sync())) == "2DCZ"
        (error, _) = await driver.ask(parse(long[:63], b"select 2"), sync())
        assert b"42P05" in error
        assert b'prepared statement "' + long[:63] + b'" already exists' in error
        missing = b"m" * 5000
        (error, _) = await driver.ask(describe_statement(missing), sync())
        assert b"C26000\0" in error
        assert b'"' + missing + b'"' in error
        assert tags(await driver.ask(close_statement(long[:64]), bind(b"", long[:63]), sync())) == "3EZ"


@beside
async def test_a_parse_beyond_the_bound_fails_with_53200_and_the_session_goes_on(
    side: PoolSide, origin: Origin
) -> None:
    async with two_tiers(side, origin) as tiers:
        driver = await tiers.connect()
        text = b"select 1 -- " + b"x" * (1 << 19)
        for number in range(StatementMemoryError.BOUND // len(text)):
            assert tags(await driver.ask(parse(b"s%d" % number, text + b"%d" % number), sync())) == "1Z"
        error, ready = await driver.ask(parse(b"more", text), bind(b"", b"more"), execute(), sync())
        fields = error_fields(error)
        assert (fields["S"], fields["C"]) == ("ERROR", "53200")
        assert fields["H"]
        assert ready == READY
        assert tags(await driver.ask(bind(b"", b"s0"), execute(), sync())) == "2DCZ"
        assert tags(await driver.ask(close_statement(b"s0"), parse(b"more", text), sync())) == "31Z"


@beside
async def test_changes_of_a_name_without_end_cost_their_own_session_only(side: PoolSide, origin: Origin) -> None:
    async with two_tiers(side, origin) as tiers:
        driver, other = await tiers.connect(), await tiers.connect()
        change = parse(b"s", b"select 1") + sync() + close_statement(b"s") + sync()
        answer = await driver.ask(change * 1_000)
        while not any(message[:1] == b"E" for message in answer):
            answer = await driver.until_ready()
        assert error_fields(answer[-1])["C"] == "53200"
        assert tags(await other.ask(parse(b"s", b"select 1"), sync())) == "1Z"
