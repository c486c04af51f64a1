"""Where the endpoint may be, and that it is there over TLS as well."""

import socket
import ssl
from functools import partial
from pathlib import Path

import pytest
import trio

from regional.admin.app import make_app
from regional.admin.server import AdminAddressError, bind, make_ssl_context, serve
from regional.secrets import SecretBox
from regional.store import open_store
from regional.vault import Vault
from tests.regional.admin.fakes import TOKEN, Caller, FakeControl, serving
from tests.support.certificates import self_signed


def test_a_free_port_is_taken_on_loopback() -> None:
    for host in ("127.0.0.1", "localhost"):
        with bind((host, 0), secured=False) as bound:
            assert bound.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_without_tls_only_loopback_is_bound(host: str) -> None:
    with pytest.raises(AdminAddressError, match="binds loopback only"):
        bind((host, 0), secured=False)


def test_with_tls_any_address_is_bound() -> None:
    bind(("0.0.0.0", 0), secured=True).close()


def test_a_taken_port_is_an_error_of_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AdminAddressError, match=f"cannot bind 127.0.0.1:{port} .* give another --admin-listen"):
            bind(("127.0.0.1", port), secured=False)


def test_a_host_that_is_not_there_is_an_error_of_the_start() -> None:
    with pytest.raises(AdminAddressError, match="cannot use no-such-host"):
        bind(("no-such-host.invalid", 0), secured=True)


async def test_the_endpoint_speaks_tls(tmp_path: Path) -> None:
    files = self_signed(tmp_path, "admin")
    server_tls = make_ssl_context(str(files.cert_file), str(files.key_file))
    client_tls = ssl.create_default_context(cafile=str(files.cert_file))
    async with serving(server_tls=server_tls, client_tls=client_tls) as caller:
        assert (await caller.request("GET", "/v1/status")).status == 200
        other = self_signed(tmp_path, "renewed")
        server_tls.load_cert_chain(other.cert_file, other.key_file)  # what SIGHUP does
        with pytest.raises(ssl.SSLCertVerificationError):
            await caller.request("GET", "/v1/status")


def test_a_certificate_that_cannot_be_used_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(AdminAddressError, match="No such file"):
        make_ssl_context(str(tmp_path / "none.crt"), str(tmp_path / "none.key"))
    (tmp_path / "bad.crt").write_text("nonsense")
    with pytest.raises(AdminAddressError, match="cannot use"):
        make_ssl_context(str(tmp_path / "bad.crt"), str(tmp_path / "bad.crt"))


async def test_the_end_is_graceful_and_closes_the_socket() -> None:
    control, stop = FakeControl(), trio.Event()
    vault = Vault(open_store("sqlite://:memory:"), SecretBox(bytes(32)))
    bound = bind(("127.0.0.1", 0), secured=False)
    port = bound.getsockname()[1]
    entered, leave = trio.Event(), trio.Event()

    async def linger() -> None:
        entered.set()
        await leave.wait()

    control.during_check = linger
    statuses: list[int] = []

    async def create() -> None:
        statuses.append((await Caller(port, control, vault).create()).status)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, make_app(vault, control, TOKEN), bound, until=stop.wait))
            nursery.start_soon(create)
            await entered.wait()
            stop.set()
            await trio.sleep(0.1)
            leave.set()
    assert statuses == [201]
    with pytest.raises(OSError, match="failed"):
        await trio.open_tcp_stream("127.0.0.1", port)
    vault.close()
