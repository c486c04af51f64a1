"""The pipeline against a reference model of PostgreSQL's main loop, and the cases that the model is made of, by hand.

The model is the loop of src/backend/tcop/postgres.c and the one of CopyGetData, with the outcome of every message
written into the test. It runs over all that a client asks, answers of ours included, and so says what the client must
read; the pipeline sees only what a real origin would send, in any chunks and with any delay.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import LocalProtocolError, RemoteProtocolError
from protos.pg import messages
from protos.pg.framer import BACKEND_LIMITS, Framer, Piece
from protos.pg.pipeline import Pipeline
from protos.pg.replies import WHOLE_WHEN_PLAIN, WHOLE_WHEN_WATCHED
from protos.pg.tags import Frontend, TransactionStatus

IDLE, INTRANS, INERROR = TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR

Q, F, S = Frontend.QUERY, Frontend.FUNCTION_CALL, Frontend.SYNC
P, B, D, E, C = Frontend.PARSE, Frontend.BIND, Frontend.DESCRIBE, Frontend.EXECUTE, Frontend.CLOSE
COPY_DATA, COPY_DONE, COPY_FAIL, FLUSH = (
    Frontend.COPY_DATA,
    Frontend.COPY_DONE,
    Frontend.COPY_FAIL,
    Frontend.FLUSH,
)

ERROR = messages.error_response({"S": "ERROR", "C": "22012", "M": "division by zero"})
NOTICE = messages.notice_response(
    {"S": "NOTICE", "C": "00000", "M": "a notice that is larger than what comes whole here"}
)
STATUS = messages.parameter_status("TimeZone", "UTC")
ROWS = messages.row_description(["a", "b"])
ROW = messages.data_row([b"1", b"x" * 40])
DONE = messages.command_complete("SELECT 1")
COPY_IN = b"G\0\0\0\x09\0\0\1\0\0"
FUNCTION_RESULT = b"V\0\0\0\x08\xff\xff\xff\xff"


class Message(NamedTuple):
    """One message to the origin, what comes of it, and whose it is."""

    tag: int
    outcome: str = "ok"
    owner: str = "client"  # "ours": injected; "alone": injected with a Sync of ours behind it; "answer": not sent


class Said(NamedTuple):
    data: bytes
    is_for_client: bool
    is_from_origin: bool


class Model:
    """What PostgreSQL does with each message."""

    def __init__(self) -> None:
        self.status: int = IDLE
        self.copying: Message | None = None
        self.swallowed = 0
        self.is_skipping = False
        self.is_ambiguous = False
        self.has_unsynced = False

    def process(self, message: Message) -> list[Said]:
        from_origin = message.owner != "answer"
        replies = self._copy(message) if self.copying else self._ordinary(message)
        ours = message.owner in {"ours", "alone"}
        return [Said(data, not ours or self._concerns_client(message, data), from_origin) for data in replies]

    @staticmethod
    def _concerns_client(message: Message, data: bytes) -> bool:
        """An error in a message of ours, inside what the client sent, makes the origin skip the client's."""
        return data == ERROR and message.owner == "ours" and message.tag not in {Q, S}

    def _ready(self) -> bytes:
        self.swallowed = 0
        self.has_unsynced = False
        return messages.ready_for_query(self.status)

    def _fail(self, *, is_extended: bool) -> list[bytes]:
        self.status = IDLE if self.status == IDLE else INERROR
        self.is_skipping = is_extended
        return [ERROR] if is_extended else [ERROR, self._ready()]

    def _ordinary(self, message: Message) -> list[bytes]:  # noqa: PLR0911 - one a case, as in the loop it stands for
        tag, outcome = message.tag, message.outcome
        if tag == S:
            self.is_skipping = False
            return [ERROR, self._ready()] if outcome == "error" else [self._ready()]
        if self.is_skipping or tag in {COPY_DATA, COPY_DONE, COPY_FAIL, FLUSH}:
            return []
        if outcome == "error":
            self.has_unsynced = True
            return self._fail(is_extended=tag not in {Q, F})
        if outcome == "copy":
            self.copying = message
            self.has_unsynced = True
            return [COPY_IN]
        if tag == Q:
            return [*self._run(outcome), self._ready()]
        if tag == F:
            return [FUNCTION_RESULT, self._ready()]
        self.has_unsynced = self.has_unsynced or message.owner != "answer"
        return self._extended(tag, outcome)

    def _run(self, outcome: str) -> list[bytes]:
        if outcome == "begin" and self.status == IDLE:
            self.status = INTRANS
        elif outcome == "end":
            self.status = IDLE
        if outcome == "set":
            return [messages.command_complete("SET"), STATUS]
        if outcome == "notice":
            return [NOTICE, ROWS, ROW, NOTICE, DONE]
        if outcome == "empty":
            return [messages.empty_query_response()]
        return [ROWS, ROW, ROW, DONE]

    @staticmethod
    def _extended(tag: int, outcome: str) -> list[bytes]:  # noqa: PLR0911 - one a message
        match tag:
            case Frontend.PARSE:
                return [NOTICE, messages.parse_complete()] if outcome == "notice" else [messages.parse_complete()]
            case Frontend.BIND:
                return [messages.bind_complete()]
            case Frontend.CLOSE:
                return [messages.close_complete()]
            case Frontend.DESCRIBE if outcome == "statement":
                return [messages.parameter_description([23]), ROWS]
            case Frontend.DESCRIBE:
                return [messages.no_data()] if outcome == "empty" else [ROWS]
        if outcome == "empty":
            return [messages.empty_query_response()]
        return [ROW, messages.portal_suspended()] if outcome == "suspended" else [ROW, ROW, DONE]

    def _copy(self, message: Message) -> list[bytes]:
        assert self.copying is not None
        is_extended = self.copying.tag == E
        if message.tag == S:
            self.swallowed += 1
        if message.outcome == "error" or message.tag == COPY_FAIL:
            self.copying = None
            self.is_ambiguous = self.is_ambiguous or self.swallowed > 0
            return self._fail(is_extended=is_extended)
        if message.tag == COPY_DONE:
            self.copying = None
            return [DONE] if is_extended else [DONE, self._ready()]
        assert message.tag in {COPY_DATA, FLUSH, S}, "the origin would have closed the connection"
        return []


