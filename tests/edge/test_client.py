"""A client in its session: rules 1 to 3 at the edge, waiting, refusals, credit, and the ends that a session has."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from structlog.testing import capture_logs

from edge.limits import LINGER_S, WRITE_TIMEOUT_S
from edge.passage import MAX_BACKLOG_BYTES
from protos.errors import DrainingError
from protos.link.lane import INITIAL_CREDIT_BYTES
from protos.link.link_pb2 import Early, GoAway, Reason, Withdraw
from protos.link.settings import SETTLING
from protos.pg import messages
from protos.pg.messages import (
    bind,
    copy_data,
    copy_done,
    data_row,
    error_fields,
    error_response,
    execute,
    flush,
    parse,
    parse_complete,
    query,
    sync,
    terminate,
)
from tests.support.stage import (
    FAILED,
    IDLE,
    IN_TRANSACTION,
    Driver,
    PlayedPool,
    Stage,
    configuration,
    done,
    ready,
    staged,
)

TWO_POOLS: Final = (("pool-1", 1), ("pool-2", 2))
GROUP: Final = parse(b"", b"select $1") + bind(b"", b"", [b"1"]) + execute() + sync()
REFUSAL: Final = error_response({"S": "ERROR", "C": "53300", "M": "no connection came free"})
GIVES_UP: Final = messages.copy_fail("the client has broken the protocol")
FATAL: Final = error_response({"S": "FATAL", "C": "57P01", "M": "the origin goes away"})


@pytest.fixture
def pool(stage: Stage) -> PlayedPool:
    return stage.up()


@pytest.fixture
def driver(stage: Stage, pool: PlayedPool) -> Driver:
    assert pool.is_linked
    return stage.connect()


@pytest.fixture
def two() -> Iterator[Stage]:
    """An edge with two linked pool nodes."""
    with staged(pools=TWO_POOLS) as stage:
        stage.up()
        stage.pools[1].link()
        stage.pools[1].welcome(configuration())
        stage.settle()
        yield stage


def ask(driver: Driver, pool: PlayedPool, sql: bytes = b"select 1", status: int = IDLE) -> None:
    """One query and its answer."""
    driver.send(query(sql))
    assert pool.channel.take() == query(sql)
    pool.answer(done(status=status), status=status)
    assert driver.tags() == "CZ"


# --- a query and its answer ---


def test_the_first_statement_brings_its_channel_along(driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"select 1"))
    assert pool.mux.data_batches_in == 1
    opening = pool.channel.opening
    assert opening.configuration == "app"
    assert opening.credentials_version == 1
    assert opening.process_id
    assert len(opening.secret_key) == 4
    assert pool.channel.take() == query(b"select 1")


def test_a_session_keeps_its_channel_and_its_answers_come_as_they_are(driver: Driver, pool: PlayedPool) -> None:
    answer = data_row([b"1"]) + done()
    for number in range(5):
        driver.send(query(b"select %d" % number))
        assert pool.channel.take() == query(b"select %d" % number)
        pool.answer(answer[:4], settled=0, status=0)
        pool.answer(answer[4:])
        assert driver.read() == answer
        assert pool.mux.data_batches_in == number + 1
    assert len(pool.channels) == 1


def test_the_settings_of_the_session_go_with_its_channel(stage: Stage, pool: PlayedPool) -> None:
    driver = stage.connect(parameters={"application_name": "psql", "client_encoding": "utf8"})
    driver.send(query(b"select 1"))
    told = {setting.name: setting.value for setting in pool.channel.opening.settings}
    assert told == {b"application_name": b"psql", b"client_encoding": b"utf8"}


def test_a_named_statement_travels_with_its_text_once(driver: Driver, pool: PlayedPool) -> None:
    driver.send(parse(b"s", b"select $1") + sync())
    (name,) = pool.channel.texts
    assert messages.parse_of(pool.channel.texts[name]).sql == b"select $1"
    pool.channel.take()
    pool.answer(parse_complete() + ready())
    assert driver.tags() == "1Z"
    pool.channel.texts.clear()
    for _ in range(3):
        driver.send(bind(b"", b"s", [b"1"]) + execute() + sync())
        assert pool.channel.take() == bind(b"", name, [b"1"]) + execute() + sync()
    assert len(pool.channel.texts) == 1
    assert len(pool._slots) == 1


def test_what_is_left_over_of_a_failed_copy_borrows_nothing(driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"copy t from stdin") + copy_data(b"1\n"))
    pool.channel.take()
    pool.answer(REFUSAL + ready())
    assert driver.tags() == "EZ"
    batches = pool.mux.data_batches_in
    driver.send(copy_data(b"2\n") * 100 + copy_done() + flush())
    assert pool.channel.take() == b""
    assert pool.mux.data_batches_in == batches
    ask(driver, pool)


def test_the_rest_of_such_a_copy_does_not_go_to_another_origin(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    long = copy_data(b"x" * 5000)
    driver.send(query(b"copy t from stdin"))
    driver.send(long[:3000])
    assert pool.channel.take().endswith(long[:3000])
    pool.answer(REFUSAL + ready())
    assert driver.tags() == "EZ"
    stage.down()
    stage.up()
    driver.send(long[3000:] + query(b"select 1"))
    assert pool.channel.take() == query(b"select 1")


# --- the link is lost (rules 1) ---


def test_a_quiet_session_outlives_its_link(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    ask(driver, pool)
    stage.down()
    assert driver.read() == b""
    assert not driver.is_closed
    stage.up()
    ask(driver, pool)


def test_a_session_that_has_asked_nothing_outlives_its_link(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    stage.down()
    stage.up()
    ask(driver, pool)


# --- what a session has set (rules 4) ---


def set_something(driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"set datestyle = german"))
    pool.answer(done("SET"), status=IDLE | SETTLING)
    assert driver.tags() == "CZ"


def test_what_a_session_has_set_is_said_again_on_another_link(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    set_something(driver, pool)
    pool.state({"datestyle": "German, DMY"})
    stage.settle()
    (confirmed,) = [frame.state for frame in pool.heard if frame.HasField("state")]
    assert not confirmed.settings
    stage.down()
    pool = stage.up()
    ask(driver, pool)
    assert [(one.name, one.value) for one in pool.channel.opening.present] == [(b"datestyle", b"German, DMY")]


def test_a_session_whose_settings_are_not_known_yet_ends_with_its_link(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    set_something(driver, pool)
    stage.down()
    assert driver.fields()["C"] == "08006"
    driver.read()
    assert driver.is_closed


def test_a_pinned_session_ends_with_its_link_and_one_that_was_does_not(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    other = stage.connect()
    for one in (driver, other):
        set_something(one, pool)
        pool.state({}, pinned=True)
        stage.settle()
    set_something(other, pool)
    pool.state({}, pinned=False)
    stage.settle()
    stage.down()
    assert driver.fields()["C"] == "08006"
    assert other.read() == b""
    assert not other.is_closed


def test_a_session_that_has_to_end_does_so_once_its_settings_are_known(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    set_something(driver, pool)
    pool.say(withdraw=Withdraw(name="app", version=9))
    stage.settle()
    assert driver.read() == b""
    pool.state({})
    stage.settle()
    assert driver.fields()["C"] == "57P01"


def test_statements_are_named_by_the_settings_that_the_session_has(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    first = parse(b"s", b"select date '01/02/2024'")
    driver.send(first + sync())
    before = messages.parse_of(pool.channel.take()[: -len(sync())]).name
    pool.answer(parse_complete() + ready())
    driver.read()
    set_something(driver, pool)
    pool.channel.take()
    pool.state({"datestyle": "German, DMY"})
    stage.settle()
    driver.send(bind(b"", b"s") + execute() + sync())
    sent = pool.channel.take()
    _, used = messages.bind_names_of(sent[: 1 + int.from_bytes(sent[1:5], "big")])
    assert used != before
    assert used in pool.channel.texts


@pytest.mark.parametrize(
    ("request_", "answer", "outcome"),
    [
        (query(b"insert"), b"", "unknown"),
        (query(b"insert"), messages.command_complete("INSERT 0 1"), "unknown"),
        (GROUP, b"", "unknown"),
        (GROUP * 3, parse_complete(), "unknown"),
        (parse(b"", b"insert") + bind(b"", b"") + execute() + flush(), parse_complete(), "unknown"),
        (query(b"copy t from stdin") + copy_data(b"1\n"), b"", "unknown"),
        (query(b"begin"), done("BEGIN", IN_TRANSACTION), "rolled back"),
        (query(b"begin; no"), REFUSAL + ready(FAILED), "rolled back"),
    ],
)
def test_a_session_with_something_to_lose_ends_loudly(
    stage: Stage, pool: PlayedPool, request_: bytes, answer: bytes, outcome: str
) -> None:
    driver, quiet = stage.connect(), stage.connect()
    driver.send(request_)
    if answer:
        pool.answer(answer, settled=answer.count(b"Z\0\0\0\5"), status=answer[-1])
    driver.read()
    with capture_logs() as logs:
        stage.down()
    fields = driver.fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "08006")
    assert outcome in fields["D"]
    driver.read()
    assert driver.is_closed
    assert [one["event"] for one in logs] == ["session ended"]
    assert stage.edge.directory.clients["app"] == 1
    stage.up()
    ask(quiet, pool)


def test_a_statement_sent_twice_would_be_worse_than_an_error(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"insert"))
    stage.down()
    stage.up()
    assert pool.channels == []


# --- waiting for a pool node ---


def test_a_held_statement_runs_once_when_a_pool_node_comes(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    stage.down()
    driver.send(parse(b"s", b"select 1") + sync() + query(b"insert"))
    stage.pass_time(14)
    assert driver.read() == b""
    stage.up()
    (name,) = pool.channel.texts
    assert pool.channel.take() == parse(name, b"select 1") + sync() + query(b"insert")
    stage.pass_time(60)
    pool.answer(parse_complete() + ready() + done("INSERT 0 1"), settled=2)
    assert driver.tags() == "1ZCZ"
    ask(driver, pool)


def test_a_held_statement_gets_57p03_after_the_wait_and_the_session_lives_on(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    stage.down()
    driver.send(query(b"insert"))
    stage.pass_time(14)
    assert driver.read() == b""
    stage.pass_time(16)
    error, readied = driver.messages()
    fields = error_fields(error)
    assert (fields["S"], fields["C"]) == ("ERROR", "57P03")
    assert "Nothing of this request was run" in fields["D"]
    assert readied == ready()
    driver.send(query(b"select 1"))
    stage.up()
    assert pool.channel.take() == query(b"select 1")
    pool.answer(done())
    assert driver.tags() == "CZ"


def test_a_held_group_without_its_sync_is_skipped_after_the_wait(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    stage.down()
    driver.send(parse(b"s", b"insert") + flush())
    stage.pass_time(16)
    assert driver.tags() == "E"
    stage.up()
    driver.send(bind(b"", b"s") + execute())
    assert driver.read() == b""
    driver.send(sync())
    assert driver.tags() == "Z"
    assert pool.channels == []
    ask(driver, pool)


def test_what_was_refused_while_held_sends_no_texts_later(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    stage.down()
    driver.send(parse(b"s", b"select 1") + sync())
    stage.pass_time(16)
    assert driver.tags() == "EZ"
    stage.up()
    ask(driver, pool)
    assert pool.channel.texts == {}


def test_an_oversized_statement_that_was_refused_does_not_reach_the_next_pool_node_in_part(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    stage.down()
    driver.send(query(b"x" * (3 << 20)) + query(b"select 2"))
    assert driver.unsent_bytes > 2 << 20, "the client is not read while its statement is held"
    stage.pass_time(16)
    assert driver.tags() == "EZ"
    stage.up()
    assert pool.channel.take() == query(b"select 2")


def test_without_a_wait_timeout_a_statement_is_refused_at_the_next_tick() -> None:
    with staged(wait_timeout_s=0.0) as stage:
        stage.up()
        driver = stage.connect()
        stage.down()
        driver.send(query(b"select 1"))
        stage.pass_time(0.25)
        assert driver.tags() == "EZ"
        driver.send(query(b"select 2"))
        stage.up()
        assert stage.pool.channel.take() == query(b"select 2"), "before that tick it may still be served"


def test_a_client_that_leaves_while_it_waits_is_forgotten(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    stage.down()
    driver.send(query(b"insert"))
    driver.hang_up()
    stage.pass_time(16)
    assert not stage.edge.clients
    assert stage.edge.limits.waiting() == []
    stage.up()
    assert pool.channels == []


def test_a_held_session_is_ended_at_once_when_it_has_to_end(stage: Stage, driver: Driver) -> None:
    stage.down()
    driver.send(query(b"insert"))
    (client,) = stage.edge.clients
    client.end_when_quiet(DrainingError())
    assert driver.fields()["C"] == "57P01"


# --- refusals of the pool node ---


def test_a_refused_statement_gets_its_error_and_the_next_one_another_channel(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    driver.send(query(b"select 1") + query(b"select 2"))
    pool.close(Reason.REFUSED, REFUSAL)
    assert driver.read() == (REFUSAL + ready()) * 2
    ask(driver, pool)
    assert len(pool.channels) == 2
    assert len(stage.edge.clients) == 1


def test_the_rest_of_a_refused_request_does_not_break_the_link(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    pool.takes = False  # no credit: most of it waits in the edge and in the client
    driver.send(query(b"x" * (3 << 20)) + query(b"select 2"))
    assert len(pool.channel.take()) == INITIAL_CREDIT_BYTES
    pool.close(Reason.REFUSED, REFUSAL)
    pool.takes = True
    stage.settle()
    assert driver.read() == REFUSAL + ready()
    assert pool.channel.take() == query(b"select 2")


@pytest.mark.parametrize("error", [FATAL, b""])
def test_a_session_ended_by_the_pool_node_says_what_it_was_told(
    stage: Stage, driver: Driver, pool: PlayedPool, error: bytes
) -> None:
    driver.send(query(b"select 1"))
    pool.close(Reason.ENDED, error)
    assert driver.read() == error
    assert driver.is_closed
    assert not stage.edge.clients


# --- the client leaves (rules 3) ---


@pytest.mark.parametrize("behind", [b"", query(b"never"), b"!" * 100])
def test_what_came_before_terminate_is_answered_and_then_the_channel_is_closed(
    stage: Stage, driver: Driver, pool: PlayedPool, behind: bytes
) -> None:
    driver.send(query(b"insert") + query(b"update") + terminate() + behind)
    assert pool.channel.take() == query(b"insert") + query(b"update")
    for tag in ("INSERT 0 1", "UPDATE 1"):
        assert pool.channel.reason == Reason.REASON_UNSPECIFIED
        assert not driver.is_closed
        pool.answer(messages.command_complete(tag) + messages.ready_for_query(IDLE))
    assert driver.tags() == "CZCZ"
    assert pool.channel.reason == Reason.TERMINATED
    assert driver.is_closed
    assert not stage.edge.clients


def test_a_client_that_does_not_wait_for_its_answer_behind_terminate_has_terminated(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    driver.send(query(b"insert") + terminate())
    driver.hang_up()
    assert pool.channel.take() == query(b"insert")
    assert pool.channel.reason == Reason.TERMINATED
    assert not stage.edge.clients


def test_a_refusal_behind_terminate_is_told_before_the_client_is_let_go(driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"insert") + terminate())
    pool.close(Reason.REFUSED, REFUSAL)
    assert driver.tags() == "EZ"
    assert driver.is_closed


def test_a_long_request_before_terminate_is_sent_whole(driver: Driver, pool: PlayedPool) -> None:
    long = parse(b"s", b"x" * (1 << 20))
    driver.send(long + terminate())
    assert pool.channel.take() == long
    assert pool.channel.reason == Reason.TERMINATED


def test_terminate_in_a_transaction_says_so_to_the_pool_node(driver: Driver, pool: PlayedPool) -> None:
    ask(driver, pool, b"begin", IN_TRANSACTION)
    driver.send(terminate())
    assert pool.channel.reason == Reason.TERMINATED


@pytest.mark.parametrize("request_", [b"", query(b"insert"), query(b"insert")[:7], GROUP[:20]])
def test_a_client_that_vanishes_is_lost_not_terminated(
    stage: Stage, driver: Driver, pool: PlayedPool, request_: bytes
) -> None:
    ask(driver, pool, b"begin", IN_TRANSACTION)
    driver.send(request_)
    driver.hang_up()
    assert pool.channel.reason == Reason.LOST
    assert not stage.edge.clients
    assert len(stage.pump) == 0


def test_a_client_that_never_asked_leaves_no_trace_on_the_link(driver: Driver, pool: PlayedPool) -> None:
    driver.send(terminate())
    assert pool.channels == []
    assert pool.mux.data_batches_in == 0


def test_an_answer_for_a_client_that_has_left_goes_nowhere(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    other = stage.connect()
    driver.send(query(b"select 1"))
    pool.answer(done())
    driver.hang_up()
    stage.settle()
    ask(other, pool)


# --- the session has to end, at its next transaction boundary ---

Ending = Callable[[Stage], None]


def _drain(stage: Stage) -> None:
    for client in list(stage.edge.clients):
        client.end_when_quiet(DrainingError())


def _rotate(stage: Stage) -> None:
    stage.pool.say(configuration=configuration(version=2, credentials_version=2))
    stage.settle()


def _delete(stage: Stage) -> None:
    stage.pool.say(withdraw=Withdraw(name="app", version=2))
    stage.settle()


ENDINGS: Final = pytest.mark.parametrize("ending", [_drain, _rotate, _delete])


@ENDINGS
def test_a_quiet_session_ends_at_once(stage: Stage, driver: Driver, pool: PlayedPool, ending: Ending) -> None:
    ask(driver, pool)
    ending(stage)
    fields = driver.fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "57P01")
    driver.read()
    assert driver.is_closed
    assert not stage.edge.clients
    assert pool.channel.reason == Reason.LOST


@ENDINGS
def test_a_transaction_goes_on_to_its_end_and_no_further(
    stage: Stage, driver: Driver, pool: PlayedPool, ending: Ending
) -> None:
    ask(driver, pool, b"begin", IN_TRANSACTION)
    ending(stage)
    ask(driver, pool, b"insert", IN_TRANSACTION)
    driver.send(query(b"commit"))
    pool.answer(done("COMMIT"))
    committed, readied, error = driver.messages()
    assert messages.command_tag_of(committed) == "COMMIT"
    assert readied == ready()
    assert error_fields(error)["C"] == "57P01"
    driver.read()
    assert driver.is_closed


@ENDINGS
def test_what_was_asked_before_the_end_is_answered(
    stage: Stage, driver: Driver, pool: PlayedPool, ending: Ending
) -> None:
    driver.send(GROUP + query(b"select 2"))
    ending(stage)
    pool.answer(done())
    assert driver.tags() == "CZ"
    pool.answer(done())
    assert driver.tags() == "CZE"


@ENDINGS
def test_a_refusal_is_a_boundary_too(stage: Stage, driver: Driver, pool: PlayedPool, ending: Ending) -> None:
    driver.send(query(b"select 1"))
    ending(stage)
    pool.close(Reason.REFUSED, REFUSAL)
    assert driver.tags() == "EZE"


def test_a_link_lost_in_a_transaction_that_has_to_end_ends_it_as_lost(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    ask(driver, pool, b"begin", IN_TRANSACTION)
    _drain(stage)
    stage.down()
    assert driver.fields()["C"] == "08006"


def test_a_session_is_told_what_became_of_its_configuration(stage: Stage, pool: PlayedPool) -> None:
    for ending, word in ((_rotate, "given new credentials"), (_delete, "deleted")):
        driver = stage.connect()
        ending(stage)
        assert word in driver.fields()["M"]
        pool.say(configuration=configuration(version=3))
        stage.settle()


def test_a_change_that_leaves_the_credentials_alone_disturbs_no_session(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    pool.say(configuration=configuration(version=2, max_client_connections=7))
    pool.say(configuration=configuration("other", user="ot_other"))
    pool.say(withdraw=Withdraw(name="other", version=2))
    stage.settle()
    ask(driver, pool)


def test_sessions_of_a_configuration_deleted_while_nobody_was_linked_end(stage: Stage, driver: Driver) -> None:
    stage.down()
    stage.pool.link()
    stage.pool.welcome()
    assert driver.fields()["C"] == "57P01"


# --- a pool node that goes away ---


def test_a_quiet_session_goes_on_through_another_pool_node(two: Stage) -> None:
    driver = two.connect()
    ask(driver, two.pools[0])
    two.pools[0].say(go_away=GoAway(why="restart"))
    two.settle()
    assert two.pools[0].channel.reason == Reason.TERMINATED
    ask(driver, two.pools[1])
    two.pools[0].cut()
    ask(driver, two.pools[1])


def test_a_transaction_stays_to_its_end_on_a_pool_node_that_goes_away(two: Stage) -> None:
    driver = two.connect()
    ask(driver, two.pools[0], b"begin", IN_TRANSACTION)
    two.pools[0].say(go_away=GoAway(why="restart"))
    ask(driver, two.pools[0], b"insert", IN_TRANSACTION)
    ask(driver, two.pools[0], b"commit")
    assert two.pools[0].channel.reason == Reason.TERMINATED
    ask(driver, two.pools[1])


def test_with_no_other_pool_node_a_session_stays_where_it_is(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    ask(driver, pool)
    pool.say(go_away=GoAway(why="restart"))
    stage.settle()
    ask(driver, pool)
    ask(driver, pool)
    assert len(pool.channels) == 1


def test_a_second_pool_node_serves_when_the_first_is_lost(two: Stage) -> None:
    driver = two.connect()
    two.pools[0].cut()
    ask(driver, two.pools[1])
    two.pools[0].link()
    two.pools[0].welcome(configuration())
    ask(driver, two.pools[1])
    ask(two.connect(), two.pools[0])


# --- credit ---


def test_a_client_that_reads_nothing_is_sent_no_more_than_its_window(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    other = stage.connect()
    driver.send(query(b"select big"))
    slow = pool.channel
    rows = data_row([b"x" * 1000]) * 5000
    pool.answer(rows + done(), channel=slow)
    stage.settle()
    (client,) = [one for one in stage.edge.clients if one.connection.pending_bytes]
    assert client.connection.pending_bytes <= INITIAL_CREDIT_BYTES
    assert slow.lane.backlog_bytes > len(rows) - (2 << 20)  # what the sockets hold, and the window
    ask(other, pool)
    assert driver.read() == rows + done()
    assert slow.lane.backlog_bytes == 0


def test_a_pool_node_that_takes_nothing_stops_the_client(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    pool.takes = False
    flood = query(b"copy t from stdin") + copy_data(b"x" * 10_000) * 400
    driver.send(flood)
    lane = next(iter(stage.edge.clients))._passage.lane
    assert lane is not None
    assert MAX_BACKLOG_BYTES < lane.backlog_bytes < MAX_BACKLOG_BYTES + 100_000
    assert driver.unsent_bytes > 2 << 20
    pool.takes = True
    pool.mux.consumed(pool.channel.lane, len(pool.channel.data), 0.0)
    stage.settle()
    assert pool.channel.take() == flood


def test_a_client_that_takes_nothing_of_its_answer_is_dropped_in_the_end(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    driver.send(query(b"select big"))
    pool.answer(data_row([b"x" * 1000]) * 5000, settled=0)
    stage.settle()
    stage.pass_time(WRITE_TIMEOUT_S - 5)
    assert stage.edge.clients
    with capture_logs() as logs:
        stage.pass_time(WRITE_TIMEOUT_S + 5)
    assert not stage.edge.clients
    assert pool.channel.reason == Reason.LOST
    assert len(logs) == 1
    assert len(stage.pump) == 0


def test_a_client_that_reads_slowly_is_not_dropped(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"select big"))
    pool.answer(data_row([b"x" * 1000]) * 5000, settled=0)
    stage.settle()
    (client,) = stage.edge.clients
    client.connection.blocked_at -= WRITE_TIMEOUT_S  # so long ago
    assert driver.socket.recv(1 << 20)
    stage.settle()
    stage.pass_time(5)
    assert stage.edge.clients


def test_an_ended_session_whose_client_reads_nothing_does_not_linger_for_ever(
    stage: Stage, driver: Driver, pool: PlayedPool
) -> None:
    driver.send(query(b"select big"))
    pool.answer(data_row([b"x" * 1000]) * 5000, settled=0)
    stage.settle()
    stage.down()
    assert not stage.edge.clients
    assert len(stage.pump) == 1
    stage.pass_time(LINGER_S - 5)
    assert len(stage.pump) == 1
    stage.pass_time(LINGER_S + 5)
    assert len(stage.pump) == 0


# --- bad input ---


@pytest.mark.parametrize(
    "garbage",
    [b"Q\x7f\xff\xff\xff", b"!\0\0\0\4", b"Q\0\0\0\0", b"\0" * 100, b"P\0\0\0\x08anything", b"p\0\0\0\4"],
)
def test_garbage_ends_its_own_session_only(stage: Stage, driver: Driver, pool: PlayedPool, garbage: bytes) -> None:
    other = stage.connect()
    ask(driver, pool)
    with capture_logs() as logs:
        driver.send(garbage + b"Q" * 2000)
    fields = driver.fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "08P01")
    driver.read()
    assert driver.is_closed
    assert len(logs) == 1
    assert pool.channels[0].reason == Reason.LOST
    assert len(stage.edge.clients) == 1
    ask(other, pool)


def test_what_came_before_the_garbage_is_answered(stage: Stage) -> None:
    """PostgreSQL answers it, too, and says why it ends behind that."""
    pool = stage.up(configuration(early=Early(begin=True, prepare=True)))
    begun = parse(b"", b"begin") + bind(b"", b"") + execute()
    for request, answer in (
        (query(b"begin"), "CZ"),
        (query(b"begin") + query(b"savepoint s1") + query(b"rollback"), "CZCZCZ"),
        (begun + sync(), "12CZ"),
        (query(b"show onetrip.cache") + begun, "TDCZ12C"),
    ):
        driver = stage.connect()
        driver.send(request + b"!" * 2000)
        assert driver.tags() == answer + "E"
        assert driver.is_closed
    assert pool.channels == []


def test_what_came_before_the_garbage_runs_once(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    """Its client is not read any more, but what makes room for others may read it again."""
    stage.down()
    driver.send(query(b"insert") + b"!" * 200_000)
    pool = stage.up()
    assert pool.channel.take() == query(b"insert") + GIVES_UP
    pool.answer(done("INSERT 0 1"))
    assert driver.tags() == "CZE"
    assert driver.is_closed


def test_who_has_waited_in_vain_hears_of_the_garbage_behind_it(stage: Stage, driver: Driver, pool: PlayedPool) -> None:
    stage.down()
    driver.send(query(b"insert") + b"!" * 2000)
    stage.pass_time(16)
    assert driver.tags() == "EZE"
    assert driver.is_closed
    assert not stage.edge.clients


def test_nothing_is_read_behind_a_terminate(driver: Driver, pool: PlayedPool) -> None:
    with capture_logs() as logs:
        driver.send(query(b"show onetrip.cache") + terminate() + b"!" * 2000)
    assert driver.tags() == "TDCZ"
    assert driver.is_closed
    assert logs == []


def test_two_gigabytes_announced_are_neither_awaited_nor_sent_on(driver: Driver, pool: PlayedPool) -> None:
    driver.send(b"d\x80\0\0\0" + b"x" * 1000)
    assert driver.fields()["M"] == "invalid message length"
    assert pool.channels == []


def test_what_came_before_garbage_is_answered_and_then_the_session_ends(driver: Driver, pool: PlayedPool) -> None:
    driver.send(query(b"insert into t values (1)") + b"!\0\0\0\4")
    assert pool.channel.take() == query(b"insert into t values (1)") + GIVES_UP
    assert not driver.is_closed
    pool.answer(messages.command_complete("INSERT 0 1") + messages.ready_for_query(IDLE))
    *answer, error = driver.messages()
    assert b"".join(answer) == messages.command_complete("INSERT 0 1") + messages.ready_for_query(IDLE)
    assert messages.error_fields(error)["C"] == "08P01"
    assert driver.is_closed


def test_a_cancelled_key_of_a_session_is_free_again(stage: Stage, driver: Driver) -> None:
    (client,) = stage.edge.clients
    assert client.process_id in stage.edge.cancelling._keys
    driver.send(terminate())
    assert not stage.edge.cancelling._keys
