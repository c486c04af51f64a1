"""Names of clients on a connection: there if what makes them has happened, and if what frees them has not."""

from protos.pg.messages import close_statement, command_complete
from protos.pg.pipeline import Pipeline
from protos.pg.tags import Frontend
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