# What a client sends, in pieces that make sense, with what we may add.

outcomes = st.sampled_from(["ok", "ok", "ok", "ok", "error", "notice", "empty", "set"])


@st.composite
def copies(draw: st.DrawFn, tag: int) -> list[Message]:
    """A COPY that succeeds: anything goes while it lasts."""
    inside = st.sampled_from([COPY_DATA, COPY_DATA, FLUSH, S])
    middle = [Message(kind) for kind in draw(st.lists(inside, max_size=4))]
    return [Message(tag, "copy"), *middle, Message(COPY_DONE)]


@st.composite
def extended(draw: st.DrawFn) -> list[Message]:
    """One or a few extended-query messages of one segment."""
    tag = draw(st.sampled_from([P, B, B, D, E, E, C, FLUSH, Q, COPY_DONE]))
    if tag == E and draw(st.integers(0, 7)) == 0:
        return draw(copies(E))
    outcome = draw(st.sampled_from(["suspended", "statement"])) if draw(st.booleans()) else draw(outcomes)
    if outcome == "error" and draw(st.booleans()):
        outcome = "ok"
    if tag in {P, C} and draw(st.booleans()):
        return [Message(tag, "ok", "answer")]
    ours = [Message(P, draw(outcomes), "ours")] if tag == B and draw(st.booleans()) else []
    return [*ours, Message(tag, outcome)]


@st.composite
def segments(draw: st.DrawFn) -> list[Message]:
    kind = draw(
        st.sampled_from(["query", "query", "extended", "extended", "extended", "ours", "alone", "call", "copy"])
    )
    match kind:
        case "query":
            outcome = draw(st.one_of(outcomes, st.sampled_from(["begin", "end"])))
            return [Message(Q, outcome)]
        case "ours":
            return [Message(Q, draw(outcomes), "ours")]
        case "alone":
            return [Message(P, draw(outcomes), "alone"), Message(S, "ok", "alone")]
        case "call":
            return [Message(F, draw(outcomes))]
        case "copy":
            return draw(copies(Q))
    middle = [message for some in draw(st.lists(extended(), max_size=5)) for message in some]
    return [*middle, Message(S, draw(outcomes))]


