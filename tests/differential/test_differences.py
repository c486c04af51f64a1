"""The comparison itself: what it forgives, and that it forgives nothing else."""

from collections.abc import Callable

import pytest

from protos.pg.messages import (
    command_complete,
    data_row,
    error_response,
    notice_response,
    parameter_status,
    ready_for_query,
    row_description,
)
from tests.differential.differences import (
    CACHED_READS,
    FAILED,
    NAMES,
    PARSED_ANEW,
    RESET_STARTUP,
    SEQUENCES,
    TEMPORARY,
    Excused,
    UnexcusedError,
    compare,
    normalised,
)
from tests.differential.player import Answer, Played
from tests.differential.script import Chunk, bind, chunk, describe_statement, execute, parse, query, sync

READY = ready_for_query(ord("I"))
ASKED = chunk(query("select 1"))
ANSWER = [
    row_description(["a"]),
    data_row([b"1"]),
    parameter_status("TimeZone", "UTC"),
    command_complete("SELECT 1"),
    READY,
]
REPORTS = {"TimeZone": "UTC", "application_name": "tests"}


def played(*messages: bytes, asked: Chunk = ASKED) -> Played:
    return Played(dict(REPORTS), {}, [Answer(asked, list(messages))])


def differs(here: Played, there: Played) -> None:
    with pytest.raises(UnexcusedError):
        compare(here, there, Excused())


