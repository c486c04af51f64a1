"""What one session is answered from memory, and what it teaches."""

import pytest

from edge.cache.unsent import Share, Unsent
from edge.control import Held
from edge.memory import Memory
from edge.memos import MAX_ANSWER_BYTES, MAX_BYTES, MAX_REQUEST_BYTES, Memos, Settings
from protos.link.settings import CATALOG, FACT, SETTLING
from protos.pg.messages import command_complete, parameter_status, portal_suspended, ready_for_query

READY = ready_for_query(ord("I"))
ANSWER = command_complete("SET")
IDLE = ord("I")
NOTHING_UNSENT = Share(Unsent(0, lambda: None))
THEN = Settings([], b"scope", b"then")


def taught(memory: Memory, status: int, *chunks: bytes, settled: int = 1) -> None:
    """A request crosses, and is answered."""
    assert memory.recall(b"set a.b = 1", None, is_idle=True) is None
    for chunk in chunks or (ANSWER + READY,):
        memory.heard(chunk)
    memory.answered(settled, status)


def recalled(memos: Memos, state: bytes = b"state", held: Held | None = None) -> bytes | None:
    memo = Memory(memos, state, NOTHING_UNSENT).recall(b"set a.b = 1", held, is_idle=held is None)
    return None if memo is None else memo.answer


def test_a_fact_is_known_to_sessions_with_the_same_settings() -> None:
    memos = Memos()
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | FACT, ANSWER[:3], ANSWER[3:] + READY)
    assert recalled(memos) == ANSWER
    assert recalled(memos, b"other") is None
    assert recalled(memos, held=Held((b"BEGIN",))) is None


def test_what_is_no_fact_is_not_kept() -> None:
    memos = Memos()
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE)
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | CATALOG)
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | FACT, settled=2)
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | FACT, b"x" * MAX_ANSWER_BYTES, ANSWER + READY)
    interrupted = Memory(memos, b"state", NOTHING_UNSENT)
    interrupted.recall(b"set a.b = 1", None, is_idle=True)
    interrupted.interrupt()
    interrupted.heard(ANSWER + READY)
    interrupted.answered(1, IDLE | FACT)
    assert recalled(memos) is None


def test_an_answer_that_a_change_has_overtaken_is_not_kept() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    assert memory.recall(b"set a.b = 1", None, is_idle=True) is None
    memos.forget_all()
    memory.heard(ANSWER + READY)
    memory.answered(1, IDLE | FACT)
    assert recalled(memos) is None
    taught(memory, IDLE | FACT | SETTLING)
    memos.forget_all()
    memory.state_known(THEN, is_pinned=False)
    assert recalled(memos) is None


def test_what_a_request_has_set_is_kept_with_it() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    taught(memory, IDLE | FACT | SETTLING)
    assert recalled(memos) is None, "not yet known"
    memory.state_known(THEN, is_pinned=False)
    memo = Memory(memos, b"state", NOTHING_UNSENT).recall(b"set a.b = 1", None, is_idle=True)
    assert memo is not None
    assert memo.settings == THEN
    assert memory.state == b"then"


def test_what_a_request_has_set_is_kept_though_another_is_under_way() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    taught(memory, IDLE | FACT | SETTLING)
    memory.opened(Held((b"BEGIN",)))
    memory.state_known(THEN, is_pinned=False)
    memory.heard(ANSWER)
    memory.answered(1, ord("T"))
    assert recalled(memos) == ANSWER


def test_a_driver_that_goes_on_at_once_teaches_what_its_request_has_set() -> None:
    """Its next request crosses before the State of the one before has come."""
    for lost in (False, True):
        memos = Memos()
        memory = Memory(memos, b"state", NOTHING_UNSENT)
        taught(memory, IDLE | FACT | SETTLING)
        memory.interrupt()
        if lost:
            memory.abandon()
        memory.state_known(THEN, is_pinned=False)
        assert recalled(memos) == (None if lost else ANSWER)