conversations = st.lists(segments(), max_size=6).map(lambda some: [message for one in some for message in one])


class Conversation:
    """The client's messages on their way through a pipeline to the model, and the model's replies on their way back."""

    def __init__(self, max_whole_bytes: int = 1 << 20) -> None:
        self.pipeline = Pipeline()
        self.framer = Framer(BACKEND_LIMITS, self.pipeline.whole, max_whole_bytes=max_whole_bytes)
        self.model = Model()
        self.expected = b""
        self.wire = b""  # said by the origin and not read yet
        self.read = b""
        self.waiting: list[Message] = []  # sent and not processed yet

    def send(self, message: Message) -> None:
        self.waiting.append(message)
        match message.owner:
            case "client":
                if message.outcome == "notice":
                    self.pipeline.watch()  # for no reason: it may change nothing
                self.pipeline.sent(message.tag)
            case "answer":
                self.pipeline.answer(Model._extended(message.tag, "ok")[0])
            case _:
                self.pipeline.inject(message.tag)
        self.read += self.pipeline.due()

    def process(self) -> None:
        if self.waiting:
            for said in self.model.process(self.waiting.pop(0)):
                self.expected += said.data if said.is_for_client else b""
                self.wire += said.data if said.is_from_origin else b""

    def receive(self, size: int) -> None:
        chunk, self.wire = self.wire[:size], self.wire[size:]
        self.framer.whole = self.pipeline.whole
        for piece in self.framer.feed(chunk):
            self.read += self.pipeline.received(piece)

    def check(self) -> None:
        """Whatever the delays: nothing wrong was read, and idle is only said of what is idle."""
        assert self.expected.startswith(self.read) or self.read.startswith(self.expected)
        at_work = {Q, F, S, P, B, D, E, C}
        truly_idle = (
            not any(message.tag in at_work and message.owner != "answer" for message in self.waiting)
            and not self.wire
            and self.framer.is_at_boundary
            and self.model.status == IDLE
            and not self.model.has_unsynced
            and not self.model.copying
        )
        assert truly_idle or not self.pipeline.is_idle

    def finish(self) -> None:
        while self.waiting or self.wire:
            self.process()
            self.receive(1 << 20)


@given(conversations, st.lists(st.tuples(st.sampled_from(["send", "send", "process", "read"]), st.integers(1, 90))))
def test_the_client_reads_what_it_would_read_from_the_origin(
    messages_sent: list[Message], steps: list[tuple[str, int]]
) -> None:
    conversation = Conversation(max_whole_bytes=48)
    todo = list(messages_sent)
    for step, size in steps:
        if step == "send" and todo:
            conversation.send(message := todo.pop(0))
            if message.owner == "alone" and message.tag != S:
                conversation.send(todo.pop(0))  # we send our own segments in one go
        elif step == "process":
            conversation.process()
        elif step == "read":
            conversation.receive(size)
        conversation.check()
    for message in todo:
        conversation.send(message)
    conversation.finish()
    conversation.check()
    assert conversation.read == conversation.expected
    pipeline, model = conversation.pipeline, conversation.model
    assert pipeline.status == model.status
    assert (pipeline.owed, pipeline.has_unsynced, pipeline.in_copy_in) == (0, False, False)
    assert pipeline.whole == WHOLE_WHEN_PLAIN
    assert not pipeline.is_ambiguous
    assert pipeline.settled == sum(1 for m in messages_sent if m.owner == "client" and m.tag in {Q, F, S})
    assert pipeline.is_idle == (model.status == IDLE)


