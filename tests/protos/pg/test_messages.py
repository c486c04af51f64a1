"""Making messages and taking them apart are each other's inverse, and bytes that are no message are refused."""

import contextlib
from collections.abc import Callable
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import CheckoutTimeoutError, LocalProtocolError, RemoteProtocolError
from protos.pg import messages
from protos.pg.framer import AUTHENTICATION_LIMITS, BACKEND_LIMITS, FRONTEND_LIMITS, Framer
from protos.pg.tags import STATUSES, Frontend, TransactionStatus

strings = st.binary(max_size=20).filter(lambda value: b"\0" not in value)
# Text that stands for any bytes but NUL.
texts = strings.map(lambda value: value.decode("utf-8", "surrogateescape"))
oids = st.lists(st.integers(0, 0xFFFFFFFF), max_size=4)
values = st.lists(st.none() | st.binary(max_size=20), max_size=5)
fields = st.dictionaries(st.sampled_from("SVCMDHPpqWs"), texts, max_size=6)

PARSERS: list[Callable[[bytes], object]] = [
    messages.authentication_of,
    messages.backend_key_of,
    messages.bind_names_of,
    messages.command_tag_of,
    messages.data_row_of,
    messages.error_fields,
    messages.execute_of,
    messages.negotiated_of,
    messages.parameter_status_of,
    messages.parse_of,
    messages.password_of,
    messages.query_of,
    messages.sasl_initial_of,
    messages.sasl_mechanisms_of,
    messages.status_of,
    messages.target_of,
    lambda message: messages.renamed(message, b"other"),
]

FRONTEND = [
    messages.query(b"select 1"),
    messages.parse(b"s", b"select $1", [23]),
    messages.bind(b"p", b"s", [b"1", None], [0], [1]),
    messages.describe_statement(b"s"),
    messages.describe_portal(b"p"),
    messages.close_statement(b"s"),
    messages.close_portal(b"p"),
    messages.execute(b"p", 5),
    messages.sync(),
    messages.flush(),
    messages.terminate(),
    messages.copy_data(b"row\n"),
    messages.copy_done(),
    messages.copy_fail("no more"),
]
PASSWORDS = [
    messages.password_message(b"secret"),
    messages.sasl_initial_response("SCRAM-SHA-256", b"n,,n=,r=x"),
    messages.sasl_response(b"c=biws"),
]
BACKEND = [
    messages.authentication_ok(),
    messages.authentication_cleartext_password(),
    messages.authentication_md5_password(b"salt"),
    messages.authentication_sasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
    messages.authentication_sasl_continue(b"r=x"),
    messages.authentication_sasl_final(b"v=x"),
    messages.negotiate_protocol_version(2, ["_pq_.x"]),
    messages.parameter_status("TimeZone", "UTC"),
    messages.backend_key_data(7, b"1234"),
    *[messages.ready_for_query(status) for status in STATUSES],
    messages.parse_complete(),
    messages.bind_complete(),
    messages.close_complete(),
    messages.no_data(),
    messages.empty_query_response(),
    messages.portal_suspended(),
    messages.command_complete("SELECT 1"),
    messages.parameter_description([23]),
    messages.row_description(["a"]),
    messages.data_row([b"1", None]),
    messages.error_response({"C": "22012", "M": "division by zero"}),
    messages.notice_response({"C": "00000", "M": "note"}),
]


@pytest.mark.parametrize(
    ("limits", "made"), [(FRONTEND_LIMITS, FRONTEND), (AUTHENTICATION_LIMITS, PASSWORDS), (BACKEND_LIMITS, BACKEND)]
)
def test_what_is_made_is_a_message_for_the_framer(limits: dict[int, int], made: list[bytes]) -> None:
    pieces = Framer(limits, frozenset(limits)).feed(b"".join(made))
    assert [piece.data for piece in pieces] == made


@given(st.binary(max_size=60))
def test_garbage_raises_only_the_protocol_error(data: bytes) -> None:
    for parser in PARSERS:
        with contextlib.suppress(RemoteProtocolError):
            parser(data)


@given(st.sampled_from([*FRONTEND, *PASSWORDS, *BACKEND]), st.binary(max_size=6), st.integers(0, 40))
def test_a_damaged_body_raises_only_the_protocol_error(message: bytes, patch: bytes, place: int) -> None:
    body = bytearray(message[5:])
    body[place : place + len(patch)] = patch
    damaged = pack(">BI", message[0], len(body) + 4) + body
    for parser in PARSERS:
        with contextlib.suppress(RemoteProtocolError):
            parser(damaged)


@given(strings, strings, oids)
def test_parse_is_taken_apart_as_it_was_made(name: bytes, sql: bytes, types: list[int]) -> None:
    parsed = messages.parse_of(messages.parse(name, sql, types))
    assert parsed == (name, sql, pack(f">H{len(types)}I", len(types), *types))


@given(strings, strings, values)
def test_bind_names(portal: bytes, statement: bytes, arguments: list[bytes | None]) -> None:
    assert messages.bind_names_of(messages.bind(portal, statement, arguments)) == (portal, statement)


