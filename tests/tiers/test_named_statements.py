"""Named statements: whatever is pipelined, PostgreSQL's own answers to the same messages."""

import random
from typing import Final

import pytest

from protos.pg.messages import (
    bind,
    close_portal,
    close_statement,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)
from tests.support.beside import Answer, PoolSide, beside, until
from tests.support.cluster import Origin
from tests.support.straight import Straight

RUN: Final = (execute(), sync())
BAD: Final = b"select 'x'::int4"
SELECTS: Final = (b"select 1 as one", b"select 2 as two", b"select 3 as three", BAD)
COMMANDS: Final = (
    b"deallocate a", b"deallocate b", b"prepare a as select 4 as four", b"prepare b as select 5 as five",
    b"deallocate all",
)  # fmt: skip
EXECUTES: Final = (b"execute a", b"execute b")
TEXTS: Final = {b"a": SELECTS, b"b": SELECTS, b"d": COMMANDS, b"e": COMMANDS, b"x": EXECUTES}
ALONE: Final = (*COMMANDS, *EXECUTES, b"execute d", b"execute e", b"deallocate d", b"select 6")

BIG: Final = b"select 7 as seven --" + b"x" * (1 << 20)

# More of them are a matter of minutes; these went wrong once.
SEEDS: Final = (95, 424, *range(10))

Group = tuple[bytes, ...]


def plainly(answer: Answer) -> list[object]:
    """What must be equal: of errors, the code and the words."""
    return [
        (message.fields["C"], message.fields["M"]) if message.tag == ord("E") else message.data
        for message in answer.messages
    ]


def group(chance: random.Random) -> Group:
    """Messages about the statements a and b, commands d and e, and x that executes a or b, up to a sync point."""
    if chance.random() < 0.2:
        return (query(chance.choice(ALONE)),)
    messages: list[bytes] = []
    for _ in range(chance.randint(1, 3)):
        name = chance.choice((b"a", b"b", b"d", b"d", b"e", b"x"))
        text = chance.choice(TEXTS[name])
        match chance.choice(["remake", "spoil", "parse", "describe", "run", "run"]):
            case "remake":
                messages += [close_statement(name), parse(name, text)]
            case "spoil":
                messages += [close_statement(name), parse(b"", BAD), parse(name, text)]
            case "parse":
                messages.append(parse(name, text))
            case "describe":
                messages.append(describe_statement(name))
            case "run":
                messages += [bind(b"", name), execute()]
    return (*messages, sync())


async def trial(side: PoolSide, origin: Origin, chance: random.Random) -> None:
    """The same groups to both, all at once."""
    client, straight = side.edges[0].client(), Straight(origin)
    for _ in range(3):
        groups = [group(chance) for _ in range(chance.randint(2, 6))]
        messages = [message for one in groups for message in one]
        there = straight.ask(*messages, sync_points=len(groups))
        here = await client.ask(*messages)
        assert plainly(here) == plainly(there), groups
    client.leave()
    straight.leave()


@beside
async def test_random_pipelines_of_commands_are_answered_as_postgresql_answers_them(
    side: PoolSide, origin: Origin
) -> None:
    side.serve(origin)
    await side.alone()
    for seed in SEEDS:
        await trial(side, origin, random.Random(seed))


# --- one by one ---


async def same(side: PoolSide, origin: Origin, *requests: Group) -> None:
    """Each request, of one group or several, is answered as PostgreSQL answers it."""
    client, straight = side.serve(origin).client(), Straight(origin)
    await side.alone()
    for request in requests:
        sync_points = sum(message[:1] in {b"Q", b"S"} for message in request)
        there = straight.ask(*request, sync_points=sync_points)
        assert plainly(await client.ask(*request)) == plainly(there), request
    straight.leave()


def ran(name: bytes) -> Group:
    return (bind(b"", name), *RUN)


