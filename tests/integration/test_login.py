"""Logging in: TLS, channel binding, startup parameters, and every way to be refused. libpq speaks for the drivers."""

import psycopg
import pytest

from tests.support.cluster import Origin
from tests.support.onetrip import House
from tests.support.target import Target, connect, target_of


def test_startup_parameters_hold_for_the_session(target: Target) -> None:
    options = "-c search_path=pg_catalog -c statement_timeout=54s"
    with connect(target, application_name="onetrip's test", options=options, autocommit=True) as connection:
        for _ in range(3):
            row = connection.execute(
                "select current_setting('search_path'), current_setting('statement_timeout'),"
                " current_setting('application_name')"
            ).fetchone()
            assert row == ("pg_catalog", "54s", "onetrip's test")
        assert connection.info.parameter_status("application_name") == "onetrip's test"


def test_tls_with_channel_binding(secure_target: Target) -> None:
    with connect(secure_target, channel_binding="require", sslmode="verify-full") as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_wrong_password_is_refused(target: Target) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(target.but(password="wrong"))


def test_an_unknown_user_is_refused_like_a_wrong_password(target: Target) -> None:
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "nobody_at_all"'):
        connect(target.but(user="nobody_at_all"))


def test_an_unknown_database_is_refused_by_name(target: Target) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"not_there.*does not exist"):
        connect(target.but(database="not_there"))


def test_a_wrong_startup_parameter_is_refused(target: Target) -> None:
    with pytest.raises(psycopg.OperationalError, match='invalid value for parameter "DateStyle"'):
        connect(target, options="-c datestyle=nonsense")


@pytest.fixture(scope="session")
def clear_text(house: House, origin: Origin) -> str:
    """A configuration whose clients send their password, over TLS."""
    return house.create("clear", origin.url(), "--client-auth", "password")


def test_a_password_in_clear_is_taken_over_tls_only(house: House, clear_text: str) -> None:
    secure = target_of(clear_text, port=house.tls_edge_port, ca_file=house.certificate.cert_file)
    with connect(secure, require_auth="password") as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(secure.but(password="wrong"))
    with pytest.raises(psycopg.OperationalError, match="FATAL") as caught:
        connect(target_of(clear_text), require_auth="none")
    assert "password" in str(caught.value)


@pytest.mark.parametrize("user", ["by_md5", "by_password"])
def test_an_origin_may_ask_for_its_password_in_any_way(house: House, origin: Origin, user: str) -> None:
    connection_string = house.create(user.replace("_", "-"), origin.url(user))
    with connect(target_of(connection_string)) as connection:
        assert connection.execute("select current_user").fetchone() == (user,)