@given(strings, strings, strings, values, oids)
def test_renaming_changes_the_name_of_the_statement_and_nothing_else(
    name: bytes, other: bytes, portal: bytes, arguments: list[bytes | None], types: list[int]
) -> None:
    renamed = messages.renamed
    assert renamed(messages.parse(name, b"select", types), other) == messages.parse(other, b"select", types)
    bind = messages.bind(portal, name, arguments, [1], [0, 1])
    assert renamed(bind, other) == messages.bind(portal, other, arguments, [1], [0, 1])
    assert renamed(messages.describe_statement(name), other) == messages.describe_statement(other)
    assert renamed(messages.close_statement(name), other) == messages.close_statement(other)
    with pytest.raises(RemoteProtocolError):
        renamed(messages.describe_portal(name), other)


@given(strings)
def test_one_string_messages(text: bytes) -> None:
    assert messages.query_of(messages.query(text)) == text
    assert messages.password_of(messages.password_message(text)) == text
    assert messages.target_of(messages.describe_statement(text)) == (ord("S"), text)
    assert messages.target_of(messages.close_portal(text)) == (ord("P"), text)
    assert messages.execute_of(messages.execute(text, 7)) == (text, 7)


@given(texts, texts)
def test_parameter_status_keeps_every_byte(name: str, value: str) -> None:
    assert messages.parameter_status_of(messages.parameter_status(name, value)) == (name, value)


@given(fields)
def test_fields_of_errors_and_notices(made: dict[str, str]) -> None:
    assert messages.error_fields(messages.error_response(made)) == made
    assert messages.error_fields(messages.notice_response(made)) == made


@given(values)
def test_rows(row: list[bytes | None]) -> None:
    assert messages.data_row_of(messages.data_row(row)) == row


@given(st.integers(0, 0xFFFFFFFF), st.binary(min_size=4, max_size=256))
def test_cancel_keys(process_id: int, secret: bytes) -> None:
    assert messages.backend_key_of(messages.backend_key_data(process_id, secret)) == (process_id, secret)


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_every_status(status: int) -> None:
    assert messages.status_of(messages.ready_for_query(status)) == status
    assert messages.ready_for_query(TransactionStatus.IDLE) == b"Z\0\0\0\5I"


@given(st.none() | st.binary(max_size=20))
def test_sasl_messages(data: bytes | None) -> None:
    made = messages.sasl_initial_response("SCRAM-SHA-256", data)
    assert messages.sasl_initial_of(made) == ("SCRAM-SHA-256", data)
    kind, offered = messages.authentication_of(messages.authentication_sasl(["A", "B"]))
    assert (kind, messages.sasl_mechanisms_of(offered)) == (messages.AUTHENTICATION_SASL, ["A", "B"])
    answer = messages.authentication_of(messages.authentication_sasl_continue(data or b""))
    assert answer == (messages.AUTHENTICATION_SASL_CONTINUE, data or b"")


def test_negotiation() -> None:
    made = messages.negotiate_protocol_version(2, ["_pq_.a", "_pq_.b"])
    assert messages.negotiated_of(made) == (2, ["_pq_.a", "_pq_.b"])
    assert made[5:9] == b"\0\3\0\2"


def test_an_error_of_ours_says_what_may_be_read_and_nothing_else() -> None:
    error = CheckoutTimeoutError("pool secret-name", detail="20 of 20 in use", hint="raise origin_connection_limit")
    assert messages.error_fields(messages.service_error(error)) == {
        "S": "ERROR",
        "V": "ERROR",
        "C": "53300",
        "M": "timed out waiting for a database connection",
        "D": "20 of 20 in use",
        "H": "raise origin_connection_limit",
    }
    assert messages.error_fields(messages.service_error(error, "FATAL"))["S"] == "FATAL"


def test_words_that_cannot_be_sent_do_not_break_the_message() -> None:
    made = messages.service_error(CheckoutTimeoutError(public="a\0b \ud800"))
    assert messages.error_fields(made)["M"] == "ab ?"


def test_a_nul_in_a_name_is_our_own_bug() -> None:
    with pytest.raises(LocalProtocolError):
        messages.query(b"select\0 1")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"D\0\0\0\x06X\0", "invalid DESCRIBE message subtype 88"),
        (b"C\0\0\0\x06X\0", "invalid CLOSE message subtype 88"),
        (b"P\0\0\0\x05x", "invalid string in message"),
        (b"P\0\0\0\x06\0\0", "insufficient data left in message"),
        (b"Q\0\0\0\x06\0\0", "invalid message format"),
    ],
)
def test_a_client_is_told_in_the_words_of_postgresql(message: bytes, text: str) -> None:
    parser = {Frontend.PARSE: messages.parse_of, Frontend.QUERY: messages.query_of}.get(message[0], messages.target_of)
    with pytest.raises(RemoteProtocolError) as caught:
        parser(message)
    assert caught.value.public_message == text