@given(st.data())
def test_any_messages_in_any_order_raise_only_the_protocol_error(data: st.DataObject) -> None:
    pipeline = Pipeline()
    replies = [
        ERROR,
        NOTICE,
        ROWS,
        ROW,
        DONE,
        COPY_IN,
        STATUS,
        messages.parse_complete(),
        messages.ready_for_query(IDLE),
    ]
    for _ in range(data.draw(st.integers(0, 20))):
        match data.draw(st.sampled_from(["sent", "answer", "received", "due"])):
            case "sent":
                pipeline.sent(data.draw(st.sampled_from(list(b"QFSPBDECdcfHX"))))
            case "answer":
                pipeline.answer(b"3\0\0\0\4")
            case "due":
                pipeline.due()
            case _:
                message = data.draw(st.sampled_from(replies))
                try:
                    pipeline.received(Piece(message[0], message, whole=True))
                except RemoteProtocolError:
                    return
        assert pipeline.owed >= 0


def talk(pipeline: Pipeline, *replies: bytes) -> bytes:
    framer = Framer(BACKEND_LIMITS, pipeline.whole)
    return b"".join([pipeline.received(piece) for reply in replies for piece in feed(framer, pipeline, reply)])


def feed(framer: Framer, pipeline: Pipeline, data: bytes) -> Iterator[Piece]:
    framer.whole = pipeline.whole
    yield from framer.feed(data)


def asked(*tags: int) -> Pipeline:
    pipeline = Pipeline()
    for tag in tags:
        pipeline.sent(tag)
    return pipeline


def ready(status: int = IDLE) -> bytes:
    return messages.ready_for_query(status)


def test_a_new_pipeline_is_idle() -> None:
    pipeline = Pipeline()
    assert (pipeline.is_idle, pipeline.whole, pipeline.owed) == (True, WHOLE_WHEN_PLAIN, 0)
    assert pipeline.status == IDLE


def test_a_transaction_is_not_idle_until_it_ends() -> None:
    pipeline = asked(Q)
    assert not pipeline.is_idle
    talk(pipeline, ready(INTRANS))
    assert (pipeline.is_idle, pipeline.owed, pipeline.settled) == (False, 0, 1)
    pipeline.sent(Q)
    talk(pipeline, ready(INERROR))
    assert not pipeline.is_idle
    pipeline.sent(Q)
    talk(pipeline, ready())
    assert pipeline.is_idle


def test_a_flush_without_a_sync_is_not_idle() -> None:
    pipeline = asked(P, FLUSH)
    talk(pipeline, messages.parse_complete())
    assert (pipeline.is_idle, pipeline.has_unsynced, pipeline.owed) == (False, True, 0)


def test_a_flush_alone_owes_nothing() -> None:
    assert asked(FLUSH).is_idle


def test_a_query_behind_an_error_is_skipped_with_the_rest() -> None:
    pipeline = asked(P, Q, B, S)
    assert talk(pipeline, ERROR, ready()) == ERROR + ready()
    assert (pipeline.settled, pipeline.owed, pipeline.is_idle) == (2, 0, True)


def test_a_segment_can_be_watched_though_it_is_all_the_clients() -> None:
    pipeline = asked(Q)
    pipeline.watch()
    for tag in (P, S):
        pipeline.sent(tag)
    assert (pipeline.whole, pipeline.is_watching) == (WHOLE_WHEN_WATCHED, False), "the query before it is still blind"
    talk(pipeline, ready())
    assert pipeline.is_watching
    talk(pipeline, messages.parse_complete(), ready())
    assert (pipeline.whole, pipeline.is_watching, pipeline.is_idle) == (WHOLE_WHEN_PLAIN, False, True)


def test_what_is_sent_after_an_error_is_skipped_up_to_the_sync() -> None:
    pipeline = asked(P)
    talk(pipeline, ERROR)
    for tag in (B, Q, E):
        pipeline.sent(tag)
    pipeline.answer(messages.parse_complete())
    assert pipeline.due() == b""
    pipeline.sent(S)
    assert talk(pipeline, ready()) == ready()
    assert (pipeline.settled, pipeline.is_idle) == (2, True)


