"""PgBouncer's settings; and all of it on loopback: origin, PgBouncer with TLS, measuring client, pgbench."""

import pytest

from bench import pgbouncer
from bench.client import Requests
from bench.endpoint import Endpoint
from bench.origin import open_origin
from bench.pgbench import LoadPlan, run_load
from bench.pgbouncer import BouncerOptions, open_bouncer, settings_text
from bench.workspace import UnavailableError, Workspace, open_workspace

SERVER = Endpoint(host="10.0.0.1", port=5432, user="u", password="p", database="d", sslmode="require")


def test_settings_say_where_to_how_many_and_how_secured() -> None:
    options = BouncerOptions(name="near", listen="127.0.0.1", server=SERVER, pool_size=7)
    lines = settings_text(options, 6432, "somewhere").splitlines()
    assert "bench = host=10.0.0.1 port=5432 dbname=d user=u password=p" in lines
    assert {"pool_mode = transaction", "default_pool_size = 7", "server_tls_sslmode = require"} <= set(lines)
    assert not any(line.startswith("client_tls") for line in lines)


@pytest.mark.postgres
def test_a_client_is_timed_straight_and_through_pgbouncer() -> None:
    with open_workspace() as workspace, open_origin(workspace, hosts=["127.0.0.1"], namespace=None, scale=1) as origin:
        straight = origin.endpoint("127.0.0.1", sslmode="require")
        assert Requests().answer({"tls": straight.conninfo()}) != {"tls": "none"}
        _times(straight)
        options = BouncerOptions(name="beside", listen="127.0.0.1", server=straight, client_tls=True)
        try:
            pgbouncer.version(workspace)
        except UnavailableError as error:
            assert "installed" in str(error)  # noqa: PT017 - PgBouncer is for benchmarks: without it the rows say so
            return
        with open_bouncer(workspace, origin, options) as bouncer:
            _times(bouncer.endpoint)
            first = bouncer.pid
            bouncer.restart()
            assert bouncer.pid != first
            _loads(workspace, bouncer.endpoint)


def _times(endpoint: Endpoint) -> None:
    times = Requests().answer({"timeline": endpoint.conninfo()})["ms"]
    assert isinstance(times, list)
    assert len(times) == 4
    assert all(time > 0 for time in times)


def _loads(workspace: Workspace, endpoint: Endpoint) -> None:
    assert run_load(workspace, endpoint, LoadPlan(clients=2, seconds=1)).queries_per_s > 1
