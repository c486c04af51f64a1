"""Clients that do something at the same moment: each is served or has failed, and nothing waits for another."""

import pytest

from bench.endpoint import Endpoint
from bench.stormers import Stormers
from deploy.postgres import free_port
from tests.support.cluster import Origin


def conninfo(origin: Origin, password: str | None = None) -> str:
    word = (password or origin.password).replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"host={origin.host} port={origin.port} user={origin.superuser} password='{word}' dbname=postgres "
        "sslmode=require gssencmode=disable"
    )


@pytest.fixture
def stormers(monkeypatch: pytest.MonkeyPatch) -> Stormers:
    monkeypatch.setattr("bench.stormers.QUERY", b"select 1")
    return Stormers()


def test_nobody_is_served_where_nobody_listens(stormers: Stormers) -> None:
    nobody = Endpoint(host="127.0.0.1", port=free_port(), user="u", password="p", database="d")
    answer = stormers.answer({"rush": nobody.conninfo(), "count": 3})
    assert (answer["ms"], answer["failed"]) == ([], 3)
    assert "refused" in str(answer["why"])


def test_what_nobody_knows_is_refused(stormers: Stormers) -> None:
    assert stormers.answer({"dance": ""}) == {"refused": "unknown request"}


@pytest.mark.postgres
def test_clients_gather_and_ask_again_and_again(stormers: Stormers, origin: Origin) -> None:
    gathered = stormers.answer({"gather": conninfo(origin), "count": 8})
    assert (len(gathered["ms"]), gathered["failed"]) == (8, 0)  # type: ignore[arg-type]
    for _ in range(2):
        asked = stormers.answer({"storm": ""})
        assert (len(asked["ms"]), asked["failed"]) == (8, 0)  # type: ignore[arg-type]
    assert stormers.answer({"leave": ""}) == {}
    assert stormers.answer({"storm": ""})["ms"] == []


@pytest.mark.postgres
def test_clients_connect_and_ask_in_a_rush(stormers: Stormers, origin: Origin) -> None:
    answer = stormers.answer({"rush": conninfo(origin), "count": 8})
    assert (len(answer["ms"]), answer["failed"], answer["why"]) == (8, 0, [])  # type: ignore[arg-type]


@pytest.mark.postgres
def test_who_is_refused_has_failed_and_says_why(stormers: Stormers, origin: Origin) -> None:
    answer = stormers.answer({"rush": conninfo(origin, "wrong"), "count": 2})
    assert (answer["ms"], answer["failed"]) == ([], 2)
    assert "password authentication failed" in str(answer["why"])


@pytest.mark.postgres
def test_who_loses_the_connection_has_failed(stormers: Stormers, origin: Origin) -> None:
    stormers.answer({"gather": conninfo(origin), "count": 2})
    with origin.connect("postgres") as connection:
        connection.execute("select pg_terminate_backend(%s, 5000)", [stormers._held[0].backend_pid])
    answer = stormers.answer({"storm": ""})
    assert (len(answer["ms"]), answer["failed"]) == (1, 1)  # type: ignore[arg-type]
    stormers.answer({"leave": ""})