def test_what_we_say_behind_an_error_is_skipped_too() -> None:
    pipeline = asked(P)
    talk(pipeline, ERROR)
    pipeline.inject(P)
    pipeline.inject(Q)
    pipeline.sent(S)
    assert talk(pipeline, ready()) == ready()
    assert (pipeline.settled, pipeline.owed, pipeline.is_idle) == (1, 0, True)


def test_replies_that_were_partly_unseen_are_not_matched_later() -> None:
    pipeline = asked(P, B, S)
    pipeline.received(Piece(0, messages.parse_complete(), whole=True))
    pipeline.inject(Q)
    assert talk(pipeline, messages.bind_complete(), ready(), DONE, ready()) == messages.bind_complete() + ready()
    assert pipeline.is_idle


def test_an_end_that_came_early_ends_one_copy_only() -> None:
    pipeline = asked(Q, COPY_DATA, COPY_DONE)
    talk(pipeline, COPY_IN)
    assert not pipeline.in_copy_in
    talk(pipeline, DONE, COPY_IN)
    assert pipeline.in_copy_in
    pipeline.sent(S)
    pipeline.sent(COPY_DONE)
    talk(pipeline, DONE, ready())
    assert (pipeline.owed, pipeline.is_idle) == (0, True)


def test_an_answer_with_nothing_in_front_is_due_at_once() -> None:
    pipeline = Pipeline()
    pipeline.answer(b"1\0\0\0\4")
    assert pipeline.due() == b"1\0\0\0\4"
    assert pipeline.due() == b""


def test_an_answer_waits_for_what_was_asked_before_it() -> None:
    pipeline = asked(Q)
    pipeline.answer(messages.parse_complete())
    pipeline.sent(S)
    assert pipeline.due() == b""
    assert talk(pipeline, DONE, ready()) == DONE + ready() + messages.parse_complete()
    assert talk(pipeline, ready()) == ready()


def test_an_error_of_ours_among_the_clients_messages_reaches_the_client() -> None:
    pipeline = Pipeline()
    pipeline.inject(P)
    for tag in (B, E, S):
        pipeline.sent(tag)
    assert not pipeline.is_answering_us
    assert talk(pipeline, ERROR, ready()) == ERROR + ready()
    assert pipeline.failure is None


@pytest.mark.parametrize("tags", [(Q,), (P, S)], ids=["query", "extended"])
def test_an_error_that_is_all_ours_is_swallowed_and_remembered(tags: tuple[int, ...]) -> None:
    pipeline = Pipeline()
    for tag in tags:
        pipeline.inject(tag)
    pipeline.sent(Q)
    assert pipeline.is_answering_us
    assert talk(pipeline, ERROR, ready()) == b""
    assert not pipeline.is_answering_us
    assert talk(pipeline, ready()) == ready()
    assert (pipeline.failure, pipeline.settled, pipeline.is_idle) == (ERROR, 1, True)


def test_rows_of_ours_are_swallowed_and_notifications_are_not() -> None:
    pipeline = Pipeline()
    pipeline.inject(Q)
    notification = b"A\0\0\0\x0c\0\0\0\1a\0b\0"
    assert talk(pipeline, ROWS, ROW, NOTICE, STATUS, notification, DONE, ready()) == notification


def test_a_copy_of_a_driver_that_syncs_at_once() -> None:
    pipeline = asked(P, B, D, E, S)
    talk(pipeline, messages.parse_complete(), messages.bind_complete(), messages.no_data(), COPY_IN)
    assert (pipeline.in_copy_in, pipeline.has_unsynced, pipeline.owed) == (True, True, 1)
    for tag in (COPY_DATA, COPY_DONE, S):
        pipeline.sent(tag)
    assert not pipeline.in_copy_in
    assert pipeline.owed == 2
    talk(pipeline, DONE, ready())
    assert (pipeline.owed, pipeline.is_idle, pipeline.is_ambiguous) == (0, True, False)


