"""Names, defaults and bounds are the design's; rules over several fields are all reported."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.configuration import (
    MAX_TABLES,
    Address,
    Caching,
    Configuration,
    Name,
    Origin,
    OriginSecret,
    Settings,
    is_table_name,
    problems_of,
    problems_of_origin,
    problems_of_settings,
)
from tests.regional.samples import ORIGIN, configuration


def test_defaults_are_those_of_the_design() -> None:
    assert msgspec.to_builtins(Settings()) == {
        "origin_connection_limit": 20,
        "origin_connection_min": 0,
        "origin_total_limit": None,
        "session_state": "track",
        "client_auth": "scram-sha-256",
        "scram_iterations": 4096,
        "max_client_connections": 10_000,
        "max_waiters": 5_000,
        "caching": {
            "disabled": False,
            "max_age": 60,
            "stale_while_revalidate": 15,
            "stale_if_unreachable": 0,
            "in_transactions": False,
            "tables": {},
            "follow_writes": False,
        },
        "early": {"begin": True, "prepare": True, "settings": True, "catalog": True},
        "connect_timeout_s": 15,
        "query_timeout_s": 60,
        "wait_timeout_s": 15,
        "idle_timeout_s": 600,
        "lifetime_s": 3600,
        "idle_in_transaction_timeout_s": 300,
    }
    assert (ORIGIN.port, ORIGIN.sslmode, ORIGIN.target_session_attrs) == (5432, "require", "any")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("origin_connection_limit", 4),
        ("origin_connection_limit", 1501),
        ("origin_connection_limit", True),
        ("origin_connection_limit", "20"),
        ("origin_connection_min", -1),
        ("origin_total_limit", 0),
        ("origin_total_limit", 4),
        ("session_state", "keep"),
        ("client_auth", "md5"),
        ("scram_iterations", 0),
        ("max_waiters", -1),
        ("caching", {"max_age": 3601}),
        ("caching", {"max_age": 0}),
        ("caching", {"stale_if_unreachable": -1}),
        ("caching", {"stale_if_unreachable": 86_401}),
        ("caching", {"in_transactions": 1}),
        ("caching", {"follow_writes": "yes"}),
        ("caching", {"tables": {"t": 3601}}),
        ("caching", {"tables": {"t": -1}}),
        ("caching", {"tables": {"t": None}}),
        ("caching", {"tables": ["t"]}),
        ("connect_timeout_s", 0),
        ("wait_timeout_s", 601),
        ("query_timeout_s", -1),
        ("idle_timeout_s", 0),
        ("unheard_of", 1),
    ],
)
def test_values_out_of_bounds_are_refused(field: str, wrong: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: wrong}, Settings)


@pytest.mark.parametrize("name", ["a", "a" * 63, "a-b_c9"])
def test_good_names(name: str) -> None:
    assert msgspec.convert(name, Name) == name


@pytest.mark.parametrize("name", ["", "A", "9a", "-a", "a" * 64, "a b", "a\n", "ä", "a/b"])
def test_bad_names(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, Name)


@given(
    limit=st.integers(5, 1500),
    caching=st.builds(
        Caching,
        disabled=st.booleans(),
        max_age=st.integers(1, 3600),
        tables=st.dictionaries(st.text(max_size=8), st.floats(0, 3600), max_size=3),
    ),
    parameters=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_a_configuration_survives_json(limit: int, caching: Caching, parameters: dict[str, str]) -> None:
    before = configuration(origin_connection_limit=limit, caching=caching, server_parameters=parameters)
    assert msgspec.json.decode(msgspec.json.encode(before), type=Configuration) == before


def test_a_repr_tells_no_secret() -> None:
    secret = OriginSecret("hunter2", "-----BEGIN PRIVATE KEY-----")
    assert "hunter2" not in repr(secret)
    assert "PRIVATE" not in repr(secret)
    assert "a verifier" not in repr(configuration())


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("/var/run/postgresql", True),
        ("10.0.0.1", False),
        ("db.example", False),
        ("localhost.example", False),
        ("0.0.0.0", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, *, is_local: bool) -> None:
    assert Address(host=host).is_local is is_local


def test_plain_connections_are_for_this_machine() -> None:
    elsewhere = msgspec.structs.replace(ORIGIN, sslmode="disable")
    local = msgspec.structs.replace(elsewhere, host="127.0.0.1")
    both = msgspec.structs.replace(local, alternates=(Address(host="db.internal"),))
    assert [p.field for p in problems_of_origin(elsewhere)] == ["origin.sslmode"]
    assert [p.field for p in problems_of_origin(both)] == ["origin.sslmode"]
    assert problems_of_origin(local) == []
    assert problems_of_origin(elsewhere, allow_plain_origin=True) == []


def test_all_problems_are_reported() -> None:
    origin = Origin(host="a,b", database="d" * 64, user="u\0", sslmode="verify-ca")
    wrong = configuration(origin=origin, origin_connection_limit=5, origin_connection_min=6)
    assert [problem.field for problem in problems_of(wrong)] == [
        "origin_connection_min",
        "origin.user",
        "origin.database",
        "origin.host",
        "origin.sslmode",
    ]


@pytest.mark.parametrize("name", ["t", "public.orders", "Order lines", "ä" * 31, "a" * 63 + "." + "b" * 63, "x=y"])
def test_a_table_is_named_as_pg_class_has_it(name: str) -> None:
    assert is_table_name(name)


@pytest.mark.parametrize("name", ["", ".", "a.", ".b", "a.b.c", '"t"', 's."t"', "ä" * 32, "a" * 64, "a\n", " t", "t\0"])
def test_what_can_be_no_table_is_named_in_the_problem(name: str) -> None:
    (problem,) = problems_of_settings(Settings(caching=Caching(tables={"good": 1, name: 1})))
    assert problem.field.startswith("caching.tables.")
    assert problem.field.isprintable()
    assert "TABLE or SCHEMA.TABLE" in problem.what


def test_tables_are_bounded() -> None:
    tables = {f"t{number}": 1.0 for number in range(MAX_TABLES)}
    assert problems_of_settings(Settings(caching=Caching(tables=tables))) == []
    (problem,) = problems_of_settings(Settings(caching=Caching(tables=tables | {"one_more": 1})))
    assert str(problem).startswith("caching.tables must have at most 1000 tables; ")


@pytest.mark.parametrize("host", ["a b", "a\tb", "a,b", "me@a", "a/b", "[::1]", "a\0b"])
def test_a_host_is_one_host(host: str) -> None:
    assert problems_of_origin(msgspec.structs.replace(ORIGIN, host=host))


def test_tls_plays_no_part_on_a_unix_socket_and_passwords_need_a_verified_or_local_peer() -> None:
    socket, tcp = Address(host="/tmp"), Address(host="db.internal")
    verified = msgspec.structs.replace(ORIGIN, sslmode="verify-full")
    allowed = msgspec.structs.replace(ORIGIN, allow_plain_password=True)
    assert (verified.sslmode_for(socket), verified.sslmode_for(tcp)) == ("disable", "verify-full")
    assert ORIGIN.may_send_plain_password(socket)
    assert not ORIGIN.may_send_plain_password(tcp)
    assert verified.may_send_plain_password(tcp)
    assert allowed.may_send_plain_password(tcp)


def test_addresses_are_written_as_host_and_port() -> None:
    assert str(Address(host="::1", port=1)) == "[::1]:1"
    assert str(Address(host="db", port=2)) == "db:2"