@pytest.mark.parametrize("how", [ran(b"d"), (query(b"execute d"),)], ids=["extended", "simple"])
@pytest.mark.parametrize("spoils", [(parse(b"", BAD),), ()], ids=["fails", "succeeds"])
@beside
async def test_a_command_that_could_not_be_made_anew_does_what_it_did(
    side: PoolSide, origin: Origin, how: Group, spoils: Group
) -> None:
    remakes = (close_statement(b"d"), parse(b"d", b"prepare b as select 2"), sync())
    await same(
        side,
        origin,
        (parse(b"a", b"select 1"), parse(b"d", b"deallocate a"), sync()),
        (*spoils, *remakes, *how, *ran(b"a"), *ran(b"b"), parse(b"b", b"select 3"), sync(), *ran(b"b")),
        (*ran(b"a"), *ran(b"b"), query(b"execute a"), query(b"execute b")),
    )


@pytest.mark.parametrize("how", [ran(b"d"), (query(b"execute d"),)], ids=["extended", "simple"])
@pytest.mark.parametrize("text", [b"prepare d as select 1", b"deallocate d", b"execute d"])
@beside
async def test_a_command_may_be_about_its_own_name(side: PoolSide, origin: Origin, how: Group, text: bytes) -> None:
    made = (parse(b"d", b"select 1"), sync(), close_statement(b"d"), sync(), parse(b"d", text), sync())
    await same(side, origin, (*made, *how, *ran(b"d")), (*ran(b"d"), query(b"execute d")))


@pytest.mark.parametrize("at_once", [False, True])
@beside
async def test_a_portal_is_what_it_was_where_it_could_not_be_bound_anew(
    side: PoolSide, origin: Origin, *, at_once: bool
) -> None:
    begun = (query(b"begin"), parse(b"s", b"prepare x as select 1"), parse(b"t", b"select 5"), bind(b"c", b"s"))
    ended = (query(b"rollback to a"), execute(b"c"), sync(), query(b"execute x"), query(b"rollback"))
    anew = (
        (parse(b"", b"selec"), close_portal(b"c"), bind(b"c", b"t"), sync()),
        (bind(b"c", b"t"), sync()),
        (query(b"deallocate t"), bind(b"c", b"t"), sync()),
    )
    for failing in anew:
        groups = ((*begun, sync(), query(b"savepoint a")), failing, ended)
        await same(side, origin, *((sum(groups, ()),) if at_once else groups))


@beside
async def test_a_command_in_a_group_of_a_failed_transaction_gets_its_own_answer(side: PoolSide, origin: Origin) -> None:
    await same(
        side,
        origin,
        (parse(b"s", b"select 1"), sync(), query(b"begin"), query(b"selec")),
        (close_portal(b"c"), query(b"execute s"), parse(b"", b"select 1"), sync()),
        (query(b"deallocate s"), query(b"rollback"), query(b"execute s")),
    )


@beside
async def test_a_command_is_not_run_by_a_portal_that_it_could_not_be_bound_to(side: PoolSide, origin: Origin) -> None:
    made = (parse(b"s", b"prepare x as select 1"), parse(b"t", b"select 5"), bind(b"c", b"t"), sync())
    await same(
        side,
        origin,
        (query(b"begin"), *made, query(b"savepoint a")),
        (bind(b"c", b"s"), sync()),
        (query(b"rollback to a"), execute(b"c"), sync(), query(b"execute x"), query(b"rollback")),
    )


@beside
async def test_a_name_of_a_statement_over_a_mebibyte_is_in_use(side: PoolSide, origin: Origin) -> None:
    small = (parse(b"s", b"select 1"), sync())
    await same(
        side,
        origin,
        (query(b"begin"), query(b"savepoint a"), parse(b"s", BIG), sync(), *small),
        (query(b"rollback to a"), *ran(b"s"), query(b"execute s"), query(b"prepare s as select 1")),
        (query(b"rollback to a"), *ran(b"s"), describe_statement(b"s"), close_statement(b"s"), *small, *ran(b"s")),
        (query(b"execute s"), close_statement(b"s"), parse(b"s", BIG), *ran(b"s")),
        (query(b"deallocate s"), *small, *ran(b"s"), query(b"rollback")),
        (*ran(b"s"), *small),
    )