def test_a_copy_with_another_message_behind_it_is_known_for_one() -> None:
    pipeline = asked(P, B, E, P, C, S)
    replies = messages.parse_complete() + messages.bind_complete() + COPY_IN
    assert talk(pipeline, replies) == replies
    assert talk(pipeline, ERROR) == ERROR, "it ends the session"


@pytest.mark.parametrize("swallowed", [True, False])
def test_an_error_in_such_a_copy_leaves_the_pipeline_ambiguous(*, swallowed: bool) -> None:
    pipeline = asked(P, B, E, S)
    talk(pipeline, messages.parse_complete(), messages.bind_complete(), COPY_IN)
    pipeline.sent(COPY_DATA)
    received = talk(pipeline, ERROR) if swallowed else talk(pipeline, ERROR, ready())
    assert received == (ERROR if swallowed else ERROR + ready())
    assert pipeline.is_ambiguous == swallowed
    pipeline.sent(COPY_DONE)
    pipeline.sent(S)
    assert talk(pipeline, ready()) == ready()
    assert (pipeline.is_idle, pipeline.wants_fence, pipeline.owed) == (not swallowed, swallowed, int(swallowed))


def ambiguous(status: int = IDLE) -> Pipeline:
    """After a COPY that has failed after three Syncs, and its own Sync that is answered."""
    pipeline = asked(P, B, E, S)
    talk(pipeline, messages.parse_complete(), messages.bind_complete(), COPY_IN)
    for tag in (COPY_DATA, S, COPY_DATA, S, COPY_DONE, S):
        pipeline.sent(tag)
    talk(pipeline, ERROR, ready(status))
    assert (pipeline.wants_fence, pipeline.owed) == (True, 3)
    return pipeline


@pytest.mark.parametrize("late", [0, 1, 2, 3])
@pytest.mark.parametrize("status", [IDLE, INERROR])
def test_a_fence_tells_how_many_more_are_answered(late: int, status: int) -> None:
    pipeline = ambiguous(status)
    pipeline.inject(Q)
    assert not pipeline.wants_fence
    said = [ready(status)] * late + [messages.empty_query_response(), ready(status)]
    assert talk(pipeline, *said) == ready(status) * late
    assert (pipeline.owed, pipeline.is_ambiguous, pipeline.is_idle) == (0, False, status == IDLE)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_so_does_what_the_client_asks_next(late: int) -> None:
    for tag, replies in {Q: [ROWS, ROW, DONE], F: [FUNCTION_RESULT]}.items():
        pipeline = ambiguous()
        pipeline.sent(tag)
        said = [ready()] * late + [*replies, ready()]
        assert talk(pipeline, *said) == b"".join(said)
        assert (pipeline.owed, pipeline.is_idle) == (0, True)
    pipeline = ambiguous()
    for tag in (P, B, E, S):
        pipeline.sent(tag)
    said = [ready()] * late + [messages.parse_complete(), messages.bind_complete(), ROW, DONE, ready()]
    assert talk(pipeline, *said) == b"".join(said)
    assert (pipeline.owed, pipeline.is_idle) == (0, True)


@pytest.mark.parametrize("reply", [ROWS, DONE, ERROR])
def test_an_answer_that_nobody_knows_of_is_not_taken_for_the_fences(reply: bytes) -> None:
    pipeline = ambiguous()
    pipeline.inject(Q)
    with pytest.raises(RemoteProtocolError, match="has not swallowed"):
        talk(pipeline, reply)


def test_a_query_that_copies_and_fails_may_have_swallowed_too() -> None:
    pipeline = asked(Q)
    talk(pipeline, COPY_IN)
    for tag in (COPY_DATA, S, COPY_DATA, S):
        pipeline.sent(tag)
    assert talk(pipeline, ERROR, ready()) == ERROR + ready()
    assert (pipeline.wants_fence, pipeline.owed) == (True, 2)
    assert talk(pipeline, ready(), ready()) == ready() * 2
    assert (pipeline.owed, pipeline.is_idle) == (0, True), "all have got theirs"


