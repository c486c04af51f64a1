"""Opening connections to a real PostgreSQL: every way to log in, every way to fail, several hosts."""

import hashlib
import socket

import msgspec
import pytest
import trio
from psycopg import sql

from protos.errors import OriginRefusedError, OriginRejectedError
from protos.pg.scram import DEFAULT_ITERATIONS, make_verifier
from regional.configuration import Address, Configuration, OriginSecret
from regional.dial import MAX_INLINE_ITERATIONS, LoginConnection
from tests.support.beside import PoolSide, beside, configuration_for, until
from tests.support.cluster import Origin


def secured(origin: Origin, sslmode: str = "verify-full", **changes: object) -> Configuration:
    made = configuration_for(origin)
    where = msgspec.structs.replace(made.origin, sslmode=sslmode, sslrootcert=origin.certificate.read_text(), **changes)
    return msgspec.structs.replace(made, origin=where, connect_timeout_s=5)


def moved(made: Configuration, **changes: object) -> Configuration:
    return msgspec.structs.replace(made, origin=msgspec.structs.replace(made.origin, **changes))


async def dial(side: PoolSide, made: Configuration, password: str) -> LoginConnection:
    login = await side.tenants.dialer.dial(made, OriginSecret(password=password))
    login.connection.close()
    return login


# --- ways to log in ---


@pytest.mark.parametrize("user", ["by_scram", "by_md5", "by_password"])
@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
@beside
async def test_every_method_works_inside_verified_tls(side: PoolSide, origin: Origin, user: str, sslmode: str) -> None:
    login = await dial(side, secured(origin, sslmode, user=user), origin.password)
    assert login.parameters["server_version"].startswith(str(origin.major))
    assert login.parameters["application_name"] == "Onetrip"
    assert login.process_id > 0
    assert len(login.secret_key) >= 4
    assert login.connection.tls is not None


@beside
async def test_scram_works_without_tls(side: PoolSide, origin: Origin) -> None:
    login = await dial(side, configuration_for(origin), origin.password)
    assert login.connection.tls is None


