"""Names of clients on a connection: there if what makes them has happened, and if what frees them has not."""

from protos.errors import ServiceError
from protos.pg.framer import Piece
from protos.pg.messages import close_statement, command_complete, service_error
from protos.pg.pipeline import Pipeline
from protos.pg.sql_statements import Command, Kind, command_of
from protos.pg.tags import Backend, Frontend
from regional.own_names import OwnNames

PREPARED = command_complete("PREPARE")


def test_a_name_that_was_given_before_an_error_is_here_and_one_behind_it_is_not() -> None:
    names, pipeline = OwnNames(), Pipeline()
    names.gives(b"a", pipeline)
    names.gives(b"b", pipeline)
    names.done(command_complete("SELECT 1"))
    names.done(PREPARED)
    names.failed(0)
    assert set(names.by_name) == {b"a"}


def test_a_name_that_was_here_already_stays_if_its_prepare_fails() -> None:
    names, pipeline = OwnNames(), Pipeline()
    names.by_name[b"a"] = False
    names.gives(b"a", pipeline)
    names.failed(0)
    assert set(names.by_name) == {b"a"}


def test_an_error_in_an_earlier_group_says_nothing() -> None:
    names, pipeline = OwnNames(), Pipeline()
    pipeline.sent(Frontend.SYNC)
    names.gives(b"a", pipeline)
    names.failed(0)
    assert set(names.by_name) == {b"a"}
    names.settled(2)
    names.failed(2)
    assert set(names.by_name) == {b"a"}, "it is decided"


def test_a_name_is_freed_unless_the_close_of_it_was_skipped() -> None:
    for fails in (False, True):
        names, pipeline, out = OwnNames(), Pipeline(), list[bytes]()
        names.by_name[b"a"] = False
        names.frees(b"a", pipeline, out)
        names.frees(b"b", pipeline, out)
        assert out == [close_statement(b"a")]
        if fails:
            names.failed(0)
        assert (b"a" in names.by_name) is fails


def test_a_name_whose_close_may_be_skipped_may_be_here_in_the_next_group() -> None:
    names, pipeline, out = OwnNames(), Pipeline(), list[bytes]()
    names.by_name[b"a"] = False
    names.frees(b"a", pipeline, out)
    assert not names.may_be_here(b"a", pipeline)
    pipeline.sent(Frontend.SYNC)
    assert names.may_be_here(b"a", pipeline)
    names.settled(1)
    assert not names.may_be_here(b"a", pipeline)


def test_what_is_taken_away_by_what_goes_out_is_another_s_from_then_on() -> None:
    for fails in (False, True):
        names, pipeline = OwnNames(), Pipeline()
        names.by_name[b"a"] = False
        assert names.loses(b"a", pipeline)
        assert not names.loses(b"b", pipeline)
        assert not names.may_be_here(b"a", pipeline)
        if fails:
            names.failed(0)
        assert names.may_be_here(b"a", pipeline) is fails


def test_nothing_is_freed_where_the_origin_takes_no_close() -> None:
    for state in ("is_skipping", "in_copy_in"):
        names, pipeline, out = OwnNames(), Pipeline(), list[bytes]()
        setattr(pipeline, state, True)
        names.by_name[b"a"] = False
        names.frees(b"a", pipeline, out)
        assert (out, set(names.by_name)) == ([], {b"a"})


def test_what_an_execute_runs_is_followed() -> None:
    names = OwnNames()
    prepare, outer = command_of(b"prepare s as select 1"), command_of(b"execute inner_one")
    assert prepare is not None
    assert outer is not None
    assert names.run_by(prepare) is prepare
    assert names.run_by(outer) is None
    names.stands_for(b"inner_one", prepare)
    names.stands_for(b"outer_one", outer)
    assert names.run_by(Command(Kind.EXECUTE, b"outer_one")) is prepare
    names.stands_for(b"inner_one", outer)
    assert names.run_by(outer) is None, "it runs itself"
    names.stands_for(b"inner_one", None)
    assert names.run_by(outer) is None


def an_error(code: str) -> Piece:
    kind = type("Failed", (ServiceError,), {"sqlstate": code})
    return Piece(Backend.ERROR_RESPONSE, service_error(kind(), "ERROR"), whole=True)


def test_of_what_failed_in_front_of_a_command_the_first_says_why() -> None:
    names, pipeline = OwnNames(), Pipeline()
    why, missing, failed = an_error("42P01"), an_error("26000"), an_error("25P02")
    names.makes(pipeline, is_needed=True)
    for error in (why, failed):
        assert names.explained(error, 0, is_ours=True) is error
    assert names.explained(missing, 0, is_ours=False) is why
    assert names.explained(missing, 0, is_ours=False) is missing, "it is told once"
    assert names.explained(missing, 1, is_ours=False) is missing


def test_a_command_that_fails_by_itself_says_so() -> None:
    names, pipeline = OwnNames(), Pipeline()
    why, other, missing = an_error("42P01"), an_error("42601"), an_error("26000")
    names.makes(pipeline, is_needed=True)
    names.explained(why, 0, is_ours=True)
    assert names.explained(other, 0, is_ours=False) is other
    names.settled(1)
    for _ in range(2):
        pipeline.sent(Frontend.QUERY)
    names.makes(pipeline, is_needed=False)
    assert names.explained(an_error("42P01"), 1, is_ours=True)
    assert names.explained(missing, 2, is_ours=False) is missing, "a Parse does not need what its command names"