def test_an_error_in_a_copy_without_syncs_inside_is_not_ambiguous() -> None:
    pipeline = asked(P, B, E, FLUSH)
    talk(pipeline, messages.parse_complete(), messages.bind_complete(), COPY_IN)
    pipeline.sent(COPY_DATA)
    talk(pipeline, ERROR)
    pipeline.sent(COPY_DONE)
    pipeline.sent(S)
    talk(pipeline, ready())
    assert (pipeline.is_ambiguous, pipeline.is_idle) == (False, True)


def test_a_late_end_of_a_simple_copy_that_failed_owes_nothing() -> None:
    pipeline = asked(Q)
    talk(pipeline, COPY_IN, ERROR, ready())
    pipeline.sent(COPY_DATA)
    pipeline.sent(COPY_DONE)
    assert pipeline.is_idle


def test_an_answer_never_falls_into_the_middle_of_a_message() -> None:
    pipeline = asked(P, D)
    pipeline.answer(messages.close_complete())
    framer = Framer(BACKEND_LIMITS, pipeline.whole, max_whole_bytes=16)
    described = messages.parse_complete() + messages.row_description(["x" * 3000])
    out = b""
    for start in range(0, len(described), 1300):
        out += b"".join([pipeline.received(piece) for piece in framer.feed(described[start : start + 1300])])
    assert out == described + messages.close_complete()


def test_the_rest_of_an_oversized_message_of_ours_is_swallowed_too() -> None:
    pipeline = Pipeline()
    pipeline.inject(Q)
    pipeline.sent(Q)
    framer = Framer(BACKEND_LIMITS, pipeline.whole, max_whole_bytes=16)
    said = messages.notice_response({"M": "x" * 3000}) + ROW + ready()
    out = b""
    for start in range(0, len(said), 1300):
        out += b"".join([pipeline.received(piece) for piece in framer.feed(said[start : start + 1300])])
    assert out == b""
    assert talk(pipeline, DONE, ready()) == DONE + ready()


@pytest.mark.parametrize(
    "reply", [ready(), messages.parse_complete(), COPY_IN, b"Z\0\0\0\5?", b"Z\0\0\0\4", DONE], ids=repr
)
def test_what_nobody_asked_for_is_refused(reply: bytes) -> None:
    pipeline = asked(B)
    piece = Piece(reply[0], reply, whole=True)
    with pytest.raises(RemoteProtocolError):
        pipeline.received(piece)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [([], False), ([Q], False), ([P], True), ([P, Q], True), ([P, Q, Q], True), ([P, Q, S], False), ([S, Q, C], True)],
)
def test_what_an_error_may_have_skipped_is_known(tags: list[int], *, expected: bool) -> None:
    assert asked(*tags).may_skip == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [([], 0), ([Q], 0), ([P, S], 0), ([P, Q, S], 1), ([P, Q, B, Q, S, P, S], 2), ([P, Q, P], 1), ([Q, P, Q, S], 0)],
)
def test_an_error_undoes_the_queries_of_its_group_too(tags: list[int], *, expected: int) -> None:
    assert asked(*tags).undone_by_error == expected


def test_what_an_error_undoes_is_counted_from_the_first_sync_point_on() -> None:
    pipeline = asked(P, Q, P, Q, P, S)
    talk(pipeline, messages.parse_complete(), DONE, ready())
    assert pipeline.undone_by_error == 2
    pipeline = asked(P)
    pipeline.inject(S)
    pipeline.sent(Q)
    assert pipeline.undone_by_error == 0, "a Sync of ours ends it"


def test_what_is_answered_has_skipped_nothing() -> None:
    pipeline = asked(P, Q)
    talk(pipeline, messages.parse_complete(), DONE, ready())
    assert not pipeline.may_skip
    pipeline = asked(P, Q)
    talk(pipeline, ERROR)
    assert pipeline.may_skip


def test_nothing_is_injected_into_the_data_of_a_copy() -> None:
    pipeline = asked(Q)
    talk(pipeline, COPY_IN)
    with pytest.raises(LocalProtocolError):
        pipeline.inject(Q)
    with pytest.raises(LocalProtocolError):
        Pipeline().inject(FLUSH)