def test_what_is_answered_before_the_state_has_come_is_somebody_else_s() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    taught(memory, IDLE | FACT | SETTLING)
    memory.interrupt()
    memory.answered(1, IDLE | FACT | SETTLING)
    memory.state_known(THEN, is_pinned=False)
    assert recalled(memos) is None


def test_a_session_that_is_pinned_teaches_nothing() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    taught(memory, IDLE | FACT | SETTLING)
    memory.state_known(THEN, is_pinned=True)
    assert recalled(memos) is None


def test_a_transaction_that_has_run_nothing_but_facts_is_as_it_was_opened() -> None:
    held, in_transaction = Held((b"BEGIN",)), ord("T")
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    for request in (b"show a", b"show b"):
        assert memory.recall(request, held if request == b"show a" else None, is_idle=False) is None
        if request == b"show a":
            memory.opened(held)
        memory.heard(ANSWER + READY)
        memory.answered(1, in_transaction | FACT)
    assert Memory(memos, b"state", NOTHING_UNSENT).recall(b"show b", held, is_idle=False) is not None
    assert memory.recall(b"show a", None, is_idle=False) is not None, "in the transaction at the origin, too"
    memory.interrupt()
    memory.answered(1, in_transaction)
    assert memory.recall(b"show a", None, is_idle=False) is None, "something else was done in it"
    memory.answered(1, IDLE)
    assert memory.recall(b"show a", None, is_idle=True) is None, "another key"


def test_what_the_pool_node_adds_to_an_answer_is_no_part_of_it() -> None:
    memos = Memos()
    memory = Memory(memos, b"state", NOTHING_UNSENT)
    taught(memory, IDLE | FACT | SETTLING)
    memory.heard(parameter_status("TimeZone", "UTC"))
    memory.state_known(THEN, is_pinned=False)
    assert recalled(memos) is None


@pytest.mark.parametrize("answer", [ANSWER, READY + READY, ANSWER + READY[:4], portal_suspended() + READY, b""])
def test_only_a_whole_answer_is_kept(answer: bytes) -> None:
    memos = Memos()
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | FACT, answer)
    assert recalled(memos) is None


def test_an_old_snapshot_teaches_nothing() -> None:
    memos = Memos()
    memory, held = Memory(memos, b"state", NOTHING_UNSENT), Held((b"BEGIN",))
    memory.recall(b"show a", held, is_idle=False)
    memory.opened(held)
    memory.heard(ANSWER + READY)
    memory.answered(1, ord("T") | FACT)
    memos.forget_all()
    assert memory.recall(b"show b", None, is_idle=False) is None
    memory.heard(ANSWER + READY)
    memory.answered(1, ord("T") | FACT)
    assert len(memos) == 0


def test_a_long_request_is_not_remembered_and_a_short_one_counts() -> None:
    memos = Memos()
    values = b"x" * MAX_REQUEST_BYTES
    for request in (values + b"x", ((1, b"name", b""), (2, b"", values))):
        memory = Memory(memos, b"state", NOTHING_UNSENT)
        memory.recall(request, None, is_idle=True)
        memory.heard(ANSWER + READY)
        memory.answered(1, IDLE | FACT)
    assert not len(memos)
    for number in range(2 * MAX_BYTES // MAX_REQUEST_BYTES):
        memory = Memory(memos, b"state", NOTHING_UNSENT)
        memory.recall(b"%0*d" % (MAX_REQUEST_BYTES, number), None, is_idle=True)
        memory.heard(ANSWER + READY)
        memory.answered(1, IDLE | FACT)
    assert 0 < len(memos) < MAX_BYTES // MAX_REQUEST_BYTES


def test_a_client_that_does_not_take_what_it_gets_is_not_answered() -> None:
    memos = Memos()
    taught(Memory(memos, b"state", NOTHING_UNSENT), IDLE | FACT)
    assert recalled(memos) == ANSWER
    unsent = Unsent(0, lambda: None)
    unsent.change(unsent.max_bytes)
    assert Memory(memos, b"state", Share(unsent)).recall(b"set a.b = 1", None, is_idle=True) is None