@beside
async def test_a_statement_over_a_mebibyte_that_fails_leaves_its_name_free(side: PoolSide, origin: Origin) -> None:
    small = (parse(b"s", b"select 1"), sync())
    await same(
        side,
        origin,
        (query(b"begin"), query(b"savepoint a")),
        (parse(b"", BAD), parse(b"s", BIG), sync()),
        (query(b"rollback to a"), *small, *ran(b"s"), query(b"rollback")),
        (parse(b"t", b"selekt" + BIG), sync(), parse(b"t", b"select 1"), sync(), *ran(b"t")),
    )


@beside
async def test_a_prepare_in_front_of_an_error_is_known_to_be_there(side: PoolSide, origin: Origin) -> None:
    def running(sql: bytes) -> Group:
        return (parse(b"", sql), bind(b"", b""), execute())

    await same(
        side,
        origin,
        (query(b"begin"), query(b"savepoint a")),
        (*running(b"prepare s as select 1"), *running(b"select 1/0"), sync()),
        (query(b"rollback to a"), close_statement(b"s"), *ran(b"s")),
    )


@beside
async def test_an_execute_is_described_by_what_each_in_it_has_found(side: PoolSide, origin: Origin) -> None:
    remade = (close_statement(b"e"), parse(b"e", b"select 2 as two, 3 as three"))
    described = (describe_statement(b"s"), describe_statement(b"y"), sync())
    await same(
        side,
        origin,
        (parse(b"e", b"select 1 as one"), parse(b"s", b"execute e"), parse(b"y", b"execute s"), *remade, sync()),
        described,
        (parse(b"", b"execute s"), describe_statement(b""), sync(), describe_statement(b""), *described),
        (close_statement(b"s"), parse(b"s", b"execute e"), *described),
        (close_statement(b"e"), *described),
    )


@pytest.mark.parametrize("spoils", [(parse(b"", BAD),), ()], ids=["fails", "succeeds"])
@beside
async def test_an_execute_on_its_way_is_described_by_what_it_has_found(
    side: PoolSide, origin: Origin, spoils: Group
) -> None:
    described = tuple(message for name in (b"x", b"y") for message in (describe_statement(name), sync()))
    await same(
        side,
        origin,
        (parse(b"s", b"select 1 as one"), parse(b"x", b"execute s"), parse(b"y", b"execute x"), sync()),
        (
            *spoils, close_statement(b"s"), parse(b"s", b"select 2 as two"), close_statement(b"x"),
            parse(b"x", b"execute s"), sync(), *described, close_statement(b"s"), parse(b"s", b"select 4 as four"),
            sync(), *described, close_statement(b"y"), parse(b"y", b"execute x"), sync(), *described,
        ),
        described,
    )  # fmt: skip


@beside
async def test_what_was_cancelled_before_it_had_a_connection_has_made_nothing_and_lost_nothing(
    side: PoolSide, origin: Origin
) -> None:
    edge = side.serve(origin, origin_connection_limit=5)
    client, *others = [edge.client() for _ in range(6)]
    await client.ask(parse(b"old", b"select 1"), parse(b"closed", b"select 2"), sync())
    for other in others:
        await other.ask(query(b"begin"), query(b"select 1"))
    for cancelled, tags in (((parse(b"new", b"select 3"), sync()), "EZ"), ((parse(b"new", b"select 3"), flush()), "E")):
        client.send(close_statement(b"closed"), *cancelled)
        await until(lambda: side.tenant.pool.waiters)
        client.cancel()
        await until(lambda: client.refusals)
        client.refusals = 0
        answer = client.take()
        assert (answer.tags, answer.code) == (tags, "57014")
    assert (await client.ask(sync())).tags == "Z"
    for other in others:
        other.leave()
    assert [(await client.ask(*ran(name))).value for name in (b"old", b"closed")] == [b"1", b"2"]
    assert (await client.ask(*ran(b"new"))).code == "26000"
    assert (await client.ask(parse(b"new", b"select 3"), *ran(b"new"))).value == b"3"
