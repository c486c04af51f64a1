"""What every store does, asked of each; and which store a URL names."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regional.store import (
    NameTakenError,
    NoSuchNameError,
    Record,
    StaleVersionError,
    Store,
    StoreError,
    StoreUnavailableError,
    open_store,
)
from tests.support.cluster import Origin


@pytest.fixture
def postgres_url(origin: Origin) -> Iterator[str]:
    """An empty database for a store."""
    with origin.connect("postgres") as connection:
        connection.execute("create database store owner by_scram")
    yield origin.url(database="store")
    origin.drop("store")


@pytest.fixture(params=["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "sqlite://:memory:"
        case "file":
            return f"sqlite:///{tmp_path}/store.db"
        case _:
            found: str = request.getfixturevalue("postgres_url")
            return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def record(name: str = "demo", version: int = 1, document: bytes = b'{"\xc3\xa4": 1}') -> Record:
    return Record(name, version, document, b"\x00sealed\xff")


def test_what_was_created_is_found(store: Store) -> None:
    store.create(record())
    assert store.get("demo") == record()
    assert store.get("other") is None


def test_records_are_listed_by_name(store: Store) -> None:
    for name in ("b", "a", "a-b", "a_b"):
        store.create(record(name))
    assert [found.name for found in store.list()] == ["a", "a-b", "a_b", "b"]


def test_a_name_is_taken_once(store: Store) -> None:
    store.create(record())
    with pytest.raises(NameTakenError, match="demo exists already"):
        store.create(record(document=b"{}"))
    assert store.list() == [record()]


def test_a_change_names_the_version_it_was_made_from(store: Store) -> None:
    store.create(record())
    store.replace(record(version=2, document=b"new"), made_from=1)
    with pytest.raises(StaleVersionError, match="demo was changed meanwhile"):
        store.replace(record(version=2, document=b"lost"), made_from=1)
    assert store.get("demo") == record(version=2, document=b"new")


def test_what_is_not_there_cannot_be_changed_or_deleted(store: Store) -> None:
    with pytest.raises(NoSuchNameError):
        store.replace(record(version=2), made_from=1)
    with pytest.raises(NoSuchNameError):
        store.delete("demo")


def test_a_deleted_record_is_gone_and_its_name_free(store: Store) -> None:
    store.create(record())
    store.delete("demo")
    assert store.list() == []
    store.create(record())


def test_the_revision_grows_with_every_change_and_with_nothing_else(store: Store) -> None:
    seen = [store.revision()]
    store.create(record())
    seen.append(store.revision())
    store.replace(record(version=2), made_from=1)
    seen.append(store.revision())
    with pytest.raises(NameTakenError):
        store.create(record())
    with pytest.raises(StaleVersionError):
        store.replace(record(version=2), made_from=1)
    store.list()
    assert store.revision() == seen[-1]
    store.delete("demo")
    seen.append(store.revision())
    assert seen == sorted(set(seen))


def test_of_several_changes_at_once_one_wins(store: Store) -> None:
    store.create(record())
    outcomes: list[str] = []

    def change(number: int) -> None:
        try:
            store.replace(record(version=2, document=b"%d" % number), made_from=1)
            outcomes.append("won")
        except StaleVersionError:
            outcomes.append("stale")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stale", "stale", "stale", "won"]


def test_two_nodes_of_one_store_see_each_other(url: str, store: Store) -> None:
    if store.is_temporary:
        return
    other = open_store(url)
    store.create(record())
    assert (other.list(), other.revision()) == ([record()], store.revision())
    other.close()


@pytest.mark.postgres
def test_nodes_that_start_at_once_make_one_table(postgres_url: str) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            open_store(postgres_url)
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_no_path_is_the_users_state_directory(tmp_path: Path) -> None:
    store = open_store("sqlite:///", {"XDG_STATE_HOME": str(tmp_path)})
    assert (tmp_path / "onetrip" / "onetrip.db").exists()
    assert store.key_path == tmp_path / "onetrip" / "onetrip.db.key"
    store.close()


def test_a_relative_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///here.db").close()
    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "sqlite:store.db", "hunter2", "sqlite://host/path"])
def test_an_unknown_store_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError, match=r"is not known; use sqlite:///PATH or postgresql://") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_a_store_that_is_away_is_a_clear_error_without_its_password() -> None:
    with pytest.raises(StoreUnavailableError, match=r"postgresql://127\.0\.0\.1:1/d does not answer") as caught:
        open_store("postgresql://u:hunter2@127.0.0.1:1/d")
    assert "hunter2" not in str(caught.value)
