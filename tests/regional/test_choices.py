"""Names whose meaning hangs on what is still running: PostgreSQL's own answers, whatever is pipelined behind what."""

import random

import pytest

from protos.errors import RemoteProtocolError
from protos.link.link_pb2 import Choice, Frame, Option, Outcome
from protos.pg.framer import Piece
from protos.pg.messages import (
    bind,
    bind_names_of,
    close_statement,
    describe_statement,
    execute,
    parse,
    parse_of,
    query,
    sync,
    terminate,
)
from protos.pg.names import GONE, PREFIX, USED
from protos.pg.progress import Progress
from protos.pg.tags import Frontend
from regional.choices import MAX_CHOICES, Choices
from regional.plain import plain_piece, prepare_piece
from tests.support.beside import PoolSide, beside
from tests.support.cluster import Origin

RUN = (execute(), sync())
BAD = b"select 'x'::int4"
X, Y = PREFIX + b"x" * 32, PREFIX + b"y" * 32


@beside
async def test_a_pipeline_behind_a_parse_that_fails_finds_what_was_there_before(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    answer = await client.ask(parse(b"s", BAD), sync(), bind(b"", b"s"), *RUN, parse(b"s", b"select 1"), sync(),
                              bind(b"", b"s"), *RUN)  # fmt: skip
    assert answer.tags == "EZEZ1Z2DCZ"
    assert answer.errors[1]["M"] == 'prepared statement "s" does not exist'
    answer = await client.ask(
        parse(b"", BAD), close_statement(b"s"), parse(b"s", b"select 2"), sync(), bind(b"", b"s"), *RUN
    )
    assert (answer.tags, answer.value) == ("EZ2DCZ", b"1")
    answer = await client.ask(close_statement(b"s"), sync(), parse(b"s", b"select 3"), sync(), bind(b"", b"s"), *RUN)
    assert (answer.tags, answer.value) == ("3Z1Z2DCZ", b"3")
    answer = await client.ask(parse(b"s", b"select 4"), sync(), bind(b"", b"s"), *RUN)
    assert (answer.tags, answer.value) == ("EZ2DCZ", b"3")
    assert answer.error["M"] == 'prepared statement "s" already exists'


@beside
async def test_the_unnamed_statement_is_what_postgresql_has(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client = edge.client()
    answer = await client.ask(bind(b"", b""), parse(b"", b"select 1"), sync(), bind(b"", b""), *RUN)
    assert [error["M"] for error in answer.errors] == ["unnamed prepared statement does not exist"] * 2
    answer = await client.ask(parse(b"", b"select 1/0"), bind(b"", b""), *RUN, bind(b"", b""), *RUN)
    assert [error["C"] for error in answer.errors] == ["22012"] * 2
    answer = await client.ask(parse(b"", BAD), sync(), bind(b"", b""), *RUN)
    assert [error["C"] for error in answer.errors] == ["22P02", "26000"]


@beside
async def test_an_execute_runs_what_its_name_stands_for_when_it_is_used(side: PoolSide, origin: Origin) -> None:
    client = side.serve(origin).client()
    await side.alone()
    await client.ask(parse(b"s", b"select 1"), sync())
    renew = (close_statement(b"s"), parse(b"s", b"select 2"), sync())
    answer = await client.ask(parse(b"x", b"execute s"), sync(), *renew, bind(b"", b"x"), *RUN)
    assert (answer.tags, answer.value) == ("1Z31Z2DCZ", b"2")
    answer = await client.ask(parse(b"y", b"execute x"), sync(), bind(b"", b"y"), *RUN, query(b"execute x"))
    assert (answer.tags, answer.rows) == ("1Z2DCZTDCZ", [[b"2"], [b"2"]])
    for _ in range(2):
        assert (await client.ask(query(b"execute x"))).value == b"2"


@beside
async def test_what_waits_when_its_client_says_goodbye_runs_all_the_same(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    await side.alone()
    client, other = edge.client(), edge.client()
    await other.ask(query(b"drop table if exists waited; create table waited (a int)"))
    client.send(
        query(b"select pg_sleep(0.1)"), parse(b"s", b"insert into waited values (1)"), sync(), bind(b"", b"s"), *RUN,
        terminate(),
    )  # fmt: skip
    await side.quiet()
    assert (await other.ask(query(b"select count(*) from waited"))).value == b"1"


@pytest.mark.parametrize("seed", range(3))
@beside
async def test_random_pipelines_are_answered_as_postgresql_answers_them(
    side: PoolSide, origin: Origin, seed: int
) -> None:
    """The same messages one group after the other, each when the one before is answered, and all at once."""
    edge = side.serve(origin)
    await side.alone()
    chance = random.Random(seed)
    for _ in range(25):
        groups = [_group(chance) for _ in range(chance.randint(2, 6))]
        slow, quick = edge.client(), edge.client()
        told = [await slow.ask(*group) for group in groups]
        answer = await quick.ask(*[message for group in groups for message in group])
        assert answer.tags == "".join(one.tags for one in told)
        assert [e["M"] for e in answer.errors] == [e["M"] for one in told for e in one.errors]
        assert answer.rows == [row for one in told for row in one.rows]
        for client in (slow, quick):
            client.leave()


def _group(chance: random.Random) -> list[bytes]:
    messages: list[bytes] = []
    for _ in range(chance.randint(1, 3)):
        name = chance.choice((b"", b"s", b"t"))
        sql = chance.choice((b"select 1", b"select 2", b"select 3", BAD))
        kind = chance.randrange(6)
        if kind == 0:
            messages.append(close_statement(name))
        elif kind == 1 and not messages:
            texts = (b"prepare t as select 8", b"execute s", b"deallocate t", b"execute t", b"deallocate all")
            return [query(chance.choice(texts))]
        elif kind in (2, 3):
            messages.append(parse(name, sql))
        else:
            messages += [bind(b"", name), execute()]
    return [*messages, sync()]


# --- the decision alone ---


def choice(*options: tuple[int, int, bytes], number: int = 1, name: bytes = b"s", use: bytes = b"") -> Choice:
    made = Choice(id=number, name=name, use=use)
    *possible, (_, _, last) = options
    for sync_point, place, statement in possible:
        made.options.append(Option(outcomes=[Outcome(sync_point=sync_point, place=place)], statement=statement))
    made.options.append(Option(statement=last))
    return made


def bound(choices: Choices, number: int = 1) -> bytes:
    piece = Piece(Frontend.BIND, bind(b"", PREFIX + b"?%d" % number), whole=True)
    ready, rest = choices.resolve([piece], {}, takes_none=False)
    if rest:
        return b""
    return bind_names_of(ready[-1].data)[1]


def failed(choices: Choices, sync_point: int, end: int, place: int) -> list[Frame]:
    said: list[Frame] = []
    progress = Progress()
    progress.done = place
    progress.fail(in_group=True)
    progress.settle(is_ours=False)
    choices.tell(sync_point, end, progress, said.append)
    return said


def test_a_message_waits_for_the_outcome_and_takes_what_has_happened() -> None:
    choices = Choices()
    choices.take(choice((1, 2, X), (0, 0, Y)))
    assert bound(choices) == b""
    choices.settled = 2
    assert bound(choices) == X
    assert not choices


def test_what_has_not_happened_is_passed_over_until_the_edge_knows() -> None:
    choices = Choices()
    assert [frame.failed.place for frame in failed(choices, 1, 2, 2)] == [2]
    choices.settled = 2
    choices.take(choice((1, 2, X), (1, 1, b""), (0, 0, Y)))
    assert bound(choices) == GONE
    choices.confirmed()
    choices.take(choice((1, 2, X), (0, 0, Y)))
    assert bound(choices) == X


def test_a_parse_whose_name_is_in_use_goes_out_as_one_that_fails() -> None:
    for option, expected in ((Y, USED), (b"", X)):
        choices = Choices()
        choices.settled = 1
        choices.take(choice((0, 0, option), (0, 0, b""), use=X))
        piece = Piece(Frontend.PARSE, parse(PREFIX + b"?1", b"select 1"), whole=True)
        ready, _ = choices.resolve([piece], {}, takes_none=False)
        assert parse_of(ready[0].data).name == expected


def test_what_an_execute_found_is_there_while_it_is_parsed_and_no_longer() -> None:
    choices = Choices()
    choices.settled = 1
    for name, statement, behind in ((b"inner", Y, False), (b"outer", Y, False), (b"inner", X, True)):
        beside = choice((0, 0, statement), number=0, name=name)
        beside.plain, beside.behind = True, behind
        choices.take(beside)
    choices.take(choice((0, 0, X), name=b"x"))
    piece = Piece(Frontend.DESCRIBE, describe_statement(PREFIX + b"?1"), whole=True)
    ready, _ = choices.resolve([piece], {X: b"now", Y: b"then"}, takes_none=False)
    first, second, third = [
        plain_piece(name, text, is_sql=False, made_for=made_for)
        for name, text, made_for in (
            (b"inner", b"then", Frontend.DESCRIBE),
            (b"outer", b"then", Frontend.DESCRIBE),
            (b"inner", b"now", 0),
        )
    ]
    described = Piece(Frontend.DESCRIBE, describe_statement(X), whole=True)
    assert ready == [first, second, prepare_piece(X, b"now"), third, described]


def test_what_was_found_in_another_case_is_left_as_it_is() -> None:
    choices = Choices()
    failed(choices, 0, 1, 0)
    choices.settled = 1
    beside = choice((0, 0, Y), (0, 0, b""), number=0, name=b"inner")
    beside.plain, beside.options[-1].stays = True, True
    choices.take(beside)
    choices.take(choice((0, 0, X), name=b"x"))
    piece = Piece(Frontend.DESCRIBE, describe_statement(PREFIX + b"?1"), whole=True)
    assert len(choices.resolve([piece], {Y: b"then"}, takes_none=False)[0]) == 1


def test_a_describe_waits_for_what_an_execute_has_found() -> None:
    choices = Choices()
    beside = choice((1, 0, Y), (0, 0, b""), number=0, name=b"inner")
    beside.plain = True
    choices.take(beside)
    choices.take(choice((0, 0, X)))
    piece = Piece(Frontend.DESCRIBE, describe_statement(PREFIX + b"?1"), whole=True)
    assert choices.resolve([piece], {}, takes_none=False)[0] == []


def test_a_statement_may_hang_on_what_has_failed_and_on_what_has_not() -> None:
    outcomes = [Outcome(sync_point=1, place=2, failed=True), Outcome(sync_point=2, place=0)]
    for fails, expected in (((1, 2, 2), X), ((1, 2, 0), X), ((1, 2, 3), Y), ((1, 3, 2), Y)):
        choices = Choices()
        made = Choice(id=1, name=b"s", options=[Option(outcomes=outcomes, statement=X), Option(statement=Y)])
        choices.take(made)
        choices.settled = 2
        assert bound(choices) == b"", "the second is not known"
        failed(choices, *fails)
        choices.settled = 3
        assert bound(choices) == expected


def test_nothing_waits_where_the_origin_takes_no_statement() -> None:
    choices = Choices()
    choices.take(choice((0, 0, X), (0, 0, b"")))
    piece = Piece(Frontend.BIND, bind(b"", PREFIX + b"?1"), whole=True)
    assert choices.resolve([piece], {}, takes_none=True)[1] == []


def test_their_number_is_bounded() -> None:
    choices = Choices()
    for number in range(MAX_CHOICES):
        choices.take(choice((0, 0, X), number=number + 1))
    with pytest.raises(RemoteProtocolError):
        choices.take(choice((0, 0, X), number=MAX_CHOICES + 1))
    with pytest.raises(RemoteProtocolError):
        Choices().take(Choice(id=1))


def test_what_is_made_in_front_of_a_message_is_chosen_with_it() -> None:
    choices = Choices()
    ahead = choice((1, 0, X), (0, 0, Y), number=0, name=b"inner")
    ahead.plain = True
    choices.take(ahead)
    assert not choices, "the message itself is to be told of"
    choices.take(choice((0, 0, X), name=b"outer"))
    assert bound(choices) == b""
    failed(choices, 1, 2, 0)
    choices.settled = 2
    piece = Piece(Frontend.BIND, bind(b"", PREFIX + b"?1"), whole=True)
    (made, sent), _ = choices.resolve([piece], {Y: b"text"}, takes_none=False)
    assert made == plain_piece(b"inner", b"text", is_sql=False, made_for=Frontend.BIND)
    assert bind_names_of(sent.data)[1] == X
    assert not choices