def test_equal_answers_are_equal() -> None:
    excused = Excused()
    compare(played(*ANSWER), played(*ANSWER), excused)
    assert (excused.conversations, excused.compared, sum(excused.messages.values())) == (1, 5, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer[:2] + answer[3:],
        lambda answer: [answer[1], answer[0], *answer[2:]],
        lambda answer: [*answer[:-1], ready_for_query(ord("T"))],
        lambda answer: [answer[0], data_row([b"2"]), *answer[2:]],
        lambda answer: [notice_response({"S": "NOTICE", "C": "00000", "M": "more"}), *answer],
        lambda answer: answer[:-1],
        lambda answer: [*answer, READY],
    ],
    ids=["left out", "swapped", "other status", "other row", "one more", "cut", "one more at the end"],
)
def test_whatever_else_differs_is_found(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    differs(played(*spoil(ANSWER)), played(*ANSWER))
    differs(played(*ANSWER), played(*spoil(ANSWER)))


def test_other_reports_at_login_are_found() -> None:
    other = played(*ANSWER)
    other.greeting["TimeZone"] = "GMT"
    differs(other, played(*ANSWER))


def test_a_chunk_that_only_one_side_was_told_is_found() -> None:
    left_out = Played(dict(REPORTS), {}, [Answer(ASKED, [], is_said=False)])
    differs(left_out, played(*ANSWER))


def test_the_place_in_the_source_code_of_an_error_is_not_compared() -> None:
    fields = {"S": "ERROR", "V": "ERROR", "C": "22012", "M": "division by zero"}
    here, there = (
        error_response({**fields, "F": "int.c", "L": "8"}),
        error_response({**fields, "L": "9", "R": "int4div"}),
    )
    assert normalised(here) == normalised(there)
    assert normalised(here) != normalised(error_response({**fields, "C": "22013"}))
    assert normalised(here) != normalised(error_response({**fields, "H": "a hint"}))


def test_ids_in_the_text_of_an_error_are_not_compared() -> None:
    texts = [
        f"process {number} waits for transaction {number}1, tuple ({number},7), pivot {number}" for number in (4, 12)
    ]
    here, there = (normalised(error_response({"C": "40P01", "M": text})) for text in texts)
    assert here == there


def test_a_row_excuses_what_it_is_about_and_counts_it() -> None:
    asked = chunk(query("select lastval()"), topic=SEQUENCES)
    refused = error_response({"S": "ERROR", "C": "55000", "M": "lastval is not yet defined in this session"})
    excused = Excused()
    compare(played(refused, READY, asked=asked), played(*ANSWER, asked=asked), excused)
    assert excused.messages[SEQUENCES] == 5
    differs(played(refused, READY), played(*ANSWER))
    differs(played(*ANSWER, asked=asked), played(refused, READY, asked=asked))


def test_a_row_that_a_mode_lacks_excuses_nothing() -> None:
    asked = chunk(query("select lastval()"), topic=SEQUENCES)
    refused = error_response({"S": "ERROR", "C": "55000", "M": "lastval is not yet defined in this session"})
    excused = Excused(allowed=frozenset(NAMES) - {SEQUENCES})
    with pytest.raises(UnexcusedError):
        compare(played(refused, READY, asked=asked), played(*ANSWER, asked=asked), excused)


def test_a_row_excuses_no_other_error() -> None:
    asked = chunk(query("select * from fleeting"), topic=TEMPORARY)
    there = played(*ANSWER, asked=asked)
    missing, other = (error_response({"S": "ERROR", "C": code, "M": "no"}) for code in ("42P01", "XX000"))
    compare(played(missing, READY, asked=asked), there, Excused())
    differs(played(other, READY, asked=asked), there)


def test_behind_a_row_at_which_the_ways_part_nothing_is_compared() -> None:
    asked = chunk(query("set transaction isolation level serializable"))
    done = Answer(asked, [command_complete("SET"), ready_for_query(ord("T"))])
    late = "SET TRANSACTION ISOLATION LEVEL must be called before any query"
    here, there = played(*ANSWER), played(*ANSWER)
    here.answers.extend((done, Answer(ASKED, ANSWER)))
    for code, words in (("25001", late), ("25001", "another"), ("25P02", late)):
        refused = error_response({"S": "ERROR", "C": code, "M": words})
        there.answers[1:] = [Answer(asked, [refused, READY]), Answer(ASKED, [refused, READY])]
        if (code, words) != ("25001", late):
            differs(here, there)
            continue
        excused = Excused()
        assert not compare(here, there, excused)
        assert excused.messages[CACHED_READS] == 2
    assert compare(played(*ANSWER), played(*ANSWER), Excused())


def test_a_describe_that_fails_for_us_alone_skips_the_queries_of_its_group() -> None:
    failed = error_response({"S": "ERROR", "C": "25P02", "M": "current transaction is aborted"})
    ready = ready_for_query(ord("E"))
    told, empty = [b"t\0\0\0\6\0\0", b"n\0\0\0\4"], [b"I\0\0\0\4", ready]
    asked = chunk(query("x"), describe_statement("s"), query("x"), sync(), query(""))
    excused = Excused()
    here = played(failed, ready, failed, ready, *empty, asked=asked)
    compare(here, played(failed, ready, *told, failed, ready, ready, *empty, asked=asked), excused)
    assert excused.messages[FAILED] == 1 + 4
    differs(here, played(failed, ready, *told, failed, ready, failed, ready, ready, *empty, asked=asked))
    apart = chunk(query("x"), describe_statement("s"), sync(), query("x"), sync(), query(""))
    differs(
        played(failed, ready, failed, ready, *empty, asked=apart),
        played(failed, ready, *told, ready, failed, ready, *empty, asked=apart),
    )


def test_an_unnamed_statement_is_missed_only_where_what_it_is_would_fail() -> None:
    missing = error_response({"S": "ERROR", "C": "26000", "M": "unnamed prepared statement does not exist"})
    failed = error_response({"S": "ERROR", "C": "42P01", "M": 'relation "items" does not exist'})
    bound, done = b"2\0\0\0\4", command_complete("SELECT 1")
    asked = chunk(bind("p", ""), execute("p"), sync())
    excused = Excused()
    compare(played(missing, READY, asked=asked), played(bound, failed, READY, asked=asked), excused)
    assert excused.messages[PARSED_ANEW] == 3
    differs(played(missing, READY, asked=asked), played(bound, done, READY, asked=asked))
    named = chunk(bind("p", "s1"), execute("p"), sync())
    differs(played(missing, READY, asked=named), played(bound, failed, READY, asked=named))


def test_an_isolation_level_comes_too_late_only_behind_an_execute_that_was_parsed() -> None:
    words = "SET TRANSACTION ISOLATION LEVEL must be called before any query"
    late, done = error_response({"S": "ERROR", "C": "25001", "M": words}), command_complete("START TRANSACTION")
    parsed, asked = (
        chunk(parse("s", "execute s3"), sync()),
        chunk(query("start transaction isolation level serializable")),
    )
    excused = Excused()
    here, there = (
        Played(dict(REPORTS), {}, [Answer(parsed, [b"1\0\0\0\4", READY]), Answer(asked, [end, READY])])
        for end in (late, done)
    )
    assert not compare(here, there, excused)
    assert excused.messages[PARSED_ANEW] == 2
    differs(played(late, READY, asked=asked), played(done, READY, asked=asked))


def test_a_list_that_was_reset_may_have_spaces_and_nothing_else() -> None:
    asked, excused = chunk(query("show search_path")), Excused()
    compare(played(data_row([b"a, b"]), READY, asked=asked), played(data_row([b"a,b"]), READY, asked=asked), excused)
    assert excused.messages[RESET_STARTUP] == 2
    differs(played(data_row([b"a, c"]), READY, asked=asked), played(data_row([b"a,b"]), READY, asked=asked))
    other = chunk(query("select word"))
    differs(played(data_row([b"a, b"]), READY, asked=other), played(data_row([b"a,b"]), READY, asked=other))


def test_a_portal_that_was_never_bound_may_fail_where_it_is_executed_twice() -> None:
    failed = error_response({"S": "ERROR", "C": "25P02", "M": "current transaction is aborted"})
    twice, once = chunk(execute("p"), execute("p"), sync()), chunk(execute("p"), execute("q"), sync())
    empty, excused = b"I\0\0\0\4", Excused()
    compare(played(empty, failed, READY, asked=twice), played(empty, empty, READY, asked=twice), excused)
    assert excused.messages[FAILED] == 2
    differs(played(empty, failed, READY, asked=once), played(empty, empty, READY, asked=once))
