"""The table of replies: every extended-query message can end, and what a plain pipeline sees is what it needs."""

from protos.pg import replies
from protos.pg.framer import BACKEND_LIMITS, FRONTEND_LIMITS
from protos.pg.tags import Backend


def test_every_extended_query_message_can_end() -> None:
    assert set(replies.ENDED_BY.values()) == replies.EXTENDED


def test_the_tables_speak_of_messages_that_exist() -> None:
    assert set(replies.ENDED_BY) | replies.WHOLE_WHEN_WATCHED <= set(BACKEND_LIMITS)
    assert set(FRONTEND_LIMITS) >= replies.SYNC_POINTS | replies.EXTENDED | replies.COPY_ENDS


def test_rows_are_never_asked_for_whole() -> None:
    assert not replies.WHOLE_WHEN_WATCHED & {Backend.DATA_ROW, Backend.COPY_DATA}
    assert not replies.WHOLE_WHEN_PLAIN & {Backend.ROW_DESCRIPTION, Backend.COMMAND_COMPLETE}


def test_messages_of_ours_and_of_the_client_are_told_apart() -> None:
    assert {-tag for tag in replies.OURS} == replies.EXTENDED | replies.SYNC_POINTS
    assert not any(tag in FRONTEND_LIMITS for tag in replies.OURS)
