"""How far the messages between two sync points have come, seen or not."""

from protos.pg.framer import Piece
from protos.pg.messages import (
    bind_complete,
    command_complete,
    data_row,
    error_response,
    parse_complete,
    ready_for_query,
)
from protos.pg.pipeline import Pipeline
from protos.pg.progress import MAX_KEPT_BYTES, Progress
from protos.pg.tags import Backend, Frontend

P, B, E, S, Q = Frontend.PARSE, Frontend.BIND, Frontend.EXECUTE, Frontend.SYNC, Frontend.QUERY
ERROR = Piece(Backend.ERROR_RESPONSE, error_response({"C": "22012"}), whole=True)
READY = Piece(Backend.READY_FOR_QUERY, ready_for_query(ord("I")), whole=True)


def sent(*tags: int) -> Pipeline:
    pipeline = Pipeline()
    for tag in tags:
        pipeline.sent(tag)
    return pipeline


def run(*messages: bytes) -> Piece:
    return Piece(0, b"".join(messages), whole=True)


def told(pipeline: Pipeline, *pieces: Piece) -> int:
    for piece in pieces:
        pipeline.received(piece)
    return pipeline.progress.failed_at


def test_replies_that_pass_unseen_are_counted_where_an_error_comes() -> None:
    rows = [data_row([b"x"])] * 3
    assert told(sent(P, B, E, S), run(parse_complete(), bind_complete(), *rows), ERROR, READY) == 2
    assert told(sent(P, B, E, S), ERROR, READY) == 0
    assert told(sent(P, B, E, S), run(parse_complete(), bind_complete()), READY) == -1


def test_what_was_seen_before_the_group_was_closed_counts_too() -> None:
    pipeline = sent(P, B)
    pipeline.received(Piece(Backend.PARSE_COMPLETE, parse_complete(), whole=True))
    pipeline.received(Piece(Backend.BIND_COMPLETE, bind_complete(), whole=True))
    pipeline.sent(E)
    pipeline.sent(S)
    assert told(pipeline, ERROR, READY) == 2
    assert pipeline.progress.ended_group


def test_an_error_in_a_query_ends_no_group() -> None:
    pipeline = sent(Q, Q)
    assert told(pipeline, run(command_complete("SELECT 1")), ERROR, READY) == 0
    assert not pipeline.progress.ended_group
    assert told(pipeline, READY) == -1


def test_messages_of_ours_do_not_count() -> None:
    pipeline = Pipeline()
    pipeline.inject(P)
    pipeline.sent(P)
    pipeline.sent(S)
    done = Piece(Backend.PARSE_COMPLETE, parse_complete(), whole=True)
    assert told(pipeline, done, ERROR, READY) == 0


def test_what_is_kept_is_bounded() -> None:
    progress = Progress()
    for _ in range(100):
        progress.passed(parse_complete() + data_row([b"x" * (MAX_KEPT_BYTES // 4)]))
    progress.fail(in_group=True)
    assert progress.failed_now <= 5