# --- the price of a login ---


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The iterations of each PBKDF2 from here on."""
    iterations: list[int] = []
    real = hashlib.pbkdf2_hmac

    def counted(name: str, password: bytes, salt: bytes, count: int) -> bytes:
        iterations.append(count)
        return real(name, password, salt, count)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    return iterations


@beside
async def test_connections_opened_one_after_the_other_pay_one_key_derivation(
    side: PoolSide, origin: Origin, derived: list[int]
) -> None:
    for _ in range(3):
        await dial(side, configuration_for(origin), origin.password)
    assert derived == [DEFAULT_ITERATIONS]


@pytest.mark.parametrize("iterations", [MAX_INLINE_ITERATIONS, MAX_INLINE_ITERATIONS + 1], ids=["here", "in a thread"])
@beside
async def test_connections_opened_at_once_pay_one_key_derivation(
    side: PoolSide, origin: Origin, derived: list[int], iterations: int
) -> None:
    verifier = make_verifier(origin.password, iterations, b"0123456789abcdef").format()
    with origin.connect("postgres") as connection:
        connection.execute(sql.SQL("drop role if exists dear; create role dear login password {}").format(verifier))
    derived.clear()
    made = moved(configuration_for(origin), user="dear")
    logins: list[LoginConnection] = []

    async def open_one() -> None:
        logins.append(await dial(side, made, origin.password))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(open_one)
    assert len(logins) == 10
    assert derived == [iterations]


@beside
async def test_another_password_or_salt_is_another_kind(side: PoolSide, origin: Origin, derived: list[int]) -> None:
    await dial(side, configuration_for(origin), origin.password)
    await dial(side, moved(configuration_for(origin), user=origin.superuser), origin.password)
    with pytest.raises(OriginRejectedError):
        await dial(side, configuration_for(origin), "wrong")
    assert len(derived) == 3


# --- ways to fail ---


@pytest.mark.parametrize(
    ("changes", "password", "code"),
    [({}, "wrong", "28P01"), ({"database": "nowhere"}, None, "3D000"), ({"user": "unwelcome"}, None, "28000")],
    ids=["password", "database", "rule"],
)
@beside
async def test_what_the_origin_rejects_will_not_mend(
    side: PoolSide, origin: Origin, changes: dict[str, str], password: str | None, code: str
) -> None:
    made = secured(origin, alternates=(Address(host=origin.host, port=origin.port),), **changes)
    with pytest.raises(OriginRejectedError, match=code) as caught:
        await dial(side, made, password or origin.password)
    assert origin.password not in str(caught.value)
    assert not caught.value.retryable
    assert len(side.pump) == 0


@beside
async def test_a_certificate_that_nobody_signed_is_refused(side: PoolSide, origin: Origin) -> None:
    made = moved(secured(origin), sslrootcert=None)
    with pytest.raises(OriginRefusedError, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        await dial(side, made, origin.password)
    assert len(side.pump) == 0


@beside
async def test_the_name_counts_for_verify_full_only(side: PoolSide, origin: Origin) -> None:
    made = secured(origin, host="127.1")  # another name of the same address
    with pytest.raises(OriginRefusedError, match="TLS"):
        await dial(side, made, origin.password)
    assert len(side.pump) == 0
    await dial(side, secured(origin, "verify-ca", host="127.1"), origin.password)


@beside
async def test_a_port_that_nobody_listens_on_is_refused(side: PoolSide, origin: Origin) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        made = configuration_for(origin, port=taken.getsockname()[1])
        with pytest.raises(OriginRefusedError, match="Connection refused") as caught:
            await dial(side, made, origin.password)
    assert caught.value.retryable
    assert caught.value.hint


@pytest.mark.parametrize(
    "host", ["..", "☃.example", "x" * 200, "no-such-host.invalid", "/no/such/directory", "/" + "x" * 200]
)
@beside
async def test_a_name_that_leads_nowhere_is_refused(side: PoolSide, origin: Origin, host: str) -> None:
    with pytest.raises(OriginRefusedError) as caught:
        await dial(side, moved(configuration_for(origin), host=host), origin.password)
    assert caught.value.hint


@beside
async def test_an_origin_that_says_nothing_is_given_up_in_time(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.hold()
    made = msgspec.structs.replace(configuration_for(origin, port=forwarder.port), connect_timeout_s=0.1)
    with pytest.raises(OriginRefusedError, match=r"no answer within 0\.1 s"):
        await dial(side, made, origin.password)
    assert len(side.pump) == 0


@beside
async def test_a_dial_that_is_cancelled_leaves_nothing(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.hold()
    with trio.move_on_after(0.05):
        await dial(side, configuration_for(origin, port=forwarder.port), origin.password)
    assert len(side.pump) == 0


# --- several hosts ---


@beside
async def test_a_host_that_is_down_is_passed_over(side: PoolSide, origin: Origin) -> None:
    there = Address(host=origin.host, port=origin.port)
    made = moved(configuration_for(origin), port=1, alternates=(there,))
    login = await dial(side, made, origin.password)
    assert login.address.host == there


@beside
async def test_a_host_that_is_silent_leaves_time_for_the_next(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    forwarder.hold()
    there = Address(host=origin.host, port=origin.port)
    made = moved(configuration_for(origin, port=forwarder.port, connect_timeout_s=1), alternates=(there,))
    assert (await dial(side, made, origin.password)).address.host == there


@pytest.mark.parametrize(
    ("wanted", "is_found"),
    [("any", True), ("read-write", True), ("primary", True), ("prefer-standby", True), ("standby", False),
     ("read-only", False)],
)  # fmt: skip
@beside
async def test_the_kind_of_server_is_looked_at(side: PoolSide, origin: Origin, wanted: str, *, is_found: bool) -> None:
    made = moved(configuration_for(origin), target_session_attrs=wanted)
    if is_found:
        await dial(side, made, origin.password)
        return
    with pytest.raises(OriginRefusedError, match=f"is not {wanted}"):
        await dial(side, made, origin.password)
    assert len(side.pump) == 0


# --- cancel requests ---


@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "tls"])
@beside
async def test_a_cancel_request_goes_where_the_connection_goes(
    side: PoolSide, origin: Origin, *, is_secured: bool
) -> None:
    made = secured(origin) if is_secured else configuration_for(origin)
    login = await side.tenants.dialer.dial(made, OriginSecret(password=origin.password))
    login.connection.write(b"Q\0\0\0\x18select pg_sleep(70)\0")
    with origin.connect() as connection:
        question = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"

        def is_active() -> bool:
            row = connection.execute(question, [login.process_id]).fetchone()
            return row is not None and row[0] == 1

        await until(is_active)
        before = len(side.pump)
        await side.tenants.dialer.cancel(made, OriginSecret(), login)  # type: ignore[arg-type] # an origin's likeness
        assert len(side.pump) == before
        await until(lambda: not is_active())
    login.connection.close()


@beside
async def test_a_cancel_request_that_reaches_nobody_is_no_error(side: PoolSide, origin: Origin) -> None:
    forwarder = await side.forwarder(origin)
    made = configuration_for(origin, port=forwarder.port)
    login = await side.tenants.dialer.dial(made, OriginSecret(password=origin.password))
    forwarder.stop()
    await side.tenants.dialer.cancel(made, OriginSecret(), login)  # type: ignore[arg-type]
    login.connection.close()
