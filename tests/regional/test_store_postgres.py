"""The shared store's own concerns; what it has in common with the other is in test_store.py."""

import pytest

from regional.store import StoreError
from regional.store_postgres import PostgresStore
from tests.support.cluster import Origin

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2/half@h/d", "postgresql://u:half@hunter2@h/d", "postgresql://u@h/d?hunter2=x"],
)
def test_a_malformed_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(StoreError, match="the store's URL has ") as caught:
        PostgresStore(url)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_user_who_may_not_make_the_schema_is_told_so(origin: Origin) -> None:
    with origin.connect() as connection:
        connection.execute("revoke create on database app from by_scram, public")
    with pytest.raises(StoreError, match="permission denied") as caught:
        PostgresStore(origin.url("by_md5"))
    assert origin.password not in str(caught.value)


def test_a_store_of_a_newer_version_is_left_alone(origin: Origin) -> None:
    with origin.connect("postgres") as connection:
        connection.execute("create database newer owner by_scram")
    store = PostgresStore(origin.url(database="newer"))
    assert store.key_path is None
    with origin.connect("newer") as connection:
        connection.execute("update onetrip.revision set schema_version = 99")
    with pytest.raises(StoreError, match="newer onetrip"):
        PostgresStore(origin.url(database="newer"))
