"""The receivers of connections that belong to nobody yet, fed by hand."""

import asyncio
import ssl

import pytest
import trio

from protos.errors import OriginFullError, OriginRefusedError, OriginRejectedError
from protos.pg.login import Login, LoginTarget
from protos.pg.messages import authentication_ok, backend_key_data, data_row, error_response, ready_for_query
from protos.pg.scram import Challenge, KeyCache, ScramKeys, derive_keys
from regional.configuration import Address
from regional.login_shells import CancelShell, Derivations, LoginShell, QuestionShell
from tests.support.host import on_host, until

IDLE = ord("I")
READY = authentication_ok() + backend_key_data(7, b"key!") + ready_for_query(IDLE)


class FakeConnection:
    """Notes what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.tls: object | None = None

    def write(self, data: bytes) -> None:
        self.written += data

    def start_tls(self, *_: object, **__: object) -> None:
        self.tls = object()


def login_shell() -> tuple[LoginShell, FakeConnection]:
    target = LoginTarget(
        user="me", password="secret", database="app", parameters={}, sslmode="disable", may_send_plain=False
    )
    shell = LoginShell(
        Login(target, nonce=lambda: b"n" * 18, keys=KeyCache()),
        Address(host="db", port=1),
        ssl.create_default_context,
        Derivations(),
    )
    connection = FakeConnection()
    shell.connection = connection  # type: ignore[assignment]
    return shell, connection


async def test_a_login_ends_with_what_the_origin_said(autojump_clock: object) -> None:
    shell, connection = login_shell()
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            logged_in = await shell.run()
            assert (logged_in.process_id, logged_in.secret_key) == (7, b"key!")

        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked()
        assert connection.written
        for byte in READY:
            shell.received(bytes([byte]))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("28P01", OriginRejectedError),
        ("28000", OriginRejectedError),
        ("3D000", OriginRejectedError),
        ("42501", OriginRejectedError),
        ("53300", OriginFullError),
        ("57P03", OriginRefusedError),
    ],
)
async def test_a_refusal_is_final_or_not_by_its_class(code: str, kind: type[OriginRefusedError]) -> None:
    shell, _ = login_shell()
    shell.received(error_response({"S": "FATAL", "V": "FATAL", "C": code, "M": "no"}))
    with pytest.raises(OriginRefusedError) as caught:
        await shell.run()
    assert type(caught.value) is kind


async def test_an_end_before_the_login_is_refused_with_its_reason() -> None:
    shell, _ = login_shell()
    shell.ended("Connection reset by peer")
    with pytest.raises(OriginRefusedError, match="db:1: Connection reset by peer") as caught:
        await shell.run()
    assert caught.value.retryable
    shell.ended("again, which changes nothing")


async def test_garbage_is_refused() -> None:
    shell, _ = login_shell()
    shell.received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(OriginRefusedError):
        await shell.run()


async def test_a_cancel_request_is_settled_by_the_end() -> None:
    shell = CancelShell(b"request")
    connection = FakeConnection()
    shell.connection = connection  # type: ignore[assignment]
    shell.secured()
    assert connection.written == b"request"
    assert not shell.ended_event.is_set()
    shell.ended("closed by the peer")
    assert shell.ended_event.is_set()


@pytest.mark.parametrize("answer", [b"N", b"SS", b"E...", b"Sx"])
async def test_a_cancel_request_never_goes_out_in_clear_where_tls_is_wanted(answer: bytes) -> None:
    shell = CancelShell(b"request")
    connection = FakeConnection()
    shell.connection, shell.context = connection, object()  # type: ignore[assignment]
    shell.received(answer)
    assert shell.ended_event.is_set()
    assert connection.written == b""


async def test_a_question_has_one_row_or_none() -> None:
    shell = QuestionShell()
    shell.received(data_row([b"t", b"on"]))
    assert not shell.answered.is_set()
    shell.received(ready_for_query(IDLE))
    assert shell.answered.is_set()
    assert shell.row == [b"t", b"on"]
    other = QuestionShell()
    other.ended("closed")
    assert other.answered.is_set()
    assert other.row == []


@on_host
async def test_who_wants_the_same_keys_at_once_shares_one_derivation() -> None:
    derivations, challenge = Derivations(), Challenge(b"salt", 4)
    found: list[ScramKeys] = []
    for password in ["pencil"] * 20 + ["pen"]:
        derivations.start(password, challenge, found.append)
    assert len(derivations._running) == 2
    await until(lambda: len(found) == 21)
    assert found.count(derive_keys("pencil", challenge)) == 20
    assert found.count(derive_keys("pen", challenge)) == 1
    await asyncio.sleep(0)
    assert not derivations._running
